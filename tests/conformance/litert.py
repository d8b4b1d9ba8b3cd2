"""Writes a small checkpoint of every family for LiteRT, runs the graphs in ai-edge-litert and the bundles in LiteRT-LM, and
compares them with the formulas in numpy: floats with the checkpoint's weights, integers with the weights that the file
stores, once with exact activations and once with those of 8 bits.

usage: litert.py MC WORK_FOLDER
"""

import json
import pathlib
import random
import subprocess
import sys

import numpy
import jinja2
import litert_lm
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from command import changed_weights, mc
from make_family import FAMILIES, write
from reference import Model

# Refused, with a word of the message.
REFUSED = {"mixtral": "`gather_matmul`", "qwen3-moe": "`top_k`"}
CONTEXT, PREFILL = 160, (16, 128)
N_TOKENS = 16
N_PROMPTS = 64
# Longer than the windows and the original contexts of the checkpoints; the second takes two batches.
LENGTHS = (12, 90, 140)
F32_BOUND = 1e-4
# Of equal tokens, with exact activations and with those of 8 bits.
INTEGER_SHARES = {16: 0.99, 8: 0.97}
# Root mean square of the difference of logits from those with exact activations, in standard deviations of logits.
INTEGER_BOUND = 2e-3
QUANTIZED = ("llama", "gemma3", "lfm2", "qwen3")
WORDS = ("int4-g32", "int8-channel", "int4-channel")
EIGHT_BITS = ("llama", "lfm2")
# Families whose text is compared in LiteRT-LM. All have the tokens of the demo, or SentencePiece models.
BUNDLES = ("llama", "gemma3", "lfm2", "phi3-long", "qwen3", "smollm3")
HIDDEN = numpy.float32(-0.7 * numpy.finfo(numpy.float32).max)


class RoundedModel(Model):
    """A model whose matrices read activations of 8 bits, as the runtime's do."""

    def linear(self, x, name):
        return super().linear(rounded(x), name)

    def norm(self, x, name):
        normed = super().norm(x, name)
        return rounded(normed) if name in ("model.norm", "model.embedding_norm") else normed


def rounded(x):
    """The nearest of the 256 numbers that a row may have: from its least to its greatest, and zero."""
    low, high = numpy.minimum(x.min(-1, keepdims=True), 0), numpy.maximum(x.max(-1, keepdims=True), 0)
    steps = numpy.float32(255) / numpy.maximum(high - low, numpy.float32(1e-30))
    zero = numpy.rint(numpy.where(low + high < 0, 127 - high * steps, -128 - low * steps))
    codes = (numpy.rint(x * steps) + zero).clip(-128, 127)
    return ((codes - zero) / steps).astype(numpy.float32)


class Graph:
    """A graph in the interpreter, with its caches."""

    def __init__(self, path):
        self.interpreter = Interpreter(str(path), num_threads=2)
        names = self.interpreter.get_signature_list()
        self.runners = {name: self.interpreter.get_signature_runner(name) for name in names}
        details = self.runners["decode"].get_input_details()
        self.context = int(details["mask"]["shape"][-1])
        self.shapes = {name: one["shape"] for name, one in details.items() if name.startswith("kv_cache")}
        # As in LiteRT-LM, caches are not cleared between conversations.
        self.caches = {name: numpy.full(shape, 3, numpy.float32) for name, shape in self.shapes.items()}
        self.position = 0

    def batch(self, name, n_slots, ids):
        n_unused = n_slots - len(ids)
        positions = list(range(self.position, self.position + len(ids)))
        mask = numpy.full((1, 1, n_slots, self.context), HIDDEN, numpy.float32)
        for row, position in enumerate(positions):
            mask[0, 0, row, : position + 1] = 0
        outputs = self.runners[name](
            tokens=numpy.array([ids + [0] * n_unused], numpy.int32),
            input_pos=numpy.array(positions + [0] * n_unused, numpy.int32),
            mask=mask,
            **self.caches,
        )
        self.position += len(ids)
        self.caches = {name: outputs[name] for name in self.caches}
        return outputs.get("logits")

    def logits(self, ids):
        """The logits after the last token, and the lengths of the batches."""
        lengths, rest = [], ids[:-1]
        while rest:
            n_slots = next((length for length in PREFILL if length >= len(rest)), PREFILL[-1])
            self.batch(f"prefill_{n_slots}", n_slots, rest[:n_slots])
            lengths.append(len(rest[:n_slots]))
            rest = rest[n_slots:]
        return self.batch("decode", 1, ids[-1:])[0, -1], lengths + [1]


def prompt_of(name, n_vocab, length):
    """Arbitrary ids from the part of a vocabulary without control tokens."""
    return [random.Random(f"{name} {length}").randrange(n_vocab // 8, n_vocab - 16) for _ in range(length)]


def expected_logits(model, ids, lengths):
    """Those of the formulas, in the same batches: the factors of LongRoPE depend on the last position of a batch."""
    model.reset()
    for length in lengths:
        logits, ids = model.logits(ids[:length]), ids[length:]
    return logits[-1]


def compare_floats(name, checkpoint, path):
    """The largest difference of a logit, and what is wrong."""
    model, graph, worst, wrong = Model(checkpoint), Graph(path), 0.0, []
    n_vocab = model.config["vocab_size"]
    for length in LENGTHS:
        ids = prompt_of(name, n_vocab, length)
        graph.position = 0
        found, lengths = graph.logits(ids)
        worst = max(worst, float(numpy.abs(found - expected_logits(model, ids, lengths)).max()))
        if length > LENGTHS[0]:
            continue
        tokens = []
        for _ in range(N_TOKENS):
            tokens.append(int(found.argmax()))
            found, _ = graph.logits(tokens[-1:])
        if tokens != model.greedy(ids, N_TOKENS):
            wrong.append(f"{name}: other greedy tokens: {tokens}")
    if worst > F32_BOUND:
        wrong.append(f"{name}: logits differ by {worst:.1e}")
    return worst, wrong


def bf16(x):
    """The nearest 16-bit numbers of this kind, to which the runtime rounds the scales of blocks; they must be exact."""
    bits = x.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & numpy.uint32(0xFFFF0000)).view(numpy.float32)


def stored_weights(path):
    """The quantized matrices of a graph, decoded."""
    data = numpy.memmap(path, numpy.uint8, "r")
    model = schema.Model.GetRootAs(data, 0)

    def bytes_of(tensor):
        buffer = model.Buffers(tensor.Buffer())
        return data[buffer.Offset() : buffer.Offset() + buffer.Size()]

    def scales_of(graph, details):
        if details.ScaleLength():
            return details.ScaleAsNumpy()[:, None]
        blocks = schema.BlockwiseQuantization()
        blocks.Init(details.Details().Bytes, details.Details().Pos)
        scales = graph.Tensors(blocks.Scales())
        numbers = bytes_of(scales).view("<f2").reshape(scales.ShapeAsNumpy()).astype(numpy.float32)
        if (bf16(numbers) != numbers).any():
            sys.exit(f"{path}: the runtime rounds scales of {scales.Name().decode()}")
        return numbers.repeat(blocks.BlockSize(), 1)

    found = {}
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            details = tensor.Quantization()
            if details is None:
                continue
            codes = bytes_of(tensor).view(numpy.int8)
            if tensor.Type() == schema.TensorType.INT4:
                codes = numpy.stack([codes << 4 >> 4, codes >> 4], -1)
            found[tensor.Name().decode()] = codes.reshape(tensor.ShapeAsNumpy()) * scales_of(graph, details)
    return found


def compare_integers(name, word, bits, checkpoint, path):
    """The share of equal most likely tokens, and what is wrong."""
    model = Model(checkpoint) if bits == 16 else RoundedModel(checkpoint)
    graph, stored = Graph(path), stored_weights(path)
    n_matrices = sum(weight.ndim == 2 for weight in model.weights.values())
    if len(stored) != n_matrices:
        return 0.0, [f"{name} {word}: {len(stored)} of {n_matrices} matrices are quantized"]
    model.weights |= stored
    n_equal, differences = 0, []
    for number in range(N_PROMPTS):
        ids = prompt_of(f"{name} {number}", model.config["vocab_size"], 4 + number % 29)
        graph.position = 0
        found, lengths = graph.logits(ids)
        expected = expected_logits(model, ids, lengths)
        n_equal += int(found.argmax()) == int(expected.argmax())
        differences.append(float(numpy.sqrt(numpy.square(found - expected).mean()) / expected.std()))
    share, difference = n_equal / N_PROMPTS, numpy.mean(differences)
    wrong = []
    if share < INTEGER_SHARES[bits]:
        wrong.append(f"{name} {word} {bits}: {share:.1%} equal tokens")
    if bits == 16 and difference > INTEGER_BOUND:
        wrong.append(f"{name} {word}: logits differ by {difference:.1e} standard deviations")
    return share, wrong


def compare_text(name, checkpoint, path, stored):
    """What is wrong with the text that LiteRT-LM generates.

    `stored`: the quantized matrices of the same graph, decoded
    """
    model = Model(checkpoint)
    model.weights |= stored
    engine = litert_lm.Engine(str(path), backend=litert_lm.Backend.CPU())
    sampler = litert_lm.SamplerConfig(top_k=1, top_p=1.0, temperature=1.0, seed=0)
    start = [] if engine.bos_token_id is None else [engine.bos_token_id]
    wrong = []
    for prompt in ("find a charger", "the quick brown fox jumps over the lazy dog and you are there"):
        with engine.create_session(
            apply_prompt_template=False, sampler_config=sampler, max_output_tokens=N_TOKENS
        ) as session:
            session.run_prefill([prompt])
            found = session.run_decode().texts[0]
        ids = start + engine.tokenize(prompt)
        graph_ids = model.greedy(ids, N_TOKENS)
        ends = {token for tokens in engine.eos_token_ids if len(tokens) == 1 for token in tokens}
        end = next((place for place, token in enumerate(graph_ids) if token in ends), N_TOKENS)
        expected = engine.detokenize(graph_ids[:end]) if end else ""
        if found.strip() != expected.strip():
            wrong.append(f"{name}: LiteRT-LM continues {prompt!r} by {found!r}, expected {expected!r}")
    return wrong + compare_chat(name, checkpoint, engine, sampler)


def compare_chat(name, checkpoint, engine, sampler):
    """What is wrong with a chat of two turns: the text that the template gives."""
    config = json.loads((checkpoint / "tokenizer_config.json").read_text())
    if "chat_template" not in config:
        return []
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    messages = [{"role": "user", "content": "find a charger"}]
    template = environment.from_string(config["chat_template"])
    # The begin token is put before the text by its id.
    expected = template.render(messages=messages, add_generation_prompt=True, bos_token="", eos_token=config["eos_token"])
    with engine.create_conversation(sampler_config=sampler, max_output_tokens=4) as conversation:
        found = conversation.render_message_to_string(messages[0])
        conversation.send_message("find a charger")
    return [] if found == expected else [f"{name}: the chat is {found!r}, expected {expected!r}"]


def is_refused(binary, work, folder, label, word):
    """True if the build fails and names the operator."""
    command = [binary, "--cache-dir", str(work / "cache"), "--workspace", str(folder), "build", label]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.returncode != 0 and word in said.stderr


def targets():
    """The targets of each family: names, words, bits of activations and kinds of files."""
    for name in FAMILIES:
        yield name, "f32", 16, "tflite"
    for name in BUNDLES:
        yield name, "f32", 16, "litertlm"
    for bits, names in ((16, QUANTIZED), (8, EIGHT_BITS)):
        for name in names:
            for word in WORDS:
                yield name, word, bits, "tflite"
    for name in QUANTIZED:
        yield name, WORDS[0], 16, "litertlm"


def label(target):
    return "-".join(map(str, target))


def declaration(target):
    name, word, bits, container = target
    prefill = " ".join(map(str, PREFILL))
    settings = f'quantize "{word}"; container "{container}"; context {CONTEXT}; prefill {prefill}; activation-bits {bits}'
    return f'litert "{label(target)}" {{ model ":{name}"; {settings} }}'


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "litert"
    for name in FAMILIES:
        write(name, folder / "m" / name)
    listed = [f'checkpoint "{name}" dir="{name}"' for name in FAMILIES] + [declaration(target) for target in targets()]
    (folder / "m" / "package.kdl").write_text("\n".join(listed) + "\n")
    (folder / "workspace.kdl").write_text('workspace "litert"\n')
    wrong = [
        f"{name} was not refused"
        for name, word in REFUSED.items()
        if not is_refused(binary, work, folder, f"//m:{name}-f32-16-tflite", word)
    ]
    wanted = [target for target in targets() if target[0] not in REFUSED]
    mc(binary, work, "--workspace", str(folder), "build", *(f"//m:{label(target)}" for target in wanted))
    shown = []
    for target in wanted:
        name, word, bits, container = target
        path = folder / "mc-out" / "m" / label(target) / f"model.{container}"
        checkpoint = folder / "m" / name
        if container == "litertlm":
            graph = folder / "mc-out" / "m" / label((name, word, bits, "tflite")) / "model.tflite"
            wrong += compare_text(f"{name} {word}", checkpoint, path, stored_weights(graph))
        elif word == "f32":
            worst, found = compare_floats(name, checkpoint, path)
            wrong += changed_weights(binary, work, folder, f"//m:{name}", f"//m:{label(target)}")
            shown.append(f"{name} {worst:.0e}")
            wrong += found
        else:
            share, found = compare_integers(name, word, bits, checkpoint, path)
            shown.append(f"{name} {word} {bits} {share:.1%}")
            wrong += found
    print("litert: " + ", ".join(shown) + f"; text of {', '.join(BUNDLES)}, and in {WORDS[0]} of {', '.join(QUANTIZED)}")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
