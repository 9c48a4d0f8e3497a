#!/usr/bin/env python3
"""TensorBoard's own loader reads what train_gpt writes; needs PyPI's tensorboard."""
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from program import DEBUG, ProgramTest, main, metrics

RUN = [*DEBUG, '--steps', 40, '--eval-every', 10, '--sample-every', 20, '--quiet']
CURVES = {'loss/training': 'train_loss', 'loss/validation': 'val_loss', 'learning_rate': 'learning_rate', 'tokens_per_s': 'tokens_per_s'}


class TensorBoard(ProgramTest):
    def loaded(self, out):
        loader = EventAccumulator(str(self.here / out / 'events'))
        loader.Reload()
        return loader

    def test_curves_and_samples(self):
        self.trains(*RUN, '--out', 'out')
        loader, evaluations = self.loaded('out'), metrics(self.here / 'out')
        self.assertEqual(len(evaluations), 4)
        for tag, key in CURVES.items():
            points = loader.Tensors(tag)
            self.assertEqual([point.step for point in points], [10, 20, 30, 40])
            for point, line in zip(points, evaluations, strict=True):
                self.assertAlmostEqual(make_ndarray(point.tensor_proto).item() / line[key], 1, places=6)
        self.assertEqual([point.step for point in loader.Tensors('sample')], [20, 40])
        self.assertEqual(loader.summary_metadata['sample'].plugin_data.plugin_name, 'text')
        self.assertEqual(loader.summary_metadata['loss/training'].plugin_data.plugin_name, 'scalars')
        for point in loader.Tensors('sample'):
            lines = make_ndarray(point.tensor_proto).item().decode().split('\n')
            self.assertEqual({line[:4] for line in lines}, {'    '})
            self.assertEqual(len('\n'.join(line[4:] for line in lines)), 200)

    def test_what_a_stopped_run_told_of_later_steps_is_forgotten(self):
        """A run is killed after step 30, and goes on from a copy of its folder as it was at step 20."""
        self.trains(*RUN, '--stop-at', 20, '--out', 'out')
        saved = {path: path.read_bytes() for path in (self.here / 'out').rglob('*.*') if 'events' not in str(path)}
        self.trains('--resume', 'out', '--stop-at', 30)
        for path, data in saved.items():
            path.write_bytes(data)
        self.assertEqual(len(list((self.here / 'out/events').iterdir())), 2)
        self.trains('--resume', 'out')
        self.assertEqual([point.step for point in self.loaded('out').Tensors('loss/training')], [10, 20, 30, 40])


if __name__ == '__main__':
    main()
