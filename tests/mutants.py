#!/usr/bin/env python3
"""Breaks the GPU's kernels in one small way after another, and fails unless a test of the emulated GPU notices each.

    tests/mutants.py [-b BUILD] [WORD ...]

BUILD (build/tests) is what `cmake --preset tests` made. With WORDs: only mutants in whose file, description or test (test_gpu_order, say) one stands.
It takes some minutes, so it is run by hand: after a change to the tests, to the emulator, or to how kernels are written.

A mutant is an edit of a file in a scratch copy of include/: what stands there, what stands there instead, what that breaks,
and whose test should see it. So that the tests are compiled once and not once a mutant, all edits of a test go into one copy,
each behind `mutant(number)`, and one at a time is switched on from outside; with none, the tests must pass. Of the tests
only what is needed is compiled: some cases, in float, and some rows of the op table.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Of each test: the cases that are compiled, by a part of their names; of the op table, the rows that are.
CASES = {
    'training': ['a GPU learns what the CPU learns', 'dropout drops the same', 'an id that is out of range', 'cannot be captured'],
    'optimisers': ['Muon and AdamW on a GPU', 'half with a loss scale', 'after overflows a run'],
    'attention': ['is the composition', 'reads and writes in place', 'adds to gradients', 'drops what the op drops'],
    'order': ['what a thread frees', 'what a captured step reads or makes', 'GPUs wait for each other', 'a stream of its user'],
    'ops_float': ['float on a GPU'],
    'scatter': ['rows are added up'],
}
ROWS = ['exp', 'a + b', 'sum: first axis', 'transpose: of a matrix', 'softmax', 'argmax: of equals', 'layer_norm: shifted', 'dropout', 'dense', 'embed: many', 'cross_entropy']
PRODUCTS = ['"ij,jk->ik"']

# (file, what stands there, what then does, what that breaks, the test and the case that notice). `anchor>>text` is the first
# such text behind the anchor. A text that ends in ; is a statement, any other an expression.
MUTANTS = [
    ('team', 'R* of_warp = gpu::shared<R>();>>gpu::barrier();', ';', 'no barrier before a block writes what its warps have', 'ops_float'),
    ('team', 'gpu::warp] = x;>>gpu::barrier();', ';', 'no barrier before a block reads what its warps have', 'ops_float'),
    ('team', 'for (int hop = >>gpu::warp / 2', 'gpu::warp / 4', 'a sum over a warp leaves out half of it', 'ops_float'),
    ('team', 'gpu::from_lane_across(x, hop)', 'gpu::from_lane(x, (gpu::thread() + hop) % gpu::warp / 2)', 'a sum takes the wrong lane', 'ops_float'),
    ('team', '    if (>>member() == 0', 'true', 'every thread writes what is written once', 'ops_float'),
    ('team', '!better(b, a) && a < b', '!better(b, a) && a > b', 'of equals the last is found', 'ops_float'),
    ('rows', 'row < count', 'row <= count', 'one row too many', 'ops_float'),
    ('each', 'struct EachOnGpu>>from + mine < n ? from + mine : n', 'from + mine', 'the last pack is a whole one', 'ops_float'),
    ('map', 'row < walk.rows && from < walk.n', 'row <= walk.rows && from < walk.n', 'a row behind the last', 'ops_float'),
    ('map', 'from + mine < walk.n ? from + mine : walk.n', 'from + mine', 'the last pack of a row is a whole one', 'ops_float'),
    ('columns', 'first + height < rows ? first + height : rows', 'first + height', 'rows behind the last are added up', 'ops_float'),
    ('columns', '(c + d));>>from < to', 'from < to - 1', 'the last row of a split is left out', 'ops_float'),
    ('columns', '(a + b) + (c + d)', '(a + b) + (c + c)', 'of four rows one is added twice', 'ops_float'),
    ('columns', 'f.aligned()', 'true', '16 bytes at once of rows of any length', 'ops_float'),
    ('columns', 'batch >= batches', 'batch > batches', 'a batch behind the last is added up', 'ops_float'),
    ('map', 'j < count ? static_cast<float>(at[(i.at + j) * step]) : 0.f', 'static_cast<float>(at[(i.at + j) * step])', 'numbers a step apart are read behind the last', 'ops_float'),
    ('core/pack', 'load_bits(const T* from, int count)>>i < count ? __builtin_bit_cast(Bits<T>, from[i]) : Bits<T>(0)', '__builtin_bit_cast(Bits<T>, from[i])', 'a short pack is read whole', 'ops_float'),
    ('core/pack', 'is_aligned(const void* p) { return >>(reinterpret_cast<std::uintptr_t>(p) & 15) == 0', 'true', '16 bytes at once from anywhere', 'ops_float'),
    ('gemm_cublas', 'accumulate ? Scale(1) : Scale(0)', 'Scale(0)', 'a product is not added to what there is', 'ops_float'),

    ('scatter', 'from[middle] < mine', '!(mine < from[middle])', 'each row comes behind itself', 'scatter'),
    ('scatter', 'place < b.place', 'false', 'two rows of an id have one place', 'scatter'),
    ('scatter', 'first >= count', 'first > count', 'a chunk behind the last is added up', 'scatter'),
    ('scatter', 'id != before && id != after', 'id != before', 'an id is done before the next chunk', 'scatter'),
    ('scatter', 'after == before ? -1 : part + 1', 'part + 1', 'a part is read that a chunk of one id has not stored', 'scatter'),
    ('scatter', 'r = first; >>r <= last', 'r < last', 'the last id of a full chunk is left out', 'scatter'),
    ('scatter', 'r + k < last ? list[r + k] : Listed{}', 'list[r + k]', 'rows behind the last are added up', 'scatter'),
    ('scatter', 'out.at + id * n, >>out.add', 'false', 'sums are not added to what there is', 'scatter'),
    ('scatter', 'if (!out.add) >>gpu::check(cudaMemsetAsync(out.at, 0, static_cast<std::size_t>(table * n) * sizeof *out.at, gpu::stream(device)), "cudaMemset");', ';', 'an id that stands nowhere keeps what there is', 'scatter'),
    ('scatter', 'tricycle::detail::rows_are_aligned(x, n)', 'true', '16 bytes at once of rows of any length', 'scatter'),
    ('each', 'aligned && >>from + lanes <= n', 'true', 'the last pack of aligned rows is a whole one', 'scatter'),

    ('flash', 'from += step) {>>gpu::barrier();', ';', 'keys are overwritten while a warp reads them', 'attention'),
    ('flash', 'v, from, a.keys);\n      >>gpu::barrier();', ';', 'keys are read before they are there', 'attention'),
    ('flash', 'totals[a.row(part.batch, part.head, row)] = all[i];>>gpu::barrier();', ';', 'results are staged where a warp still reads', 'attention'),
    ('flash_back', 'known[gpu::thread()] = QueryBack(a, totals, inner, part, from + gpu::thread());>>gpu::barrier();', ';', 'queries are read before they are there', 'attention'),
    ('flash_back', 'from < end; from += step) {>>gpu::barrier();', ';', 'keys are overwritten while a warp reads them', 'attention'),
    ('flash_back', 'from < a.queries; from += step) {>>gpu::barrier();', ';', 'queries are overwritten while a warp reads them', 'attention'),
    ('flash_back', 'for_keys.each([&](float& x, Place) { x *= scale; });>>gpu::barrier();', ';', 'gradients are staged where a warp still reads', 'attention'),
    ('mma', 'p.column] = x; });>>gpu::warp_barrier();', ';', 'a lane writes out sums that others have not staged', 'attention'),
    ('mma', '[at];\n      });\n  }\n  >>gpu::warp_barrier();', ';', 'a lane stages the next sums where others still read', 'attention'),
    ('flash', 'x.of(part.batch, part.head, first), >>x.token', 'x.head', 'the next head is read for the next token', 'attention'),
    ('flash', '(b * queries + query) * heads + h', 'query * heads + h', 'all batches have one place for their totals', 'attention'),
    ('flash', 'first + Index{query} * keys + at', 'first + Index{query} * keys + at + 1', 'dropout drops the next weight', 'attention'),
    ('flash', 'at - query <= keys - queries', 'at - query <= keys - queries + 1', 'a query sees one key ahead', 'attention'),
    ('flash', 'query + 1 + keys - queries', 'query + keys - queries', 'the last key that a query sees is left out where it begins a step', 'attention'),
    ('flash_back', 'int from = >>a.first_to_see(part.first)', 'a.first_to_see(part.first) + 1', 'the first query that sees a key is left out', 'attention'),
    ('flash_back', 'my_begin = >>a.first_to_see(first)', 'a.first_to_see(first) + 1', 'the first query that sees a key is left out where it ends a step', 'attention'),
    ('flash_back', 'struct FlashBackKeys>>kept[p]', 'kept[Place{p.number ^ 1, p.which, p.column}]', 'the way back drops the neighbour', 'attention'),
    ('flash', '(size | x.batch | x.token | x.head) % numbers == 0', 'true', '16 bytes at once of rows of any length', 'attention'),
    ('flash', 'sum *= factor;', ';', 'weights before a higher score do not shrink', 'attention'),
    ('mma', 'gpu::from_lane_across(x, 2)', 'gpu::from_lane_across(x, 4)', 'a row is joined with another', 'attention'),
    ('mma', 'row < there && row < rows && column < n', 'row <= there && row < rows && column < n', 'a token behind the last is read', 'attention'),

    ('core/gpu_transfer', 'check(cudaStreamSynchronize(here.stream), "waiting for ", device);', ';', 'numbers are read before they are there', 'order'),
    ('core/gpu', 'check(cudaStreamSynchronize(mine.stream), "use_stream");', ';', 'a new stream does not wait for the one before', 'order'),
    ('core/gpu_memory', 'here.capture ? here.capture->pool : Pool::of(device)', 'Pool::of(device)', 'what a captured step makes is given to others', 'order'),
    ('core/gpu_memory', 'int c = memory::size_class((std::max)(block.bytes, least));\n    >>wait_for_this_thread(block);', ';', 'memory goes back while another stream reads it', 'order'),
    ('core/gpu_transfer', '>>after(here, there);', ';', 'a GPU copies before the other has written', 'order'),
    ('core/gpu_transfer', '>>after(there, here);', ';', 'a GPU goes on while the other copies', 'order'),

    ('core/gpu_transfer', 'pieces_.size() < most ? cudaEventQuery(piece.used) : cudaEventSynchronize(piece.used)', 'cudaSuccess', 'staging is used again while a copy reads it', 'training'),
    ('core/gpu_transfer', 'here.capture->kept.push_back(piece);', ';', 'what a captured step uploads is freed', 'training'),
    ('core/gpu_memory', 'here && here->capture && here->capture->pool != block.pool', 'false', 'what a captured step reads is given to others', 'order'),
    ('core/gpu_transfer', 'cudaMemsetAsync(&here.alarm->raised, 0, sizeof said.raised, here.stream);', ';', 'an alarm is never off again', 'training'),
    ('capture', 'gpu::check(cudaEventRecord(staging.used, context_.stream), "cudaEventRecord");', ';', 'what a captured step is fed is overwritten', 'training'),
    ('op/attention', 'kernel::feed(device, [] { return random_bits(); })', 'kernel::Fed<std::uint64_t>{random_bits()}', 'each run of a captured step drops the same', 'training'),
    ('train/optimisers', 'struct AdamWStep>>if (!move.gate.is_open()) return;', ';', 'AdamW moves in spite of the alarm', 'training'),
    ('train/optimisers', 'struct Gate>>(overflow == nullptr || *overflow == 0)', 'true', 'a step is made in spite of an overflow', 'optimisers'),
    ('train/optimisers', 'struct CountMove>>if (!gate.is_open()) return;', ';', 'a step that was left out is counted', 'optimisers'),
    ('train/muon', 'if (gate.is_open()) m[i] = mean;', 'm[i] = mean;', 'an overflow goes into the momentum', 'optimisers'),
    ('train/muon', 'struct Quintic>>i == diagonal', 'i == 0', 'the identity is another matrix', 'optimisers'),
    ('train/loss_scale', 'state->scale /= 2;', 'state->scale /= 4;', 'the scale is quartered', 'optimisers'),
    ('many', 'shares[middle].first_block <= gpu::block()', 'shares[middle].first_block < gpu::block()', 'the first block of a share works on the one before', 'training'),
]

SWITCH = """#pragma once
#include <cstdlib>
inline const int switched_on = [] { const char* n = std::getenv("TRICYCLE_MUTANT"); return n ? std::atoi(n) : -1; }();
[[gnu::no_sanitize("thread"), gnu::noinline]] inline bool mutant(int n) { return n == switched_on; }
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
    """A test's source with these cases alone, in float."""
    text = re.sub(r'^(?:TEMPLATE_)?TEST_CASE\("([^"]*)".*?(?:^}\n|\}\n(?=\n|\Z))', lambda m: m[0] if any(c in m[1] for c in cases) else '', text, flags=re.S | re.M)
    return re.sub(r', (?:tc|tricycle)::bf16, (?:tc|tricycle)::half\)', ')', text)


def trimmed_table(text):
    """A family of the op table with these rows alone."""
    name = lambda row: re.match(r'\s*row\("([^"]*)"', row)
    alone = lambda table: ''.join(row for row in re.split(r'(?m)^(?=      (?:row\(|// ---))', table[0]) if (m := name(row)) and m[1] in ROWS)
    text = re.sub(r'(?<=  return \{\n)(?=      (?:row\(|// ---)[^\n]*\n)(?!      // -[^\n]*\n      \{einsum).*?(?=  \};\n)', alone, text, flags=re.S)
    return re.sub(r'(?m)^      \{einsum<(.*?)>, .*\n', lambda m: m[0] if m[1] in PRODUCTS else '', text)


def build(test, numbers, scratch, build_folder):
    """The program, with all these mutants in it, switched off."""
    shutil.copytree(ROOT / 'include', scratch / 'include')
    shutil.copytree(ROOT / 'tests', scratch / 'tests', ignore=shutil.ignore_patterns('golden'))
    (scratch / 'switch.hpp').write_text(SWITCH)
    for number in numbers:
        file, old, new, *_ = MUTANTS[number]
        path = scratch / 'include/tricycle' / ((file if '/' in file else 'kernel/' + file) + '.hpp')
        path.write_text(edit(path.read_text(), number, old, new))
    source = scratch / f'tests/gpu/test_{test}.cpp'
    source.write_text(trimmed(source.read_text(), CASES[test]))
    for family in (scratch / 'tests/op_table').glob('*.hpp'):
        family.write_text(trimmed_table(family.read_text()))
    commands = subprocess.run(['ninja', '-C', build_folder, '-t', 'commands', f'test_gpu_{test}'], check=True, capture_output=True, text=True).stdout.splitlines()
    compile_it, link_it = next(c for c in commands if f'gpu/test_{test}.cpp' in c and ' -c ' in c), commands[-1]
    compile_it = re.sub(r'^ccache |-Werror|-W(?!no-tsan)\S+|-MD -MT \S+ -MF \S+', '', compile_it).replace(f'{ROOT}/', f'{scratch}/')
    compile_it = re.sub(r'-o \S+', f'-include {scratch}/switch.hpp -o {scratch}/test.o', compile_it)
    link_it = re.sub(r'\S+\.cpp\.o -o \S+', f'{scratch}/test.o -o {scratch}/test', link_it)
    for command in (compile_it, link_it):
        subprocess.run(command, shell=True, check=True, cwd=build_folder)
    return scratch / 'test'


def run(program, number):
    """What the program says when it fails with this mutant: the emulator's sentence, or the first assertion; '' if it does not."""
    try:
        done = subprocess.run([program, '--abort'], env={**os.environ, 'TRICYCLE_MUTANT': str(number)}, capture_output=True, text=True, timeout=600)
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
    options.add_argument('word', nargs='*')
    options = options.parse_args()
    wanted = [n for n, m in enumerate(MUTANTS) if not options.word or any(word in part for word in options.word for part in (m[0], m[3], f'test_gpu_{m[4]}'))]
    killed = survived = 0
    for test in CASES:
        numbers = [n for n in wanted if MUTANTS[n][4] == test]
        if not numbers:
            continue
        with tempfile.TemporaryDirectory() as folder:
            program = build(test, numbers, pathlib.Path(folder), options.build)
            if said := run(program, -1):
                sys.exit(f'mutants: test_gpu_{test} fails without any of them: {said}')
            for n in numbers:
                said = run(program, n)
                killed, survived = killed + bool(said), survived + (not said)
                print(f'{MUTANTS[n][0]}: {MUTANTS[n][3]}\n    ' + (f'killed by test_gpu_{test}: {said}' if said else f'SURVIVED test_gpu_{test}'), flush=True)
    print(f'{killed} killed, {survived} survived')
    sys.exit(survived > 0)


if __name__ == '__main__':
    main()
