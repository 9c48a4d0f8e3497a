"""How NumPy prints some three hundred arrays: what Tensor's printing is tested against.

    python3 print.py        writes print.txt beside this file; needs NumPy 2.3 or later

Each case of print.txt is a line `TYPE [EXTENTS] NUMBERS`, where a number is its bits in hexadecimal and `*n` says how often it
stands in a row, and under it, each line behind a `|`, what print() must show. Arrays that NumPy summarises hold, where it
does not look, a number that would give itself away.
"""
import itertools
from pathlib import Path

import numpy as np

EDGES = [0.0, -0.0, 1.0, 0.1, 1 / 3, 1e-4, 9.9999e-5, 1e-5, 999999.94, 1e6, 99999999.5, 1e8, 1234567890123456.0,
         9999999999999998.0, 1e16, 2.0**-9, 3 * 2.0**-9, 0.123456785, 0.999999995, 99.999999999, 33554448.0,
         5e-324, 1e-45, 1.17549435e-38, 3.4028235e38, 1.7976931348623157e308, 1e100, 1e-100]
NOT_FINITE = [np.nan, np.inf, -np.inf]
SMALL = [(), (1,), (2,), (3,), (8,), (20,), (40,), (1, 1), (2, 2), (3, 4), (5, 3), (1, 30), (2, 17), (2, 1, 3), (2, 3, 2), (1, 2, 1, 2), (2, 2, 2, 2)]
EMPTY = [(0,), (0, 3), (3, 0), (2, 0, 2)]
LARGE = [(1001,), (5000,), (500, 3), (40, 30), (7, 150), (150, 7), (1, 1001), (1001, 1), (2, 26, 26), (6, 6, 30), (30, 6, 6), (2, 3, 2, 100)]
NOT_QUITE_LARGE = [(6, 6, 27), (1000,)]


def draw_floats(random, dtype, n):
    def drawn():
        match random.integers(7):
            case 0: return random.normal(0, 10.0 ** random.integers(-6, 8), n)
            case 1: return random.normal(0, 1, n) * 10.0 ** random.uniform(-3, 3, n)
            case 2: return np.round(random.normal(0, 50, n), random.integers(0, 5))
            case 3: return random.integers(-1000, 1000, n) / 2.0 ** random.integers(0, 14)
            case 4: return random.choice(EDGES, n)
            case 5: return random.uniform(size=n)
            case 6: return np.frombuffer(random.bytes(n * np.dtype(dtype).itemsize), dtype)

    with np.errstate(over="ignore", invalid="ignore"):
        numbers = drawn().astype(dtype)
    if random.random() < 0.2:
        which = random.random(n) < random.choice([0.1, 0.5, 1])
        numbers[which] = random.choice(NOT_FINITE, which.sum())
    return numbers


def draw(random, dtype, n):
    if dtype == "?":
        return random.random(n) < 0.5
    if dtype in ("f4", "f8"):
        return draw_floats(random, dtype, n)
    limits = np.iinfo(dtype)
    if random.random() < 0.2:
        return random.choice(np.array([limits.min, limits.max, 0, -1], dtype), n)
    lowest = 0 if random.random() < 0.5 else -(10 ** random.integers(1, 3))
    return random.integers(lowest, min(limits.max, 10 ** random.integers(1, 9)), n).astype(dtype)


def draw_array(random, dtype, shape):
    if np.prod(shape, dtype=int) <= 1000:
        return draw(random, dtype, np.prod(shape, dtype=int)).reshape(shape)
    array = np.full(shape, {"f4": 1e30, "f8": 1e300, "?": True, "i1": -128}.get(dtype, 2**31 - 1), dtype)
    shown = np.ix_(*[[*range(n)] if n <= 6 else [0, 1, 2, n - 3, n - 2, n - 1] for n in shape])
    array[shown] = draw(random, dtype, array[shown].size).reshape(array[shown].shape)
    return array


def written(array):
    bits = array.view(f"u{array.itemsize}").ravel()
    groups = [(n, len([*same])) for n, same in itertools.groupby(bits)]
    numbers = [f"{n:x}" + (f"*{times}" if times > 1 else "") for n, times in groups]
    shape = ",".join(map(str, array.shape))
    text = "Tensor(" + (np.array2string(array, prefix="Tensor(") if array.shape else str(array)) + ")"
    kind = "b1" if array.dtype == bool else array.dtype.str[1:]
    return " ".join([kind, f"[{shape}]", *numbers]) + "".join("\n|" + line for line in text.split("\n")) + "\n"


def cases(random):
    for dtype, repeat in (("f4", 3), ("f8", 2), ("i4", 1), ("i8", 1), ("?", 1)):
        for shape in SMALL * repeat + LARGE:
            yield draw_array(random, dtype, shape)
    with np.errstate(over="ignore"):
        for x, dtype in itertools.product(EDGES + NOT_FINITE, ("f4", "f8")):
            yield from (np.array(x, dtype), np.array([x], dtype))
    for ratio in (999.5, 1000, 1000.5):
        yield np.array([0.5, ratio / 2], "f4")
    for dtype, shape in itertools.product(("f4", "?"), EMPTY):
        yield np.zeros(shape, dtype)
    for shape in NOT_QUITE_LARGE:
        yield draw_array(random, "i1", shape)


if __name__ == "__main__":
    Path(__file__).with_suffix(".txt").write_text("".join(map(written, cases(np.random.default_rng(42)))))
