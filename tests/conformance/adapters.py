"""Adds our adapter files to our F16 models in llama.cpp, and compares the next tokens with those of our merged models.

The two differ by rounding only: a merge rounds each weight, including the adapter, to F16 once; a separate adapter's F32
product is added to that of the F16 weight. The last check is that the adapter has any effect.

usage: adapters.py MC WORK_FOLDER
"""

import json
import pathlib
import random
import shutil
import sys

import xllamacpp

from llama_cpp import mc, post, prompts, server
from make_family import N_EXPERTS, tensors, write, write_weights

N_PROMPTS = 12
N_TOKENS = 8
N_TOP, N_COMPARED = 64, 8
# Maximum difference between a log-probability of the model with its adapter and that of the merged model, and minimum
# of the largest difference of either from the base alone.
BOUND, EFFECT = 0.05, 0.5
RANK, ALPHA = 4, 16
# Checkpoints with random weights: with experts, and with an LM head of its own.
NOISE = ["mistral", "mixtral", "qwen3-moe"]


def write_adapter(name, checkpoint, folder):
    """An adapter of every matrix, including experts, router, embedding and head. Rank-stabilised, with another alpha for one
    kind of projection: scales that llama.cpp does not support."""
    folder.mkdir()
    config = json.loads((checkpoint / "config.json").read_text())
    listed = []
    for weight, shape, is_norm in tensors(name, config):
        module = f"base_model.model.{weight.removesuffix('.weight')}"
        if is_norm:
            continue
        rows, columns = shape
        if module.endswith("embed_tokens"):
            listed += [(f"{module}.lora_embedding_A", [RANK, rows], False), (f"{module}.lora_embedding_B", [columns, RANK], False)]
        else:
            listed += [(f"{module}.lora_A.weight", [RANK, columns], False), (f"{module}.lora_B.weight", [rows, RANK], False)]
    write_weights(folder / "adapter_model.safetensors", listed, random.Random(f"{name} adapter"))
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": name,
        "r": RANK,
        "lora_alpha": ALPHA,
        "use_rslora": True,
        "alpha_pattern": {"k_proj": 2 * ALPHA},
        "target_modules": sorted({module.removesuffix(".weight").split(".")[-2] for module, _, _ in listed}),
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def use_all_experts(path):
    """So that no rounding decides which experts are chosen: between two of them the difference would be large."""
    config = json.loads(path.read_text())
    if "num_experts_per_tok" in config:
        path.write_text(json.dumps(config | {"num_experts_per_tok": N_EXPERTS}))


def make_workspace(folder):
    package = folder / "m"
    package.mkdir(parents=True)
    shutil.copytree("models/base", package / "demo")
    shutil.copytree("models/adapter", package / "demo-adapter")
    targets = []
    for name in NOISE:
        write(name, package / name, sharp=())
        use_all_experts(package / name / "config.json")
        write_adapter(name, package / name, package / f"{name}-adapter")
    for name in ["demo", *NOISE]:
        targets.append(
            f'checkpoint "{name}" dir="{name}"\n'
            f'adapter "{name}-adapter" dir="{name}-adapter" base=":{name}" any-base=#true\n'
            f'merge "{name}-merged" {{ base ":{name}"; adapter ":{name}-adapter" }}\n'
            f'gguf "{name}-f16" {{ model ":{name}"; quantize "F16" }}\n'
            f'gguf "{name}-merged-f16" {{ model ":{name}-merged"; quantize "F16" }}\n'
            f'adapter-gguf "{name}-lora" {{ adapter ":{name}-adapter" }}\n'
        )
    (package / "package.kdl").write_text("".join(targets))
    (folder / "workspace.kdl").write_text('workspace "adapters"\n')


def adapted(base, adapter):
    """llama.cpp with a model and a separate adapter."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(base)
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.warmup = False
    lora = xllamacpp.CommonAdapterLoraInfo()
    lora.path, lora.scale = str(adapter), 1.0
    parameters.lora_adapters = [lora]
    return xllamacpp.Server(parameters)


def answers(llama, texts):
    """For each text the greedy tokens, and the likeliest first ones: {id: log-probability}. If the first token is a part of
    a character, llama.cpp lists none."""
    found = []
    for text in texts:
        ask = {"prompt": text, "n_predict": N_TOKENS, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
        tokens = post(llama, "completion", ask | {"return_tokens": True})["tokens"]
        first = post(llama, "completion", ask | {"n_predict": 1, "n_probs": N_TOP})
        top = first["completion_probabilities"][0]["top_logprobs"] if "completion_probabilities" in first else []
        found.append((tokens, {token["id"]: token["logprob"] for token in top}))
    return found


def difference(one, other):
    """The largest difference over the likeliest tokens of `one`; a token missing in `other` is less likely than all of its."""
    least = min(other.values())
    return max(abs(one[token] - other.get(token, least)) for token in list(one)[:N_COMPARED])


def compare(name, files, texts):
    base, merged, lora = files[f"{name}-f16"], files[f"{name}-merged-f16"], files[f"{name}-lora"]
    merged, both, alone = answers(server(merged), texts), answers(adapted(base, lora), texts), answers(server(base), texts)
    listed = [(ours[1], theirs[1], base[1]) for ours, theirs, base in zip(both, merged, alone) if ours[1] and theirs[1] and base[1]]
    worst = max(difference(ours, theirs) for ours, theirs, _ in listed)
    effect = max(difference(ours, base) for ours, _, base in listed)
    n_equal = sum(ours[0] == theirs[0] for ours, theirs in zip(both, merged))
    # With random weights two tokens are often almost equally likely, so the texts diverge.
    is_same = n_equal == len(texts) or name in NOISE and 2 * len(listed) >= len(texts)
    ok = worst <= BOUND and effect >= EFFECT and is_same
    print(
        f"{name}: llama.cpp adds {lora.name}; {N_TOKENS} greedy tokens equal the merged model's for {n_equal} of {len(texts)} "
        f"prompts, largest difference of a log-probability after {len(listed)} of them {worst:.4f} (bound {BOUND}), to the "
        f"base alone {effect:.2f} (at least {EFFECT}): {'ok' if ok else 'FAILED'}"
    )
    return ok


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "adapters"
    make_workspace(folder)
    built = mc(binary, work, "--workspace", str(folder), "build", "//m:all")
    files = {}
    for target in built["targets"]:
        if not target["outputs"]:
            continue
        directory = pathlib.Path(target["directory"])
        files |= {directory.name: directory / output["path"] for output in target["outputs"]}
    texts = prompts()[:N_PROMPTS]
    results = [compare(name, files, texts) for name in ["demo", *NOISE]]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
