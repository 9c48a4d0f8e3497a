#!/usr/bin/env python3
"""Fails unless every op of include/tricycle/op/ has a row in tests/op_table/.

An op is a function, an operator, or a class that is called, which is declared in one of our namespaces (`detail` is not
one of them) and returns a Tensor, or takes one and returns `auto`. A row is row("NAME", ...), or row("NAME: how", ...) where
there are several. An operator's NAME is an expression, c being a plain number: row("a + b", ...), row("c - a", ...),
row("-a", ...). With --list: print the ops, and fail at nothing.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def declarations(source):
    """What is declared in our namespaces, without bodies and comments: [(declaration, body), ...]."""
    source = re.sub(r'//[^\n]*|/\*.*?\*/|^\s*#(?:[^\n\\]|\\.)*', '', source, flags=re.S | re.M)
    source = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)+\'', '""', source)
    found, depth, start, body = [], 0, 0, 0
    for i, c in enumerate(source):
        if c == '{':
            head = source[start:i].strip()
            if depth == 0 and head.startswith(('namespace', 'inline namespace')) and not head.endswith('detail'):
                start = i + 1            # walk into it
                continue
            if depth == 0:
                body = i
            depth += 1
        elif c == '}' and depth > 0:
            depth -= 1
            if depth == 0:
                found.append((' '.join(source[start:body].split()), source[body:i]))
                start = i + 1
        elif c == '}' or (c == ';' and depth == 0):
            found.append((' '.join(source[start:i].split()), ''))
            start = i + 1
    return found


def operator_name(symbol, parameters):
    """How an operator is written: "a + b", "c - a", "-a"."""
    kinds = ['a' if 'Tensor' in p else 'c' for p in re.split(r',(?![^<]*>)', parameters)]
    if kinds == ['a']:
        return symbol + 'a'
    return f'{kinds[0]} {symbol} {"b" if kinds == ["a", "a"] else kinds[1]}'


def ops(source):
    returns = r'(?:^|[ >])(?:Tensor<[^()]*>&?|auto(?= .*Tensor)|(?:std::)?(?:vector|array|pair|tuple)<[^()]*Tensor<[^()]*>) '
    for declaration, body in declarations(source):
        operator = re.search(returns + r'operator ?([^\s\w(]+) ?\((.*)\)', declaration)
        function = re.search(returns + r'(?:\w+(?:<\w+>)?::)?(\w+) ?\(', declaration)
        called = re.search(r'(?:class|struct) (\w+)(?: final)?$', declaration)
        if operator:
            yield operator_name(*operator.groups())
        elif function and not function[1].startswith('operator'):
            yield function[1]
        elif called and not declaration.startswith('template') and re.search(returns + r'operator\(\)', ' '.join(body.split())):
            yield called[1]


def main():
    found = {}
    for path in sorted(ROOT.glob('include/tricycle/op/*.hpp')):
        for op in ops(path.read_text()):
            found.setdefault(op, path.name)
    if '--list' in sys.argv:
        print('\n'.join(f'{path}: {op}' for op, path in found.items()))
        return 0
    rows = set(re.findall(r'\brow(?:<[^>]*>)?\(\s*"([^":]+)', '\n'.join(p.read_text() for p in ROOT.glob('tests/op_table/*.hpp'))))
    lacking = [f'{path}: {op}' for op, path in found.items() if op not in rows]
    unknown = sorted(rows - found.keys())
    print(f'{len(found)} ops, {len(rows)} named in the table' + ''.join(f'\nno row for {line}' for line in lacking) + ''.join(f'\nno op for row {name}' for name in unknown))
    return 1 if lacking or unknown or not found else 0


if __name__ == '__main__':
    sys.exit(main())
