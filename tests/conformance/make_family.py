"""Small checkpoints of every family with random weights, for testing converters and loaders.

Byte-level families get the demo's vocabulary with the family's own pre-tokenizer, the others a SentencePiece model of
bytes and a few words, written here field by field. Python's standard library suffices.
"""

import json
import pathlib
import random
import struct

DEMO = pathlib.Path("models/base")
N_BYTE_PAIR_TOKENS = 4096
HIDDEN, FEED_FORWARD, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 128, 192, 4, 4, 2, 32
N_EXPERTS, N_USED, EXPERT_WIDTH = 8, 2, 96
# The high byte of a bfloat16 has the sign and most of the exponent: magnitudes around 0.05.
HIGH_BYTES = bytes(byte | sign for byte in (0x3D, 0x3C, 0x3D, 0x3C) for sign in (0, 0x80) for _ in range(32))
# Four times as large, for query, key and router matrices: attention then distinguishes positions.
SHARP_BYTES = bytes(byte + 1 for byte in HIGH_BYTES)
SHARP = ("q_proj.weight", "k_proj.weight", "qkv_proj.weight", ".gate.weight")
# Norms are between 0.88 and 1.25.
NORM_LOW_BYTES = bytes(0x60 + byte // 4 for byte in range(256))

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

COMMON = {
    "attention_bias": False,
    "bos_token_id": 4091,
    "eos_token_id": 4095,
    "head_dim": HEAD_DIM,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "intermediate_size": FEED_FORWARD,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": N_BYTE_PAIR_TOKENS,
}
GEMMA = {"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": HEAD_DIM, "sliding_window": 32, "tie_word_embeddings": True}
EXPERTS = {"num_experts_per_tok": N_USED}


def longrope(n_pairs):
    long, short = ([1 + step * pair for pair in range(n_pairs)] for step in (0.5, 0.01))
    return {"type": "longrope", "long_factor": long, "short_factor": short}



# Name: architecture, differences from COMMON, kind of vocabulary.
FAMILIES = {
    "llama": ("LlamaForCausalLM", {"tie_word_embeddings": True}, "bytes"),
    "llama-3": (
        "LlamaForCausalLM",
        {
            "rope_theta": 500000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 256,
            },
        },
        "bytes",
    ),
    "llama-biases": ("LlamaForCausalLM", {"attention_bias": True, "rope_scaling": {"type": "linear", "factor": 2.0}}, "bytes"),
    "mistral": ("MistralForCausalLM", {"sliding_window": None}, "pieces"),
    "mixtral": ("MixtralForCausalLM", EXPERTS | {"num_local_experts": N_EXPERTS, "sliding_window": None}, "pieces"),
    "qwen2": ("Qwen2ForCausalLM", {"use_sliding_window": False}, "bytes"),
    "qwen2-yarn": (
        "Qwen2ForCausalLM",
        {
            "use_sliding_window": False,
            "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        },
        "bytes",
    ),
    "qwen3": ("Qwen3ForCausalLM", {"tie_word_embeddings": True}, "bytes"),
    "qwen3-moe": (
        "Qwen3MoeForCausalLM",
        EXPERTS
        | {
            "num_experts": N_EXPERTS,
            "moe_intermediate_size": EXPERT_WIDTH,
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        },
        "bytes",
    ),
    "gemma2": ("Gemma2ForCausalLM", GEMMA | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 2.0}, "pieces"),
    "gemma3": (
        "Gemma3ForCausalLM",
        GEMMA
        | {
            "num_hidden_layers": 7,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "rope_theta": 1000000.0,
            "sliding_window_pattern": 6,
        },
        "pieces",
    ),
    "phi3": (
        "Phi3ForCausalLM",
        {
            "num_key_value_heads": HEADS,
            "original_max_position_embeddings": 256,
            "rope_scaling": longrope(16),
            # llama.cpp does not support a window for this architecture; ours is longer than the prompts.
            "sliding_window": 512,
        },
        "pieces",
    ),
    "phi3-long": (
        "Phi3ForCausalLM",
        {
            "original_max_position_embeddings": 32,
            "partial_rotary_factor": 0.75,
            "rope_scaling": longrope(12),
            "sliding_window": None,
            "tie_word_embeddings": True,
        },
        "pieces",
    ),
    "smollm3": ("SmolLM3ForCausalLM", {"tie_word_embeddings": True, "no_rope_layers": [1, 1, 1, 0]}, "bytes"),
    "lfm2": (
        "Lfm2ForCausalLM",
        {
            "block_auto_adjust_ff_dim": False,
            "conv_L_cache": 3,
            "conv_bias": False,
            "layer_types": ["conv", "full_attention", "conv", "full_attention"],
            "norm_eps": 1e-05,
            "tie_word_embeddings": True,
        },
        "bytes",
    ),
    "granite": (
        "GraniteForCausalLM",
        {"attention_multiplier": 0.1, "embedding_multiplier": 12.0, "logits_scaling": 0.5, "residual_multiplier": 0.22},
        "bytes",
    ),
    "olmo2": ("Olmo2ForCausalLM", {}, "bytes"),
}
# Values of `model_type` that are not the name of the architecture in lower case.
MODEL_TYPES = {"Gemma3ForCausalLM": "gemma3_text", "Qwen3MoeForCausalLM": "qwen3_moe"}
# Families whose pre-tokenizers differ from that of Llama 3.
EXPRESSIONS = {"qwen2": QWEN2, "qwen2-yarn": QWEN2, "qwen3": QWEN2, "qwen3-moe": QWEN2}


def tensors(name, config):
    """Each tensor's name, shape, and whether it is a norm."""
    model = "model"
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    queries, keys = config["num_attention_heads"] * HEAD_DIM, config["num_key_value_heads"] * HEAD_DIM
    yield f"{model}.embed_tokens.weight", [vocabulary, hidden], False
    for layer in range(config["num_hidden_layers"]):
        yield from block(name, f"{model}.layers.{layer}", layer, config, hidden, queries, keys)
    yield f"{model}.{'embedding_norm' if name == 'lfm2' else 'norm'}.weight", [hidden], True
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", [vocabulary, hidden], False


def block(name, prefix, layer, config, hidden, queries, keys):
    width = config["intermediate_size"]
    norms = {
        "lfm2": ["operator_norm", "ffn_norm"],
        "olmo2": ["post_attention_layernorm", "post_feedforward_layernorm"],
        "gemma2": ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"],
    }
    norms["gemma3"] = norms["gemma2"]
    for norm in norms.get(name, ["input_layernorm", "post_attention_layernorm"]):
        yield f"{prefix}.{norm}.weight", [hidden], True
    if name == "lfm2" and config["layer_types"][layer] == "conv":
        yield f"{prefix}.conv.in_proj.weight", [3 * hidden, hidden], False
        yield f"{prefix}.conv.conv.weight", [hidden, 1, config["conv_L_cache"]], False
        yield f"{prefix}.conv.out_proj.weight", [hidden, hidden], False
    else:
        yield from attention(name, f"{prefix}.self_attn", config, hidden, queries, keys)
    if name == "lfm2":
        for projection, shape in [("w1", [width, hidden]), ("w3", [width, hidden]), ("w2", [hidden, width])]:
            yield f"{prefix}.feed_forward.{projection}.weight", shape, False
    elif name.startswith("phi3"):
        yield f"{prefix}.mlp.gate_up_proj.weight", [2 * width, hidden], False
        yield f"{prefix}.mlp.down_proj.weight", [hidden, width], False
    elif name in ("mixtral", "qwen3-moe"):
        yield from experts(name, prefix, width if name == "mixtral" else EXPERT_WIDTH, hidden)
    else:
        for projection, shape in [("gate", [width, hidden]), ("up", [width, hidden]), ("down", [hidden, width])]:
            yield f"{prefix}.mlp.{projection}_proj.weight", shape, False


def attention(name, prefix, config, hidden, queries, keys):
    out = "out_proj" if name == "lfm2" else "o_proj"
    if name.startswith("phi3"):
        yield f"{prefix}.qkv_proj.weight", [queries + 2 * keys, hidden], False
    else:
        for projection, rows in [("q", queries), ("k", keys), ("v", keys)]:
            yield f"{prefix}.{projection}_proj.weight", [rows, hidden], False
            if name.startswith("qwen2") or config["attention_bias"]:
                yield f"{prefix}.{projection}_proj.bias", [rows], False
    yield f"{prefix}.{out}.weight", [hidden, queries], False
    if config["attention_bias"]:
        yield f"{prefix}.{out}.bias", [hidden], False
    if name in ("qwen3", "qwen3-moe", "gemma3", "olmo2"):
        whole = name == "olmo2"
        yield f"{prefix}.q_norm.weight", [queries if whole else HEAD_DIM], True
        yield f"{prefix}.k_norm.weight", [keys if whole else HEAD_DIM], True
    if name == "lfm2":
        yield f"{prefix}.q_layernorm.weight", [HEAD_DIM], True
        yield f"{prefix}.k_layernorm.weight", [HEAD_DIM], True


def experts(name, prefix, width, hidden):
    module = "block_sparse_moe" if name == "mixtral" else "mlp"
    gate, up, down = ("w1", "w3", "w2") if name == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    yield f"{prefix}.{module}.gate.weight", [N_EXPERTS, hidden], False
    for expert in range(N_EXPERTS):
        for projection, shape in [(gate, [width, hidden]), (up, [width, hidden]), (down, [hidden, width])]:
            yield f"{prefix}.{module}.experts.{expert}.{projection}.weight", shape, False


def write_weights(path, listed, generator, less_1=False, sharp=()):
    """Writes tensors. `less_1`: norms are stored as they are if 1 is added to them later; names that end in `sharp` get larger
    numbers."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in listed:
        count = 1
        for dimension in shape:
            count *= dimension
        start, end = end, end + 2 * count
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, _, is_norm in listed:
            start, end = header[name]["data_offsets"]
            count = (end - start) // 2
            numbers = bytearray(2 * count)
            low, high = generator.randbytes(count), generator.randbytes(count)
            if is_norm and not less_1:
                low, high = low.translate(NORM_LOW_BYTES), b"\x3f" * count
            else:
                high = high.translate(SHARP_BYTES if name.endswith(sharp) else HIGH_BYTES)
            numbers[0::2], numbers[1::2] = low, high
            file.write(numbers)


def write_bytes_vocabulary(folder, expression):
    tokenizer = json.loads((DEMO / "tokenizer.json").read_text())
    if expression:
        tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = expression
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text((DEMO / "tokenizer_config.json").read_text())


def field(number, value):
    """A field of a protocol buffer: string, float or integer."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def varint(value):
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes(digits) + bytes([value])


def pieces():
    """Text, score and type (1 normal, 2 unknown, 3 control, 6 byte) of each piece."""
    yield "<unk>", 0.0, 2
    yield "<s>", 0.0, 3
    yield "</s>", 0.0, 3
    # llama.cpp looks this piece up by its text in Phi's vocabularies.
    yield "<|endoftext|>", 0.0, 3
    for byte in range(256):
        yield f"<0x{byte:02X}>", 0.0, 6
    words = ["▁", "▁t", "he", "▁the", "in", "▁a", "er", "nd", "▁and", "ou", "▁you", "ar", "▁ar", "▁are", "re", "th"]
    letters = [chr(code) for code in range(33, 127)] + list("äöüß€中文")
    for rank, text in enumerate(words + letters):
        yield text, -float(rank), 1


def write_pieces_vocabulary(folder):
    """Writes `tokenizer.model`; returns the number of its pieces."""
    listed = list(pieces())
    model = b"".join(field(1, field(1, text.encode()) + field(2, score) + field(3, kind)) for text, score, kind in listed)
    # Byte pairs, with bytes for unlisted characters; the ids of unknown, BOS and EOS.
    trainer = field(3, 2) + field(4, len(listed)) + field(35, 1) + field(40, 0) + field(41, 1) + field(42, 2)
    model += field(2, trainer) + field(3, field(1, b"identity") + field(3, 1) + field(4, 0) + field(5, 1))
    (folder / "tokenizer.model").write_bytes(model)
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(listed)


def write(name, folder, sharp=SHARP):
    """Writes the checkpoint of a family into a new folder. Without `sharp`, rounding errors grow less."""
    architecture, changes, vocabulary = FAMILIES[name]
    folder.mkdir(parents=True)
    model_type = MODEL_TYPES.get(architecture, architecture.removesuffix("ForCausalLM").lower())
    config = COMMON | changes | {"architectures": [architecture], "model_type": model_type}
    if name.startswith("phi3"):
        # Its heads divide the hidden width evenly, and no key states the head size.
        del config["head_dim"]
    if vocabulary == "pieces":
        config |= {"vocab_size": write_pieces_vocabulary(folder), "bos_token_id": 1, "eos_token_id": 2}
    else:
        write_bytes_vocabulary(folder, EXPRESSIONS.get(name))
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    listed, less_1 = list(tensors(name, config)), name.startswith("gemma")
    write_weights(folder / "model.safetensors", listed, random.Random(name), less_1, sharp)
