"""Writes a workspace with a synthetic Llama of 1.2 or 3.2 billion parameters and a LoRA adapter for it.

The shapes are those of Llama 3.2 1B and 3B; the numbers come from a generator with a fixed seed. The model is not
trained: the files are for measuring memory only. Python's standard library suffices.

Usage: make_workspace.py FOLDER [1b|3b]
"""

import json
import pathlib
import random
import struct
import sys

SIZES = {"1b": (2048, 16, 32, 8, 64, 8192), "3b": (3072, 28, 24, 8, 128, 8192)}
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FEED_FORWARD = SIZES[sys.argv[2] if len(sys.argv) > 2 else "1b"]
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
PLAIN_TOKENS = 128_000
VOCABULARY = 128_256
RANK = 16
SHARDS = 4

DEMO = pathlib.Path(__file__).parents[2] / "models" / "base"

# The high byte of a bfloat16 has the sign and all but one bit of the exponent. These give magnitudes around 0.01,
# distributed roughly like a normal distribution.
HIGH_BYTES = bytes(
    byte | sign for byte, count in [(0x3C, 76), (0x3B, 38), (0x3A, 10), (0x39, 4)] for sign in (0, 0x80) for _ in range(count)
)

PROJECTIONS = [
    ("self_attn.q_proj", HEADS * HEAD_DIM, HIDDEN),
    ("self_attn.k_proj", KV_HEADS * HEAD_DIM, HIDDEN),
    ("self_attn.v_proj", KV_HEADS * HEAD_DIM, HIDDEN),
    ("self_attn.o_proj", HIDDEN, HEADS * HEAD_DIM),
    ("mlp.gate_proj", FEED_FORWARD, HIDDEN),
    ("mlp.up_proj", FEED_FORWARD, HIDDEN),
    ("mlp.down_proj", HIDDEN, FEED_FORWARD),
]


def weights(generator, count):
    """`count` bfloat16 numbers, a few megabytes at a time."""
    while count:
        n = min(count, 1 << 21)
        numbers = bytearray(2 * n)
        numbers[0::2] = generator.randbytes(n)
        numbers[1::2] = generator.randbytes(n).translate(HIGH_BYTES)
        yield numbers
        count -= n


def ones(count):
    yield b"\x80\x3f" * count


def base_tensors():
    """Name, shape, and whether the tensor is a norm, in the order of the layers."""
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN], False
    for layer in range(LAYERS):
        for name, rows, columns in PROJECTIONS:
            yield f"model.layers.{layer}.{name}.weight", [rows, columns], False
        for name in ["input_layernorm", "post_attention_layernorm"]:
            yield f"model.layers.{layer}.{name}.weight", [HIDDEN], True
    yield "model.norm.weight", [HIDDEN], True


def adapter_tensors():
    for layer in range(LAYERS):
        for name, rows, columns in PROJECTIONS:
            module = f"base_model.model.model.layers.{layer}.{name}"
            yield f"{module}.lora_A.weight", [RANK, columns], False
            yield f"{module}.lora_B.weight", [rows, RANK], False


def count(shape):
    n = 1
    for dimension in shape:
        n *= dimension
    return n


def write_safetensors(path, tensors, generator):
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in tensors:
        start, end = end, end + 2 * count(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, is_norm in tensors:
            for part in ones(count(shape)) if is_norm else weights(generator, count(shape)):
                file.write(part)


def write_base(folder):
    folder.mkdir(parents=True)
    generator = random.Random(1)
    shards = [[] for _ in range(SHARDS)]
    n_bytes, total = 0, sum(2 * count(shape) for _, shape, _ in base_tensors())
    for tensor in base_tensors():
        shards[n_bytes * SHARDS // total].append(tensor)
        n_bytes += 2 * count(tensor[1])
    places = {}
    for index, tensors in enumerate(shards, 1):
        name = f"model-{index:05}-of-{SHARDS:05}.safetensors"
        write_safetensors(folder / name, tensors, generator)
        places.update({tensor[0]: name for tensor in tensors})
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": PLAIN_TOKENS,
        "eos_token_id": PLAIN_TOKENS + 4,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "max_position_embeddings": 131_072,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
        "rope_theta": 500_000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": VOCABULARY,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    write_tokenizer(folder)


def write_tokenizer(folder):
    """The demo's tokenizer, extended to the vocabulary size of Llama 3."""
    tokenizer = json.loads((DEMO / "tokenizer.json").read_text())
    alphabet = sorted(token for token in tokenizer["model"]["vocab"] if len(token) == 1)
    tokens, known, merges = list(alphabet), set(alphabet), []
    generator = random.Random(2)
    while len(tokens) < PLAIN_TOKENS:
        left, right = generator.choice(tokens), generator.choice(tokens)
        if len(left + right) <= 12 and left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
            merges.append([left, right])
    tokenizer["model"]["vocab"] = {token: index for index, token in enumerate(tokens)}
    tokenizer["model"]["merges"] = merges
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    contents = SPECIAL + [f"<|reserved_{index}|>" for index in range(VOCABULARY - PLAIN_TOKENS - len(SPECIAL))]
    tokenizer["added_tokens"] = [
        {"id": PLAIN_TOKENS + index, "content": content} | added for index, content in enumerate(contents)
    ]
    text = json.dumps(tokenizer)
    # The template that prepends the BOS token refers to it by id.
    begin = json.loads((DEMO / "config.json").read_text())["bos_token_id"]
    text = text.replace(f'"ids": [{begin}]', f'"ids": [{PLAIN_TOKENS}]')
    (folder / "tokenizer.json").write_text(text)
    config = json.loads((DEMO / "tokenizer_config.json").read_text())
    config.pop("added_tokens_decoder", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_adapter(folder):
    folder.mkdir(parents=True)
    write_safetensors(folder / "adapter_model.safetensors", list(adapter_tensors()), random.Random(3))
    config = {
        "base_model_name_or_path": "synthetic",
        "bias": "none",
        "lora_alpha": 32,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": [name.split(".")[1] for name, _, _ in PROJECTIONS],
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def main():
    root = pathlib.Path(sys.argv[1])
    write_base(root / "models" / "base")
    write_adapter(root / "models" / "adapter")
    (root / "workspace.kdl").write_text('workspace "memory"\n')
    (root / "models" / "package.kdl").write_text(
        'checkpoint "base" dir="base"\n'
        'adapter "adapter" dir="adapter" base=":base"\n'
        'model "synthetic" {\n    base ":base"\n    adapter ":adapter"\n    quantize "Q4_K_M"\n}\n'
        'gguf "converted" {\n    model ":base"\n    quantize "BF16"\n}\n'
        'merge "merged" {\n    base ":base"\n    adapter ":adapter"\n}\n'
        'gguf "merged-bf16" {\n    model ":merged"\n    quantize "BF16"\n}\n'
        'mlx "as-mlx" {\n    model ":merged"\n}\n'
        'onnx "as-onnx" {\n    model ":merged"\n}\n'
        'onnx "as-onnx-f16" {\n    model ":merged"\n    quantize "f16"\n}\n'
        'litert "as-litert" {\n    model ":merged"\n}\n'
    )


if __name__ == "__main__":
    main()
