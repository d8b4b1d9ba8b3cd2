"""Compares our MLX folders with those of mlx-lm: for a small checkpoint of every family, every tensor and the whole
configuration in several encodings. Then mlx-lm runs our folders; its log-probabilities and greedy tokens are compared
with those of `mc run` on the checkpoint.

The file is not called `mlx.py`, because Python would then import it in place of MLX.

usage: mlx_folders.py MC WORK_FOLDER
"""

import contextlib
import json
import pathlib
import random
import struct
import sys

import mlx.core as mx
import numpy
from mlx.utils import tree_map_with_path
from mlx_lm import utils
from mlx_lm.convert import mixed_quant_predicate_builder
from mlx_lm.generate import generate_step

from llama_cpp import mc
from make_family import FAMILIES, write

# Our word, and the arguments of mlx-lm's quantizer; `None` for no quantization.
ENCODINGS = {
    "bf16": None,
    "f16": None,
    "affine-4-g64": ("affine", 4, 64),
    "affine-3-g32": ("affine", 3, 32),
    "affine-8-g32": ("affine", 8, 32),
    "mxfp4": ("mxfp4", None, None),
    "mxfp8": ("mxfp8", None, None),
    "nvfp4": ("nvfp4", None, None),
    "mixed-4-6": ("affine", 4, 64),
}
# Rows of 96 columns, which groups of 64 do not divide: mlx-lm leaves them as they are, and we refuse them.
NARROW = {"qwen3-moe"}
# mlx-lm's mixtures need layers named `down_proj`.
UNMIXED = {"lfm2"}
# What the runtime computes differently, and how we are told to write the folder nevertheless.
SETTINGS = {"gemma2": 'allow "mlx::window"', "phi3": "short-context #true", "phi3-long": 'allow "mlx::short-factor"'}
N_PROMPT, N_TOKENS = 90, 16
# Within the window that mlx-lm ignores.
SHORT_PROMPTS = {"gemma2": 16}
# Maximum difference of a log-probability. mlx-lm rounds the factor on Gemma 3's embedding to bf16; the others differ by
# the order of sums.
BOUNDS = {"gemma2": 0.002, "gemma3": 0.002}
BOUND = 0.0002


def encodings(name):
    for word, arguments in ENCODINGS.items():
        is_narrow = name in NARROW and arguments and arguments[2] == 64
        if not is_narrow and not (word.startswith("mixed") and name in UNMIXED):
            yield word, arguments


def make_workspace(folder):
    targets = []
    for name in FAMILIES:
        write(name, folder / "m" / name)
        targets.append(f'checkpoint "{name}" dir="{name}"')
        words = [word for word, _ in encodings(name)] + ["f32"]
        for word in words:
            settings = SETTINGS.get(name, "")
            targets.append(f'mlx "{name}.{word}" {{ model ":{name}"; quantize "{word}"; {settings} }}')
    (folder / "m" / "package.kdl").write_text("\n".join(targets) + "\n")
    (folder / "workspace.kdl").write_text('workspace "mlx"\n')


def tensors(folder):
    """Every tensor of a folder: type, shape and bytes; and the metadata of its files."""
    found, metadata = {}, []
    for path in sorted(folder.glob("model*.safetensors")):
        content = path.read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + size])
        metadata.append(header.pop("__metadata__", None))
        for name, tensor in header.items():
            start, end = (8 + size + offset for offset in tensor["data_offsets"])
            found[name] = (tensor["dtype"], tensor["shape"], content[start:end])
    return found, metadata


def json_of(folder, name):
    return json.loads((folder / name).read_text())


def theirs(source, out, word, arguments):
    """The folder that `mlx_lm.convert` makes, without the tokenizer, which transformers would have to load."""
    model, config = utils.load_model(source, lazy=True)
    dtype = {"f16": mx.float16}.get(word)
    if dtype:
        model.update(tree_map_with_path(lambda _, value: value.astype(dtype), model.parameters()))
    if arguments:
        mode, n_bits, group = arguments
        mixture = word.replace("-", "_")
        predicate = mixed_quant_predicate_builder(mixture, model, group) if "mixed" in word else None
        model, config = utils.quantize_model(model, config, group, n_bits, mode=mode, quant_predicate=predicate)
    out.mkdir(parents=True)
    utils.save_model(out, model)
    utils.save_config(config, out / "config.json")


def differences(ours, other):
    """Everything in which two folders differ."""
    found, expected = tensors(ours), tensors(other)
    failed = [name for name in sorted(found[0].keys() | expected[0].keys()) if found[0].get(name) != expected[0].get(name)]
    failed += ["metadata"] if found[1] != expected[1] else []
    for name in ("config.json", "model.safetensors.index.json"):
        failed += [name] if json_of(ours, name) != json_of(other, name) else []
    return failed


def source_of(folder, work, name):
    """The checkpoint for mlx-lm, which does not load LFM2 without three keys that transformers leaves out, and takes other factors of Phi-3."""
    config = json_of(folder / "m" / name, "config.json")
    if name == "lfm2":
        config |= {"block_dim": config["hidden_size"], "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0}
    elif name == "phi3":
        config["rope_scaling"]["long_factor"] = config["rope_scaling"]["short_factor"]
    else:
        return folder / "m" / name
    changed = work / "mlx-sources" / name
    changed.mkdir(parents=True)
    for path in (folder / "m" / name).iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    (changed / "config.json").write_text(json.dumps(config))
    return changed


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=-1, keepdims=True))


def run(binary, work, folder, name, path):
    """Errors of a run of our folder, after a line with the results."""
    n_vocab = json_of(path, "config.json")["vocab_size"]
    ids = [random.Random(name).randrange(n_vocab // 8, n_vocab) for _ in range(SHORT_PROMPTS.get(name, N_PROMPT))]
    arguments = ["--ids", ",".join(map(str, ids)), "--prompt-logprobs", "--top", "20", "--ignore-end"]
    arguments += ["--max-tokens", str(N_TOKENS)]
    answer = mc(binary, work, "--workspace", str(folder), "run", f"//m:{name}", *arguments)["answers"][0]
    model, _ = utils.load_model(path)
    log_p = log_softmax(numpy.array(model(mx.array([ids]))[0]).astype(numpy.float64))
    within = numpy.abs(log_p[numpy.arange(len(ids) - 1), ids[1:]] - answer["prompt_logprobs"]).max()
    after = max(abs(log_p[-1, token["id"]] - token["logprob"]) for token in answer["next"])
    largest, bound = max(within, after), BOUNDS.get(name, BOUND)
    steps = zip(generate_step(mx.array(ids), model, max_tokens=N_TOKENS), range(N_TOKENS))
    tokens, margins = [], []
    for (token, step), _ in steps:
        two = numpy.sort(numpy.array(step).ravel())[-2:]
        tokens.append(int(token))
        margins.append(float(two[1] - two[0]))
    failed = []
    if not largest <= bound:
        failed.append(f"{name}: a log-probability is {largest:.5f} from mlx-lm's (bound {bound})")
    for place, (token, other, margin) in enumerate(zip(answer["tokens"], tokens, margins)):
        if token != other:
            # A choice between two tokens as near as the bound is not compared, nor is anything after it.
            if margin >= 2 * bound:
                failed.append(f"{name}: greedy token {place} differs: {answer['tokens']}, in mlx-lm {tokens}")
            break
    print(f"{name}: log-probabilities of mlx-lm at most {largest:.6f} from ours")
    return failed


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "mlx-folders"
    make_workspace(folder)
    built = mc(binary, work, "--workspace", str(folder), "build", "//m:all")
    # A checkpoint has no output.
    directories = [pathlib.Path(target["directory"]) for target in built["targets"] if target["directory"]]
    paths = {path.name: path for path in directories}
    failed, n_tensors, n_folders = [], 0, 0
    for name in FAMILIES:
        source = source_of(folder, work, name)
        for word, arguments in encodings(name):
            other = work / "mlx-theirs" / name / word
            with contextlib.redirect_stdout(sys.stderr):
                theirs(source, other, word, arguments)
            ours = paths[f"{name}.{word}"]
            n_tensors, n_folders = n_tensors + len(tensors(ours)[0]), n_folders + 1
            failed += [f"{name} {word}: {what} differs" for what in differences(ours, other)]
        failed += run(binary, work, folder, name, paths[f"{name}.f32"])
    for line in failed:
        print(line)
    result = "FAILED" if failed else "ok"
    print(f"{len(FAMILIES)} families, {n_folders} folders with {n_tensors} tensors: as mlx-lm writes them, and it runs them: {result}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
