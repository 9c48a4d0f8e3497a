"""One page of Markdown from what gpu.sh has found: gpu_table.py FOLDER writes FOLDER/table.md. Needs Python alone."""
import csv
import json
import pathlib
import re
import statistics
import sys


def read(path):
    return path.read_text(errors="replace") if path.exists() else ""


def steps(folder):
    """The medians of each peer's rounds, and how much faster or slower than the first peer it is."""
    rounds = {}
    for line in read(folder / "results.jsonl").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # cut off in the middle
        rounds.setdefault((record["config"], record["peer"], record["batch"], record["precision"]), []).append(record)
    if not rounds:
        return ["No step was timed."]
    lines = ["| config | peer | batch | precision | ms a step: median (least to most) | rounds | tokens/s | MFU | pool, GB | GPU, GB | loss | tokens/s against ours |", "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    first = {}
    for (config, peer, batch, precision), some in sorted(rounds.items(), key=lambda item: item[0][0]):
        ms = [record["ms_per_step"] for record in some]
        speed = statistics.median(record["tokens_per_s"] for record in some)
        ratio = speed / first.setdefault(config, speed)
        last = some[-1]
        lines.append(f"| {config} | {peer} | {batch} | {precision} | {statistics.median(ms):.2f} ({min(ms):.2f} to {max(ms):.2f}) | {len(ms)} | {speed:,.0f} | {100 * statistics.median(r['mfu'] for r in some):.1f} % | "
                     f"{last['pool_mb'] / 1e3:.1f} | {last['device_mb'] / 1e3:.1f} | {last['loss']:.3f} | {ratio:.2f} |")
    return lines


def kernels(folder):
    """What the kernels of one step take, those of a name together: the step between the last two launches of AdamW."""
    table = read(folder / "profile.csv").partition('"ID"')
    rows = list(csv.DictReader((table[1] + table[2]).splitlines()))[1:]  # below the names are the units
    ends = [i for i, row in enumerate(rows[:-1]) if "AdamW" in row["Kernel Name"] and "AdamW" not in rows[i + 1]["Kernel Name"]]
    if len(ends) < 2:
        return [f"No step was profiled ({len(rows)} kernels)."]
    step = rows[ends[-2] + 1 : ends[-1] + 1]
    taken = {}
    for row in step:
        name = re.sub(r"\((int|bool|long|unsigned int)\)|tricycle::|detail::|cuda::|gpu::|void |\(anonymous namespace\)::|\(.*", "", row["Kernel Name"])
        one = taken.setdefault(name[:100], [0, 0.0, 0.0])
        one[0] += 1
        one[1] += float(row["gpu__time_duration.sum"].replace(",", "")) / 1e6
        one[2] += float(row["dram__bytes.sum"].replace(",", "")) / 1e9
    all_ms = sum(ms for _, ms, _ in taken.values())
    lines = [f"{len(step)} kernels, {all_ms:.2f} ms.", "", "| kernel | launches | ms | GB | TB/s | of the time |", "|---|---|---|---|---|---|"]
    for name, (launches, ms, gb) in sorted(taken.items(), key=lambda item: -item[1][1]):
        lines.append(f"| `{name}` | {launches} | {ms:.3f} | {gb:.3f} | {gb / ms if ms else 0:.2f} | {100 * ms / all_ms:.1f} % |")
    return lines


def tests(folder):
    """What each test program, or each tool of compute-sanitizer, says last."""
    lines = ["| | says |", "|---|---|"]
    for name, log in (("tests", "tests.log"), ("compute-sanitizer", "sanitizer.log")):
        blocks = re.split(r"^== ", read(folder / log), flags=re.M)
        for line in blocks[0].splitlines():
            if line.startswith("skipped: "):
                lines.append(f"| {name} | {line} |")
        for block in blocks[1:]:
            title, _, said = block.partition("\n")
            told = [line.strip("= ") for line in said.splitlines() if re.search(r"assertions|test cases|skipped|FAILED \(|ERROR SUMMARY|RACECHECK SUMMARY", line)]
            lines.append(f"| {title} | {'; '.join(told[-3:]).replace('|', ',') or 'nothing'} |")
    return lines


def main():
    folder = pathlib.Path(sys.argv[1])
    machine = dict(re.findall(r"^(date|commit|processors|card|nvcc|compiler|PyTorch): (.*)$", read(folder / "machine.txt"), re.M))
    title = "# On a GPU" if machine.get("card", "none") != "none" else "# A rehearsal without a GPU, whose figures say nothing"
    lines = [title, ""] + [f"- {what}: {value}" for what, value in machine.items()] + [""]
    rows = [line.split(" | ") for line in read(folder / "sections.txt").splitlines()]
    lines += [f"| {' | '.join(row)} |" for row in rows[:1]] + ["|---|---|---|"] + [f"| {' | '.join(row)} |" for row in rows[1:]] + [""]
    lines += ["## A training step", "", *steps(folder), "", "MFU: 6 N + 12 L d T operations a token, against 989 TFLOP/s. Pool: what tensors hold or may hold again (a captured step has a pool of its own besides); "
              "GPU: what the GPU's memory was short of at the end. Loss: of the last step; initial weights and batches are drawn differently by each library.", ""]
    if (folder / "profile.csv").exists():
        lines += ["## Where the time goes", "", "GPT-2 124M with 2 layers, 64 windows, a step without capture, by ncu:", "", *kernels(folder), ""]
    lines += ["## Tests", "", *tests(folder), ""]
    (folder / "table.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
