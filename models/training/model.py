"""The Llama architecture in plain PyTorch, with Hugging Face's names for the weights, and LoRA around it."""

import math

import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 768,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 8,
    "num_hidden_layers": 4,
    "num_key_value_heads": 4,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.57.6",
    "use_cache": True,
}


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, CONFIG["rms_norm_eps"])


class Linear(nn.Linear):
    """A projection without bias; `attach` adds a low-rank update beside it."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, bias=False)
        self.lora_A = self.lora_B = None
        self.scale = 0.0

    def attach(self, rank, alpha):
        self.weight.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(rank, self.in_features))
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x):
        out = F.linear(x, self.weight)
        if self.lora_A is not None:
            out = out + F.linear(F.linear(x, self.lora_A), self.lora_B) * self.scale
        return out


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.n_heads, self.n_kv, self.dim = 8, 4, 32
        self.q_proj = Linear(width, self.n_heads * self.dim)
        self.k_proj = Linear(width, self.n_kv * self.dim)
        self.v_proj = Linear(width, self.n_kv * self.dim)
        self.o_proj = Linear(self.n_heads * self.dim, width)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        heads = lambda y, n: y.view(batch, length, n, self.dim).transpose(1, 2)
        q = rotate(heads(self.q_proj(x), self.n_heads), cos, sin)
        k = rotate(heads(self.k_proj(x), self.n_kv), cos, sin)
        v = heads(self.v_proj(x), self.n_kv)
        k, v = (y.repeat_interleave(self.n_heads // self.n_kv, dim=1) for y in (k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))


class FeedForward(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.gate_proj, self.up_proj = Linear(width, hidden), Linear(width, hidden)
        self.down_proj = Linear(hidden, width)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(width), Norm(width)
        self.self_attn, self.mlp = Attention(width), FeedForward(width, hidden)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, n_vocabulary):
        super().__init__()
        width = CONFIG["hidden_size"]
        self.embed_tokens = nn.Embedding(n_vocabulary, width)
        self.layers = nn.ModuleList(
            Block(width, CONFIG["intermediate_size"]) for _ in range(CONFIG["num_hidden_layers"])
        )
        self.norm = Norm(width)


class Llama(nn.Module):
    def __init__(self, n_vocabulary):
        super().__init__()
        self.model = Body(n_vocabulary)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * len(self.model.layers)) if deep else 1))
        frequencies = CONFIG["rope_theta"] ** (-torch.arange(0, 32, 2) / 32)
        angles = torch.outer(torch.arange(CONFIG["max_position_embeddings"]), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def hidden(self, tokens, mask=None):
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        x = self.model.embed_tokens(tokens)
        for block in self.model.layers:
            x = block(x, cos, sin, mask)
        return self.model.norm(x)

    def forward(self, tokens, mask=None):
        return F.linear(self.hidden(tokens, mask), self.model.embed_tokens.weight)

    def projections(self):
        """(name, projection) of the seven linear layers of each block."""
        return [(name, module) for name, module in self.named_modules() if isinstance(module, Linear)]

    def round_to_bf16(self):
        """Rounds every weight to what bf16 can hold, so that what follows builds on what is shipped."""
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(weight.bfloat16().float())
