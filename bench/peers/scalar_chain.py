"""The time of a chain of ops on one number in PyTorch, forward and backward, as ../scalar_chain.cpp takes it. One line of JSON each.

    python3 scalar_chain.py [--threads 2] [--samples 5]
"""
import argparse
import json
import statistics
import time

import torch


def seconds(length):
    begin = time.perf_counter()
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(length // 4):
        y = torch.sin(y * 0.999 + x) * x
    y.backward()
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for length in (1000, 10000, 100000):
        seconds(length)
        us = 1e6 * statistics.median(seconds(length) for _ in range(options.samples))
        print(json.dumps({"peer": f"pytorch {torch.__version__}", "threads": torch.get_num_threads(), "case": f"{length} ops", "us": round(us, 3)}), flush=True)


if __name__ == "__main__":
    main()
