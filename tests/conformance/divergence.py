"""Holds the gate metric `kl` against `llama-perplexity --kl-divergence`, by the formulas of that program over llama.cpp's own
logits, which its library gives.

Two pairs of files are compared. In the first, the weights of the demo's Q4_K_M file stand in an F32 file, so that llama.cpp
computes in f32, as we do: the numbers must be equal within 1 %. In the second, llama.cpp runs the Q4_K_M file itself, and
rounds activations to 8 bits on the way, which is a divergence of its own: it is bounded, and shown.

With the variable LLAMA_PERPLEXITY, the path of that program, its own numbers are compared, too.

usage: divergence.py MC WORK_FOLDER
"""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy
import xllamacpp

from llama_cpp import mc

N_CTX = 128
BOUND = 0.01
# Of a mean of 0.0015 on Q4_K_M, the rounding of activations adds some 0.0001.
BOUND_OF_8_BITS = 0.15
# `kl_divergence` of llama.cpp leaves out tokens that the baseline gives less than exp(-16), and keeps no logit further below
# the greatest.
FLOOR = 16.0

PACKAGE = """
gate "kl-q4km" {
    gguf ":roadtrip-q4km.gguf"
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


class ContextParams(ctypes.Structure):
    """`llama_context_params`, as far as it is set here; the rest is as the library fills it."""

    _fields_ = [
        *[(name, ctypes.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max")],
        ("other", ctypes.c_uint32 * 9),
        ("flash_attention", ctypes.c_int32),
        ("rope", ctypes.c_uint32 * 8),
        ("callback", ctypes.c_void_p * 2),
        ("type_k", ctypes.c_int32),
        ("type_v", ctypes.c_int32),
        ("rest", ctypes.c_byte * 400),
    ]


class ModelParams(ctypes.Structure):
    _fields_ = [("all", ctypes.c_byte * 512)]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


def library():
    found = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    pointer = ctypes.c_void_p
    for name, result, arguments in [
        ("llama_model_default_params", ModelParams, []),
        ("llama_context_default_params", ContextParams, []),
        ("llama_model_load_from_file", pointer, [ctypes.c_char_p, ModelParams]),
        ("llama_init_from_model", pointer, [pointer, ContextParams]),
        ("llama_model_get_vocab", pointer, [pointer]),
        ("llama_vocab_n_tokens", ctypes.c_int32, [pointer]),
        ("llama_vocab_get_add_bos", ctypes.c_bool, [pointer]),
        ("llama_vocab_bos", ctypes.c_int32, [pointer]),
        (
            "llama_tokenize",
            ctypes.c_int32,
            [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, ctypes.c_int32, ctypes.c_bool, ctypes.c_bool],
        ),
        ("llama_n_ctx", ctypes.c_uint32, [pointer]),
        ("llama_decode", ctypes.c_int32, [pointer, Batch]),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, ctypes.c_int32]),
        ("llama_get_memory", pointer, [pointer]),
        ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
        ("llama_free", None, [pointer]),
        ("llama_model_free", None, [pointer]),
    ]:
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


class Llama:
    """A file, opened by llama.cpp, with keys and values in f32."""

    def __init__(self, path):
        self.lib = library()
        params = self.lib.llama_context_default_params()
        if (params.n_ctx, params.n_batch, params.type_k, params.type_v) != (512, 2048, 1, 1):
            sys.exit("llama_context_params has another layout in this version of llama.cpp")
        params.n_ctx = params.n_batch = params.n_ubatch = N_CTX
        params.type_k = params.type_v = params.flash_attention = 0
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params())
        self.context = self.lib.llama_init_from_model(self.model, params)
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        self.n_vocab = self.lib.llama_vocab_n_tokens(self.vocab)
        if self.lib.llama_n_ctx(self.context) < N_CTX:
            sys.exit(f"llama.cpp gave {path} no context of {N_CTX} tokens")

    def close(self):
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)

    def tokens(self, text):
        text = text.encode()
        ids = (ctypes.c_int32 * (len(text) + 8))()
        n_ids = self.lib.llama_tokenize(self.vocab, text, len(text), ids, len(ids), True, False)
        return list(ids[:n_ids])

    def logits(self, chunk):
        """The logits of the second half of a chunk's positions, but for the last, which nothing follows."""
        ids = list(chunk)
        if self.lib.llama_vocab_get_add_bos(self.vocab):
            ids[0] = self.lib.llama_vocab_bos(self.vocab)
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        sequence = (ctypes.c_int32 * 1)(0)
        batch = Batch(
            len(ids),
            (ctypes.c_int32 * len(ids))(*ids),
            None,
            (ctypes.c_int32 * len(ids))(*range(len(ids))),
            (ctypes.c_int32 * len(ids))(*[1] * len(ids)),
            (ctypes.POINTER(ctypes.c_int32) * len(ids))(
                *[ctypes.cast(sequence, ctypes.POINTER(ctypes.c_int32))] * len(ids)
            ),
            (ctypes.c_int8 * len(ids))(*[1] * len(ids)),
        )
        if self.lib.llama_decode(self.context, batch) != 0:
            sys.exit("llama.cpp could not run a chunk")
        rows = [
            numpy.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, position), (self.n_vocab,)).copy()
            for position in range(N_CTX // 2, N_CTX - 1)
        ]
        return numpy.stack(rows).astype(numpy.float64)


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def stored(logits):
    """Log-probabilities of a baseline as the program stores them: in 16 bits above a floor."""
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
    """The same without the tokens that the program leaves out."""
    terms = numpy.where(baseline > -FLOOR, numpy.exp(baseline) * (baseline - ours), 0)
    return terms.sum(axis=1)


def theirs(base_path, path, text):
    """The program's numbers by its formulas. The median is that of all tokens and of a baseline that was not stored: where
    divergences are small, what the program leaves out is a tenth of them."""
    base, model = Llama(base_path), Llama(path)
    ids = base.tokens(text)
    found, exact, deltas, same = [], [], [], []
    for start in range(0, len(ids) - N_CTX + 1, N_CTX):
        chunk = ids[start : start + N_CTX]
        logits, ours = base.logits(chunk), model.logits(chunk)
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


def of_program(program, base_path, path, text, work):
    """What the program itself says."""
    text_file, base_file = work / "evaluation.txt", work / "base.kld"
    text_file.write_text(text)
    common = ["-f", text_file, "-c", str(N_CTX), "-b", str(N_CTX), "--kl-divergence-base", base_file]
    common += ["-ctk", "f32", "-ctv", "f32", "-fa", "off"]
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
    print(f"kl against llama.cpp: {'ok' if ok else 'FAILED'}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
