"""Exports gpt.onnx: a character-level GPT in nanoGPT's form (Karpathy, github.com/karpathy/nanoGPT, model.py).

    python examples/shakespeare/export.py        # needs torch and onnxscript

4 layers, 4 heads, 128 wide, context 64, vocabulary 65, no dropout, no bias in linear layers and LayerNorm, head tied to the
token embedding, exact GELU. The weights are nanoGPT's initial values under a fixed seed: normal 0.02, residual projections scaled by
1 / sqrt(2 * layers). The batch axis stays dynamic: Starling fixes it at import.
"""

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

SEED = 1337
VOCABULARY, CONTEXT, LAYERS, HEADS, WIDTH = 65, 64, 4, 4, 128


class LayerNorm(nn.Module):
    """LayerNorm with a gain and no bias, as nanoGPT's with `bias=False`."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return functional.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.c_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.register_buffer("bias", torch.tril(torch.ones(CONTEXT, CONTEXT)).view(1, 1, CONTEXT, CONTEXT))

    def forward(self, x):
        batch, time, width = x.size()
        q, k, v = self.c_attn(x).split(WIDTH, dim=2)
        q = q.view(batch, time, HEADS, width // HEADS).transpose(1, 2)
        k = k.view(batch, time, HEADS, width // HEADS).transpose(1, 2)
        v = v.view(batch, time, HEADS, width // HEADS).transpose(1, 2)
        attention = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        attention = attention.masked_fill(self.bias[:, :, :time, :time] == 0, float("-inf"))
        attention = functional.softmax(attention, dim=-1)
        y = (attention @ v).transpose(1, 2).contiguous().view(batch, time, width)
        return self.c_proj(y)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        return self.c_proj(functional.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = LayerNorm(), CausalSelfAttention(), LayerNorm(), Mlp()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """[batch, 64] token ids -> [batch, 64, 65] logits of the next token."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, WIDTH)
        self.wpe = nn.Embedding(CONTEXT, WIDTH)
        self.h = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.ln_f = LayerNorm()
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.wte.weight = self.lm_head.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                residual = name.endswith("c_proj.weight")
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)

    def forward(self, tokens):
        positions = torch.arange(0, tokens.size(1), dtype=torch.long)
        x = self.wte(tokens) + self.wpe(positions)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


if __name__ == "__main__":
    torch.manual_seed(SEED)
    program = torch.onnx.export(
        Gpt().eval(),
        (torch.zeros(2, CONTEXT, dtype=torch.long),),
        input_names=["tokens"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        optimize=False,  # the optimizer merges equal tensors and transposes weights: names and ties would be lost
        verbose=False,
    )
    for node in program.model.graph:
        node.metadata_props.clear()  # PyTorch's stack traces name the folders of whoever exported
    program.save(Path(__file__).with_name("gpt.onnx"), external_data=False)
