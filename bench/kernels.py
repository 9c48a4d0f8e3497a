"""What nvcc makes of the kernels that train a GPT: registers, spills, shared memory, and how wide they read and write.

    python3 bench/kernels.py [--architectures 80,90] [--nvcc NVCC] [--eigen FOLDER] [--include FOLDER] [--out FILE]

Writes a table to bench/results/gpu_kernels.md. Needs nvcc, no GPU. On stderr: each kernel that spills, has local memory, or
never reads or never writes 16 bytes at once although it moves packs. (A kernel looks at its operands'
alignment when it runs: code that moves one number at a time always stands beside the wide one.)
"""
import argparse
import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Formulas that take one number at a time by design: doubles, and lists of indices.
NARROW = re.compile(r'\bdouble\b|\bMergeRuns<|\bIsKept<')

ROOT = pathlib.Path(__file__).resolve().parent.parent


def words(text):
    """The top level of a list of template arguments: 'a<b, c>, d' is 'a<b, c>' and 'd'."""
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in '<({') - (character in '>)}')
        if character == ',' and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return parts + [text[begin:].strip()]


def demangled(names):
    out = subprocess.run(['c++filt'], input='\n'.join(names), capture_output=True, text=True, check=True).stdout
    return dict(zip(names, out.splitlines()))


def readable(name):
    """void ...::entry<Kernel>(Kernel) is Kernel; namespaces say nothing."""
    found = re.search(r'gpu::entry<(.*)>\(', name)
    name = words(found.group(1))[0] if found else name
    name = re.sub(r'\b(?:tricycle|with_cuda_\w+|kernel|detail|std|gpu)::', '', name)
    name = re.sub(r'\(unsigned (?:long|int)\)|\((?:int|bool)\)|(?<=\d)ul\b', '', name).replace('__nv_bool', 'bool').replace(' >', '>')
    return re.sub(r'const, ', '', name)


def compile_for(architecture, options, folder):
    """ptxas's words about each kernel, and the PTX that it was made from."""
    command = [options.nvcc, '-std=c++20', f'-arch=sm_{architecture}', '-Xptxas', '-v', '-cubin', '-keep', '-keep-dir', str(folder),
               '-I', str(options.include), '-isystem', str(options.eigen), str(ROOT / 'bench/gpu_kernels.cu'), '-o', str(folder / 'gpu_kernels.cubin')]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    ptx, = folder.glob('*.ptx')
    return done.stdout + done.stderr, ptx.read_text()


Kernel = collections.namedtuple('Kernel', 'registers stack stores loads shared reads writes')


def widths(body, move):
    """{bytes: how often} of the loads or stores of global memory, or of memory that may be global."""
    found = collections.Counter()
    for space, n, bits in re.findall(move + r'((?:\.[a-z_:0-9]+?)*?)(?:\.v([248]))?\.[busf](8|16|32|64|128)\b', body):
        if not re.search(r'\.(local|shared|param|const)', space):
            found[int(bits) // 8 * int(n or 1)] += 1
    return found


def kernels(said, ptx):
    bodies = dict(re.findall(r'\.entry (\w+)\((.*?)^\}', ptx, re.M | re.S))
    found = {}
    for name, about in re.findall(r"Compiling entry function '(\w+)'.*?\n(.*?)(?=ptxas info\s*: Compiling|\Z)", said, re.S):
        def number(pattern):
            match = re.search(pattern, about)
            return int(match.group(1)) if match else 0
        body = bodies[name]
        found[name] = Kernel(number(r'Used (\d+) registers'), number(r'(\d+) bytes stack frame'), number(r'(\d+) bytes spill stores'),
                             number(r'(\d+) bytes spill loads'), number(r'(\d+) bytes smem'), widths(body, r'\bld'), widths(body, r'\bst'))
    return found


def listed(counts):
    return ', '.join(f'{width} × {counts[width]}' for width in sorted(counts, reverse=True)) or 'none'


def complaints(name, k):
    if k.stack or k.stores or k.loads:
        yield f'{k.stack} bytes of stack, {k.stores} stored and {k.loads} loaded as spills'
    if NARROW.search(name):
        return
    # Eight or more moves of 2 or 4 bytes: a pack in single numbers.
    for does, counts in (('reads', k.reads), ('writes', k.writes)):
        if counts[2] + counts[4] >= 8 and not counts[16]:
            yield f'never {does} 16 bytes at once: {listed(counts)}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--architectures', default='80,90')
    parser.add_argument('--nvcc', default=shutil.which('nvcc') or '/usr/local/cuda/bin/nvcc')
    parser.add_argument('--include', type=pathlib.Path, default=ROOT / 'include')
    parser.add_argument('--eigen', type=pathlib.Path)
    parser.add_argument('--out', type=pathlib.Path, default=ROOT / 'bench/results/gpu_kernels.md')
    options = parser.parse_args()
    if not options.eigen:
        options.eigen = next((p for p in (ROOT / 'build/fetched/eigen-src', pathlib.Path('/usr/include/eigen3')) if p.exists()), None)
    if not options.eigen:
        parser.error('--eigen FOLDER is needed: the headers of Eigen')

    version = re.search(r'release ([\d.]+)', subprocess.run([options.nvcc, '--version'], capture_output=True, text=True).stdout).group(1)
    lines = ['# The kernels of a training step', '',
             f'What nvcc {version} makes of [gpu_kernels.cu](../gpu_kernels.cu), as `bench/kernels.py` reads it: registers a thread; bytes of stack,',
             'of registers spilt (stored and loaded) and of static shared memory; and how often the code reads and writes global memory, by',
             'how many bytes at once. Wide code and code for operands that are not aligned stand side by side, and each runs where it may.']
    bad = 0
    for architecture in options.architectures.split(','):
        with tempfile.TemporaryDirectory() as folder:
            found = kernels(*compile_for(architecture, options, pathlib.Path(folder)))
        names = demangled(list(found))
        rows = sorted((readable(names[mangled]), k) for mangled, k in found.items())
        lines += ['', f'## sm_{architecture}: {len(rows)} kernels, at most {max(k.registers for _, k in rows)} registers, '
                      f'{sum(k.stores + k.loads for _, k in rows)} bytes spilt', '',
                  '| kernel | registers | stack | spills | shared | reads | writes |', '|---|---|---|---|---|---|---|']
        for name, k in rows:
            lines.append(f'| `{name}` | {k.registers} | {k.stack} | {k.stores} / {k.loads} | {k.shared} | {listed(k.reads)} | {listed(k.writes)} |')
            for complaint in complaints(name, k):
                bad += 1
                print(f'sm_{architecture}: {name}: {complaint}', file=sys.stderr)
    options.out.write_text('\n'.join(lines) + '\n')
    print(f'{options.out}: {bad} complaints')


if __name__ == '__main__':
    main()
