#!/usr/bin/env python3
"""What the programs say when something is wrong: one sentence, a status, and nothing half-written."""
import json
import shutil
import struct

from program import DEBUG, GPT2, ProgramTest, contents, main


class Errors(ProgramTest):
    def refuses_to_train(self, status, sentence, *options):
        """...and leaves everything as it was, folders included."""
        def all_there_is():
            return contents(self.here), sorted(self.here.rglob('*'))

        before = all_there_is()
        self.refuses(status, sentence, 'train_gpt', *options)
        self.assertEqual(all_there_is(), before, options)

    def trained(self, *options):
        """The folder of a run of ten steps."""
        self.trains(*DEBUG, '--steps', 20, '--stop-at', 10, '--eval-every', 5, '--out', 'out', *options)
        return self.here / 'out'

    # ---------------------------------------------------------------- bad usage

    def test_usage(self):
        for sentence, *options in [
                ('unknown option --stpes, did you mean --steps', '--stpes', 5),
                ('unknown option --colour', '--colour', 'red'),
                ("unexpected 'text.txt'", 'text.txt'),
                ('--steps N lacks its value', '--steps'),
                ('--steps N lacks its value', '--steps', '--quiet'),
                ("--steps needs a whole number, not '1.5'", '--steps', 1.5),
                ("--steps needs a whole number, not 'ten'", '--steps', 'ten'),
                ("--steps needs a whole number, not ''", '--steps='),
                ('--steps must be at least 1, not 0', '--steps', 0),
                ('--steps cannot hold', '--steps', 10**30),
                ('--batch must be at least 1, not -4', '--batch', -4),
                ('--dropout must be below 1, not 1', '--dropout', 1),
                ('--lr must be above 0, not 0', '--lr', 0),
                ("--lr needs a number, not 'nan'", '--lr', 'nan'),
                ("--lr needs a number, not 'inf'", '--lr', 'inf'),
                ("--precision is one of float|bf16|half, not 'double'", '--precision', 'double'),
                (r"--config is one of nanogpt_cpu\|.*debug.*, not 'gpt3'", '--config', 'gpt3'),
                (r"--tokeniser is one of char\|character\|bpe\|gpt2, not 'words'", '--tokeniser', 'words'),
                ("--budget is one of steps|chinchilla, not 'much'", '--budget', 'much'),
                ('--sample-every must be at least 0, not -1', '--sample-every', -1),
                ('--quiet takes no value', '--quiet=yes'),
                ('--resume FOLDER lacks its value', '--resume'),
                ('--resume goes on in its own folder', '--resume', 'one', '--out', 'another')]:
            with self.subTest(sentence):
                self.refuses_to_train(2, sentence, *DEBUG, *options)
        for sentence, *options in [
                ('--vocab is for a new run with --tokeniser bpe', '--vocab', 300),
                ('--vocab must be at least 256, not 9', '--tokeniser', 'bpe', '--vocab', 9),
                ('--tokeniser gpt2 needs --tokeniser-files', '--tokeniser', 'gpt2'),
                ('--steps or --budget chinchilla, not both', '--steps', 4, '--budget', 'chinchilla')]:
            with self.subTest(sentence):
                self.refuses_to_train(2, sentence, *DEBUG, *options)
        self.refuses_to_train(2, '--data FILE|FOLDER is needed', '--config', 'debug')
        self.refuses(2, '--model FOLDER is needed', 'generate')
        self.refuses(2, '--top-p must be at most 1, not 2', 'generate', '--top-p', 2)
        self.refuses(2, "unexpected 'x'", 'iris', 'x')

    # ---------------------------------------------------------------- bad input

    def test_text(self):
        for name, data in {'empty': b'', 'short': b'a' * 150, 'binary': b'some\0bytes' * 100}.items():
            (self.here / name).write_bytes(data)
        (self.here / 'nothing').mkdir()
        for sentence, data in [('no-such.txt: No such file', 'no-such.txt'), ('empty is empty', 'empty'), ('binary is not text', 'binary'),
                               ('short is too short: its last tenth, 15 tokens to validate with, must be longer than the context of 16', 'short'),
                               ('no text in the folder .*nothing', 'nothing')]:
            with self.subTest(data):
                self.refuses_to_train(1, sentence, '--config', 'debug', '--data', data)

    def test_out(self):
        (self.here / 'file').write_text('')
        self.refuses_to_train(1, 'cannot make the folder file: File exists', *DEBUG, '--out', 'file/out')
        self.refuses_to_train(1, 'cannot make the folder file', *DEBUG, '--out', 'file')
        self.refuses_to_train(1, 'cannot make the folder /proc/out', *DEBUG, '--out', '/proc/out')
        self.trained()
        self.refuses_to_train(1, 'out already holds a run: go on with --resume out', *DEBUG, '--out', 'out')

    def test_model(self):
        self.refuses_to_train(1, '16 dimensions do not divide into 3 heads', *DEBUG, '--heads', 3, '--out', 'new')
        self.refuses_to_train(1, 'memory|overflow|too large', *DEBUG, '--width', 10**9, '--heads', 1, '--out', 'new')

    def test_full_disk(self):
        """A stdout that cannot be written is an error too, at the latest when all is done."""
        self.trained()
        for program, *options in [('iris',), ('iris', '--help'), ('train_gpt', '--help'), ('train_gpt', '--resume', 'out'),
                                  ('generate', '--model', 'out'), ('generate', '--model', 'out', '--tokens', 10**9)]:
            with open('/dev/full', 'w', encoding='utf-8') as full:
                self.refuses(1, 'standard output cannot be written', program, *options, stdout=full)

    # ---------------------------------------------------------------- a run that is not what it should be

    def test_not_a_run(self):
        (self.here / 'folder').mkdir()
        for folder in 'folder', 'nowhere', 'text.txt':
            self.refuses_to_train(1, f'{folder} holds no run: there is no {folder}/config.json', '--resume', folder)
            self.refuses(1, f'{folder} holds no run', 'generate', '--model', folder)

    def test_another_run(self):
        self.trained()
        for option, has, not_ in [('--width', 16, 32), ('--layers', 2, 1), ('--heads', 2, 1), ('--context', 16, 8)]:
            self.refuses_to_train(1, f'the model in out has {option} {has}, not {not_}', '--resume', 'out', option, not_)
        self.refuses_to_train(2, 'the run in out began with --config debug, not nanogpt_cpu', '--resume', 'out', '--config', 'nanogpt_cpu')
        self.refuses_to_train(1, 'out is at step 10 already, past --steps 5', '--resume', 'out', '--steps', 5)
        (self.here / 'other.txt').write_text('Ω' * 1000, encoding='utf-8')
        self.refuses_to_train(1, r'the character "Ω" \(U\+03A9\) at byte 0 is not in the alphabet', '--resume', 'out', '--data', 'other.txt')

    def test_prompt(self):
        self.trained()
        self.refuses(1, r'the character "Ω" \(U\+03A9\) at byte 3 is not in the alphabet', 'generate', '--model', 'out', '--prompt', 'réΩ')

    def test_config(self):
        """The key that is wrong is named."""
        path = self.trained() / 'config.json'
        good = path.read_text()

        def with_key(where, key, value):
            config = json.loads(good)
            part = config
            for name in where:
                part = part[name]
            if value is None:
                del part[key]
            else:
                part[key] = value
            return json.dumps(config)

        training, model = ['training'], ['training', 'model']
        for sentence, text in [
                (r'config\.json: json: .* at byte 100', good[:100]),
                (r'config\.json: json: .* at byte 0', ''),
                (r'config\.json: .*"data"', with_key([], 'data', None)),
                (r'config\.json: .*"colour"', with_key([], 'colour', 'red')),
                (r'config\.json: .*"steps".*whole number', with_key(training, 'steps', 'many')),
                (r'config\.json: .*"batch": 0 is not above 0', with_key(training, 'batch', 0)),
                (r'config\.json: .*"eval_every": -1 is not above 0', with_key(training, 'eval_every', -1)),
                (r'config\.json: .*"precision"', with_key(training, 'precision', 'double')),
                (r'config\.json: .*"tokeniser"', with_key([], 'tokeniser', 'words')),
                (r'config\.json: .*"sample_every": -1 is below 0', with_key([], 'sample_every', -1)),
                (r'config\.json: .*"n_layers"', with_key(model, 'n_layers', None)),
                (r'config\.json: .*"n_layers"', with_key(model, 'n_layers', 2.5)),
                (r'config\.json: activation: there is no "sine": it is one of gelu\|', with_key(model, 'activation', 'sine')),
                (r'config\.json: norm: there is no', with_key(model, 'norm', '')),
                (r'config\.json: positions: there is no', with_key(model, 'positions', 'learned|rotary')),
                (r'the model has no parameter "(model\.)?position_embedding.weights"', with_key(model, 'positions', 'rotary')),
                (r'position_embedding.weights" has shape \(16, 16\), but the model\'s has \(8, 16\)', with_key(model, 'context_window', 8)),
                (r'no tensor "(model\.)?blocks\.2\.', with_key(model, 'n_layers', 3)),
                (r'no parameter "(model\.)?blocks\.1\.', with_key(model, 'n_layers', 1)),
                ('do not divide into 3 heads', with_key(model, 'n_heads', 3)),
                ('attention: 16 dimensions', with_key(model, 'n_heads', 0)),
                ('tokeniser.json has .* tokens, but the model in .* has 5', with_key(model, 'vocab_size', 5))]:
            with self.subTest(sentence):
                path.write_text(text)
                self.refuses_to_train(1, sentence, '--resume', 'out')
                self.refuses(1, sentence, 'generate', '--model', 'out')

    def test_gpt2(self):
        """One of transformers', to begin with or to go on with a prompt: the file, the tensor or the key that is wrong is named."""
        def refused(sentence, name, edit):
            shutil.copytree(GPT2, self.here / 'gpt2', dirs_exist_ok=True)
            path = self.here / 'gpt2' / name
            data = edit(path.read_bytes())
            path.write_bytes(data) if data else path.unlink()
            self.refuses_to_train(1, sentence, *DEBUG, '--from', 'gpt2')
            self.refuses(1, sentence, 'generate', '--model', 'gpt2')

        refused('gpt2 has no tensor "ln_f.bias"', 'model.safetensors', lambda data: data.replace(b'ln_f.bias"', b'ln_f.bia5"'))
        refused(r'"transformer.h.0.attn.c_attn.weight" has shape \(24, 8\), but by config.json it is \(8, 24\)', 'model.safetensors', lambda data: data.replace(b'[8,24]', b'[24,8]', 1))
        refused(r'model.safetensors: it has 5 bytes', 'model.safetensors', lambda data: data[:5])
        refused('holds no weights: there is no gpt2/model.safetensors', 'model.safetensors', lambda data: None)
        refused('config.json: json: key "n_embd" is missing', 'config.json', lambda data: data.replace(b'n_embd', b'n_emb'))
        refused(r'has shape \(260, 8\), but by config.json it is \(260, 1000000\)', 'config.json', lambda data: data.replace(b'"n_embd": 8', b'"n_embd": 1000000'))
        refused('vocab.json: No such file', 'vocab.json', lambda data: None)
        refused('gpt2 has 259 tokens, but the model in gpt2/config.json has 260', 'vocab.json', lambda data: data.replace(b', "<|endoftext|>": 259', b''))
        refused('merges.txt: the line at byte 18 is not two tokens', 'merges.txt', lambda data: data.replace(b'th e', b'the'))
        self.refuses_to_train(1, 'nowhere holds no run', *DEBUG, '--from', 'nowhere')
        self.refuses_to_train(1, f'the model in {GPT2} has --layers 2, not 3', *DEBUG, '--from', GPT2, '--layers', 3)
        self.refuses_to_train(2, 'began with --tokeniser gpt2, not bpe', *DEBUG, '--from', GPT2, '--tokeniser', 'bpe')
        self.refuses_to_train(2, '--vocab is for a new run', *DEBUG, '--from', GPT2, '--vocab', 300)
        self.refuses_to_train(2, '--from is for a new run', '--from', GPT2, '--resume', 'out')

    def test_tokeniser(self):
        path = self.trained() / 'tokeniser.json'
        good = path.read_text(encoding='utf-8')
        for sentence, text in [(r'tokeniser\.json: json: .* at byte 30', good[:30]), (r'tokeniser\.json: .*"words"', good.replace('character', 'words')),
                               (r'tokeniser\.json: .*"letters" is unknown', good.replace('alphabet', 'letters'))]:
            path.write_text(text, encoding='utf-8')
            self.refuses_to_train(1, sentence, '--resume', 'out')
            self.refuses(1, sentence, 'generate', '--model', 'out')
        path.unlink()
        self.refuses_to_train(1, r'tokeniser\.json: No such file', '--resume', 'out')

    def test_checkpoint(self):
        """Cut anywhere, or wrong in one place, it is refused, and the byte or the tensor is named."""
        self.trained()

        def refused(path, sentence, data):
            good = path.read_bytes()
            path.write_bytes(data)
            if path.name == 'model.safetensors':
                self.refuses(1, f'out/model.safetensors.*{sentence}', 'generate', '--model', 'out')
            else:
                self.refuses_to_train(1, f'out/last/checkpoint.safetensors.*{sentence}', '--resume', 'out')
            path.write_bytes(good)

        for path in self.here / 'out/model.safetensors', self.here / 'out/last/checkpoint.safetensors':
            good = path.read_bytes()
            size = struct.unpack('<Q', good[:8])[0]
            for length in 0, 7:
                refused(path, f'it has {length} bytes', good[:length])
            for length in 8, 9, size // 2, size + 7:
                refused(path, f"header length {size} at byte 0 exceeds the file's {length} bytes", good[:length])
            for length in size + 8, size + 9, len(good) // 2 + size // 2, len(good) - 1:
                refused(path, rf'data_offsets \[\d+, \d+\] exceed the file\'s {length - size - 8} bytes of data', good[:length])
            refused(path, f'the bytes from {len(good)} to {len(good) + 1} belong to no tensor', good + b'x')
            refused(path, 'header, from byte 8: json: .* at byte 1', good[:9] + b'!' + good[10:])
            refused(path, 'header length [0-9]+ at byte 0 exceeds', b'\xff' * 8 + good[8:])
            refused(path, 'tensor ".*": .*"dtyqe" is unknown', good.replace(b'"dtype"', b'"dtyqe"', 1))
            refused(path, 'tensor ".*": dtype "X32" is unknown', good.replace(b'"F32"', b'"X32"', 1))
            refused(path, 'no tensor "(model.)?norm.gamma"', good.replace(b'norm.gamma"', b'norm.gamna"').replace(b'.norm.gamna#', b'.norm.gamma#'))

        # The last path is the checkpoint: what it says beside its tensors can be wrong too.
        def with_state(edit):
            header = json.loads(good[8:8 + size])
            header['__metadata__'] = edit(json.loads(header['__metadata__']['state']))
            edited = json.dumps(header).encode()
            return struct.pack('<Q', len(edited)) + edited + good[8 + size:]

        refused(path, '"state"', with_state(lambda state: {}))
        refused(path, 'json: .* at byte 9', with_state(lambda state: {'state': '{"step": '}))
        for sentence, key, value in [('"step".*whole number', 'step', 'ten'), ('"position"', 'position', 1.5), ('there is no position -1', 'position', -1),
                                     ('"seconds"', 'seconds', None), ('not the saved state of a generator', 'generator', '1 2 3')]:
            refused(path, sentence, with_state(lambda state: {'state': json.dumps({**state, key: value})}))
        one_less = good.replace(b'optimiser.norm.gamma#0', b'optimiser.norm.gamma#9')
        refused(path, "holds tensors that are no optimiser's memory", one_less)
        path.unlink()
        self.refuses_to_train(1, 'checkpoint.safetensors: No such file', '--resume', 'out')


if __name__ == '__main__':
    main()
