"""The medians of several rounds of several programs, and their ratios to the first: compare.py FILE of JSON lines."""
import json
import statistics
import sys

times = {}
for line in open(sys.argv[1]):
    round_ = json.loads(line)
    times.setdefault(round_["peer"], []).append(round_["ms_per_step"])
first = statistics.median(next(iter(times.values())))
for peer, ms in times.items():
    print(f"{peer:24} {statistics.median(ms):8.2f} ms a step ({min(ms):.2f} to {max(ms):.2f}, {len(ms)} rounds)  {statistics.median(ms) / first:.2f} of the first")
