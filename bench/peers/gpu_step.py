"""The time of a GPT training step on a GPU in PyTorch, as bench/gpu_step.cpp does it; its JSON, a line a round.

    python3 gpu_step.py --data tinyshakespeare.txt --config gpt2_124m --batch 64 [--compile] [--device cpu]

The model is gpt_step.py's, in the manner of nanoGPT: parameters in float, the passes under bfloat16 autocast, TF32 for what
is left of float, fused AdamW, gradients clipped to norm 1, the flash kernel of scaled_dot_product_attention. Ends with
status 3 when the GPU's memory does not suffice: whoever calls tries a smaller batch.
"""
import argparse
import contextlib
import json
import math
import sys
import time
from pathlib import Path

import torch
from gpt_step import GPT, Size, character_ids, draw_batch, make_optimiser
from torch import nn

# The vocabulary, the model, and what AdamW is told.
CONFIGS = {
    "gpt2_124m": (50304, Size(12, 12, 768, 1024, bias=True, gelu="tanh"), {"lr": 6e-4, "betas": (0.9, 0.95)}),
    "nanogpt_gpu": (65, Size(6, 6, 384, 256, dropout=0.2, gelu="tanh"), {"lr": 1e-3, "betas": (0.9, 0.99)}),
    "debug": (65, Size(2, 2, 16, 16, gelu="tanh"), {"lr": 1e-3, "betas": (0.9, 0.99)}),
}


def tokens(path, vocabulary):
    """As gpu_step.cpp makes them."""
    if vocabulary <= 256:
        return character_ids(path.read_text(encoding="utf-8"))[0]
    data = torch.tensor(list(path.read_bytes()))
    return (data[:-1] * 256 + data[1:]) % vocabulary


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a text file")
    parser.add_argument("--config", choices=list(CONFIGS), default="gpt2_124m")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, help="64, or 4 of debug")
    for name in ("context", "layers", "width", "vocabulary"):
        parser.add_argument(f"--{name}", type=int, help="for rehearsals")
    parser.add_argument("--precision", choices=["float", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()

    vocabulary, size, rates = CONFIGS[options.config]
    vocabulary = options.vocabulary or vocabulary
    options.batch = options.batch or (4 if options.config == "debug" else 64)
    for name in ("context", "layers", "width"):
        setattr(size, name, getattr(options, name) or getattr(size, name))
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    torch.manual_seed(1337)
    torch.set_float32_matmul_precision("high")
    ids = tokens(options.data, vocabulary)
    before = torch.cuda.mem_get_info(device) if on_gpu else (0, 0)
    model = GPT(vocabulary, size).to(device)
    optimiser = make_optimiser(model, **rates)
    loss_of = torch.compile(model) if options.compile else model
    autocast = torch.autocast(device.type, torch.bfloat16) if options.precision == "bf16" else contextlib.nullcontext()

    def step():
        batch = draw_batch(ids, options.batch, size.context)
        if on_gpu:
            batch = [part.pin_memory().to(device, non_blocking=True) for part in batch]
        with autocast:
            loss = loss_of(*batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.detach()

    for _ in range(options.warm_up):
        step().item()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    flops = 6 * (parameters - size.context * size.width) + 12 * size.layers * size.width * size.context  # a token
    for number in range(options.rounds):
        begin = time.perf_counter()
        for _ in range(options.steps):
            loss = step()
        loss = loss.item()  # waits for the GPU, once a round
        seconds = (time.perf_counter() - begin) / options.steps
        if not math.isfinite(loss):
            sys.exit("the loss is not finite")
        tokens_per_s = options.batch * size.context / seconds
        record = {
            "peer": "pytorch compile" if options.compile else "pytorch eager",
            "version": torch.__version__,
            "device": str(device),
            "config": options.config,
            "batch": options.batch,
            "precision": options.precision,
            "captured": False,
            "parameters": parameters,
            "round": number,
            "steps": options.steps,
            "ms_per_step": round(1e3 * seconds, 3),
            "tokens_per_s": round(tokens_per_s),
            "mfu": round(flops * tokens_per_s / 989e12, 4),
            "pool_mb": round(torch.cuda.max_memory_reserved(device) / 1e6) if on_gpu else 0,
            "device_mb": round((before[0] - torch.cuda.mem_get_info(device)[0]) / 1e6) if on_gpu else 0,
            "loss": round(loss, 4),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    try:
        main()
    except torch.cuda.OutOfMemoryError as error:
        print(f"gpu_step.py: {str(error).splitlines()[0]}", file=sys.stderr)
        sys.exit(3)
