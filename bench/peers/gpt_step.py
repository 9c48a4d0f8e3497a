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
import dataclasses
import json
import math
import resource
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Size:
    """A model's size, and what is in it; nanoGPT's for a CPU unless told. gpu_step.py makes larger ones."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    bias: bool = False
    dropout: float = 0.0
    gelu: str = "none"


BATCH = 12


class LayerNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size.width))
        self.bias = nn.Parameter(torch.zeros(size.width)) if size.bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size, width = size, size.width
        self.norm_1, self.norm_2 = LayerNorm(size), LayerNorm(size)
        self.attention_in = nn.Linear(width, 3 * width, bias=size.bias)
        self.attention_out = nn.Linear(width, width, bias=size.bias)
        self.mlp_in = nn.Linear(width, 4 * width, bias=size.bias)
        self.mlp_out = nn.Linear(4 * width, width, bias=size.bias)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, x):
        batch, length, width = x.shape
        heads = self.size.heads
        thirds = self.attention_in(self.norm_1(x)).split(width, dim=2)
        q, k, v = (third.view(batch, length, heads, width // heads).transpose(1, 2) for third in thirds)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.size.dropout if self.training else 0.0)
        x = x + self.dropout(self.attention_out(y.transpose(1, 2).reshape(batch, length, width)))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.norm_2(x)), approximate=self.size.gelu)))


class GPT(nn.Module):
    def __init__(self, vocabulary, size):
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, size.width)  # and, transposed, the head
        self.position_embedding = nn.Embedding(size.context, size.width)
        self.dropout = nn.Dropout(size.dropout)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = LayerNorm(size)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * size.layers) if "_out." in name else 0.02)
            elif "bias" in name:
                nn.init.zeros_(parameter)

    def forward(self, inputs, targets):
        positions = torch.arange(inputs.shape[1], device=inputs.device)
        x = self.dropout(self.token_embedding(inputs) + self.position_embedding(positions))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.token_embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_optimiser(model, **options):
    """AdamW in one kernel; matrices and tables decay."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, fused=True, **options)


def draw_batch(ids, batch, context):
    starts = torch.randint(len(ids) - context, (batch,)).tolist()
    windows = torch.stack([ids[start : start + context + 1] for start in starts])
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def character_ids(text):
    id_of = {character: i for i, character in enumerate(sorted(set(text)))}
    return torch.tensor([id_of[character] for character in text]), len(id_of)


def peak_mb():
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    ids, vocabulary = character_ids(text)
    before_mb = peak_mb()  # the interpreter, PyTorch and the text

    size = Size(gelu="tanh" if options.gelu == "tanh" else "none")
    model = GPT(vocabulary, size)
    optimiser = make_optimiser(model, lr=1e-3, betas=(0.9, 0.99))
    loss_of = torch.compile(model) if options.compile else model

    def step():
        """Returns the loss and the milliseconds the step took."""
        begin = time.perf_counter()
        loss = loss_of(*draw_batch(ids, BATCH, size.context))
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
            "before_mb": round(before_mb, 1),
            "peak_mb": round(peak_mb(), 1),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
