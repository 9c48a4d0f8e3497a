"""What the tests of the programs share: a place to run them in, a text to learn from, and readers of what they write.

Each test_*.py beside this file is run as `python3 test_NAME.py FOLDER [unittest's options]`, the programs being in FOLDER.
"""
import hashlib
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

WIDTHS = {'F64': 8, 'I64': 8, 'F32': 4, 'BF16': 2}
GPT2 = pathlib.Path(__file__).resolve().parents[1] / 'golden/gpt2'           # a small one, as transformers saves it
DEBUG = ['--config', 'debug', '--data', 'text.txt']


def text(n_lines=100):
    """Lines of words from a small vocabulary, some with characters of two bytes: something to learn, the same every time."""
    drawn = random.Random(1)
    words = [''.join(drawn.choices('aeioulmnrstké', k=drawn.randint(2, 7))) for _ in range(40)]
    return ''.join(' '.join(drawn.choices(words, k=8)) + '.\n' for _ in range(n_lines))


def read_safetensors(path):
    """{name: (dtype, shape, bytes)} and the metadata of a file, every byte of which must be accounted for."""
    data = path.read_bytes()
    size = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop('__metadata__', {})
    tensors, covered = {}, 0
    for name, about in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        begin, end = about['data_offsets']
        n = WIDTHS[about['dtype']]
        for extent in about['shape']:
            n *= extent
        assert begin == covered and end == begin + n, f'{path}: {name} at {begin} to {end}'
        tensors[name] = about['dtype'], about['shape'], data[8 + size + begin:8 + size + end]
        covered = end
    assert 8 + size + covered == len(data), f'{path} has {len(data)} bytes'
    return tensors, metadata


def metrics(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def state(folder):
    """What a checkpoint says beside its tensors."""
    return json.loads(read_safetensors(folder / 'last/checkpoint.safetensors')[1]['state'])


def fingerprint(folder):
    """All that decides how a run goes on and what has come of it, but for times."""
    def untimed(record):
        return {key: value for key, value in record.items() if key not in ('seconds', 'tokens_per_s')}

    found = {'metrics': [untimed(line) for line in metrics(folder)], 'state': untimed(state(folder))}
    for name in 'model.safetensors', 'last/checkpoint.safetensors':
        for tensor, (dtype, shape, data) in read_safetensors(folder / name)[0].items():
            found[f'{name}: {tensor}'] = dtype, shape, hashlib.sha256(data).hexdigest()
    return found


def contents(folder):
    """{path: bytes} of everything in a folder."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


class ProgramTest(unittest.TestCase):
    maxDiff = 2000
    programs = pathlib.Path('.')

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.here = pathlib.Path(temporary.name).resolve()
        (self.here / 'text.txt').write_text(text(), encoding='utf-8')

    def command(self, program, *options):
        return [str(self.programs / program), *map(str, options)]

    def run_program(self, program, *options, **how):
        """Runs it to its end: .returncode, .stdout and .stderr, as text."""
        how = {'cwd': self.here, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'encoding': 'utf-8', 'errors': 'replace', 'timeout': 60, **how}
        return subprocess.run(self.command(program, *options), check=False, **how)

    def start(self, program, *options, **how):
        """Leaves it running."""
        how = {'cwd': self.here, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **how}
        process = subprocess.Popen(self.command(program, *options), **how)

        def end():
            process.kill()
            process.communicate()
        self.addCleanup(end)
        return process

    def succeeds(self, program, *options, **how):
        """Its output, once it has ended well and without complaint."""
        done = self.run_program(program, *options, **how)
        self.assertEqual((done.returncode, done.stderr), (0, ''), ' '.join(done.args))
        return done.stdout

    def trains(self, *options, **how):
        return self.succeeds('train_gpt', *options, **how)

    def refuses(self, status, sentence, program, *options, **how):
        """It ends with that status and one sentence on stderr, in which the regular expression `sentence` is found."""
        done = self.run_program(program, *options, **how)
        says = f'{" ".join(done.args)}: {done.returncode}: {done.stderr}'
        self.assertEqual(done.returncode, status, says)
        self.assertRegex(done.stderr, rf'\A{program}: [^\n]+\n\Z', says)
        self.assertRegex(done.stderr, sentence)


def main():
    """Run the tests of the script that calls this."""
    if len(sys.argv) < 2 or not (pathlib.Path(sys.argv[1]) / 'train_gpt').exists():
        sys.exit(f'usage: {sys.argv[0]} FOLDER OF THE PROGRAMS [options of unittest]')
    ProgramTest.programs = pathlib.Path(sys.argv.pop(1)).resolve()
    os.environ['TERM'] = 'xterm'
    signal.signal(signal.SIGINT, signal.default_int_handler)     # what ignores Ctrl-C teaches its children to
    unittest.main()
