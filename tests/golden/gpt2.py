"""A small GPT-2 with random weights as `transformers` saves it, and what it says there: what train/gpt2_checkpoint.hpp is tested against.

    python3 gpt2.py        writes gpt2/ beside this file; needs PyPI's torch and transformers

    config.json, model.safetensors    of GPT2LMHeadModel
    vocab.json, merges.txt            a tokeniser: all bytes, " the" and its parts, <|endoftext|>
    ids.npy, logits.npy               (1, 12), (1, 12, 260)
    greedy.npy                        8 ids and the 8 that are likeliest to follow
"""
import json
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

FOLDER = Path(__file__).with_suffix('')
CONTEXT = 16
MERGES = [('t', 'h'), ('th', 'e'), ('Ġ', 'the')]


def visible_bytes():
    """How GPT-2 writes each byte: as itself if that can be seen, else as one of the characters from 256 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return [chr(byte) if byte in seen else chr(256 + unseen.index(byte)) for byte in range(256)]


def write_tokeniser(folder):
    tokens = visible_bytes() + [left + right for left, right in MERGES] + ['<|endoftext|>']
    (folder / 'vocab.json').write_text(json.dumps({token: id for id, token in enumerate(tokens)}, ensure_ascii=False), encoding='utf-8')
    (folder / 'merges.txt').write_text('#version: 0.2\n' + ''.join(f'{left} {right}\n' for left, right in MERGES), encoding='utf-8')
    return len(tokens)


def random_model(seed, **config):
    """All parameters are drawn, also those that begin as 0 or 1, so that each of them matters."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(n_positions=CONTEXT, n_embd=8, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None, **config)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale, is_position = 'ln_' in name and name.endswith('weight'), 'wpe' in name       # else one token goes on for ever
            parameter.normal_(1.0 if is_scale else 0.0, 1.5 if is_position else 0.3)
    return model


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor(ids)).logits.numpy()


def greedy(model, ids, n):
    for _ in range(n):
        ids = [*ids, int(logits(model, [ids])[0, -1].argmax())]
    return ids


if __name__ == '__main__':
    FOLDER.mkdir(exist_ok=True)
    golden = random_model(1, vocab_size=write_tokeniser(FOLDER))
    golden.save_pretrained(FOLDER)
    (FOLDER / 'model.safetensors').chmod(0o644)
    (FOLDER / 'generation_config.json').unlink()
    chosen = np.random.RandomState(1).randint(0, golden.config.vocab_size, (1, 12))
    np.save(FOLDER / 'ids.npy', chosen)
    np.save(FOLDER / 'logits.npy', logits(golden, chosen))
    np.save(FOLDER / 'greedy.npy', np.array(greedy(golden, [*b'Look at '], 8)))
