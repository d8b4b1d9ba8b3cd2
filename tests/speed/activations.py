"""Times the graphs of `activation-bits 8` and `activation-bits 16` in LiteRT, in turns: single tokens, and prompts.

Usage: activations.py MC WORK CHECKPOINT...

Runs in a Python with `requirements.txt` of `tests/conformance`. Each number is the median of the turns.
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy
from ai_edge_litert.interpreter import Interpreter

WORDS = ("int4-g32", "int8-channel")
BITS = (8, 16)
THREADS = (1, 2)
CONTEXT, PROMPT = 512, 128
TURNS = {"decode": 15, f"prefill_{PROMPT}": 5}


def build(mc, work, checkpoint):
    """The graphs, by word and bits."""
    workspace = work / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    shutil.copytree(checkpoint, workspace / "base")
    (workspace / "workspace.kdl").write_text('workspace "speed"\n')
    targets = {(word, bits): f"{word}-{bits}" for word in WORDS for bits in BITS}
    declared = ['checkpoint "base" dir="base"'] + [
        f'litert "{name}" {{ model ":base"; quantize "{word}"; activation-bits {bits}; container "tflite"; '
        f"context {CONTEXT}; prefill {PROMPT} }}"
        for (word, bits), name in targets.items()
    ]
    (workspace / "package.kdl").write_text("\n".join(declared) + "\n")
    command = [mc, "--workspace", str(workspace), "--cache-dir", str(work / "cache"), "build", "//..."]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {key: workspace / "mc-out" / name / "model.tflite" for key, name in targets.items()}


class Graph:
    """A graph in the interpreter."""

    def __init__(self, path, n_threads):
        self.interpreter = Interpreter(str(path), num_threads=n_threads)
        self.runners = {name: self.interpreter.get_signature_runner(name) for name in TURNS}
        inputs = self.runners["decode"].get_input_details().items()
        self.caches = {name: numpy.zeros(one["shape"], numpy.float32) for name, one in inputs if name.startswith("kv_cache")}

    def seconds(self, name):
        """Duration of one call."""
        n_tokens = 1 if name == "decode" else PROMPT
        mask = numpy.where(numpy.arange(CONTEXT) <= numpy.arange(n_tokens)[:, None], 0, -1e30).astype(numpy.float32)
        began = time.perf_counter()
        self.runners[name](
            tokens=numpy.ones((1, n_tokens), numpy.int32),
            input_pos=numpy.arange(n_tokens, dtype=numpy.int32),
            mask=mask[None, None],
            **self.caches,
        )
        return time.perf_counter() - began


def main():
    mc, work = sys.argv[1], pathlib.Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    print("| model | quantization | threads | signature | 8 bits | 16 bits | ratio |")
    print("|---|---|---|---|---|---|---|")
    for checkpoint in map(pathlib.Path, sys.argv[3:]):
        config = json.loads((checkpoint / "config.json").read_text())
        model = f"{config['model_type']}, {config['num_hidden_layers']} layers of {config['hidden_size']}"
        paths = build(mc, work, checkpoint)
        for word in WORDS:
            for n_threads in THREADS:
                graphs = [Graph(paths[word, bits], n_threads) for bits in BITS]
                for name, n_turns in TURNS.items():
                    for graph in graphs:
                        graph.seconds(name)
                    turns = [[graph.seconds(name) for graph in graphs] for _ in range(n_turns)]
                    eight, sixteen = (statistics.median(column) * 1000 for column in zip(*turns))
                    ratio = statistics.median(slow / fast for fast, slow in turns)
                    times = f"{eight:.1f} ms | {sixteen:.1f} ms | {ratio:.2f}"
                    print(f"| {model} | `{word}` | {n_threads} | `{name}` | {times} |", flush=True)


if __name__ == "__main__":
    main()
