"""The formulas of every family in numpy, with caches: the logits that a file of any format is compared with.

Independent of the project's own code: a checkpoint's configuration and tensors are read here, as Hugging Face's
Transformers define them. Everything is float32. `weights` may be replaced before the first call, for example by those
that a quantized file stores.
"""

import json
import math
import struct

import numpy

F32 = numpy.float32


def read_safetensors(path):
    """The tensors of a file, as float32."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            numbers = (numpy.frombuffer(raw[start:end], "<u2").astype(numpy.uint32) << 16).view(F32)
        else:
            numbers = numpy.frombuffer(raw[start:end], {"F16": "<f2", "F32": "<f4"}[entry["dtype"]]).astype(F32)
        found[name] = numbers.reshape(entry["shape"])
    return found


def silu(x):
    return x / (1 + numpy.exp(-x))


def gelu_tanh(x):
    return (0.5 * x * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))).astype(F32)


def capped(x, cap):
    return cap * numpy.tanh(x / cap) if cap else x


def yarn(frequencies, scaling, theta, n_dims):
    """Frequencies of YaRN, and its factor on cosine and sine."""
    factor, original = scaling["factor"], scaling["original_max_position_embeddings"]

    def dimension(turns):
        return n_dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(dimension(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(dimension(scaling.get("beta_slow", 1))), n_dims - 1)
    ramp = (numpy.arange(n_dims // 2) - low) / (0.001 if low == high else high - low)
    kept = 1 - ramp.clip(0, 1)
    return frequencies / factor * (1 - kept) + frequencies * kept, 0.1 * math.log(factor) + 1


class Model:
    """A model of a checkpoint folder."""

    def __init__(self, folder):
        self.config = config = json.loads((folder / "config.json").read_text())
        architecture = config["architectures"][0].removesuffix("ForCausalLM")
        self.family = architecture.lower()
        self.weights = {}
        for path in sorted(folder.glob("*.safetensors")):
            self.weights |= read_safetensors(path)
        self.n_heads, self.n_kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim = config.get("head_dim") or config["hidden_size"] // self.n_heads
        self.n_layers = config["num_hidden_layers"]
        self.epsilon = config["norm_eps"] if self.family == "lfm2" else config["rms_norm_eps"]
        self.is_gemma = self.family.startswith("gemma")
        self.activation = gelu_tanh if self.is_gemma else silu
        self.reset()

    def reset(self):
        """Forgets all positions."""
        self.position = 0
        self.keys, self.values, self.columns = ({} for _ in range(3))

    def is_local(self, layer):
        """True for layers with a window, in families where only some have one."""
        if self.family == "gemma2":
            return layer % 2 == 0
        return (layer + 1) % self.config.get("sliding_window_pattern", 6) != 0

    def window(self, layer):
        if self.is_gemma:
            return self.config["sliding_window"] if self.is_local(layer) else None
        return self.config.get("sliding_window") if self.family in ("mistral", "phi3") else None

    def norm(self, x, name):
        weight = self.weights[name + ".weight"]
        scaled = x / numpy.sqrt((x * x).mean(-1, keepdims=True, dtype=F32) + F32(self.epsilon))
        return (scaled * (1 + weight if self.is_gemma else weight)).astype(F32)

    def linear(self, x, name):
        product = x @ self.weights[name + ".weight"].T
        bias = self.weights.get(name + ".bias")
        return product if bias is None else product + bias

    def frequencies(self, layer, length):
        """Radians per position, and the factor on cosine and sine."""
        config, scaling = self.config, self.config.get("rope_scaling") or {}
        theta, kind = config["rope_theta"], scaling.get("rope_type", scaling.get("type"))
        if self.family == "gemma3" and self.is_local(layer):
            theta, kind = config["rope_local_base_freq"], None
        n_dims = int(self.head_dim * config.get("partial_rotary_factor", 1.0))
        plain = theta ** (-numpy.arange(0, n_dims, 2, dtype=numpy.float64) / n_dims)
        if kind == "linear":
            return plain / scaling["factor"], 1.0
        if kind == "yarn":
            return yarn(plain, scaling, theta, n_dims)
        if kind == "llama3":
            original = scaling["original_max_position_embeddings"]
            low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
            turns = original * plain / (2 * math.pi)
            smooth = ((turns - low) / (high - low)).clip(0, 1)
            return plain * ((1 - smooth) / scaling["factor"] + smooth), 1.0
        if kind == "longrope":
            original = config["original_max_position_embeddings"]
            divisors = scaling["long_factor" if length > original else "short_factor"]
            ratio = config["max_position_embeddings"] / original
            return plain / numpy.array(divisors), math.sqrt(1 + math.log(ratio) / math.log(original))
        return plain, 1.0

    def rotated(self, x, layer):
        if self.family == "smollm3" and not self.config["no_rope_layers"][layer]:
            return x
        frequencies, factor = self.frequencies(layer, self.position + len(x))
        angles = numpy.arange(self.position, self.position + len(x))[:, None, None] * frequencies
        cosines, sines = (numpy.cos(angles) * factor).astype(F32), (numpy.sin(angles) * factor).astype(F32)
        half = len(frequencies)
        a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        return numpy.concatenate([a * cosines - b * sines, b * cosines + a * sines, rest], -1)

    def attention(self, x, layer, prefix):
        n = len(x)
        if f"{prefix}.qkv_proj.weight" in self.weights:
            splits = [self.n_heads * self.head_dim, (self.n_heads + self.n_kv_heads) * self.head_dim]
            q, k, v = numpy.split(self.linear(x, f"{prefix}.qkv_proj"), splits, -1)
        else:
            q, k, v = (self.linear(x, f"{prefix}.{name}_proj") for name in "qkv")
        if self.family == "olmo2":
            q, k = self.norm(q, f"{prefix}.q_norm"), self.norm(k, f"{prefix}.k_norm")
        q, k, v = (rows.reshape(n, -1, self.head_dim) for rows in (q, k, v))
        for of_q, of_k in [("q_norm", "k_norm"), ("q_layernorm", "k_layernorm")]:
            if self.family != "olmo2" and f"{prefix}.{of_q}.weight" in self.weights:
                q, k = self.norm(q, f"{prefix}.{of_q}"), self.norm(k, f"{prefix}.{of_k}")
        q, k = self.rotated(q, layer), self.rotated(k, layer)
        if layer in self.keys:
            k, v = numpy.concatenate([self.keys[layer], k]), numpy.concatenate([self.values[layer], v])
        self.keys[layer], self.values[layer] = k, v
        rows, columns = numpy.arange(self.position, self.position + n)[:, None], numpy.arange(len(k))
        seen = columns <= rows
        if self.window(layer):
            seen &= columns > rows - self.window(layer)
        config = self.config
        scale = config["query_pre_attn_scalar"] ** -0.5 if self.is_gemma else self.head_dim**-0.5
        scale = config.get("attention_multiplier", scale)
        scores = numpy.einsum("tkgd,skd->kgts", q.reshape(n, self.n_kv_heads, -1, self.head_dim), k) * F32(scale)
        scores = numpy.where(seen, capped(scores, config.get("attn_logit_softcapping")), F32(-numpy.inf))
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = numpy.einsum("kgts,skd->tkgd", weights, v).reshape(n, -1)
        return self.linear(mixed, f"{prefix}.out_proj" if self.family == "lfm2" else f"{prefix}.o_proj")

    def convolution(self, x, layer, prefix):
        before, after, columns = numpy.split(self.linear(x, f"{prefix}.in_proj"), 3, -1)
        gated, kernel = before * columns, self.weights[f"{prefix}.conv.weight"][:, 0]
        n_before = kernel.shape[1] - 1
        past = self.columns.get(layer, numpy.zeros((n_before, gated.shape[1]), F32))
        all_columns = numpy.concatenate([past, gated])
        self.columns[layer] = all_columns[len(all_columns) - n_before :]
        mixed = sum(all_columns[i : i + len(x)] * kernel[:, i] for i in range(n_before + 1))
        return self.linear(after * mixed, f"{prefix}.out_proj")

    def feed_forward(self, x, prefix):
        if f"{prefix}.mlp.gate_up_proj.weight" in self.weights:
            gate, up = numpy.split(self.linear(x, f"{prefix}.mlp.gate_up_proj"), 2, -1)
        elif self.family == "lfm2":
            gate, up = (self.linear(x, f"{prefix}.feed_forward.{name}") for name in ("w1", "w3"))
        else:
            gate, up = (self.linear(x, f"{prefix}.mlp.{name}_proj") for name in ("gate", "up"))
        down = f"{prefix}.feed_forward.w2" if self.family == "lfm2" else f"{prefix}.mlp.down_proj"
        return self.linear(self.activation(gate) * up, down)

    def mixer(self, x, layer, prefix):
        if self.family == "lfm2" and self.config["layer_types"][layer] == "conv":
            return self.convolution(x, layer, f"{prefix}.conv")
        return self.attention(x, layer, f"{prefix}.self_attn")

    def layer(self, x, layer):
        prefix = f"model.layers.{layer}"
        same = lambda rows, _: rows
        before, after, before_ffn, after_ffn = ("input_layernorm", None, "post_attention_layernorm", None)
        if self.family == "lfm2":
            before, before_ffn = "operator_norm", "ffn_norm"
        elif self.family == "olmo2":
            before, after, before_ffn, after_ffn = None, "post_attention_layernorm", None, "post_feedforward_layernorm"
        elif self.is_gemma:
            after, before_ffn, after_ffn = (
                "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
            )
        norm = lambda rows, name: self.norm(rows, f"{prefix}.{name}") if name else same(rows, name)
        factor = F32(self.config.get("residual_multiplier", 1))
        x = x + factor * norm(self.mixer(norm(x, before), layer, prefix), after)
        return x + factor * norm(self.feed_forward(norm(x, before_ffn), prefix), after_ffn)

    def logits(self, ids):
        """The logits after each token; the tokens are appended to those of earlier calls."""
        config = self.config
        x = self.weights["model.embed_tokens.weight"][numpy.asarray(ids)]
        scale = math.sqrt(config["hidden_size"]) if self.is_gemma else config.get("embedding_multiplier", 1)
        x = x * F32(scale)
        for layer in range(self.n_layers):
            x = self.layer(x, layer)
        self.position += len(ids)
        x = self.norm(x, "model.embedding_norm" if self.family == "lfm2" else "model.norm")
        head = self.weights.get("lm_head.weight", self.weights["model.embed_tokens.weight"])
        return capped(x @ head.T / F32(config.get("logits_scaling", 1)), config.get("final_logit_softcapping"))

    def greedy(self, ids, n_tokens):
        """The most likely continuation."""
        self.reset()
        found, logits = [], self.logits(ids)[-1]
        for _ in range(n_tokens):
            found.append(int(logits.argmax()))
            logits = self.logits(found[-1:])[-1]
        return found
