"""How many times as fast each case is as in PyTorch, and their geometric mean: compare_cases.py FILE of JSON lines."""
import json
import math
import statistics
import sys

times = {}
for line in open(sys.argv[1]):
    run = json.loads(line)
    times.setdefault(run["case"], {}).setdefault(run["peer"].split()[0], []).append(run["us"])
ratios = []
print("| case | PyTorch, µs | Tricycle, µs | times as fast |\n|---|---|---|---|")
for case, of in times.items():
    theirs, ours = of["pytorch"], of["tricycle"]
    ratios.append(statistics.median(theirs) / statistics.median(ours))
    cell = lambda us: f"{statistics.median(us):.1f} ({min(us):.1f} – {max(us):.1f})"
    print(f"| {case} | {cell(theirs)} | {cell(ours)} | {ratios[-1]:.2f} |")
rounds = min(len(us) for of in times.values() for us in of.values())
print(f"\n{len(ratios)} cases, {rounds} rounds: {math.exp(statistics.mean(map(math.log, ratios))):.2f} times as fast in geometric mean, "
      f"{min(ratios):.2f} the least, {sum(r < 1 for r in ratios)} below 1")
