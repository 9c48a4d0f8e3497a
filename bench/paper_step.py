"""The paper account of a GPT-2 124M training step: what each kernel must move and compute, and the least time that takes.

    python3 bench/paper_step.py [--launches build/gpu_rehearsal/bench/launches] [--batch 64] [--out FILE]

Worked out, not measured. It lists the launches as the library makes them. --launches names the program that says what the
library really asks of a GPU, in the emulator (bench/gpu.sh --rehearse builds it): then the list is compared with that, for several small models, and a
difference is an error. Writes a table to bench/results/gpu_paper.md. Needs Python alone.
"""
import argparse
import collections
import dataclasses
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BYTES_A_SECOND, FLOPS_A_SECOND = 4.3e12, 790e12  # what an H200 was seen to do with a copy, and with a product of bf16
H100_BYTES_A_SECOND = 3.0e12  # what an H100 was seen to do with a copy
NODE_SECONDS = 1.5e-6  # between kernels of a CUDA graph: a usual figure, not ours


@dataclasses.dataclass
class Model:
    batch: int = 64
    context: int = 1024
    layers: int = 12
    heads: int = 12
    width: int = 768
    vocabulary: int = 50304

    def options(self):
        return [word for field in dataclasses.fields(self) for word in (f"--{field.name}", str(getattr(self, field.name)))]


@dataclasses.dataclass
class Launch:
    phase: str
    part: str  # what of the model it is for
    name: str
    bytes: float = 0
    flop: float = 0

    def seconds(self, bytes_a_second=BYTES_A_SECOND):
        return max(self.bytes / bytes_a_second, self.flop / FLOPS_A_SECOND)


def pieces(n, size):
    return -(-n // size)


class Step:
    """The launches of a step, as the library makes them. Every number counts as read once and written once by each kernel."""

    def __init__(self, model):
        self.m, self.launches = model, []
        self.rows = model.batch * model.context
        self.batch()
        self.forward()
        self.backward()
        self.update()

    def kernel(self, name, bytes=0.0, flop=0.0):
        self.launches.append(Launch(self.phase, self.part, name, bytes, flop))

    def rows_kernel(self, formula, n, bytes):
        self.kernel(f"RowsOnGpu<{formula}, {32 if n <= 4096 else 512}>", bytes)

    def product(self, m, k, n, epilogue="", out="bf16", adds=False):
        """(m, k), (k, n) -> (m, n)"""
        size = 2 if out == "bf16" else 4
        moved = 2 * (m * k + k * n) + size * m * n * (2 if adds else 1) + (2 * m * n if "aux" in epilogue or "dgelu" in epilogue else 0)
        self.kernel(f"product bf16 to {out}{' ' if epilogue else ''}{epilogue}{' +' if adds else ''}", moved, 2 * m * k * n)

    def cast(self, n):
        self.kernel("StretchOnGpu<Stretch<Convert<bf16, float>, bf16, float>>", 6 * n)

    def cast_back(self, *sizes):
        for n in sizes:
            self.kernel("StretchOnGpu<Stretch<Convert<float, bf16>, float, bf16>>", 6 * n)

    def columns(self, formula, rows, n, size, out="bf16"):
        """Sums of columns in stages of 64 rows; `size`: bytes read for each number."""
        while (splits := pieces(rows, 64)) > 1:
            self.kernel(f"ColumnsOnGpu<float, {formula}, float>", size * rows * n + 4 * splits * n)
            rows, formula, size = splits, "StoredRows<float, true>", 4
        self.kernel(f"ColumnsOnGpu<float, {formula}, {out}>", size * rows * n + (2 if out == "bf16" else 4) * n)

    def sum_rows(self, n):
        while (parts := pieces(n, 8192)) > 1:
            self.rows_kernel("SumRows<float, float, Same>", 8192, 4 * n + 4 * parts)
            n = parts
        self.rows_kernel("SumRows<float, float, Same>", n, 4 * n)

    def check_ids(self, n):
        self.kernel("EachOnGpu<CheckId<int>>", 4 * n)

    # ------------------------------------------------------------ what a step does

    def batch(self):
        self.phase, self.part = "batch", "ids"
        for _ in range(2):
            self.kernel("copy to the GPU", 4 * self.rows)

    def norm(self, residual):
        """Reads x (and what is added), writes the norm (and the sum); two moments a row."""
        c = self.m.width
        self.cast(c), self.cast(c)
        self.rows_kernel("AddNormRows<bf16>" if residual else "NormRows<bf16>", c, (8 if residual else 4) * self.rows * c + 8 * self.rows)

    def norm_back(self, others):
        """Reads x, its gradient and, but for the last norm, what came past it. Then gamma's and beta's gradients, each from all of it again."""
        n, c = self.rows, self.m.width
        self.rows_kernel("NormRowsBack<bf16>", c, (8 if others else 6) * n * c + 8 * n)
        self.columns("NormGamma<bf16>", n, c, 4 + 8 / c)
        self.columns("ScaledRow<bf16>", n, c, 2)
        self.cast_back(c, c)

    def forward(self):
        m, n, c = self.m, self.rows, self.m.width
        self.phase, self.part = "forward", "embedding"
        self.cast(m.vocabulary * c)
        self.kernel("copy to the GPU", 4 * m.context)  # positions
        for ids in (m.context, n):
            self.check_ids(ids)
            self.rows_kernel("EmbedRows<float, int>", c, 8 * ids * c + 4 * ids)
        self.kernel("StretchOnGpu<Stretch<Forward<Add>, float, float, float>>", 8 * n * c + 4 * m.context * c)
        self.cast(n * c)
        for layer in range(m.layers):
            self.part = "norms"
            self.norm(residual=layer > 0)
            self.part = "attention"
            self.cast(3 * c * c), self.cast(3 * c)
            self.product(n, c, 3 * c, "bias")
            self.part = "flash"
            self.kernel(f"FlashForward<bf16, {self.head_size()}>", 8 * n * c + 8 * n * m.heads, 2 * self.score_flop())
            self.part = "attention"
            self.cast(c * c), self.cast(c)
            self.product(n, c, c, "bias")
            self.part = "norms"
            self.norm(residual=True)
            self.part = "mlp"
            self.cast(4 * c * c), self.cast(4 * c), self.cast(4 * c * c), self.cast(c)
            self.product(n, c, 4 * c, "gelu aux bias")
            self.product(n, 4 * c, c, "bias")
        self.part = "norms"
        self.norm(residual=True)
        self.part = "classify"
        self.check_ids(n)
        self.kernel("EachOnGpu<Fill<float>>", 4)
        most = max(1, (1 << 28) // m.vocabulary)
        most = min(most // 128 * 128 if most > 128 else most, n)
        for begin in range(0, n, most):
            some = min(most, n - begin)
            logits = some * m.vocabulary
            self.product(some, c, m.vocabulary)
            self.rows_kernel("CrossEntropyInPlace<bf16, int>", m.vocabulary, 4 * logits + 8 * some)
            self.product(some, m.vocabulary, c)
            self.product(m.vocabulary, some, c, out="float", adds=begin > 0)
        self.sum_rows(n)

    def head_size(self):
        return next(size for size in (32, 64, 96, 128) if self.m.width // self.m.heads <= size)

    def score_flop(self):
        """Of one product of (tokens, head size) and (head size, tokens) for all heads, where no query looks ahead."""
        return self.m.batch * self.m.width * self.m.context * (self.m.context + 1)

    def backward(self):
        m, n, c = self.m, self.rows, self.m.width
        self.phase, self.part = "backward", "classify"
        self.kernel("EachOnGpu<Fill<float>>", 4)
        self.kernel("StretchOnGpu<Stretch<ScaledProduct<float>, bf16, bf16, float>>", 4 * n * c)
        self.kernel("StretchOnGpu<Stretch<ScaledProduct<float>, bf16, float, float>>", 6 * m.vocabulary * c)
        self.cast_back(m.vocabulary * c)
        self.part = "norms"
        self.norm_back(others=False)
        for _ in range(m.layers):
            self.part = "mlp"
            self.product(4 * c, n, c)
            self.columns("ScaledRow<bf16>", n, c, 2)
            self.product(n, c, 4 * c, "dgelu")
            self.product(c, n, 4 * c)
            self.columns("ScaledRow<bf16>", n, 4 * c, 2)
            self.product(n, 4 * c, c)
            self.cast_back(c, 4 * c * c, 4 * c, 4 * c * c)
            self.part = "norms"
            self.norm_back(others=True)
            self.part = "attention"
            self.product(n, c, c)
            self.product(c, n, c)
            self.columns("ScaledRow<bf16>", n, c, 2)
            self.cast_back(c, c * c)
            self.part = "flash"
            self.kernel("RowsOnGpu<FlashInner<bf16>, 8>", 4 * n * c + 4 * n * m.heads)
            self.kernel(f"FlashBackQueries<bf16, {self.head_size()}>", 10 * n * c + 12 * n * m.heads, 3 * self.score_flop())
            self.kernel(f"FlashBackKeys<bf16, {self.head_size()}>", 12 * n * c + 12 * n * m.heads, 4 * self.score_flop())
            self.part = "attention"
            self.product(n, 3 * c, c)
            self.product(c, n, 3 * c)
            self.columns("ScaledRow<bf16>", n, 3 * c, 2)
            self.cast_back(3 * c, 3 * c * c)
            self.part = "norms"
            self.norm_back(others=True)
        self.part = "embedding"
        self.cast_back(n * c)
        self.columns("ScaledRow<float>", m.batch, m.context * c, 4, out="float")
        for ids, table, adds in ((m.context, m.context, False), (n, m.vocabulary, True)):
            if not adds:
                self.kernel("memset", 4 * table * c)
            self.kernel("EachOnGpu<MergeRuns<Unlisted<int>>>", 12 * ids)
            run = 16
            while run < ids:
                self.kernel("EachOnGpu<MergeRuns<const Listed*>>", 16 * ids)
                run *= 16
            self.kernel("SumChunks<float>", (4 * c + 8) * ids + (8 if adds else 4) * min(ids, table) * c)
            while ids > 32:  # parts of ids that stand in several chunks: at most so many
                ids = 2 * pieces(ids, 32)
                self.kernel("SumChunks<float>", (8 * c + 16) * ids)

    def parameters(self):
        c = self.m.width
        return (self.m.vocabulary + self.m.context) * c + self.m.layers * (12 * c * c + 13 * c) + 2 * c

    def update(self):
        p = self.parameters()
        self.phase, self.part = "clip", "clip"
        self.kernel("copy to the GPU")
        self.kernel("ManyOnGpu<SumRows<float, float, Square>, true>", 4 * p + 4 * p / 8192)
        self.kernel("copy to the GPU")
        self.kernel("ManyOnGpu<SumRows<float, double, Same>, true>", 4 * p / 8192)
        self.kernel("EachOnGpu<ClipScale>", 8 * 150)
        self.kernel("copy to the GPU")
        self.kernel("ManyOnGpu<ScaleGradient<float>, false>", 8 * p)
        self.phase, self.part = "update", "AdamW"
        self.kernel("copy to the GPU")
        self.kernel("ManyOnGpu<CountMove, false>", 24 * 150)
        self.kernel("copy to the GPU")
        self.kernel("ManyOnGpu<AdamWStep<float>, false>", 28 * p)
        self.kernel("EachOnGpu<CountUpdate>", 16)
        self.phase, self.part = "loss", "loss"
        self.kernel("copy on the GPU", 8)


# ---------------------------------------------------------------- what the library really launches


def overheard(program, model):
    """What the program lists: a count of each launch of each phase. Products are told from one another by their shapes."""
    said = subprocess.run([program, *model.options()], capture_output=True, text=True, check=True).stdout
    found, phase, total = collections.Counter(), "", 0
    for line in said.splitlines():
        if line.startswith("# "):
            phase = line[2:]
            continue
        what, name, number = line.split("\t")
        if what == "launches":
            total = int(number)
        name = name.replace(" >", ">")
        if what == "product":
            m, k, n, rest = name.split(" ", 3)
            found[phase, f"product {rest}", 2 * int(m) * int(k) * int(n)] += 1
        elif what in ("kernel", "copy", "memset"):
            found[phase, {"kernel": name, "copy": f"copy {name}", "memset": "memset"}[what], 0] += 1
    return found, total


CHECKED = [Model(2, 32, 1, 1, 64, 96), Model(2, 32, 3, 2, 64, 2112), Model(65, 64, 2, 1, 32, 96), Model(130, 64, 1, 1, 32, 96), Model(33, 64, 1, 1, 8, 66000)]


def check(program):
    """Throws unless the account of each small model is what the library does. Returns a sentence."""
    launches = 0
    for model in CHECKED:
        told = collections.Counter((l.phase, l.name, l.flop if l.name.startswith("product") else 0) for l in Step(model).launches)
        found, total = overheard(program, model)
        if told != found:
            for key, n in sorted(((told - found) + (found - told)).items()):
                print(f"{model}: {key}: {told[key]} in the account, {found[key]} launched", file=sys.stderr)
            sys.exit("the account is not what the library does")
        kernels = sum(n for (_, name, _), n in found.items() if not name.startswith(("copy", "memset")))
        if kernels != total:
            sys.exit(f"{model}: {kernels} kernels and products were overheard, but the emulator counted {total}")
        launches += total
    return (f"Compared with what the library launched in the emulator, by `bench/emulated/launches.cpp`, for {len(CHECKED)} small models ({launches} launches): in every phase of a step the same "
            "kernels, as often, and products of the same size; and as many as `emulator::counts()` has.")


if __name__ == "__main__":
    import paper_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", help="the program in the emulator to compare with")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench/results/gpu_paper.md")
    options = parser.parse_args()
    checked = check(options.launches) if options.launches else "This time not compared with what the library launches: that takes `--launches`."
    paper_table.write(Model(batch=options.batch), checked, options.out)
