#!/usr/bin/env python3
"""Adds up what gcov knows of a build: of each file of include/ how many lines ran, and which did not. See coverage.sh.

    tests/coverage.py BUILD
"""
import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / 'include' / 'tricycle'
WANTED = 0.95


def counts(data):
    """[(file, line, how often it ran), ...] of one unit, as seen by each function that is made of the line."""
    said = subprocess.run(['gcov', '--json-format', '--stdout', data.name], cwd=data.parent, capture_output=True, text=True, check=True).stdout
    for unit in said.splitlines():
        unit = json.loads(unit)
        for file in unit['files']:
            path = (pathlib.Path(unit['current_working_directory']) / file['file']).resolve()
            if path.is_relative_to(INCLUDE):
                for line in file['lines']:
                    yield path, line['line_number'], line['count']


def ranges(numbers):
    """1, 2, 3, 7 as 1-3, 7."""
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ', '.join(f'{a}-{b}' if b > a else f'{a}' for a, b in parts)


def main():
    ran = collections.defaultdict(collections.Counter)
    for data in pathlib.Path(sys.argv[1]).resolve().rglob('*.gcda'):
        for path, line, count in counts(data):
            ran[path][line] += count
    for path in sorted(ran):
        missed = [line for line, count in ran[path].items() if count == 0]
        share = 1 - len(missed) / len(ran[path])
        print(f'{share:6.1%}  {path.relative_to(INCLUDE)}' + (f': not {ranges(missed)}' if missed else ''))
    lines = sum(len(file) for file in ran.values())
    missed = sum(count == 0 for file in ran.values() for count in file.values())
    share = 1 - missed / lines if lines else 0
    print(f'{share:6.1%}  of {lines} lines in {len(ran)} files')
    return 0 if share >= WANTED else 1


if __name__ == '__main__':
    sys.exit(main())
