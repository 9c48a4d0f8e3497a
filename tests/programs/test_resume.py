#!/usr/bin/env python3
"""However a run is interrupted, going on with it ends where it would have ended: to the bit."""
import json
import pathlib
import random
import re
import signal
import time

from program import DEBUG, ProgramTest, contents, fingerprint, main, metrics, read_safetensors, state, text

# Shuffled text, dropout and passes that add up: everything that has a state.
RUN = [*DEBUG, '--steps', 20, '--eval-every', 5, '--accumulate', 2, '--dropout', 0.2]
LONG = [*DEBUG, '--steps', 300, '--eval-every', 10, '--accumulate', 2, '--dropout', 0.2, '--quiet']


class Resume(ProgramTest):
    def straight(self, run):
        self.trains(*run, '--out', 'straight')
        return fingerprint(self.here / 'straight')

    def test_state_is_saved(self):
        """What is compared below is all there: weights, two moments of each, the generator, the place in the text."""
        found = self.straight(RUN)
        weights = [name[len('last/checkpoint.safetensors: model.'):] for name in found if name.startswith('last/checkpoint.safetensors: model.')]
        self.assertIn('blocks.1.attention.in.weights', weights)
        for name in weights:
            for part in '#0', '#1', '#t':
                self.assertIn(f'last/checkpoint.safetensors: optimiser.{name}{part}', found)
        self.assertEqual(found['state']['position'], 20 * 2 * 4)
        self.assertEqual(len(found['state']['generator'].split()), 624 + 3)      # its words, where it is, the spare normal
        other = [*RUN, '--seed', 1, '--out', 'other']
        self.trains(*other)
        self.assertNotEqual(fingerprint(self.here / 'other')['state']['generator'], found['state']['generator'])

    def test_stopped_anywhere(self):
        for precision in 'float', 'bf16', 'half':
            run = [*RUN, '--precision', precision]
            self.trains(*run, '--out', precision)
            for stops in (10,), (7,), (13,), (1, 7, 19):
                with self.subTest(precision=precision, stops=stops):
                    out = f'{precision}-' + '-'.join(map(str, stops))
                    self.trains(*run, '--stop-at', stops[0], '--out', out)
                    for stop in stops[1:]:
                        self.trains(*run, '--stop-at', stop, '--resume', out)
                    self.trains(*run, '--resume', out)
                    self.assertEqual(fingerprint(self.here / out), fingerprint(self.here / precision))
        self.assertNotEqual(fingerprint(self.here / 'float')['metrics'], fingerprint(self.here / 'bf16')['metrics'])

    def test_samples(self):
        """Each is written once, at its step, also where the run stops just there."""
        run = [*RUN, '--sample-every', 5]
        told = lambda said: re.findall(r'(?ms)^step \d+  writes:$.*?(?=^step|^saved|^stopped)', said)
        whole = told(self.trains(*run, '--out', 'whole'))
        self.assertEqual([re.match(r'step (\d+)', sample)[1] for sample in whole], ['5', '10', '15', '20'])
        parts = told(self.trains(*run, '--stop-at', 10, '--out', 'parts')) + told(self.trains('--resume', 'parts'))
        self.assertEqual(parts, whole)

    def test_every_kind_of_model(self):
        """Its kind is saved with it; a folder that says nothing of kinds, as older ones, holds GPT-2's."""
        kind = ['--activation', 'swiglu', '--norm', 'rms_norm', '--positions', 'rotary']
        self.trains(*RUN, *kind, '--out', 'whole')
        self.trains(*RUN, *kind, '--stop-at', 7, '--out', 'parts')
        self.trains('--resume', 'parts')
        self.assertEqual(fingerprint(self.here / 'parts'), fingerprint(self.here / 'whole'))
        self.succeeds('generate', '--model', 'whole', '--tokens', 40)
        for option, saved, other in zip(kind[::2], kind[1::2], ['gelu', 'layer_norm', 'learned']):
            self.refuses(1, f'the model in parts has {option} {saved}, not {other}', 'train_gpt', '--resume', 'parts', option, other)

        older = self.straight([*RUN, '--stop-at', 7])
        path = self.here / 'straight/config.json'
        config = json.loads(path.read_text())
        for key in 'activation', 'norm', 'positions':
            del config['training']['model'][key]
        path.write_text(json.dumps(config))
        self.trains('--resume', 'straight', '--stop-at', 8)
        self.assertEqual(older['state']['step'] + 1, state(self.here / 'straight')['step'])

    def test_any_number_of_threads(self):
        """Wide enough that the threads do get something to do."""
        run = ['--data', 'text.txt', '--layers', 1, '--steps', 4, '--eval-every', 2, '--dropout', 0.1]
        self.trains(*run, '--threads', 1, '--out', 'one')
        self.trains(*run, '--threads', 2, '--out', 'two', '--stop-at', 3)
        self.trains(*run, '--threads', 4, '--resume', 'two')
        self.assertEqual(fingerprint(self.here / 'two'), fingerprint(self.here / 'one'))

    def test_needs_no_option_again(self):
        """All that a run was told is in its folder, also where its text is."""
        expected = self.straight(RUN)
        self.trains(*RUN, '--stop-at', 7, '--out', 'out')
        elsewhere = self.here / 'elsewhere'
        elsewhere.mkdir()
        self.trains('--resume', '../out', cwd=elsewhere)
        self.assertEqual(fingerprint(self.here / 'out'), expected)

    def test_resuming_a_finished_run_changes_nothing(self):
        expected = self.straight(RUN)
        self.trains('--resume', 'straight')
        self.assertEqual(fingerprint(self.here / 'straight'), expected)

    def test_stopping_does_not_choose_a_model(self):
        """The model of the last evaluation stays; before the first there is at least one to try."""
        self.trains(*RUN, '--stop-at', 3, '--out', 'out')
        self.assertTrue(self.succeeds('generate', '--model', 'out', '--tokens', 5))
        self.trains('--resume', 'out', '--stop-at', 5)
        of_step_5 = (self.here / 'out/model.safetensors').read_bytes()
        self.trains('--resume', 'out', '--stop-at', 7)
        self.assertEqual((self.here / 'out/model.safetensors').read_bytes(), of_step_5)

    def test_loss_that_is_not_finite(self):
        """The step is named, and what was good stays as it is."""
        self.refuses(1, r'(step [1-3]: the loss|norm of \S+) is not finite', 'train_gpt', *RUN, '--lr', 1e30, '--out', 'at-once')
        self.trains('--resume', 'at-once', '--lr', 1e-3)

        expected = self.straight(RUN)
        self.trains(*RUN, '--stop-at', 10, '--out', 'out')
        saved = fingerprint(self.here / 'out')
        self.refuses(1, r'(step 1[1-4]: the loss|norm of \S+) is not finite', 'train_gpt', '--resume', 'out', '--lr', 1e30)
        self.assertEqual(fingerprint(self.here / 'out'), saved)
        self.trains('--resume', 'out', '--lr', 1e-3)
        self.assertEqual(fingerprint(self.here / 'out'), expected)

    def test_memory_does_not_grow(self):
        """Between its 500th step and its 5000th a run takes no more memory, although it measures, saves and samples."""
        process = self.start('train_gpt', *DEBUG, '--steps', 5000, '--eval-every', 250, '--sample-every', 500, '--accumulate', 2, '--dropout', 0.1, '--out', 'out')
        taken = {}
        for line in process.stdout:
            if found := re.match(r'step (\d+)  training loss', line.decode()):
                taken[int(found[1])] = int(re.search(r'RssAnon:\s*(\d+) kB', pathlib.Path(f'/proc/{process.pid}/status').read_text())[1])
        self.assertEqual((process.wait(), max(taken)), (0, 5000))
        self.assertLess(taken[4750] - taken[500], 256, taken)

    # ---------------------------------------------------------------- stopped from outside

    def stopped_again_and_again(self, random_seed, kill, statuses):
        """Starts a run, stops it at a random moment by kill(process), goes on, … until it ends. How often it was stopped."""
        drawn, out, stops = random.Random(random_seed), self.here / 'out', 0
        for _ in range(200):
            options = ['--resume', 'out'] if (out / 'config.json').exists() else [*LONG, '--out', 'out']
            process = self.start('train_gpt', *options)
            if stops < 6:
                while process.poll() is None and not (out / 'config.json').exists():
                    time.sleep(0.001)
                time.sleep(drawn.uniform(0.01, 0.12))
                kill(process)
            _, complaint = process.communicate(timeout=60)
            if process.returncode == 0:
                return stops
            self.assertIn(process.returncode, statuses, complaint)
            self.assertEqual(complaint, b'')
            self.assert_whole(out)
            stops += 1
        self.fail('a run that does not get on')

    def assert_whole(self, out):
        """No file under its own name is half there."""
        for path, data in contents(out).items():
            if path.endswith('.safetensors'):
                read_safetensors(out / path)
            elif path.endswith('.svg'):
                self.assertTrue(data.endswith(b'</svg>\n'), path)
            elif '.tmp' not in path and 'tfevents' not in path:
                for part in data.splitlines(keepends=True) if path.endswith('.jsonl') else [data]:
                    json.loads(part)
                    self.assertEqual(part[-1:], b'\n', path)

    def test_ctrl_c(self):
        expected = self.straight(LONG)
        for name in 'SIGINT', 'SIGTERM':
            with self.subTest(name):
                # A signal before the program listens ends it as the system does.
                number = getattr(signal, name)
                self.assertGreater(self.stopped_again_and_again(number, lambda process: process.send_signal(number), (130, -number)), 0)
                (self.here / 'out').rename(self.here / name)
                self.assertEqual(fingerprint(self.here / name), expected)

    def test_ctrl_c_saves_the_last_step(self):
        process = self.start('train_gpt', *DEBUG, '--steps', 10**6, '--eval-every', 10**6, '--out', 'out')
        while not (self.here / 'out/config.json').exists():
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=60)
        self.assertEqual((process.returncode, complaint), (130, b''))
        step = state(self.here / 'out')['step']
        self.assertGreater(step, 0)
        self.assertIn(f'stopped after step {step}: go on with --resume out', said.decode())

    def test_ctrl_c_while_it_evaluates(self):
        """It does not wait for the end of the evaluation, which comes first on resuming."""
        (self.here / 'text.txt').write_text(text(100000), encoding='utf-8')      # a second or more to evaluate
        process = self.start('train_gpt', *DEBUG, '--steps', 1, '--out', 'out')
        while not (self.here / 'out/config.json').exists():
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, said)
        self.assertFalse((self.here / 'out/metrics.jsonl').exists())
        self.trains('--resume', 'out')
        self.assertEqual([line['step'] for line in metrics(self.here / 'out')], [1])

    def test_killed(self):
        expected = self.straight(LONG)
        self.assertGreater(self.stopped_again_and_again(9, lambda process: process.kill(), (-9,)), 0)
        self.assertEqual(fingerprint(self.here / 'out'), expected)
        self.assertEqual([path for path in contents(self.here / 'out') if '.tmp' in path], [])


if __name__ == '__main__':
    main()
