#!/usr/bin/env python3
"""What the programs print and write, when all goes well."""
import array
import json
import math
import os
import pty
import re
import xml.etree.ElementTree

from gpt import GPT
from program import DEBUG, GPT2, ProgramTest, fingerprint, main, metrics, read_safetensors, text

TINY = ['--width', 16, '--layers', 1, '--heads', 2, '--context', 16, '--batch', 2, '--accumulate', 1]

OPTIONS = {
    'train_gpt': '--config --data --tokeniser --vocab --tokeniser-files --from --steps --budget --batch --context --layers --heads --width --activation --norm --positions --lr --accumulate --dropout --eval-every '
                 '--eval-windows --sample-every --out --resume --stop-at --seed --threads --device --capture --tune --precision --quiet --help',
    'generate': '--model --prompt --prompts --samples --tokens --temperature --top-k --top-p --repetition-penalty --stop --seed --greedy --device --help',
    'iris': '--data --help',
}


class Output(ProgramTest):
    def test_help(self):
        for program, options in OPTIONS.items():
            said = self.succeeds(program, '--help')
            self.assertEqual(sorted(re.findall(r'^  (--[a-z-]+)', said, re.M)), sorted(options.split()), program)
        self.trains('--resume', 'nowhere', '--help')

    def test_defaults(self):
        """nanoGPT's configuration for a CPU."""
        said = self.trains('--help')
        for option, value in {'--config': 'nanogpt_cpu', '--steps': 2000, '--batch': 12, '--context': 64, '--layers': 4, '--heads': 4, '--width': 128,
                              '--lr': 0.001, '--accumulate': 1, '--dropout': 0, '--eval-every': 250, '--seed': 1337, '--precision': 'float'}.items():
            self.assertRegex(said, rf'(?m)^  {option} .*\(default {value}\)$')

    # ---------------------------------------------------------------- train_gpt

    def test_folder(self):
        said = self.trains(*DEBUG, '--steps', 45, '--eval-every', 20, '--out', 'a/b')
        out = self.here / 'a/b'
        self.assertRegex(' '.join(sorted(str(path.relative_to(out)) for path in out.rglob('*') if path.is_file())),
                         r'^config.json events/events.out.tfevents.\d+ last/checkpoint.safetensors loss.svg metrics.jsonl model.safetensors tokeniser.json$')
        config = json.loads((out / 'config.json').read_text())
        self.assertEqual(config['data'], str(self.here / 'text.txt'))
        self.assertEqual(config['training']['model']['vocab_size'], len(set(text())))

        evaluations = metrics(out)
        self.assertEqual([line['step'] for line in evaluations], [20, 40, 45])
        for line in evaluations:
            for key in 'train_loss', 'val_loss', 'tokens_per_s', 'seconds':
                self.assertGreater(line[key], 0)
        self.assertEqual([line['seconds'] for line in evaluations], sorted(line['seconds'] for line in evaluations))
        self.assertLess(evaluations[-1]['val_loss'], evaluations[0]['val_loss'])

        lines = said.split('\n')
        self.assertEqual([line.split()[1] for line in lines if line.startswith('step ')], ['20', '40', '45'])
        self.assertEqual(lines[4:6], ['saved in a/b', f'validation loss {evaluations[-1]["val_loss"]:.4f}'])
        self.assertEqual(len('\n'.join(lines[6:])), 500 + 1)                 # the sample, in characters of the text
        self.assertLessEqual(set(said.split('validation loss')[-1][8:]), set(text()))

    def test_validation_loss(self):
        """Every window of the validation text counts once and alike, and the model that is kept is the best."""
        self.trains(*DEBUG, '--steps', 60, '--eval-every', 10, '--layers', 1, '--lr', 0.05, '--out', 'out')
        tokens = sorted(set(text()))
        ids = [tokens.index(c) for c in text()]
        validation = ids[int(len(ids) * 0.9):]
        windows = (len(validation) - 1) // 16
        self.assertGreater((len(validation) - 1) % 16, 0, 'there should be a part window')
        self.assertGreater(windows % 32, 0, 'the last batch of windows should be a part one')
        model = GPT(read_safetensors(self.here / 'out/model.safetensors')[0], n_heads=2)
        self.assertAlmostEqual(min(line['val_loss'] for line in metrics(self.here / 'out')), model.loss(validation, 16), places=5)

        # With fewer windows it is their mean.
        self.trains('--resume', 'out', '--steps', 61, '--eval-windows', 33)
        last = GPT(read_safetensors(self.here / 'out/last/checkpoint.safetensors')[0], n_heads=2, prefix='model.')
        self.assertAlmostEqual(metrics(self.here / 'out')[-1]['val_loss'], last.loss(validation[:33 * 16 + 1], 16), places=5)

    def test_picture(self):
        """loss.svg holds what metrics.jsonl says, also of what came before a run was gone on with."""
        self.trains(*DEBUG, '--steps', 40, '--eval-every', 10, '--out', 'whole')
        whole = (self.here / 'whole/loss.svg').read_text()
        root = xml.etree.ElementTree.fromstring(whole)
        self.assertEqual(root.tag, '{http://www.w3.org/2000/svg}svg')
        said = [element.text for element in root.iter('{http://www.w3.org/2000/svg}text')]
        last = metrics(self.here / 'whole')[-1]
        for text_ in f'training {last["train_loss"]:.4f}', f'validation {last["val_loss"]:.4f}', 'debug: loss by step', 'step', '40':
            self.assertIn(text_, said)
        curves = re.findall(r'd="M[^"]+" fill="none"', whole)
        self.assertEqual([curve.count(' ') for curve in curves], [4 + 1] * 2)        # four points each
        self.trains(*DEBUG, '--steps', 40, '--eval-every', 10, '--stop-at', 23, '--out', 'parts')
        self.trains('--resume', 'parts')
        self.assertEqual((self.here / 'parts/loss.svg').read_text(), whole)

    def test_samples(self):
        run = [*DEBUG, '--steps', 30, '--eval-every', 10, '--dropout', 0.1]
        said = self.trains(*run, '--sample-every', 12, '--out', 'out')
        samples = re.findall(r'^step (\d+)  writes:\n(?s:(.{200}))\n\n', said, re.M)
        self.assertEqual([step for step, _ in samples], ['12', '24'])
        self.assertNotEqual(samples[0][1], samples[1][1])
        # Sampling changes nothing else, and a run that is gone on with goes on sampling.
        self.trains(*run, '--out', 'without')
        self.assertEqual(fingerprint(self.here / 'out'), fingerprint(self.here / 'without'))
        self.trains(*run, '--sample-every', 12, '--stop-at', 20, '--out', 'parts')
        self.assertIn(f'step 24  writes:\n{samples[1][1]}\n', self.trains('--resume', 'parts'))

    def test_budget(self):
        """Chinchilla's some twenty tokens for each parameter."""
        self.trains(*DEBUG, '--budget', 'chinchilla', '--stop-at', 1, '--out', 'out')
        training = json.loads((self.here / 'out/config.json').read_text())['training']
        parameters = sum(math.prod(shape) for name, (_, shape, _) in read_safetensors(self.here / 'out/model.safetensors')[0].items())
        tokens = training['steps'] * training['batch'] * training['model']['context_window']
        self.assertGreater(tokens, 5 * parameters)
        self.assertLess(tokens, 50 * parameters)

    def test_every_config(self):
        """Each is there by its name; a few numbers make it small."""
        names = re.search(r'--config NAME .*: (\S+\|\S+) ', self.trains('--help'))[1].split('|')
        self.assertLessEqual({'debug', 'nanogpt_cpu', 'nanogpt_gpu', 'shakespeare', 'smol_gpt', 'gpt2_124m', 'gpt2_355m', 'gpt2_774m', 'gpt2_1558m'}, set(names))
        for name in names:
            self.trains('--config', name, '--data', 'text.txt', *TINY, '--tokeniser', 'char', '--steps', 60, '--eval-every', 30, '--lr', 1e-2, '--quiet', '--out', name)
            losses = [line['train_loss'] for line in metrics(self.here / name)]
            self.assertEqual(len(losses), 2)
            self.assertLess(losses[-1], losses[0], name)

    def test_pieces_of_words(self):
        said = self.trains(*DEBUG, '--tokeniser', 'bpe', '--vocab', 300, '--steps', 60, '--eval-every', 30, '--lr', 1e-2, '--out', 'out')
        self.assertIn(', 300 different;', said)
        self.assertEqual(json.loads((self.here / 'out/tokeniser.json').read_text())['tokeniser'], 'bpe')
        losses = [line['val_loss'] for line in metrics(self.here / 'out')]
        self.assertLess(losses[-1], losses[0])
        self.assertTrue(self.succeeds('generate', '--model', 'out', '--prompt', 'Ω is new', '--tokens', 9).startswith('Ω is new'))
        self.trains('--resume', 'out', '--steps', 61)
        self.refuses(2, 'began with --tokeniser bpe, not character', 'train_gpt', '--resume', 'out', '--tokeniser', 'character')

    def test_gpt2_tokens(self):
        """A vocabulary of the bytes, as GPT-2 writes them, and one merge."""
        plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
        letters = [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]
        (self.here / 'gpt2').mkdir()
        vocabulary = {token: i for i, token in enumerate([*letters, 'Ġs', '<|endoftext|>'])}
        (self.here / 'gpt2/vocab.json').write_text(json.dumps(vocabulary))
        (self.here / 'gpt2/merges.txt').write_text('#version: 0.2\nĠ s\n', encoding='utf-8')
        run = [*DEBUG, '--tokeniser', 'gpt2', '--steps', 20]
        self.assertIn(', 258 different;', self.trains(*run, '--tokeniser-files', 'gpt2', '--out', 'out'))
        self.trains(*run, '--tokeniser-files', 'out/tokeniser.json', '--out', 'again')
        self.assertEqual(fingerprint(self.here / 'out'), fingerprint(self.here / 'again'))
        self.assertIn('é <|endoftext|>', self.succeeds('generate', '--model', 'out', '--prompt', 'é <|endoftext|>', '--stop', '<|endoftext|>', '--tokens', 5))

    def test_from_gpt2(self):
        """A GPT-2 of transformers goes on as it does there, and so does a run that begins with it, as long as it learns nothing."""
        ids = array.array('q', (GPT2 / 'greedy.npy').read_bytes().partition(b'\n')[2])
        pieces = [bytes([id]) for id in range(256)] + [b'th', b'the', b' the', b'<|endoftext|>']
        goes_on = b''.join(pieces[id] for id in ids).decode('utf-8', 'replace') + '\n'
        greedy = ['--prompt', 'Look at ', '--tokens', 8, '--greedy']
        self.assertEqual(self.succeeds('generate', '--model', GPT2, *greedy), goes_on)

        learns = [*DEBUG, '--batch', 8, '--eval-every', 10, '--dropout', 0, '--quiet']
        self.trains(*learns, '--from', GPT2, '--steps', 1, '--lr', 1e-12, '--out', 'same')
        self.assertEqual(self.succeeds('generate', '--model', 'same', *greedy), goes_on)
        model = json.loads((self.here / 'same/config.json').read_text())['training']['model']
        self.assertEqual((model['embedding_dim'], model['n_layers'], model['bias'], model['tied'], model['dropout']), (8, 2, True, True, 0))

        # And so does one that begins with a run. It learns, and goes on.
        self.trains(*learns, '--from', 'same', '--steps', 20, '--lr', 1e-2, '--out', 'tuned')
        self.trains('--resume', 'tuned', '--steps', 40)
        losses = [line['val_loss'] for folder in ('same', 'tuned') for line in metrics(self.here / folder)]
        self.assertEqual(len(losses), 5)
        self.assertLess(losses[-1], losses[0])
        self.assertNotEqual(self.succeeds('generate', '--model', 'tuned', *greedy), goes_on)

    def test_token_files(self):
        """Tokens are what the text is, cut where it is cut."""
        self.trains(*DEBUG, '--tokeniser', 'bpe', '--vocab', 256, '--steps', 20, '--eval-every', 10, '--out', 'text')
        data = text().encode()                                       # whose bytes are their own tokens
        folder = self.here / 'tokens'
        folder.mkdir()
        middle = int(len(data) * 0.9)
        for name, part in ('train.bin', data[:middle]), ('val.bin', data[middle:]):
            (folder / name).write_bytes(array.array('H', list(part)).tobytes())
        run = ['--config', 'debug', '--data', 'tokens', '--steps', 20, '--eval-every', 10]
        self.refuses(2, '--tokeniser gpt2 needs --tokeniser-files', 'train_gpt', *run, '--out', 'none')
        (folder / 'tokeniser.json').write_bytes((self.here / 'text/tokeniser.json').read_bytes())
        self.trains(*run, '--stop-at', 7, '--out', 'out')
        self.trains('--resume', 'out')
        self.assertEqual(fingerprint(self.here / 'out'), fingerprint(self.here / 'text'))
        (folder / 'val.bin').write_bytes(array.array('H', [1, 256]).tobytes())
        self.refuses(1, r'val.bin: id 256 at byte 2 is not in \[0, 256\)', 'train_gpt', *run, '--out', 'none')

    def test_token_files_of_32_bits(self):
        """What a vocabulary beyond 65,536 needs: here the bytes, and every pair of them."""
        folder = self.here / 'tokens'
        folder.mkdir()
        pairs = [[a, b] for a in range(256) for b in range(256)]
        (folder / 'tokeniser.json').write_text(json.dumps({'tokeniser': 'bpe', 'merges': pairs, 'special_tokens': []}))
        for name in 'train.bin', 'val.bin':
            (folder / name).write_bytes(array.array('I', [65791, 65536, 3, 65791, 70] * 40).tobytes())
        run = ['--config', 'debug', '--data', 'tokens', *TINY, '--lr', 3e-2, '--steps', 30, '--eval-every', 15]
        self.assertIn(', 65792 different;', self.trains(*run, '--out', 'out'))
        losses = [line['val_loss'] for line in metrics(self.here / 'out')]
        self.assertLess(losses[-1], losses[0])
        self.assertLess(losses[-1], math.log(65792) / 2)
        (folder / 'val.bin').write_bytes(array.array('I', [1, 65792]).tobytes())
        self.refuses(1, r'val.bin: id 65792 at byte 4 is not in \[0, 65792\)', 'train_gpt', *run, '--out', 'none')

    def test_accumulation(self):
        """Several passes make the step of one large batch."""
        for folder, batch, passes in ('one', 8, 1), ('four', 2, 4):
            self.trains(*DEBUG, '--steps', 20, '--eval-every', 10, '--batch', batch, '--accumulate', passes, '--out', folder)
        one_by_one = list(zip(metrics(self.here / 'one'), metrics(self.here / 'four'), strict=True))
        self.assertEqual(len(one_by_one), 2)
        for one, four in one_by_one:
            self.assertAlmostEqual(one['val_loss'], four['val_loss'], places=5)
            self.assertAlmostEqual(one['train_loss'], four['train_loss'], places=5)

    def test_half(self):
        """Half learns as float does."""
        self.trains(*DEBUG, '--steps', 50, '--eval-every', 50, '--out', 'float')
        self.trains(*DEBUG, '--steps', 50, '--eval-every', 50, '--precision', 'half', '--out', 'half')
        self.assertAlmostEqual(metrics(self.here / 'float')[-1]['val_loss'], metrics(self.here / 'half')[-1]['val_loss'], delta=0.01)

    def test_learning_rate_ends_at_a_tenth(self):
        self.trains(*DEBUG, '--steps', 40, '--eval-every', 1, '--lr', 1e-2, '--out', 'out')
        rates = [line['learning_rate'] for line in metrics(self.here / 'out')]
        self.assertAlmostEqual(max(rates), 1e-2)
        self.assertAlmostEqual(rates[-1], 1e-3)

    def test_quiet(self):
        self.assertRegex(self.trains(*DEBUG, '--steps', 4, '--eval-every', 2, '--quiet'), r'\Asaved in out\nvalidation loss \d\.\d{4}\n\Z')

    def test_folder_of_its_own(self):
        """Without --out no run gets in the way of another."""
        self.assertIn('saved in out\n', self.trains(*DEBUG, '--steps', 1))
        self.assertIn('saved in out-2\n', self.trains(*DEBUG, '--steps', 1))

    def test_folder_of_texts(self):
        texts = self.here / 'texts'
        (texts / 'deep').mkdir(parents=True)
        (texts / 'deep/b.txt').write_text(text(40), encoding='utf-8')
        (texts / 'a.txt').write_text('α' * 500, encoding='utf-8')
        (texts / 'picture').write_bytes(b'\0\1\2')
        self.trains('--config', 'debug', '--data', 'texts', '--steps', 1, '--out', 'out')
        alphabet = json.loads((self.here / 'out/tokeniser.json').read_text())['alphabet']
        self.assertEqual(alphabet, ''.join(sorted(set(text(40) + 'α'))))

    # ---------------------------------------------------------------- who watches

    def on_terminal(self, *options):
        """What a person sees."""
        ours, theirs = pty.openpty()
        process = self.start('train_gpt', *options, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen = b''
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:                                      # how Linux says that the other end is closed
                more = b''
            if not more:
                break
            seen += more
        os.close(ours)
        self.assertEqual(process.wait(), 0)
        return seen.decode()

    def test_bar(self):
        seen = self.on_terminal(*DEBUG, '--steps', 30, '--eval-every', 15, '--out', 'out')
        bars = re.findall(r'\r([^\r\n]+)\x1b\[K', seen)
        self.assertRegex(bars[0], r'^ 1/30 [━─]{8,}  loss \d\.\d{4}  ETA \d+:\d\d  \S+ tokens/s  \d+% MFU  \d+:\d\d$')
        self.assertLess(max(map(len, bars)), 80)
        self.assertRegex(bars[-1], r'  ETA \d+:\d\d  \S+ tokens/s  \d+% MFU  \d+:\d\d$')
        # Before anything else is written the bar goes, and lines stay whole.
        self.assertEqual(len(re.findall(r'\x1b\[Kstep (?:15|30)  training loss [^\r\n]+\r\n', seen)), 2)
        self.assertRegex(seen, r'\nvalidation loss \d\.\d{4}\r\n')

    def test_no_bar(self):
        os.environ['TERM'] = 'dumb'
        self.addCleanup(os.environ.update, TERM='xterm')
        run = [*DEBUG, '--steps', 30, '--eval-every', 15]
        for seen in self.on_terminal(*run, '--out', 'dumb'), self.trains(*run, '--out', 'pipe'):
            self.assertNotIn('\x1b', seen)
            self.assertNotIn('\r', seen.replace('\r\n', '\n'))
            self.assertEqual(len(re.findall('^step ', seen, re.M)), 2)
        os.environ['TERM'] = 'xterm'
        self.assertNotIn('\x1b', self.on_terminal(*run, '--quiet', '--out', 'quiet'))

    # ---------------------------------------------------------------- iris

    def test_iris(self):
        said = re.fullmatch(r'loss at step 0: (\S+)\nloss at step 999: (\S+)\naccuracy: (\S+)\n', self.succeeds('iris'))
        self.assertEqual(said[1], '3.974701')
        self.assertAlmostEqual(float(said[2]), 0.0862236, delta=3e-7)    # 0.08622358 in double precision
        self.assertEqual(said[3], '0.97')


if __name__ == '__main__':
    main()
