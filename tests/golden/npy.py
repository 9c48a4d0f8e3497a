"""Arrays as NumPy saves them: the files that io/npy.hpp is tested against.

    python3 npy.py        writes npy/NAME.npy beside this file

The number in place i, counted row after row, is i - 3 (true where that is above 0), as the type of the file holds it.
"""
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

TYPES = ['f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'b1']


def numbers(shape, dtype):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) - 3
    return values > 0 if dtype == 'b1' else values.astype(dtype)


def arrays():
    """Name, array and version of each file."""
    for dtype in TYPES:
        yield dtype, numbers((2, 3), dtype), (1, 0)
    for name, shape in {'scalar': (), 'empty': (0,), 'no_columns': (3, 0, 2), 'one': (1,), 'eight_axes': (1, 2, 1, 2, 1, 2, 1, 1)}.items():
        yield name, numbers(shape, 'f4'), (1, 0)
    for dtype in '>f8', '>i2':
        yield 'big_endian_' + dtype[1:], numbers((5,), dtype), (1, 0)
    yield 'columns', np.asfortranarray(numbers((2, 3, 4), 'f4')), (1, 0)
    yield 'columns_big_endian', np.asfortranarray(numbers((4, 5), '>i4')), (1, 0)
    for version in (2, 0), (3, 0):
        yield f'version_{version[0]}', numbers((2, 3), 'f4'), version


if __name__ == '__main__':
    folder = Path(__file__).with_suffix('')
    folder.mkdir(exist_ok=True)
    for name, array, version in arrays():
        with open(folder / f'{name}.npy', 'wb') as file:
            npy.write_array(file, array, version)
