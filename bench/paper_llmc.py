"""llm.c's launches for the same step, by the rule of paper_step.py: from its train_gpt2.cu and llmc/*.cuh at f1e2ace (2025-05-10).

Its defaults on one GPU, with cuDNN's attention: bf16, master weights, the GELU of the forward pass worked out again in the
backward pass (-r 1), GELU not fused into products (-ge 0). What cuDNN launches inside of a call is its own business: a call
counts as one. Waiting for the GPU and reading the norm back, as it does in every step, cost nothing here.
"""
from paper_step import Launch, Step


class LlmC(Step):
    def kernel(self, name, bytes=0.0, flop=0.0):
        self.launches.append(Launch(self.phase, self.part, name, bytes, flop))

    def batch(self):
        self.phase, self.part = "batch", "ids"
        for _ in range(2):
            self.kernel("copy to the GPU", 4 * self.rows)

    def forward(self):
        m, n, c = self.m, self.rows, self.m.width
        self.phase, self.part = "forward", "embedding"
        self.kernel("encoder_forward", 4 * n * c + 2 * m.context * c + 4 * n)
        self.part = "norms"
        self.kernel("layernorm_forward", 4 * n * c + 8 * n)
        for _ in range(m.layers):
            self.part = "attention"
            self.product(n, c, 3 * c, "bias")
            self.part = "flash"
            self.kernel("attention_forward_cudnn", 8 * n * c + 4 * n * m.heads, 2 * self.score_flop())
            self.part = "attention"
            self.product(n, c, c, "bias")
            self.part = "norms"
            self.kernel("fused_residual_forward", 8 * n * c + 8 * n)
            self.part = "mlp"
            self.product(n, c, 4 * c, "bias")
            self.kernel("gelu_forward", 16 * n * c)
            self.product(n, 4 * c, c, "bias")
            self.part = "norms"
            self.kernel("fused_residual_forward", 8 * n * c + 8 * n)
        self.part = "classify"
        self.product(n, c, m.vocabulary)

    def bias(self, n):
        self.kernel("matmul_backward_bias", 2 * self.rows * n)
        self.kernel("reduce_add_sum")

    def norm_back(self, others=True):
        """One kernel for the gradients of x, gamma and beta; x's is added to the residual stream's."""
        self.part = "norms"
        self.kernel("memset")
        self.kernel("layernorm_backward", 8 * self.rows * self.m.width + 8 * self.rows)

    def backward(self):
        m, n, c = self.m, self.rows, self.m.width
        self.phase, self.part = "backward", "classify"
        self.kernel("memset", 4 * n)
        self.kernel("memset", 2 * self.parameters())
        self.kernel("fused_classifier", 4 * n * m.vocabulary)
        self.kernel("memset", 2 * n * c)
        self.product(n, m.vocabulary, c)
        self.product(m.vocabulary, n, c, adds=True)
        self.norm_back()
        for _ in range(m.layers):
            self.part = "mlp"
            self.kernel("gelu_forward", 16 * n * c)
            self.bias(c)
            self.product(n, c, 4 * c)
            self.kernel("gelu_backward_inplace", 24 * n * c)
            self.product(c, n, 4 * c, adds=True)
            self.bias(4 * c)
            self.product(n, 4 * c, c)
            self.product(4 * c, n, c, adds=True)
            self.norm_back()
            self.part = "attention"
            self.bias(c)
            self.product(n, c, c)
            self.product(c, n, c, adds=True)
            self.part = "flash"
            self.kernel("attention_backward_cudnn", 16 * n * c + 4 * n * m.heads, 5 * self.score_flop())
            self.part = "attention"
            self.bias(3 * c)
            self.product(n, 3 * c, c)
            self.product(3 * c, n, c, adds=True)
            self.norm_back()
        self.part = "embedding"
        self.kernel("wpe_backward", 2 * n * c + 4 * m.context * c)
        for _ in range(2):
            self.kernel("copy to the GPU")
        self.kernel("wte_backward", 2 * n * c + 4 * min(n, m.vocabulary) * c)
        self.part = "loss"
        self.kernel("global_sum", 4 * n)
        self.kernel("copy from the GPU")

    def update(self):
        p = self.parameters()
        self.phase, self.part = "clip", "clip"
        self.kernel("memset")
        self.kernel("global_norm_squared", 2 * p)
        self.kernel("global_sum")
        self.kernel("copy from the GPU")
        self.phase, self.part = "update", "AdamW"
        for i in range(16):                               # a launch for all layers' tensors of a kind
            self.kernel("adamw", 28 * p / 16)
