"""Writes one checkpoint in every format with `mc` and with the official converters, in turns, and compares wall time, CPU
time and peak memory.

Usage: formats.py [--format NAME]... MC CONVERTERS MLX WORK CHECKPOINT...

CONVERTERS is the Python of an environment with `requirements.txt` of this folder. MLX is that of one with
`requirements.txt` of `tests/conformance`: mlx-lm does not need PyTorch, but imports it where it is installed, which takes
longer than the conversion. The cache of `mc` is empty in each turn. Each number is the median of three turns; memory is
the maximum resident set size of the largest process.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

TURNS = 3

# The converter imports a module of TensorFlow that another of its packages contains, too.
LITERT = """
import importlib.machinery
import sys
import types
from ai_edge_litert import schema_py_generated
for name in ("tensorflow", "tensorflow.lite", "tensorflow.lite.python"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
sys.modules["tensorflow.lite.python"].schema_py_generated = schema_py_generated
sys.modules["tensorflow.lite.python.schema_py_generated"] = schema_py_generated
from litert_torch.generative.export_hf import export
export.export(sys.argv[1], sys.argv[2], prefill_lengths=[16], cache_length=64, quantization_recipe="dynamic_wi4_afp32")
"""

FORMATS = {
    "mlx": ("affine-4-g64", lambda python, source, out: [
        python, "-m", "mlx_lm", "convert", "--hf-path", source, "-q", "--q-bits", "4", "--q-group-size", "64",
        "--mlx-path", out]),
    "onnx": ("int4-g32", lambda python, source, out: [
        python, "-m", "onnxruntime_genai.models.builder", "-m", source, "-i", source, "-o", out, "-p", "int4",
        "-e", "cpu", "-c", out + ".cache", "--extra_options", "int4_block_size=32"]),
    "litert": ("int4-channel", lambda python, source, out: [python, "-c", LITERT, source, out]),
}


def run(command, log):
    """Wall seconds, CPU seconds and megabytes of a command; `None` if it fails."""
    began = time.monotonic()
    environment = dict(os.environ, HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        return None
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def ours(mc, work, checkpoint, format, word, log):
    """The same for `mc` with an empty cache."""
    workspace = work / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir()
    (workspace / "workspace.kdl").write_text('workspace "speed"\n')
    shutil.copytree(checkpoint, workspace / "base")
    (workspace / "package.kdl").write_text(
        f'checkpoint "base" dir="base"\n{format} "out" {{\n    model ":base"\n    quantize "{word}"\n}}\n')
    return run([mc, "--workspace", str(workspace), "--cache-dir", str(work / "cache-of-mc"), "build", "//:out"], log)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--format", action="append", choices=FORMATS)
    for name in ("mc", "converters", "mlx", "work"):
        parser.add_argument(name)
    parser.add_argument("checkpoints", nargs="+")
    options = parser.parse_args()
    mc, work = options.mc, pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    print("| model | format | | wall | CPU | memory |")
    print("|---|---|---|---|---|---|")
    for checkpoint in map(pathlib.Path, options.checkpoints):
        kind = json.loads((checkpoint / "config.json").read_text())["model_type"]
        for format in options.format or FORMATS:
            word, command = FORMATS[format]
            python = options.mlx if format == "mlx" else options.converters
            results = {"official": [], "mc": []}
            for _ in range(TURNS):
                with (work / "log").open("a") as log:
                    out = work / "out"
                    shutil.rmtree(out, ignore_errors=True)
                    results["official"].append(run(command(python, str(checkpoint), str(out)), log))
                    shutil.rmtree(work / "cache-of-mc", ignore_errors=True)
                    results["mc"].append(ours(mc, work, checkpoint, format, word, log))
            medians = {}
            for who, found in results.items():
                if None in found:
                    print(f"| {kind} | {format} | {who} | failed | | |")
                    continue
                medians[who] = [statistics.median(column) for column in zip(*found)]
                wall, cpu, memory = medians[who]
                print(f"| {kind} | {format} | {who} | {wall:.2f} s | {cpu:.2f} s | {memory:.0f} MB |")
            if len(medians) == 2:
                ratios = [official / own for official, own in zip(medians["official"], medians["mc"])]
                print(f"| {kind} | {format} | ratio | {ratios[0]:.1f} | {ratios[1]:.1f} | {ratios[2]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
