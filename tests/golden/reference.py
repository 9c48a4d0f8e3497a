"""The reference that GPT is tested against: the same model and AdamW in float64 NumPy, every derivative written by hand.

    python3 reference.py        writes gpt.safetensors beside this file

The file holds three cases, under the prefixes `untied.` (biases everywhere, a head of its own, a batch as long as the
context), `tied.` (no biases, LayerNorm without beta, the token embedding is the head, a batch shorter than the context)
and `modern.` (no biases, a head of its own, RMSNorm, SwiGLU, rotary positions), and of each
    CASE.inputs, CASE.targets       I32, (batch, time)
    CASE.parameter.NAME             numbers that a float holds exactly, so float and double models load the same ones
    CASE.logits, CASE.loss          (batch, time, vocabulary); the mean cross-entropy over all positions, of shape []
    CASE.gradient.NAME              of that loss
    CASE.losses, CASE.after_20.NAME the losses before each of 20 steps of AdamW on the one batch; the parameters after them

The key's bias, [width, 2 * width) of `attention.in.bias`, has no true gradient: it adds the same number to all scores of
a query, which softmax does not see. A rounding error is left of it, and Adam, which divides a gradient by its own size,
makes whole steps of that. Here it is set to exactly 0; tests leave this third out.
"""
import json
import struct
from pathlib import Path

import numpy as np

VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 11, 8, 12, 3, 2, 3
EPSILON = 1e-5  # of the norms


def draw_parameters(random, tied=False, modern=False):
    """All parameters by name. Dense weights are (from, to): y = x W + b."""
    parameters = {}
    biased = not tied and not modern

    def draw(name, *shape, mean=0.0, deviation=0.2):
        numbers = mean + deviation * random.standard_normal(shape)
        parameters[name] = numbers.astype(np.float32).astype(np.float64)

    def draw_dense(name, n_from, n_to):
        draw(name + ".weights", n_from, n_to)
        if biased:
            draw(name + ".bias", n_to)

    def draw_norm(name):
        draw(name + ".gamma", WIDTH, mean=1.0, deviation=0.1)
        if biased:
            draw(name + ".beta", WIDTH)

    draw("token_embedding.weights", VOCABULARY, WIDTH)
    if not modern:
        draw("position_embedding.weights", CONTEXT, WIDTH)
    for i in range(LAYERS):
        draw_norm(f"blocks.{i}.norm_1")
        draw_dense(f"blocks.{i}.attention.in", WIDTH, 3 * WIDTH)
        draw_dense(f"blocks.{i}.attention.out", WIDTH, WIDTH)
        draw_norm(f"blocks.{i}.norm_2")
        draw_dense(f"blocks.{i}.mlp.in", WIDTH, (8 if modern else 4) * WIDTH)
        draw_dense(f"blocks.{i}.mlp.out", 4 * WIDTH, WIDTH)
    draw_norm("norm")
    if not tied:
        draw_dense("head", WIDTH, VOCABULARY)
    return parameters


# ---------------------------------------------------------------- the parts, each with its derivative
# A part returns its result and a function `back`, which takes the gradient of the loss with respect to the result, adds
# to the gradients of the part's parameters, and returns the gradient with respect to its input.


def leading(x):
    """All axes but the last."""
    return tuple(range(x.ndim - 1))


def dense(p, g, name, x):
    def back(dy):
        g[name + ".weights"] += np.einsum("bti,btj->ij", x, dy)
        if name + ".bias" in p:
            g[name + ".bias"] += dy.sum(leading(dy))
        return dy @ p[name + ".weights"].T

    return x @ p[name + ".weights"] + p.get(name + ".bias", 0.0), back


def layer_norm(p, g, name, x):
    centred = x - x.mean(-1, keepdims=True)
    scale = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    normal = centred * scale

    def back(dy):
        g[name + ".gamma"] += (dy * normal).sum(leading(dy))
        if name + ".beta" in p:
            g[name + ".beta"] += dy.sum(leading(dy))
        d = dy * p[name + ".gamma"]
        return scale * (d - d.mean(-1, keepdims=True) - normal * (d * normal).mean(-1, keepdims=True))

    return normal * p[name + ".gamma"] + p.get(name + ".beta", 0.0), back


def rms_norm(p, g, name, x):
    scale = 1 / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON)

    def back(dy):
        g[name + ".gamma"] += (dy * x * scale).sum(leading(dy))
        d = dy * p[name + ".gamma"]
        return scale * d - scale**3 * x * (d * x).mean(-1, keepdims=True)

    return x * scale * p[name + ".gamma"], back


def swiglu(x):
    """left * swish(right), swish(x) = x / (1 + exp(-x))."""
    left, right = np.split(x, 2, axis=-1)
    s = 1 / (1 + np.exp(-right))

    def back(dy):
        return np.concatenate([dy * right * s, dy * left * (s + right * s * (1 - s))], axis=-1)

    return left * right * s, back


def gelu(x):
    """x/2 (1 + tanh u),  u = sqrt(2/pi) (x + 0.044715 x^3)."""
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))

    def back(dy):
        du = c * (1 + 3 * 0.044715 * x**2)
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)

    return 0.5 * x * (1 + t), back


def turned(x, direction):
    """(batch, head, time, size): pairs of neighbours as complex numbers, turned by time * 10000^(-pair / pairs)."""
    pairs = x.shape[-1] // 2
    angle = np.outer(np.arange(x.shape[2]), 10000.0 ** (-np.arange(pairs) / pairs))
    return ((x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * direction * angle)).view(np.float64)


def rotary_attention(qkv):
    return causal_attention(qkv, rotary=True)


def causal_attention(qkv, rotary=False):
    """(batch, time, 3 width) -> (batch, time, width): queries, keys and values are thirds, heads are chunks of those."""
    batch, time, _ = qkv.shape
    scale = 1 / np.sqrt(WIDTH // HEADS)
    q, k, v = qkv.reshape(batch, time, 3, HEADS, WIDTH // HEADS).transpose(2, 0, 3, 1, 4)  # each (batch, head, time, size)
    if rotary:
        q, k = turned(q, 1), turned(k, 1)
    scores = q @ k.swapaxes(-1, -2) * scale
    scores[..., np.triu(np.ones((time, time), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)

    def back(dy):
        dy = dy.reshape(batch, time, HEADS, WIDTH // HEADS).swapaxes(1, 2)
        dv = weights.swapaxes(-1, -2) @ dy
        dweights = dy @ v.swapaxes(-1, -2)
        dscores = weights * (dweights - (dweights * weights).sum(-1, keepdims=True)) * scale
        dq, dk = dscores @ k, dscores.swapaxes(-1, -2) @ q
        dqkv = np.stack([turned(dq, -1), turned(dk, -1), dv] if rotary else [dq, dk, dv])
        return dqkv.transpose(1, 3, 0, 2, 4).reshape(qkv.shape)

    return (weights @ v).swapaxes(1, 2).reshape(batch, time, WIDTH), back


def cross_entropy(logits, targets):
    """The mean of -log softmax(logits)[target]."""
    at_targets = (*np.indices(targets.shape), targets)
    shifted = logits - logits.max(-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

    def back():
        d = np.exp(log_softmax)
        d[at_targets] -= 1
        return d / targets.size

    return -log_softmax[at_targets].mean(), back


# ---------------------------------------------------------------- the model


def gpt(p, inputs, targets):
    """Logits, loss and gradients by name of the GPT with the parameters p."""
    g = {name: np.zeros_like(values) for name, values in p.items()}
    time = inputs.shape[1]

    modern = "position_embedding.weights" not in p
    norm, attention, activation = (rms_norm, rotary_attention, swiglu) if modern else (layer_norm, causal_attention, gelu)
    x = p["token_embedding.weights"][inputs]
    if not modern:
        x = x + p["position_embedding.weights"][:time]
    branches = []  # per residual branch, the backs of its parts

    def add_branch(parts):
        nonlocal x
        y, backs = x, []
        for part, *names in parts:
            y, back = part(p, g, *names, y) if names else part(y)
            backs.append(back)
        x = x + y
        branches.append(backs)

    for i in range(LAYERS):
        block = f"blocks.{i}."
        add_branch([(norm, block + "norm_1"), (dense, block + "attention.in"), (attention,), (dense, block + "attention.out")])
        add_branch([(norm, block + "norm_2"), (dense, block + "mlp.in"), (activation,), (dense, block + "mlp.out")])
    x, norm_back = norm(p, g, "norm", x)

    tied = "head.weights" not in p
    if tied:
        logits = x @ p["token_embedding.weights"].T
    else:
        logits, head_back = dense(p, g, "head", x)
    loss, loss_back = cross_entropy(logits, targets)

    d = loss_back()
    if tied:
        g["token_embedding.weights"] += np.einsum("btv,btc->vc", d, x)
        d = d @ p["token_embedding.weights"]
    else:
        d = head_back(d)
    d = norm_back(d)
    for backs in reversed(branches):
        d_branch = d
        for back in reversed(backs):
            d_branch = back(d_branch)
        d = d + d_branch
    if not modern:
        g["position_embedding.weights"][:time] += d.sum(0)
    np.add.at(g["token_embedding.weights"], inputs, d)

    if "head.bias" in p:
        for i in range(LAYERS):
            g[f"blocks.{i}.attention.in.bias"][WIDTH : 2 * WIDTH] = 0.0
    return logits, loss, g


def check_gradients(random, p, inputs, targets):
    """Compare each parameter's gradient, along a random direction, with a central difference."""
    _, _, gradients = gpt(p, inputs, targets)
    h = 1e-5
    for name, values in p.items():
        direction = random.standard_normal(values.shape)
        _, above, _ = gpt({**p, name: values + h * direction}, inputs, targets)
        _, below, _ = gpt({**p, name: values - h * direction}, inputs, targets)
        slope, expected = (above - below) / (2 * h), (gradients[name] * direction).sum()
        assert abs(slope - expected) < 1e-8 * (1 + abs(expected)), f"{name}: {slope} is not {expected}"


# ---------------------------------------------------------------- the optimiser


def train(p, inputs, targets, n_steps, learning_rate=1e-2, betas=(0.9, 0.99), epsilon=1e-8, weight_decay=0.1, max_norm=1.0):
    """The losses before each step of AdamW, and the parameters after the last.

    Decay is decoupled and for matrices alone; all gradients together are first cut to max_norm, as PyTorch's
    clip_grad_norm_ does."""
    p = {name: values.copy() for name, values in p.items()}
    m = {name: np.zeros_like(values) for name, values in p.items()}
    v = {name: np.zeros_like(values) for name, values in p.items()}
    losses = []
    for t in range(1, n_steps + 1):
        _, loss, g = gpt(p, inputs, targets)
        losses.append(loss)
        norm = np.sqrt(sum((gradient**2).sum() for gradient in g.values()))
        cut = min(1.0, max_norm / (norm + 1e-6))
        for name, values in p.items():
            gradient = cut * g[name]
            if values.ndim == 2:
                values *= 1 - learning_rate * weight_decay
            m[name] = betas[0] * m[name] + (1 - betas[0]) * gradient
            v[name] = betas[1] * v[name] + (1 - betas[1]) * gradient**2
            m_unbiased = m[name] / (1 - betas[0] ** t)
            v_unbiased = v[name] / (1 - betas[1] ** t)
            values -= learning_rate * m_unbiased / (np.sqrt(v_unbiased) + epsilon)
    return np.array(losses), p


# ---------------------------------------------------------------- the file


def write_safetensors(path, tensors):
    """Arrays by name: 8 bytes of the header's length, the header in JSON, the numbers; all little-endian."""
    dtypes = {"float64": "F64", "int32": "I32"}
    tensors = dict(sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])))  # so that all numbers are aligned
    header, end = {"__metadata__": {"made_by": Path(__file__).name}}, 0
    for name, values in tensors.items():
        begin, end = end, end + values.nbytes
        header[name] = {"dtype": dtypes[values.dtype.name], "shape": list(values.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            out.write(values.astype(values.dtype.newbyteorder("<")).tobytes())


def make_case(seed, time, **kind):
    """All tensors of one case."""
    random = np.random.RandomState(seed)  # the generator whose stream NumPy has frozen
    parameters = draw_parameters(random, **kind)
    inputs = random.randint(VOCABULARY, size=(BATCH, time)).astype(np.int32)
    targets = random.randint(VOCABULARY, size=(BATCH, time)).astype(np.int32)
    check_gradients(random, parameters, inputs, targets)

    logits, loss, gradients = gpt(parameters, inputs, targets)
    losses, after_20 = train(parameters, inputs, targets, n_steps=20)
    tensors = {"inputs": inputs, "targets": targets, "logits": logits, "loss": np.array(loss), "losses": losses}
    for group, by_name in {"parameter": parameters, "gradient": gradients, "after_20": after_20}.items():
        tensors |= {f"{group}.{name}": values for name, values in by_name.items()}
    return tensors


def main():
    cases = {"untied": make_case(seed=1, time=CONTEXT), "tied": make_case(seed=2, tied=True, time=CONTEXT - 3), "modern": make_case(seed=3, modern=True, time=CONTEXT)}
    for case, tensors in cases.items():
        print(f"{case}: loss {tensors['losses'][0]:.6f}, after 19 steps {tensors['losses'][-1]:.6f}")
    tensors = {f"{case}.{name}": values for case, by_name in cases.items() for name, values in by_name.items()}
    write_safetensors(Path(__file__).with_name("gpt.safetensors"), tensors)


if __name__ == "__main__":
    main()
