#!/usr/bin/env python3
"""What including a header costs: seconds of g++ -O2, beside those of <Eigen/Core> in the same run, as a table.

    bench/compile_time.py > bench/results/compile_time.md
    bench/compile_time.py --quick                          # everything and <Eigen/Core> alone

CXX and EIGEN name another compiler, and where Eigen is. Seconds are of the processor, which other programs disturb less than
those of the clock; of several runs, in turns, the least.
"""
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CXX = os.environ.get('CXX', 'g++')
EIGEN = os.environ.get('EIGEN', '/usr/include/eigen3')
FLAGS = ['-std=c++20', '-O2', '-I', str(ROOT / 'include'), '-isystem', EIGEN]


def seconds(header, folder):
    """One run: a unit that includes the header, and nothing else. One ending in .gch is precompiled, unless it has been before."""
    folder = pathlib.Path(folder)
    source, precompiled = folder / 'unit.cpp', folder / pathlib.Path(header).name
    if is_precompiled := header.endswith('.gch'):
        if not precompiled.exists():
            source.write_text(f'#include <{header.removesuffix(".gch")}>\n')
            subprocess.run([CXX, *FLAGS, '-x', 'c++-header', source, '-o', precompiled], check=True)
    source.write_text('' if is_precompiled else f'#include <{header}>\n')
    include = ['-include', precompiled.with_suffix('')] if is_precompiled else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([CXX, *FLAGS, *include, '-c', source, '-o', os.devnull], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(headers, runs):
    """The least seconds of each header, the headers taking turns."""
    best = {header: float('inf') for header in headers}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs):
            for header in headers:
                best[header] = min(best[header], seconds(header, folder))
    return best


def row(name, time, eigen):
    return f'| {name} | {time:.2f} | {time / eigen:.2f} |'


def main():
    whole = measure(['Eigen/Core', 'tricycle/tricycle.hpp', 'tricycle/tricycle.hpp.gch'], 5)
    eigen = whole['Eigen/Core']
    print('# What including a header costs\n')
    version = subprocess.run([CXX, '--version'], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    print(f'`bench/compile_time.py`, {version}, `-std=c++20 -O2`: seconds of the processor for a unit that includes one header and')
    print('nothing else, and how often that is `<Eigen/Core>`. The first three are the least of 5 runs in turns.\n')
    print('| header | s | × `<Eigen/Core>` |\n|---|---|---|')
    print(row('`<Eigen/Core>`', eigen, eigen))
    print(row('everything: `tricycle/tricycle.hpp`', whole['tricycle/tricycle.hpp'], eigen))
    print(row('the same, precompiled once: a unit that uses that', whole['tricycle/tricycle.hpp.gch'], eigen))
    if '--quick' in sys.argv:
        return
    headers = sorted(str(path.relative_to(ROOT / 'include')) for path in (ROOT / 'include').rglob('*.hpp'))
    for header, time in measure([h for h in headers if h != 'tricycle/tricycle.hpp'], 1).items():
        print(row(f'`{header.removeprefix("tricycle/")}`', time, eigen))


if __name__ == '__main__':
    main()
