#!/usr/bin/env python3
"""Print all of the library as one header: each file of include/tricycle once, behind the files that it includes.

    cmake/single_header.py > tricycle.hpp

It still needs Eigen, and for GPUs CUDA.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = re.compile(r'#include "(tricycle/[^"]+)"\n')


def unfold(name, done):
    """The text of header `name` and of those that it includes, without those in `done`, which grows."""
    if name in done:
        return ''
    done.add(name)
    text = (ROOT / 'include' / name).read_text().replace('#pragma once\n', '')
    # Includes go before the header, whatever conditions they stand in; those behind its code need that code, and stay.
    code = text.find('namespace tricycle {') if 'namespace tricycle {' in text else len(text)
    before = ''.join(unfold(include[1], done) for include in OURS.finditer(text) if include.start() < code)
    body = OURS.sub(lambda include: unfold(include[1], done) if include.start() > code else '', text)
    return f'{before}\n// ================================================================ {name}\n{body}'


def main():
    print('// Tricycle, all of it in one file. MIT License:', end='')
    print(''.join('\n// ' + line if line else '\n//' for line in (ROOT / 'LICENSE').read_text().splitlines()))
    print('#pragma once\n' + unfold('tricycle/tricycle.hpp', set()), end='')


if __name__ == '__main__':
    main()
