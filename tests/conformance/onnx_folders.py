"""Writes a small checkpoint of every family as ONNX, runs the folders in ONNX Runtime GenAI, and compares them with the
formulas in numpy: floats with the checkpoint's weights, integers with the weights that the file stores.

usage: onnx_folders.py MC WORK_FOLDER
"""

import json
import pathlib
import random
import subprocess
import sys

import numpy
import onnxruntime_genai

from command import changed_weights, mc
from make_family import FAMILIES, longrope, write
from reference import Model

# Refused, with a word of the message.
REFUSED = {"mixtral": "`gather_matmul`", "qwen3-moe": "`gather_matmul`", "phi3-long": "`rope`"}
# As `phi3-long`, with rotating dimensions of which the runtime has kernels.
ARCHITECTURE, CHANGES, VOCABULARY = FAMILIES["phi3-long"]
FAMILIES["phi3-half"] = (ARCHITECTURE, CHANGES | {"partial_rotary_factor": 0.5, "rope_scaling": longrope(8)}, VOCABULARY)
N_TOKENS = 16
N_PROMPTS = 64
# Longer than the windows and the original contexts of the checkpoints.
LENGTHS = (12, 90)
# Maximum difference of a logit. 16-bit floats round each activation.
F32_BOUND, F16_BOUND = 1e-4, 2e-2
# Families with a tied head and without; each kind of block. `half` has 16-bit activations.
QUANTIZED = {
    "llama": ["int4-g32", "int4-g16", "int4-g64", "uint4-g32", "int8-g32", "int4-g32-half"],
    "gemma3": ["int4-g32", "uint8-g64"],
    "phi3": ["int4-g32", "uint4-g64", "uint8-g32"],
    "lfm2": ["int4-g32", "int8-g64"],
}
TYPES = {1: "<f4", 2: "u1", 6: "<i4", 7: "<i8", 10: "<f2"}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a message of protocol buffers: numbers and values."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            length, at = varint(data, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            value, at = data[at : at + length], at + length
        yield tag >> 3, value


def initializers(folder):
    """The tensors of a model, by name."""
    data = numpy.memmap(folder / "model.onnx.data", numpy.uint8, "r")
    graph = dict(fields((folder / "model.onnx").read_bytes()))[7]
    found = {}
    for number, tensor in fields(graph):
        if number != 5:
            continue
        parts = list(fields(tensor))
        dims = [value for number, value in parts if number == 1]
        one = dict(parts)
        entries = [dict(fields(value)) for number, value in parts if number == 13]
        external = {entry[1].decode(): entry[2].decode() for entry in entries}
        if external:
            offset, length = int(external["offset"]), int(external["length"])
            if offset % (4096 if length >= 4096 else 64):
                sys.exit(f"{one[8].decode()} is not aligned: {offset}")
            raw = data[offset : offset + length]
        else:
            raw = one[9]
        found[one[8].decode()] = numpy.frombuffer(raw, TYPES[one[2]]).reshape(dims)
    return found


def nibbles(data):
    return numpy.stack([data & 15, data >> 4], -1).reshape(len(data), -1)


def stored_weights(folder):
    """The quantized matrices of a model, decoded."""
    tensors, found = initializers(folder), {}
    for name, codes in tensors.items():
        if not name.endswith(("_Q4", "_Q8")):
            continue
        bits, name = int(name[-1]), name[:-3]
        n_rows, n_blocks, _ = codes.shape
        codes = codes.reshape(n_rows, -1)
        zeros = tensors.get(f"{name}_zero_points")
        if bits == 4:
            codes, zeros = nibbles(codes), None if zeros is None else nibbles(zeros)[:, :n_blocks]
        zeros = numpy.full((n_rows, n_blocks), 1 << (bits - 1)) if zeros is None else zeros
        blocks = codes.reshape(n_rows, n_blocks, -1).astype(numpy.float32) - zeros[:, :, None]
        found[name] = (blocks * tensors[f"{name}_scales"][:, :, None]).reshape(n_rows, -1)
    return found


class Folder:
    """A model in ONNX Runtime GenAI."""

    def __init__(self, folder):
        self.model = onnxruntime_genai.Model(str(folder))
        self.n_vocab = json.loads((folder / "genai_config.json").read_text())["model"]["vocab_size"]

    def run(self, pieces, n_tokens=0):
        """The logits after the tokens, which are given piece by piece, and the most likely continuation."""
        length = sum(map(len, pieces))
        parameters = onnxruntime_genai.GeneratorParams(self.model)
        parameters.set_search_options(do_sample=False, max_length=length + n_tokens + 1, min_length=length + n_tokens)
        generator = onnxruntime_genai.Generator(self.model, parameters)
        for piece in pieces:
            generator.append_tokens(numpy.array(piece, numpy.int32))
        logits = numpy.asarray(generator.get_logits(), numpy.float32).reshape(-1, self.n_vocab)[-1]
        for _ in range(n_tokens):
            generator.generate_next_token()
        return logits, [int(token) for token in generator.get_sequence(0)][length:]


def prompt_of(name, n_vocab, length):
    """Arbitrary ids from the part of a vocabulary without control tokens."""
    return [random.Random(f"{name} {length}").randrange(n_vocab // 8, n_vocab - 16) for _ in range(length)]


def compare_floats(name, word, bound, checkpoint, folder):
    """The largest difference of a logit, and what is wrong."""
    model, runtime, wrong, worst = Model(checkpoint), Folder(folder), [], 0.0
    for length in LENGTHS:
        ids = prompt_of(name, runtime.n_vocab, length)
        model.reset()
        expected = model.logits(ids)[-1]
        is_short = length == LENGTHS[0]
        found, tokens = runtime.run([ids], N_TOKENS if is_short else 0)
        worst = max(worst, float(numpy.abs(found - expected).max()))
        if is_short and word == "f32" and tokens != model.greedy(ids, N_TOKENS):
            wrong.append(f"{name} {word}: other greedy tokens: {tokens}")
        if is_short:
            continue
        # The rotary factors of a sequence depend on its length, so LongRope is run in one piece.
        if not name.startswith("phi3-"):
            found, _ = runtime.run([ids[:37], ids[37:]])
            worst = max(worst, float(numpy.abs(found - expected).max()))
    if worst > bound:
        wrong.append(f"{name} {word}: logits differ by {worst:.1e}")
    return worst, wrong


def compare_integers(name, word, checkpoint, folder):
    """The share of equal most likely tokens, and what is wrong."""
    model, runtime = Model(checkpoint), Folder(folder)
    stored = stored_weights(folder)
    n_matrices = sum(weight.ndim == 2 for weight in model.weights.values())
    if len(stored) != n_matrices:
        return 0.0, [f"{name} {word}: {len(stored)} of {n_matrices} matrices are quantized"]
    model.weights |= stored
    n_equal = 0
    for number in range(N_PROMPTS):
        ids = prompt_of(f"{name} {number}", runtime.n_vocab, 4 + number % 29)
        model.reset()
        n_equal += int(runtime.run([ids])[0].argmax()) == int(model.logits(ids)[-1].argmax())
    share = n_equal / N_PROMPTS
    return share, [] if share >= 0.99 else [f"{name} {word}: {share:.1%} equal tokens"]


def is_refused(binary, work, folder, label, word):
    """True if the build fails and names the operator."""
    command = [binary, "--cache-dir", str(work / "cache"), "--workspace", str(folder), "build", label]
    said = subprocess.run(command, capture_output=True, text=True)
    return said.returncode != 0 and word in said.stderr


def targets():
    """The targets of each family: names, words and further attributes."""
    for name, (_, _, vocabulary) in FAMILIES.items():
        # The runtime has no tokenizer for SentencePiece's own files; here it is given ids.
        allow = 'allow "onnx::tokenizer"' if vocabulary == "pieces" else ""
        for word in ["f32", "f16"] + QUANTIZED.get(name, []):
            level = "accuracy-level 0" if word[0] in "iu" else ""
            half = 'activations "f16"' if word.endswith("-half") else ""
            yield name, word, "; ".join(filter(None, (allow, level, half)))


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "onnx"
    for name in FAMILIES:
        write(name, folder / "m" / name)
    listed = [f'checkpoint "{name}" dir="{name}"' for name in FAMILIES]
    listed += [
        f'onnx "{name}-{word}" {{ model ":{name}"; quantize "{word.removesuffix("-half")}"; context 256; {more} }}' for name, word, more in targets()
    ]
    (folder / "m" / "package.kdl").write_text("\n".join(listed) + "\n")
    (folder / "workspace.kdl").write_text('workspace "onnx"\n')
    refusals = REFUSED.items()
    wrong = [f"{name} was not refused" for name, word in refusals if not is_refused(binary, work, folder, f"//m:{name}-f32", word)]
    labels = [f"//m:{name}-{word}" for name, word, _ in targets() if name not in REFUSED]
    built = mc(binary, work, "--workspace", str(folder), "build", *labels)
    folders = {pathlib.Path(target["directory"]).name: pathlib.Path(target["directory"]) for target in built["targets"]}
    shown = []
    for name, word, _ in targets():
        if name in REFUSED:
            continue
        arguments = (folder / "m" / name, folders[f"{name}-{word}"])
        if word[0] == "f":
            worst, found = compare_floats(name, word, F32_BOUND if word == "f32" else F16_BOUND, *arguments)
            shown.append(f"{name} {word} {worst:.0e}")
            if word == "f32":
                wrong += changed_weights(binary, work, folder, f"//m:{name}", f"//m:{name}-f32")
        else:
            share, found = compare_integers(name, word, *arguments)
            shown.append(f"{name} {word} {share:.1%}")
        wrong += found
    print("onnx: " + ", ".join(shown))
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
