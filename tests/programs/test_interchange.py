#!/usr/bin/env python3
"""Files of NumPy, of safetensors and of transformers are read and written; needs PyPI's numpy, safetensors, torch and transformers.

What these say of files that are stored in tests/golden is compared in the C++ tests, also where there are no packages.
"""
import itertools
import json
import shutil
import sys

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
import transformers
from numpy.lib import format as npy

from program import DEBUG, GPT2, ProgramTest, main

sys.path.insert(0, str(GPT2.parent))
import gpt2                                              # noqa: E402  the models of the golden files

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


class Interchange(ProgramTest):
    def through(self, what, array_or_path, *, to='through'):
        """The path of a file or folder that went through the library."""
        self.succeeds('interchange', what, array_or_path, to)
        return self.here / to

    # ---------------------------------------------------------------- NumPy

    def test_npy(self):
        random = np.random.default_rng(1)
        shapes = [(), (0,), (1,), (7,), (2, 3), (3, 0, 2), (2, 3, 4), (5, 1, 2, 3), (2,) * 8]
        for dtype, shape, order, big in itertools.product(['f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'b1'], shapes, 'CF', '<>'):
            if (order, big) != ('C', '<') and random.random() < 0.7:
                continue
            n = int(np.prod(shape, dtype=int))
            array = (np.frombuffer(random.bytes(n * int(dtype[1])), dtype) if dtype != 'b1' else random.random(n) < 0.5).reshape(shape)
            with open(self.here / 'from', 'wb') as file:
                npy.write_array(file, np.asarray(array.astype(big + dtype), order=order), version=[(1, 0), (2, 0), (3, 0)][random.integers(3)])
            np.save(self.here / 'expected.npy', array)
            self.assertEqual(self.through('npy', 'from').read_bytes(), (self.here / 'expected.npy').read_bytes(), (dtype, shape, order, big))

    def test_not_npy(self):
        for name, array in {'complex': np.ones(3, 'c8'), 'text': np.array(['a']), 'fields': np.zeros(2, [('x', 'f4')]), 'many_axes': np.zeros((1,) * 9)}.items():
            np.save(self.here / f'{name}.npy', array)
            self.refuses(1, f'npy: {name}.npy: .*(is none of f2, f4|no array of plain numbers|more than 8 axes)', 'interchange', 'npy', f'{name}.npy', 'to')
        np.save(self.here / 'objects.npy', np.array([None]), allow_pickle=True)
        self.refuses(1, r"'descr' is '\|O'", 'interchange', 'npy', 'objects.npy', 'to')

    # ---------------------------------------------------------------- safetensors

    def test_safetensors(self):
        torch.manual_seed(1)
        types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
                 torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2]
        tensors = {f'{dtype} {shape} é'[6:]: (torch.rand(shape) * 8 - (4 if dtype.is_signed else 0)).to(dtype)
                   for dtype in types for shape in [(), (3,), (0, 2), (2, 3, 4)]}
        metadata = {'step': '10', 'of': 'Ω "quoted"\n'}
        safetensors.torch.save_file(tensors, self.here / 'from', metadata)
        path = self.through('safetensors', 'from')
        with safetensors.safe_open(path, 'pt') as file:
            self.assertEqual(file.metadata(), metadata)
            self.assertEqual(sorted(file.keys()), sorted(tensors))
            for name, tensor in tensors.items():
                self.assertEqual((file.get_tensor(name).dtype, file.get_tensor(name).shape), (tensor.dtype, tensor.shape))
                self.assertEqual(file.get_tensor(name).flatten().view(torch.uint8).tolist(), tensor.flatten().view(torch.uint8).tolist(), name)
        safetensors.torch.save_file({}, self.here / 'none')
        self.assertEqual(safetensors.torch.load_file(self.through('safetensors', 'none')), {})

    def test_a_run_is_read(self):
        self.trains(*DEBUG, '--steps', 5, '--quiet', '--out', 'out')
        model = safetensors.numpy.load_file(self.here / 'out/model.safetensors')
        self.assertEqual(model['blocks.1.mlp.in.weights'].shape, (16, 64))
        self.assertTrue(all(np.isfinite(array).all() and array.dtype == np.float32 for array in model.values()))
        with safetensors.safe_open(self.here / 'out/last/checkpoint.safetensors', 'np') as file:
            self.assertEqual(json.loads(file.metadata()['state'])['step'], 5)

    # ---------------------------------------------------------------- GPT-2

    IDS = np.random.RandomState(2).randint(0, 260, (3, gpt2.CONTEXT))

    def here_said(self, folder):
        np.save(self.here / 'ids.npy', self.IDS)
        self.succeeds('interchange', 'logits', folder, 'ids.npy', 'logits.npy')
        return np.load(self.here / 'logits.npy')

    def saved(self, model, name, **how):
        model.save_pretrained(self.here / name, **how)
        gpt2.write_tokeniser(self.here / name)
        return self.here / name

    def check_both_ways(self, model, folder):
        """A folder says here what it says there, and what is written of it says the same there again."""
        expected = gpt2.logits(model, self.IDS)
        self.assertGreater(expected.std(), 0.1)
        self.assertLess(np.abs(self.here_said(folder) - expected).max(), 1e-4)
        back = self.through('gpt2', folder)
        read, about = transformers.GPT2LMHeadModel.from_pretrained(back, output_loading_info=True)
        self.assertFalse(any(about.values()), about)
        self.assertEqual(read.config.tie_word_embeddings, model.config.tie_word_embeddings)
        self.assertLess(np.abs(gpt2.logits(read.eval(), self.IDS) - expected).max(), 1e-6)
        shutil.rmtree(back)

    def test_gpt2(self):
        for seed, tied in enumerate([True, False]):
            model = gpt2.random_model(seed, vocab_size=260, tie_word_embeddings=tied)
            self.check_both_ways(model, self.saved(model, f'whole{seed}'))
            self.check_both_ways(model, self.saved(model, f'parts{seed}', max_shard_size='4KB'))
            self.assertGreater(len(list((self.here / f'parts{seed}').glob('model-*.safetensors'))), 2)

    def test_gpt2_without_prefix(self):
        """As OpenAI's own is kept: no prefix, no head, and masks."""
        model = gpt2.random_model(3, vocab_size=260)
        folder = self.saved(model.transformer, 'bare')
        tensors = safetensors.torch.load_file(folder / 'model.safetensors')
        self.assertIn('h.0.ln_1.weight', tensors)
        for layer in range(2):
            tensors[f'h.{layer}.attn.bias'] = torch.ones(16, 16).tril().view(1, 1, 16, 16)
        safetensors.torch.save_file(tensors, folder / 'model.safetensors', {'format': 'pt'})
        self.check_both_ways(model, folder)

    def test_gpt2_in_16_bits(self):
        for dtype in torch.float16, torch.bfloat16:
            model = gpt2.random_model(4, vocab_size=260).to(dtype)
            folder = self.saved(model, str(dtype))
            self.check_both_ways(model.float(), folder)

    def test_a_run_becomes_a_gpt2(self):
        """What train_gpt has trained, without biases, says the same in transformers."""
        self.trains(*DEBUG, '--steps', 20, '--quiet', '--out', 'out')
        self.IDS = self.IDS % json.loads((self.here / 'out/config.json').read_text())['training']['model']['vocab_size']
        said = self.here_said('out')
        model = transformers.GPT2LMHeadModel.from_pretrained(self.through('gpt2', 'out')).eval()
        self.assertLess(np.abs(gpt2.logits(model, self.IDS) - said).max(), 1e-4)

    def test_generate(self):
        """From a folder with tokenizer.json, as transformers saves one, generate goes on as it does."""
        model = gpt2.random_model(5, vocab_size=260)
        folder = self.saved(model, 'whole')
        tokeniser = transformers.GPT2TokenizerFast.from_pretrained(folder)
        for file in 'vocab.json', 'merges.txt':
            (folder / file).unlink()
        tokeniser.save_pretrained(folder)
        (folder / 'vocab.json').unlink(missing_ok=True)
        self.assertTrue((folder / 'tokenizer.json').exists())
        ids = tokeniser('Over the ')['input_ids']
        said = tokeniser.decode(gpt2.greedy(model, ids, 8), clean_up_tokenization_spaces=False)
        self.assertEqual(self.succeeds('generate', '--model', folder, '--prompt', 'Over the ', '--tokens', 8, '--greedy'), said + '\n')


if __name__ == '__main__':
    main()
