"""GPT-2's forward pass in plain Python, to check the figures that the programs print."""
import array
import math


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def _norm(x, gamma):
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + 1e-5)
    return [(v - mean) / deviation * g for v, g in zip(x, gamma)]


def _softmax(x):
    shares = [math.exp(v - max(x)) for v in x]
    return [v / sum(shares) for v in shares]


def _gelu(x):
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


class GPT:
    """From {name: (dtype, shape, bytes)}, names behind a prefix: tied head, no biases."""

    def __init__(self, tensors, n_heads, prefix=''):
        tensors = {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        self.n_heads = n_heads
        self.n_layers = len({name.split('.')[1] for name in tensors if name.startswith('blocks.')})
        self.weights = {}
        for name, (_, shape, data) in tensors.items():
            numbers = array.array('f', data)
            n = shape[-1]
            rows = [numbers[i:i + n].tolist() for i in range(0, len(numbers), n)]
            # A layer's weights are (from, to): as columns, each output is one dot product.
            self.weights[name] = rows[0] if len(shape) == 1 else list(zip(*rows)) if name.startswith('blocks.') else rows

    def _dense(self, x, name):
        return [_dot(x, column) for column in self.weights[name + '.weights']]

    def _attention(self, rows, name):
        width = len(rows[0])
        size = width // self.n_heads
        qkv = [self._dense(row, name + '.in') for row in rows]
        mixed = []
        for t in range(len(rows)):
            out = []
            for at in range(0, width, size):
                query = qkv[t][at:at + size]
                shares = _softmax([_dot(query, qkv[s][width + at:width + at + size]) / math.sqrt(size) for s in range(t + 1)])
                out += [sum(share * qkv[s][2 * width + at + i] for s, share in enumerate(shares)) for i in range(size)]
            mixed.append(self._dense(out, name + '.out'))
        return mixed

    def logits(self, ids):
        """One list of logits for each of the ids, which are at most a context."""
        w = self.weights
        rows = [[a + b for a, b in zip(w['token_embedding.weights'][i], position)] for i, position in zip(ids, w['position_embedding.weights'])]
        for layer in range(self.n_layers):
            block = f'blocks.{layer}'
            attended = self._attention([_norm(row, w[block + '.norm_1.gamma']) for row in rows], block + '.attention')
            rows = [[a + b for a, b in zip(row, more)] for row, more in zip(rows, attended)]
            for t, row in enumerate(rows):
                inner = [_gelu(v) for v in self._dense(_norm(row, w[block + '.norm_2.gamma']), block + '.mlp.in')]
                rows[t] = [a + b for a, b in zip(row, self._dense(inner, block + '.mlp.out'))]
        return [[_dot(_norm(row, w['norm.gamma']), embedding) for embedding in w['token_embedding.weights']] for row in rows]

    def loss(self, ids, context):
        """The mean surprise at every token but the first, in windows of the context; a last part window is left out."""
        surprises = []
        for start in range(0, len(ids) - context, context):
            for logits, target in zip(self.logits(ids[start:start + context]), ids[start + 1:]):
                surprises.append(-math.log(_softmax(logits)[target]))
        return sum(surprises) / len(surprises)
