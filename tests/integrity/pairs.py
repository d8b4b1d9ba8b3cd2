"""Compares the CPU time of two mc binaries for the same builds.

Usage: pairs.py WORK BASE MC N_PAIRS

WORK contains the workspace of ../memory/make_workspace.py. Each pair runs both binaries one after the other, the next
pair in the opposite order, so that drift of the machine affects both. Each binary has a store of its own.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEMO = ["workspace.kdl", "targets", "models/package.kdl", "models/base", "models/adapter", "models/data"]
# A build with nothing to do takes milliseconds.
N_NULL = 50


def copy_demo(folder):
    for name in DEMO:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def cpu_seconds(command):
    """User and system time of a command, which must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: {' '.join(command)}\n{said.decode()}")
    return usage.ru_utime + usage.ru_stime


def main():
    work, base, new, n_pairs = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    demo = work / "demo"
    copy_demo(demo)

    def build(binary, workspace, target, is_null):
        cache = work / ("cache-base" if binary == base else "cache-new")
        command = [binary, "--workspace", str(workspace), "--cache-dir", str(cache), "build", target]
        if is_null:
            cpu_seconds(command)
            return sum(cpu_seconds(command) for _ in range(N_NULL))
        shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(workspace / "mc-out", ignore_errors=True)
        return cpu_seconds(command)

    for name, workspace, target, is_null in [
        ("demo", demo, "//models:roadtrip-q4km-ios", False),
        (f"demo, nothing to do, {N_NULL} times", demo, "//models:roadtrip-q4km-ios", True),
        ("1.24 B, merged and quantized", work / "workspace", "//models:synthetic.gguf", False),
    ]:
        # The first run of each loads files into memory.
        for binary in (base, new):
            build(binary, workspace, target, is_null)
        pairs = []
        for index in range(n_pairs):
            order = (base, new) if index % 2 == 0 else (new, base)
            seconds = {binary: build(binary, workspace, target, is_null) for binary in order}
            pairs.append((seconds[base], seconds[new]))
        ratios = sorted(after / before for before, after in pairs)
        before, after = (statistics.median(column) for column in zip(*pairs))
        print(
            f"{name:<36} {before:8.2f} s to {after:8.2f} s of CPU time, ratio {statistics.median(ratios):.3f}"
            f" ({ratios[0]:.3f} to {ratios[-1]:.3f}, {n_pairs} pairs)",
            flush=True,
        )


if __name__ == "__main__":
    main()
