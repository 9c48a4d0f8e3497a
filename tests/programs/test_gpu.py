"""The programs on a GPU, which here is the emulated one: the CPU's losses, checkpoints that move, clean refusals.

The folder holds train_gpt and generate built for the emulator: they still compute on the CPU when told so.
"""
import os

from program import DEBUG, ProgramTest, fingerprint, main, metrics, state

TINY = [*DEBUG, '--steps', 20, '--eval-every', 10, '--quiet']


class OnGPU(ProgramTest):
    def trained(self, out, *options):
        self.trains(*TINY, '--out', out, *options)
        return [(line['train_loss'], line['val_loss']) for line in metrics(self.here / out)]

    def close(self, losses, expected, within):
        for found, wanted in zip(losses, expected, strict=True):
            for a, b in zip(found, wanted, strict=True):
                self.assertLess(abs(a - b), within * b)

    def test_learns_what_the_cpu_learns(self):
        for precision, within in ('float', 1e-5), ('bf16', 1e-3):
            options = '--precision', precision, '--accumulate', 2
            cpu = self.trained(f'cpu-{precision}', *options)
            captured = self.trained(f'captured-{precision}', *options, '--device', 'cuda:0')
            self.close(captured, cpu, within)
            self.assertEqual(self.trained(f'eager-{precision}', *options, '--device', 'cuda', '--capture', 'off'), captured)
            self.trained(f'again-{precision}', *options, '--device', 'cuda:0')
            self.assertEqual(fingerprint(self.here / f'again-{precision}'), fingerprint(self.here / f'captured-{precision}'))

    def test_a_checkpoint_moves_between_devices(self):
        whole = self.trained('whole', '--dropout', 0.1)
        for first, then in ('cpu', 'cuda:0'), ('cuda:1', 'cpu'), ('cuda:0', 'cuda:1'):
            out = f'{first}-{then}'.replace(':', '')
            self.trains(*TINY, '--out', out, '--dropout', 0.1, '--stop-at', 7, '--device', first)
            self.trains('--resume', out, '--quiet', '--device', then)
            self.close([(line['train_loss'], line['val_loss']) for line in metrics(self.here / out)], whole, 1e-5)

    def test_resuming_on_a_gpu_is_exact(self):
        self.trained('whole', '--device', 'cuda')
        self.trains(*TINY, '--out', 'parts', '--stop-at', 9, '--device', 'cuda')
        self.trains('--resume', 'parts', '--quiet', '--device', 'cuda')
        self.assertEqual(fingerprint(self.here / 'parts'), fingerprint(self.here / 'whole'))

    def test_chosen_algorithms_are_saved(self):
        losses = self.trained('tuned', '--device', 'cuda', '--tune')
        self.close(losses, self.trained('cpu'), 1e-5)
        self.assertGreater(len(state(self.here / 'tuned')['products']), 5)
        self.trains('--resume', 'tuned', '--steps', 21, '--quiet', '--device', 'cuda')

    def test_writes_what_the_cpu_writes(self):
        self.trained('out', '--device', 'cuda')
        def greedy(device):
            return self.succeeds('generate', '--model', 'out', '--prompt', 'a', '--tokens', 40, '--greedy', '--device', device)
        self.assertEqual(greedy('cuda:1'), greedy('cpu'))

    def test_refusals(self):
        self.refuses(1, 'cuda:7 was asked for, but there are 2 GPUs here', 'train_gpt', *TINY, '--out', 'none', '--device', 'cuda:7')
        self.refuses(2, "--device is cpu, cuda or cuda:N, not 'gpu'", 'train_gpt', *TINY, '--device', 'gpu')
        self.refuses(1, 'cuda:0 was asked for, but no GPU can be used here', 'train_gpt', *TINY, '--out', 'none', '--device', 'cuda',
                     env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''})
        self.assertFalse((self.here / 'none').exists())


main()
