"""Runs a small checkpoint of every family, and the F16 file built from it, and compares the results with those of
llama.cpp on that file: log-probabilities at every position of a prompt, and greedy tokens.

Each file is a checkpoint, too: a build from the file must have the same tensors as a build from the folder.

usage: families.py MC WORK_FOLDER
"""

import pathlib
import random
import subprocess
import sys

import numpy

from llama_cpp import mc, post, server
from logits import Llama, log_softmax
from make_family import FAMILIES, write

TEXT = "the nearest charger and a coffee, 24 km"
N_CTX = 128
# Longer than the windows and the original contexts of the checkpoints; the following tokens still fit.
N_PROMPT = 90
N_TOKENS = 16
N_TOP = 20
# Maximum difference of a log-probability from llama.cpp's, which rounds the inputs of F16 matrices to f16: 0.0004 to
# 0.0013 in these checkpoints, and 0.0017 in Gemma 3, for whose GELU it uses an f16 table. If the scores of two experts
# for a token differ by less than that, the programs may choose different experts, and then all numbers change; this
# does not happen here.
BOUND = 0.005


def make_workspace(folder):
    for name in FAMILIES:
        write(name, folder / "m" / name)
    targets = [
        f'checkpoint "{name}" dir="{name}"\ngguf "{name}-f16" {{ model ":{name}"; quantize "F16" }}' for name in FAMILIES
    ]
    targets += [f'gguf "{name}-bf16" {{ model ":{name}"; quantize "BF16" }}' for name in FAMILIES]
    (folder / "m" / "package.kdl").write_text("\n".join(targets) + "\n")
    (folder / "workspace.kdl").write_text('workspace "families"\n')


def read_back(binary, work, folder, built):
    """Families whose GGUF, read as a checkpoint, gives other tensors than their folder."""
    read = folder / "read"
    read.mkdir()
    targets = []
    for name in FAMILIES:
        (read / f"{name}.gguf").write_bytes(file_of(built[f"{name}-bf16"]).read_bytes())
        targets.append(f'checkpoint "{name}" gguf="{name}.gguf"\ngguf "{name}-f16" {{ model ":{name}"; quantize "F16" }}')
    (read / "package.kdl").write_text("\n".join(targets) + "\n")
    again = build(binary, work, folder, [f"//read:{name}-f16" for name in FAMILIES])
    failed = []
    for name in FAMILIES:
        pair = [str(file_of(made[f"{name}-f16"])) for made in (built, again)]
        command = [binary, "--cache-dir", str(work / "cache"), "diff", *pair]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if " 0 differ" not in said:
            failed.append(f"{name}: builds from its GGUF and from its folder differ: {said}")
    return failed


def build(binary, work, folder, labels):
    """The built targets, by name."""
    built = mc(binary, work, "--workspace", str(folder), "build", *labels)
    return {pathlib.Path(target["directory"]).name: target for target in built["targets"]}


def file_of(target):
    return pathlib.Path(target["directory"]) / target["outputs"][0]["path"]


def prompt_of(name, n_vocab):
    """Arbitrary ids from the part of a vocabulary without control tokens."""
    return [random.Random(name).randrange(n_vocab // 8, n_vocab) for _ in range(N_PROMPT)]


def ours(binary, work, model, ids, *options):
    """The output of `mc run` for a prompt of ids."""
    numbers = ["--prompt-logprobs", "--top", str(N_TOP), "--ignore-end", "--max-tokens", str(N_TOKENS)]
    return mc(binary, work, *options, "run", model, "--ids", ",".join(map(str, ids)), *numbers)["answers"][0]


def difference(answer, log_p, ids):
    """The largest difference of log-probabilities within a prompt and after it."""
    known = log_p[numpy.arange(len(ids) - 1), ids[1:]]
    within = numpy.abs(known - answer["prompt_logprobs"]).max()
    after = max(abs(log_p[-1, token["id"]] - token["logprob"]) for token in answer["next"])
    return max(within, after)


def first_difference(tokens, known, margins):
    """Position of the first different greedy token, or None. A choice between two tokens whose difference is within the
    bound is not compared, nor is anything after it."""
    for place, (token, other, margin) in enumerate(zip(tokens, known, margins)):
        if token != other:
            return None if margin < 2 * BOUND else place
    return None if len(tokens) == len(known) else len(tokens)


def compare(binary, work, folder, name, path):
    """Returns the errors of the family, after printing a line with the results."""
    llama, failed = Llama(path, N_CTX), []
    ids = prompt_of(name, llama.n_vocab)
    log_p = log_softmax(llama.logits(ids))
    known, margins = llama.greedy(ids, N_TOKENS)
    llama.close()
    answers = {
        "checkpoint": ours(binary, work, f"//m:{name}", ids, "--workspace", str(folder)),
        "file": ours(binary, work, str(path), ids),
    }
    found = {}
    for what, answer in answers.items():
        found[what] = difference(answer, log_p, ids)
        if not found[what] <= BOUND:
            failed.append(f"{name}: a log-probability of the {what} is {found[what]:.4f} from llama.cpp's (bound {BOUND})")
        if (place := first_difference(answer["tokens"], known, margins)) is not None:
            failed.append(f"{name}: greedy token {place} of the {what} differs: {answer['tokens']}, llama.cpp's {known}")
    spread = numpy.std(log_p[-1])
    print(
        f"{name}: log-probabilities at most {found['checkpoint']:.5f} (checkpoint), {found['file']:.5f} (file) from llama.cpp's, "
        f"which spread by {spread:.2f}"
    )
    return failed


def tokenization(binary, work, name, path):
    """Returns the errors in the ids of a text."""
    prompt = mc(binary, work, "run", str(path), "--raw", "--max-tokens", "1", "--", TEXT)["prompt_tokens"]
    llama = server(path)
    ids = post(llama, "tokenize", {"content": TEXT, "add_special": True})["tokens"]
    return [] if ids == prompt else [f"{name}: the text is {prompt}, in llama.cpp {ids}"]


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "families"
    make_workspace(folder)
    built = build(binary, work, folder, [f"//m:{name}-{kind}" for name in FAMILIES for kind in ("f16", "bf16")])
    failed = read_back(binary, work, folder, built)
    for name in FAMILIES:
        path = file_of(built[f"{name}-f16"])
        failed += compare(binary, work, folder, name, path) + tokenization(binary, work, name, path)
    for line in failed:
        print(line)
    print(
        f"{len(FAMILIES)} families: each file reads back equal, and llama.cpp agrees with our results for it and for the checkpoint: "
        f"{'FAILED' if failed else 'ok'}"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
