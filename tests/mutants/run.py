#!/usr/bin/env python3
"""Breaks the library in one small way after another, and fails unless a test notices each.

    tests/mutants/run.py [-b BUILD] cpu|gpu [WORD ...]

Those of cpu.py, which CPU tests see, or of gpu.py, which tests of the emulated GPU see. BUILD (build/tests) is what
`cmake --preset tests` made. With WORDs: only mutants in whose file, description or test one stands. It takes some minutes, so it
is run by hand: after a change to the tests, to the emulator, or to how kernels are written.

A mutant is an edit of a file in a scratch copy of include/: (the file, in kernel/ where no folder is named; what stands there; what
stands there instead; what that breaks; whose test should see it). `anchor>>text` is the first such text behind the anchor; a text
that ends in ; is a statement, any other an expression. So that the tests are compiled once and not once a mutant, all edits of a
test go into one copy, each behind `mutant(number)`, and one at a time is switched on from outside; with none, the tests must pass.
Of the GPU's tests only what is needed is compiled: some cases, not in half, and some rows of the op table.
"""
import argparse
import importlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

SWITCH = """#pragma once
#include <cstdlib>
inline const int switched_on = [] { const char* n = std::getenv("TRICYCLE_MUTANT"); return n ? std::atoi(n) : -1; }();
[[gnu::no_sanitize("thread"), gnu::noinline]] inline bool mutant_is_on(int n) { return n == switched_on; }
[[gnu::no_sanitize("thread")]] constexpr bool mutant(int n) { return !__builtin_is_constant_evaluated() && mutant_is_on(n); }
"""


def edit(text, number, old, new):
    """`text` with both, the new one if the mutant is switched on. Edits that were made before are left alone."""
    anchor, _, old = old.rpartition('>>')
    start = text.find(anchor) + len(anchor) if anchor else 0
    at = text.find(old, start)
    if at < 0 or (anchor and anchor not in text) or (not anchor and text.count(old) > 1):
        sys.exit(f'mutants: {anchor} … {old} is not there, or not alone')
    both = f'if (mutant({number})) {{ {new} }} else {{ {old} }}' if old.endswith(';') else f'(mutant({number}) ? ({new}) : ({old}))'
    return text[:at] + both + text[at + len(old):]


def trimmed(text, cases):
    """A test's source with these cases alone, not in half."""
    text = re.sub(r'^(?:TEMPLATE_)?TEST_CASE\("([^"]*)".*?(?:^}\n|\}\n(?=\n|\Z))', lambda m: m[0] if any(c in m[1] for c in cases) else '', text, flags=re.S | re.M)
    return re.sub(r', (?:tc|tricycle)::half\)', ')', text)


def trimmed_table(text, rows, products):
    """A family of the op table with these rows alone."""
    name = lambda row: re.match(r'\s*row\("([^"]*)"', row)
    alone = lambda table: ''.join(row for row in re.split(r'(?m)^(?=      (?:row\(|// ---))', table[0]) if (m := name(row)) and m[1] in rows)
    text = re.sub(r'(?<=  return \{\n)(?=      (?:row\(|// ---)[^\n]*\n)(?!      // -[^\n]*\n      \{einsum).*?(?=  \};\n)', alone, text, flags=re.S)
    return re.sub(r'(?m)^      \{einsum<(.*?)>, .*\n', lambda m: m[0] if m[1] in products else '', text)


def build(mutants, test, numbers, scratch, build_folder):
    """The program, with all these mutants in it, switched off."""
    gpu = 'gpu_' if mutants.__name__ == 'gpu' else ''
    shutil.copytree(ROOT / 'include', scratch / 'include')
    shutil.copytree(ROOT / 'tests', scratch / 'tests', ignore=shutil.ignore_patterns('golden'))
    (scratch / 'switch.hpp').write_text(SWITCH)
    for number in numbers:
        file, old, new, *_ = mutants.MUTANTS[number]
        path = scratch / 'include/tricycle' / ((file if '/' in file else 'kernel/' + file) + '.hpp')
        path.write_text(edit(path.read_text(), number, old, new))
    source = scratch / 'tests' / gpu.replace('_', '/') / f'test_{test}.cpp'
    source.write_text(trimmed(source.read_text(), mutants.CASES.get(test, [''])))
    if gpu:
        for family in (scratch / 'tests/op_table').glob('*.hpp'):
            family.write_text(trimmed_table(family.read_text(), mutants.ROWS, mutants.PRODUCTS))
    commands = subprocess.run(['ninja', '-C', build_folder, '-t', 'commands', f'test_{gpu}{test}'], check=True, capture_output=True, text=True).stdout.splitlines()
    table = f'-include {scratch}/tests/op_table/families.hpp' if test.startswith('ops_') else ''
    compile_it, link_it = next(c for c in commands if f'/test_{test}.cpp' in c and ' -c ' in c), commands[-1]
    compile_it = re.sub(r'^ccache |-Werror|-W(?!no-tsan)\S+|-MD -MT \S+ -MF \S+', '', compile_it).replace('-O2', '-O1').replace(f'{ROOT}/', f'{scratch}/')
    compile_it = re.sub(r'-o \S+', f'-include {scratch}/switch.hpp {table} -o {scratch}/test.o', compile_it)
    link_it = re.sub(r'\S+\.cpp\.o -o \S+', f'{scratch}/test.o -o {scratch}/test', link_it)
    for command in (compile_it, link_it):
        subprocess.run(command, shell=True, check=True, cwd=build_folder)
    return scratch / 'test'


def run(program, number):
    """What the program says when it fails with this mutant: the emulator's sentence, or the first assertion; '' if it does not."""
    try:
        done = subprocess.run([program, '--abort'], env={**os.environ, 'TRICYCLE_MUTANT': str(number)}, capture_output=True, text=True, errors='replace', timeout=600, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return 'it does not end'
    if done.returncode == 0:
        return ''
    said = re.findall(r'^emulator: .*', done.stderr, re.M) + re.findall(r'FAILED:\n(.*)', done.stdout) + re.findall(r'due to .*', done.stdout)
    sentence = ' '.join((said or [f'exit status {done.returncode}'])[0].split())
    return re.sub(r'kernel .*?, block ', 'a kernel, block ', sentence)[:230]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument('-b', '--build', default=ROOT / 'build/tests')
    options.add_argument('which', choices=['cpu', 'gpu'])
    options.add_argument('word', nargs='*')
    options = options.parse_args()
    mutants = importlib.import_module(options.which)
    wanted = [n for n, m in enumerate(mutants.MUTANTS) if not options.word or any(word in part for word in options.word for part in (m[0], m[3], m[4]))]
    killed = survived = 0
    for test in dict.fromkeys(mutants.MUTANTS[n][4] for n in wanted):
        numbers = [n for n in wanted if mutants.MUTANTS[n][4] == test]
        with tempfile.TemporaryDirectory() as folder:
            program = build(mutants, test, numbers, pathlib.Path(folder), options.build)
            if said := run(program, -1):
                sys.exit(f'mutants: test_{test} fails without any of them: {said}')
            for n in numbers:
                said = run(program, n)
                killed, survived = killed + bool(said), survived + (not said)
                print(f'{mutants.MUTANTS[n][0]}: {mutants.MUTANTS[n][3]}\n    ' + (f'killed by {test}: {said}' if said else f'SURVIVED {test}'), flush=True)
    print(f'{killed} killed, {survived} survived')
    sys.exit(survived > 0)


if __name__ == '__main__':
    main()
