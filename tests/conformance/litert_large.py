"""Writes a `.tflite` file of more than 2 GiB, which no flatbuffer could hold, runs it in ai-edge-litert, and compares it with
the formulas in numpy. Needs 8 GB of memory and 6 GB of disk, so it is not among the scripts that always run.

usage: litert_large.py MC WORK_FOLDER
"""

import pathlib
import random
import sys

import numpy

from command import mc
from litert import Graph, expected_logits, prompt_of
from make_family import FAMILIES, write
from reference import Model

# One narrow layer between embeddings of this width.
WIDTH = 131_200
CHANGES = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1, "tie_word_embeddings": True}
# Sums over so many columns have larger errors.
BOUND = 5e-3


def randbytes(generator, count, part=1 << 20, one=random.Random.randbytes):
    """Any number of bytes; Python's own function is limited."""
    return b"".join(one(generator, min(part, count - start)) for start in range(0, count, part))


def main():
    random.Random.randbytes = randbytes
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "litert-large"
    FAMILIES["llama-wide"] = ("LlamaForCausalLM", CHANGES, "bytes")
    write("llama-wide", folder / "m" / "wide")
    settings = 'quantize "f32"; container "tflite"; context 32; prefill 16'
    package = f'checkpoint "wide" dir="wide"\nlitert "large" {{ model ":wide"; {settings} }}\n'
    (folder / "m" / "package.kdl").write_text(package)
    (folder / "workspace.kdl").write_text('workspace "large"\n')
    mc(binary, work, "--workspace", str(folder), "build", "//m:large")
    path = folder / "mc-out" / "m" / "large" / "model.tflite"
    size = path.stat().st_size
    if size <= 2**31:
        sys.exit(f"the file has only {size} bytes")
    model, graph = Model(folder / "m" / "wide"), Graph(path)
    ids = prompt_of("wide", model.config["vocab_size"], 12)
    found, lengths = graph.logits(ids)
    expected = expected_logits(model, ids, lengths)
    worst = float(numpy.abs(found - expected).max())
    print(f"litert_large: {size} bytes, logits differ by {worst:.0e}")
    if worst > BOUND or found.argmax() != expected.argmax():
        sys.exit("the file computes other logits")


if __name__ == "__main__":
    main()
