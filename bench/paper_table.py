"""What paper_step.py writes: the account as a page of Markdown."""
import collections

from paper_llmc import LlmC
from paper_step import BYTES_A_SECOND, FLOPS_A_SECOND, H100_BYTES_A_SECOND, NODE_SECONDS, Step

ASIDE = ("copy", "memset")  # no kernels


def milliseconds(launches, bandwidth=BYTES_A_SECOND):
    return 1e3 * sum(l.seconds(bandwidth) for l in launches)


def kernels(launches):
    return sum(not l.name.startswith(ASIDE) for l in launches)


def table(launches):
    groups = collections.OrderedDict()
    for l in launches:
        groups.setdefault((l.phase, l.part, l.name), []).append(l)
    yield "| phase | for | kernel | launches | GB | TFLOP | ms | bound by |"
    yield "|---|---|---|---|---|---|---|---|"
    for (phase, part, name), some in groups.items():
        moved, flop = sum(l.bytes for l in some), sum(l.flop for l in some)
        bound = "FLOP" if flop / FLOPS_A_SECOND > moved / BYTES_A_SECOND else "bytes"
        yield f"| {phase} | {part} | `{name}` | {len(some)} | {moved / 1e9:.2f} | {flop / 1e12:.2f} | {milliseconds(some):.2f} | {bound} |"


def by_part(ours, theirs):
    yield "| part | ours: launches | ms | llm.c: launches | ms |"
    yield "|---|---|---|---|---|"
    parts = list(dict.fromkeys(l.part for l in ours + theirs))
    for part in parts:
        a, b = [l for l in ours if l.part == part], [l for l in theirs if l.part == part]
        yield f"| {part} | {len(a)} | {milliseconds(a):.2f} | {len(b)} | {milliseconds(b):.2f} |"


def worth_doing(step):
    """What each idea would take off the account, the most first: (ms, kernels fewer, what)."""
    m, n, c, ours = step.m, step.rows, step.m.width, step.launches

    def named(*words):
        return [l for l in ours if any(word in l.name for word in words)]

    def saved(bytes):
        return 1e3 * bytes / BYTES_A_SECOND

    columns = [l for l in ours if l.part == "norms" and l.name.startswith("ColumnsOnGpu")]
    casts, casts_back = named("Convert<bf16, float>"), named("Convert<float, bf16>")
    p = step.parameters()
    forward = [l for l in ours if l.phase == "forward" and l.part == "embedding" and not l.name.startswith("copy")][1:]
    ideas = [
        (milliseconds(columns), len(columns),
         "Gamma's and beta's gradients in the kernel that makes x's, as llm.c has it: now x and its gradient are read again for each. (Partial sums of some blocks are a little traffic still.)"),
        (1e3 * 2 * m.layers * step.score_flop() / FLOPS_A_SECOND, m.layers,
         "One kernel for the way back through attention: five products for each pair of tokens instead of seven. Its sums of dq need float atomics, which are not reproducible, or an order. "
         "(At the rate that was measured, see below, it would save more.)"),
        (milliseconds(casts_back) - milliseconds([l for l in casts_back if l.part == "embedding"]), len(casts_back) - 1,
         "Products write the gradients of weights as float, straight into the parameter's gradient, as `classify` already does: no bf16 copy of them, no casts. "
         "(The products then write 2 bytes more a weight, which is not taken off.) It is more exact, too."),
        (saved(8 * p), 1, "AdamW multiplies by clip's scale itself, instead of a pass over all gradients. (When nothing is clipped, the pass reads one number and does nothing.)"),
        (milliseconds(forward) - saved(6 * n * c), len(forward) - 1,
         "Both embeddings, their sum and its rounding in one kernel, with both checks of ids."),
        (saved(6 * p), len(casts) - 1 - 1,
         "AdamW writes the bf16 copy of each weight as it moves it; or, at least, one launch casts them all. (AdamW then writes 2 bytes more a weight, which is not taken off.)"),
        (milliseconds(named("Stretch<ScaledProduct")), len(named("Stretch<ScaledProduct")),
         "`classify` hands its gradients over as they are when the gradient of the loss is the seed 1, which is all that training asks."),
    ]
    return sorted(ideas, key=lambda idea: -idea[0])


def write(model, checked, out):
    step, llmc = Step(model), LlmC(model)
    ours, theirs = step.launches, llmc.launches
    m, n = model, step.rows
    useful = 6 * (step.parameters() - m.context * m.width) + 12 * m.layers * m.width * m.context
    lines = ["# The paper account of a GPT-2 124M step on a GPU: what it takes at least", ""]
    lines += [f"Made by `bench/paper_step.py`. {m.batch} windows of {m.context} tokens, {m.layers} layers, {m.heads} heads, width {m.width}, vocabulary {m.vocabulary}, biases, tied, bf16, no dropout; "
              f"{step.parameters():,} parameters. Nothing of this is measured; what was, is in [gpu_step.md](gpu_step.md).", "",
              f"Each kernel takes at least the longer of its bytes / {BYTES_A_SECOND / 1e12} TB/s and its FLOP / {FLOPS_A_SECOND / 1e12:.0f} TFLOP/s: what an H200 was seen to do with a large copy and a large product. "
              f"(An H100 was seen to copy {H100_BYTES_A_SECOND / 1e12} TB/s.) Every number counts as read once and written once by each kernel that needs it; attention counts pairs of tokens that see each other. "
              "What this leaves out: numbers that are read again from memory, or found in the L2 cache; tiles that do not fill the GPU; chains of waiting in small kernels; the time between kernels.", "", checked, ""]
    lines += ["## The sum", "", "| | ours | llm.c |", "|---|---|---|"]
    for what, value in (("launches, all", len), ("of them kernels and products", kernels)):
        lines.append(f"| {what} | {value(ours)} | {value(theirs)} |")
    lines += [f"| GB moved | {sum(l.bytes for l in ours) / 1e9:.0f} | {sum(l.bytes for l in theirs) / 1e9:.0f} |",
              f"| TFLOP | {sum(l.flop for l in ours) / 1e12:.1f} | {sum(l.flop for l in theirs) / 1e12:.1f} |"]
    for what, bandwidth in ((f"least ms, at {BYTES_A_SECOND / 1e12} TB/s", BYTES_A_SECOND), (f"least ms, at {H100_BYTES_A_SECOND / 1e12} TB/s", H100_BYTES_A_SECOND)):
        a, b = milliseconds(ours, bandwidth), milliseconds(theirs, bandwidth)
        lines.append(f"| {what} | {a:.1f} | {b:.1f} |")
        lines.append(f"| tokens/s at that, and of 989 TFLOP/s (6 N + 12 L d T a token) | {n / a:.0f} k, {1e5 * useful * n / a / 989e12:.0f} % | {n / b:.0f} k, {1e5 * useful * n / b / 989e12:.0f} % |")
    lines += ["", f"Kernels of a captured step follow each other in some {1e6 * NODE_SECONDS:.1f} µs, of which the small ones hide nothing: {kernels(ours)} kernels would be {1e3 * NODE_SECONDS * kernels(ours):.1f} ms at most. "
              "No step gets near its least time.", "", *by_part(ours, theirs), ""]
    lines += ["## What is worth doing next", "", "By what it takes off the account, the most first.", ""]
    for i, (ms, fewer, what) in enumerate(worth_doing(step), 1):
        lines.append(f"{i}. **{ms:.2f} ms**, {fewer} fewer kernel{'s' if fewer != 1 else ''}. {what}")
    flash = [l for l in ours if l.part == "flash"]
    lines += ["", "What an H200 showed that no account on paper does ([gpu_step.md](gpu_step.md)):",
              "", f"- Flash attention is {milliseconds(flash):.1f} ms here because its products count at the rate of cuBLASLt's. It takes some 28 ms: ours uses `mma.sync`, and waits for its own results most of the time.",
              "- cuBLASLt's products of bf16 do 710 to 860 TFLOP/s, but the one with GELU's derivative 530.",
              "- Kernels that read and write rows do 2.3 to 3.6 TB/s, those that sum columns or move single numbers 3.7 to 4.2.", ""]
    lines += ["## Ours", "", *table(ours), "", "## llm.c's", "",
              "From its source at f1e2ace: `train_gpt2.cu` and `llmc/*.cuh`, with its defaults (bf16, master weights, `-r 1 -ge 0`) and cuDNN's attention, a call of which counts as one launch. It holds gradients in bf16, "
              "fuses neither GELU nor the sums of biases into products unless told, and works GELU out twice to save memory; it makes all logits at once, and waits for the GPU several times a step.", "", *table(theirs), ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines))
    print(f"{out}: {len(ours)} launches, at least {milliseconds(ours):.1f} ms; llm.c {len(theirs)}, {milliseconds(theirs):.1f} ms")
