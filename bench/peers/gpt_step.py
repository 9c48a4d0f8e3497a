"""The time of a GPT training step in PyTorch: nanoGPT's model and CPU configuration on the characters of a text.

    python3 gpt_step.py --data tinyshakespeare.txt --threads 2 [--rounds 5] [--steps 50] [--gelu tanh] [--compile]

A step is all that training does: draw a batch, forward, backward, clip the gradients to norm 1, fused AdamW. One line of
JSON per round tells the median of its steps; what warms up is not measured. Other programs can be measured in turn with
it by running it with --rounds 1 each time.

It needs nothing but PyTorch (measured with 2.15):
    python3 -m venv peers && peers/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
The plain `pip install torch` brings gigabytes of CUDA along.
"""
import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 4, 4, 128, 64, 12


class LayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight, None, 1e-5)


class Block(nn.Module):
    def __init__(self, gelu):
        super().__init__()
        self.gelu = gelu
        self.norm_1, self.norm_2 = LayerNorm(), LayerNorm()
        self.attention_in = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp_in = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.mlp_out = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        batch, length, _ = x.shape
        thirds = self.attention_in(self.norm_1(x)).split(WIDTH, dim=2)
        q, k, v = (third.view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2) for third in thirds)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_out(y.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm_2(x)), approximate=self.gelu))


class GPT(nn.Module):
    def __init__(self, vocabulary, gelu):
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, WIDTH)  # and, transposed, the head
        self.position_embedding = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block(gelu) for _ in range(LAYERS))
        self.norm = LayerNorm()
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if "_out." in name else 0.02)

    def forward(self, inputs, targets):
        x = self.token_embedding(inputs) + self.position_embedding(torch.arange(inputs.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.token_embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def draw_batch(ids):
    starts = torch.randint(len(ids) - CONTEXT, (BATCH,)).tolist()
    windows = torch.stack([ids[start : start + CONTEXT + 1] for start in starts])
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a text file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50, help="steps measured in a round")
    parser.add_argument("--warm-up", type=int, default=20, help="steps before the first round")
    parser.add_argument("--gelu", choices=["exact", "tanh"], default="exact")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model; needs a C++ compiler")
    options = parser.parse_args()

    torch.manual_seed(1337)
    torch.set_num_threads(options.threads)
    text = options.data.read_text(encoding="utf-8")
    id_of = {character: i for i, character in enumerate(sorted(set(text)))}
    ids = torch.tensor([id_of[character] for character in text])

    model = GPT(len(id_of), gelu="tanh" if options.gelu == "tanh" else "none")
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    loss_of = torch.compile(model) if options.compile else model

    def step():
        """Returns the loss and the milliseconds the step took."""
        begin = time.perf_counter()
        loss = loss_of(*draw_batch(ids))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.item(), 1e3 * (time.perf_counter() - begin)

    for _ in range(options.warm_up):
        step()
    for number in range(1, options.rounds + 1):
        losses, times = zip(*(step() for _ in range(options.steps)))
        record = {
            "peer": "pytorch compile" if options.compile else "pytorch eager",
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "gelu": options.gelu,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "round": number,
            "steps": options.steps,
            "ms_per_step": round(statistics.median(times), 3),
            "fastest_ms": round(min(times), 3),
            "loss": round(statistics.mean(losses), 4),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
