#!/usr/bin/env python3
"""Fails unless the README shows what the examples are.

A block of the README that follows a line <!-- examples/NAME.cpp --> must be an excerpt of that file, whatever the
indentation; one that follows <!-- prints examples/NAME.txt --> must be all of that file, or, with `<!-- prints part of ...`,
successive lines of it. Every ```cpp block must be marked, so that none goes untested.
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r'(?:^<!-- *(?P<mark>.+?) *-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$', re.M | re.S)


def stripped(text):
    """The lines of a text without indentation and blank lines at its ends."""
    return [line.strip() for line in text.strip().splitlines()]


def contains(lines, part):
    return any(lines[i:i + len(part)] == part for i in range(len(lines) - len(part) + 1))


def problem(block):
    """What is wrong with a block, if anything is."""
    mark = re.fullmatch(r'(prints part of |prints |)(examples/\S+)', block['mark'] or '')
    if not mark:
        return 'a ```cpp block without <!-- examples/NAME.cpp --> above it' if block['language'] == 'cpp' else None
    how, name = mark.groups()
    if not (ROOT / name).exists():
        return f'{name} does not exist'
    file, text = (ROOT / name).read_text(), block['text']
    if how == 'prints ':
        return None if text.rstrip() == file.rstrip() else f'not what is in {name}'
    if how == 'prints part of ':
        return None if contains(file.splitlines(), text.splitlines()) else f'no part of {name}'
    return None if contains(stripped(file), stripped(text)) else f'not an excerpt of {name}'


def main():
    blocks = list(BLOCK.finditer((ROOT / 'README.md').read_text()))
    problems = [(problem(block), block['text']) for block in blocks]
    wrong = [f'{says}:\n{textwrap.indent(text, "    ")}' for says, text in problems if says]
    print('\n'.join([f'{len(blocks)} blocks in README.md'] + wrong))
    return 1 if wrong or not blocks else 0


if __name__ == '__main__':
    sys.exit(main())
