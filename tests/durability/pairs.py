"""Compares the wall and CPU time of two mc binaries for a cold build of many small targets.

Usage: pairs.py WORK BASE MC N_PAIRS N_TARGETS

Each target is a dataset of one file of two lines, so a build consists mostly of writing small files: a blob, a result
and two records in the store for each target, and a file below mc-out. Each pair runs both binaries one after the other,
the next pair in the opposite order, so that drift of the machine affects both. Before each build the disk is synced.
Each build has a store of its own, and nothing is removed before the end: ext4 does not reuse an inode that was freed a
moment ago and searches for others one by one, so a build after a removal would measure that.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

PER_PACKAGE = 100
# Digests of files that were written a moment ago are not remembered.
QUIET = 3


def make_workspace(folder, n_targets):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "workspace.kdl").write_text('workspace "durability"\n')
    for first in range(0, n_targets, PER_PACKAGE):
        package = folder / "packages" / f"{first // PER_PACKAGE:03}"
        package.mkdir(parents=True)
        names = [f"t{index}" for index in range(min(PER_PACKAGE, n_targets - first))]
        targets = [f'dataset "{name}" {{\n    files "{name}.txt"\n}}\n' for name in names]
        (package / "package.kdl").write_text("".join(targets))
        for name in names:
            (package / f"{name}.txt").write_text(f"Text {name} of package {first}.\nIt has two lines.\n")
    time.sleep(QUIET)


def seconds(command):
    """Wall and CPU time of a command, which must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: {' '.join(command)}\n{said.decode()[-2000:]}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime


def main():
    work, base, new = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    n_pairs, n_targets = int(sys.argv[4]), int(sys.argv[5])
    workspace, runs = work / "workspace", work / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    make_workspace(workspace, n_targets)
    caches = []

    def build(binary):
        run = runs / str(len(caches))
        run.mkdir(parents=True)
        if (workspace / "mc-out").exists():
            (workspace / "mc-out").rename(run / "mc-out before")
        cache = run / "cache"
        caches.append(cache)
        os.sync()
        return seconds([binary, "--workspace", str(workspace), "--cache-dir", str(cache), "build", "//..."])

    took = {"before": [], "after": []}
    for pair in range(n_pairs):
        order = [("before", base), ("after", new)]
        for name, binary in order if pair % 2 == 0 else reversed(order):
            took[name].append(build(binary))
            wall, cpu = took[name][-1]
            print(f"{name:<6} {wall:8.1f} s wall, {cpu:6.1f} s CPU", flush=True)
    n_files = sum(len(files) for _, _, files in os.walk(caches[-1]))
    print(f"{n_targets} targets, {n_files} files in the store; medians of {n_pairs} pairs:")
    for name, times in took.items():
        wall, cpu = (statistics.median(column) for column in zip(*times))
        print(f"{name:<6} {wall:8.1f} s wall, {cpu:6.1f} s CPU, ratio {wall / cpu:.1f}")


if __name__ == "__main__":
    main()
