"""The medians of several rounds of several programs, their ratios to the first, and their memory: compare.py FILE of JSON lines."""
import json
import statistics
import sys

rounds = {}
for line in open(sys.argv[1]):
    round_ = json.loads(line)
    rounds.setdefault(round_["peer"], []).append(round_)
first = statistics.median(r["ms_per_step"] for r in next(iter(rounds.values())))
for peer, all_ in rounds.items():
    ms, before, peak = ([r[key] for r in all_] for key in ("ms_per_step", "before_mb", "peak_mb"))
    print(f"{peer:24} {statistics.median(ms):8.2f} ms a step ({min(ms):.2f} to {max(ms):.2f}, {len(ms)} rounds)  {statistics.median(ms) / first:.2f} of the first; "
          f"at most {max(peak):.0f} MB, {max(before):.0f} of them before there is a model")
