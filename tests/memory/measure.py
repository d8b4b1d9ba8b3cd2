"""Runs a command under `/usr/bin/time -v` and reports the composition of its memory while it runs.

Usage: measure.py FOLDER LIMIT_MB COMMAND...

Pages of files below FOLDER are input. Exits with 1 if memory beyond input pages exceeds the limit. With a LIMIT_MB of 0
memory is not sampled, because sampling uses a good part of a core: use this to measure CPU time.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

INTERVAL = 0.02


def pages(pid, folder):
    """Resident kilobytes by kind: anonymous, input files, other files."""
    kinds = {"anonymous": 0, "input": 0, "other": 0}
    is_input = False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
            is_input = folder in line
        elif line.startswith("Rss:"):
            resident = int(line.split()[1])
        elif line.startswith("Anonymous:"):
            # A modified page of a file counts as anonymous; the files here are not modified.
            anonymous = int(line.split()[1])
            kinds["anonymous"] += anonymous
            kinds["input" if is_input else "other"] += resident - anonymous
    return kinds


def cpu_seconds(stat):
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lines_of(log):
    """Lines of finished actions so far, from a separate descriptor, because the writer's position must not move."""
    with open(f"/proc/self/fd/{log.fileno()}", encoding="utf-8") as again:
        return sum(line.startswith("tensor ") for line in again)


def main():
    folder, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    folder = str(pathlib.Path(folder).resolve())
    log = tempfile.TemporaryFile("w+")
    timed = subprocess.Popen(["/usr/bin/time", "-v"] + command, stderr=log, stdout=subprocess.DEVNULL)
    # Moments at which this many tensors had finished, with the CPU time until then.
    moments = []
    peaks = {"anonymous": 0, "input": 0, "other": 0, "beyond input": 0}
    n_written, n_samples = 0, 0
    children = pathlib.Path(f"/proc/{timed.pid}/task/{timed.pid}/children")
    while timed.poll() is None:
        try:
            pid = children.read_text().split()[0]
            now = pages(pid, folder) if limit > 0 else dict.fromkeys(("anonymous", "input", "other"), 0)
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            written = re.search(r"wchar: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text())
        except (OSError, IndexError):
            time.sleep(INTERVAL)
            continue
        moments.append((time.monotonic(), cpu_seconds(stat), lines_of(log)))
        now["beyond input"] = now["anonymous"] + now["other"]
        peaks = {kind: max(peak, now[kind]) for kind, peak in peaks.items()}
        n_written, n_samples = int(written.group(1)), n_samples + 1
        time.sleep(INTERVAL if limit > 0 else 10 * INTERVAL)
    log.seek(0)
    report = log.read()
    if timed.returncode != 0:
        sys.exit(report)
    maximum = int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", report).group(1))
    busy = re.search(r"Percent of CPU this job got: (\d+)%", report).group(1)
    elapsed = re.search(r"Elapsed .*: ([\d:.]+)$", report, re.MULTILINE).group(1)
    rows = [
        ("peak resident, by time -v", maximum * 1024 / 1e6),
        ("peak of mapped input pages", peaks["input"] * 1024 / 1e6),
        ("peak of anonymous pages", peaks["anonymous"] * 1024 / 1e6),
        ("peak of other files' pages", peaks["other"] * 1024 / 1e6),
        ("peak beyond input pages", peaks["beyond input"] * 1024 / 1e6),
        ("written in all", n_written / 1e6),
    ]
    for name, megabytes in rows if limit > 0 else []:
        print(f"{name:<28} {megabytes:8.1f} MB")
    print(f"{'time':<28} {elapsed:>8}    ({n_samples} samples)")
    print(f"{'CPU, of one core':<28} {busy:>8} %")
    # From the first finished tensor to the last: before it inputs are hashed, after it the file is published.
    last = moments[-1][2]
    encoding = [(at, cpu) for at, cpu, n_done in moments if 0 < n_done < last]
    if len(encoding) > 1:
        (start, start_cpu), (end, end_cpu) = encoding[0], encoding[-1]
        print(f"{'the same while encoding':<28} {100 * (end_cpu - start_cpu) / (end - start):8.0f} %")
    if limit > 0 and peaks["beyond input"] * 1024 / 1e6 > limit:
        sys.exit(f"error: more than {limit:.0f} MB beyond mapped input pages")


if __name__ == "__main__":
    main()
