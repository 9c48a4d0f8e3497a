"""The time of each einsum of a suite in PyTorch, as ../einsum.cpp takes it. One line of JSON for each.

    python3 einsum.py [--suite ../einsum_suite.txt] [--threads 2] [--samples 9]

It needs PyTorch and opt_einsum, without which torch.einsum contracts from left to right.
"""
import argparse
import json
import re
import statistics
import time
from pathlib import Path

import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", type=Path, default=Path(__file__).parent.parent / "einsum_suite.txt")
    parser.add_argument("--only", help="this subscript alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    assert torch.backends.opt_einsum.is_available()

    for line in options.suite.read_text().splitlines():
        subscript = line.split()[0]
        if options.only and subscript != options.only:
            continue
        operands = [torch.randn([int(n) for n in shape.split()]) for shape in re.findall(r"\[(.*?)\]", line)]

        def seconds(times):
            begin = time.perf_counter()
            for _ in range(times):
                torch.einsum(subscript, *operands)
            return time.perf_counter() - begin

        seconds(1)
        times = int(2e-3 / statistics.median(seconds(1) for _ in range(3))) + 1
        seconds(times)
        us = 1e6 / times * statistics.median(seconds(times) for _ in range(options.samples))
        print(json.dumps({"peer": f"pytorch {torch.__version__}", "threads": torch.get_num_threads(), "case": line.replace(subscript, f"`{subscript}`", 1), "us": round(us, 3)}), flush=True)


if __name__ == "__main__":
    main()
