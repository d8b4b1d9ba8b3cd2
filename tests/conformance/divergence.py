"""Compares the gate metric `kl` with `llama-perplexity --kl-divergence`, using the formulas of that program on
llama.cpp's own logits from its library.

Two pairs of files are compared. In the first, the weights of the demo's Q4_K_M file are stored in an F32 file, so that
llama.cpp computes in f32, as we do: the numbers must be equal within 1 %. In the second, llama.cpp runs the Q4_K_M file
itself and rounds activations to 8 bits, which adds a divergence of its own: it is bounded, and printed.

With the variable LLAMA_PERPLEXITY, the path of that program, its own numbers on the first pair are compared, too. A build
with BLAS decodes the matrices of the Q4_K_M file and multiplies in f32 (with `--no-repack`, because repacked matrices do
not use BLAS): with the path of such a build in LLAMA_PERPLEXITY_BLAS, the second pair must be equal within 1 %, too.

usage: divergence.py MC WORK_FOLDER
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy

from llama_cpp import mc
from logits import Llama, log_softmax

N_CTX = 128
BOUND = 0.01
# The mean on Q4_K_M is 0.0015; the rounding of activations adds about 0.0001.
BOUND_OF_8_BITS = 0.15
# `kl_divergence` of llama.cpp skips tokens with a baseline probability below exp(-16), and clamps logits further below
# the maximum.
FLOOR = 16.0

PACKAGE = """
gate "kl-q4km" {
    model ":roadtrip-q4km.gguf"
    kl on=":evaluation" max-mean=1 context=%(n_ctx)d
}
gguf "base-wide" {
    model ":roadtrip-q4km.merge"
    quantize "F32"
}
""" % {"n_ctx": N_CTX}
WIDE = """
checkpoint "q4km-read" gguf="q4km.gguf"
gguf "q4km-wide" {
    model ":q4km-read" requantize=#true
    quantize "F32"
}
"""


def second_half(model, chunk):
    """The logits of the second half of a chunk's positions, except for the last, which has no next token."""
    ids = list(chunk)
    if (bos := model.bos()) is not None:
        ids[0] = bos
    return model.logits(ids, range(N_CTX // 2, N_CTX - 1))


def stored(logits):
    """Log-probabilities of a baseline as the program stores them: in 16 bits above a minimum."""
    greatest = logits.max(axis=1, keepdims=True)
    least = numpy.maximum(logits.min(axis=1, keepdims=True), greatest - FLOOR)
    scale = (greatest - least) / 65535
    steps = numpy.where(logits > least, numpy.rint((logits - least) / scale), 0)
    log_sum = numpy.log(numpy.exp(logits - greatest).sum(axis=1, keepdims=True))
    return scale * steps + least - greatest - log_sum


def divergences(baseline, ours):
    """The divergence at each position."""
    return (numpy.exp(baseline) * (baseline - ours)).sum(axis=1)


def kept_divergences(baseline, ours):
    """The same without the tokens that the program skips."""
    terms = numpy.where(baseline > -FLOOR, numpy.exp(baseline) * (baseline - ours), 0)
    return terms.sum(axis=1)


def theirs(base_path, path, text):
    """The program's numbers by its formulas. The median is that of all tokens and of an unstored baseline: if divergences
    are small, the skipped tokens account for a tenth of them."""
    base, model = Llama(base_path, N_CTX), Llama(path, N_CTX)
    ids = base.tokens(text)
    found, exact, deltas, same = [], [], [], []
    for start in range(0, len(ids) - N_CTX + 1, N_CTX):
        chunk = ids[start : start + N_CTX]
        logits, ours = second_half(base, chunk), second_half(model, chunk)
        log_p, log_b = log_softmax(ours), stored(logits)
        found.append(kept_divergences(log_b, log_p))
        exact.append(divergences(log_softmax(logits), log_p))
        next_ids = numpy.array(chunk[N_CTX // 2 + 1 :])
        rows = numpy.arange(len(next_ids))
        deltas.append(numpy.exp(log_p[rows, next_ids]) - numpy.exp(log_b[rows, next_ids]))
        same.append(log_b.argmax(axis=1) == ours.argmax(axis=1))
    base.close()
    model.close()
    found, exact, deltas, same = map(numpy.concatenate, (found, exact, deltas, same))
    return {
        "kl": found.mean(),
        "kl median": numpy.median(exact),
        "kl p99.9": numpy.quantile(found, 0.999),
        "kl top-1": same.mean(),
        "kl rms-delta-p": numpy.sqrt((deltas**2).mean()),
    }


def of_program(program, base_path, path, text, work, *options):
    """The program's own output."""
    text_file, base_file = work / "evaluation.txt", work / "base.kld"
    text_file.write_text(text)
    common = ["-f", text_file, "-c", str(N_CTX), "-b", str(N_CTX), "--kl-divergence-base", base_file]
    common += ["-ctk", "f32", "-ctv", "f32", "-fa", "off", *options]
    subprocess.run([program, "-m", base_path, *common], check=True, capture_output=True)
    said = subprocess.run([program, "-m", path, *common, "--kl-divergence"], check=True, capture_output=True, text=True)

    def number(pattern):
        return float(re.search(pattern + r"\s*:?\s*([-0-9.]+)", said.stdout + said.stderr).group(1))

    return {
        "kl": number(r"\nMean +KLD:"),
        "kl p99.9": number(r"\n99.9% +KLD:"),
        "kl top-1": number(r"\nSame top p:") / 100,
        "kl rms-delta-p": number(r"\nRMS Δp +:") / 100,
    }


def agrees(name, ours, found, bound):
    ok = True
    for number, value in found.items():
        difference = abs(ours[number] / value - 1)
        ok &= difference <= bound
        print(f"{name}: {number} is {ours[number]:.8f}, llama.cpp's {value:.8f}: {difference:.2%} apart (bound {bound:.0%})")
    return ok


def make_workspace(folder):
    shutil.copytree("models", folder / "models")
    shutil.copytree("targets", folder / "targets")
    shutil.copy("workspace.kdl", folder)
    with (folder / "models/package.kdl").open("a") as package:
        package.write(PACKAGE)


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "divergence"
    folder.mkdir()
    make_workspace(folder)

    def run(*arguments):
        return mc(binary, work, "--workspace", str(folder), *arguments)

    def file_of(target):
        directory = pathlib.Path(run("build", target)["targets"][0]["directory"])
        return next(directory.glob("*.gguf"))

    ours = {check["name"]: check["value"] for check in run("test", "//models:kl-q4km")["gates"][0]["checks"]}
    files = {name: file_of(f"//models:{name}") for name in ("roadtrip-q4km.gguf", "base-wide")}
    base, quantized = files["base-wide"], files["roadtrip-q4km.gguf"]
    shutil.copy(quantized, folder / "models/q4km.gguf")
    with (folder / "models/package.kdl").open("a") as package:
        package.write(WIDE)
    wide = file_of("//models:q4km-wide")
    texts = sorted((folder / "models/data/evaluation").glob("*.txt"))
    text = "".join(path.read_text() for path in texts)
    ok = agrees("kl in f32", ours, theirs(base, wide, text), BOUND)
    eight_bits = theirs(base, quantized, text)
    ok &= agrees("kl with activations of 8 bits", ours, {"kl": eight_bits["kl"]}, BOUND_OF_8_BITS)
    if program := os.environ.get("LLAMA_PERPLEXITY"):
        ok &= agrees("llama-perplexity in f32", ours, of_program(program, base, wide, text, work), BOUND)
    if program := os.environ.get("LLAMA_PERPLEXITY_BLAS"):
        found = of_program(program, base, quantized, text, work, "--no-repack")
        ok &= agrees("llama-perplexity with BLAS", ours, found, BOUND)
    print(f"kl against llama.cpp: {'ok' if ok else 'FAILED'}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
