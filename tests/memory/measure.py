"""Runs a command under `/usr/bin/time -v` and tells what its memory consists of while it runs.

Usage: measure.py FOLDER LIMIT_MB COMMAND...

Pages of files below FOLDER are input. Exits with 1 when memory beyond input pages goes over the limit.
"""

import pathlib
import re
import subprocess
import sys
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
            # A file's page that was written to is anonymous; ours are not.
            anonymous = int(line.split()[1])
            kinds["anonymous"] += anonymous
            kinds["input" if is_input else "other"] += resident - anonymous
    return kinds


def main():
    folder, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    folder = str(pathlib.Path(folder).resolve())
    timed = subprocess.Popen(["/usr/bin/time", "-v"] + command, stderr=subprocess.PIPE, text=True)
    peaks = {"anonymous": 0, "input": 0, "other": 0, "beyond input": 0}
    n_written, n_samples = 0, 0
    children = pathlib.Path(f"/proc/{timed.pid}/task/{timed.pid}/children")
    while timed.poll() is None:
        try:
            pid = children.read_text().split()[0]
            now = pages(pid, folder)
            written = re.search(r"wchar: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text())
        except (OSError, IndexError):
            time.sleep(INTERVAL)
            continue
        now["beyond input"] = now["anonymous"] + now["other"]
        peaks = {kind: max(peak, now[kind]) for kind, peak in peaks.items()}
        n_written, n_samples = int(written.group(1)), n_samples + 1
        time.sleep(INTERVAL)
    report = timed.stderr.read()
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
    for name, megabytes in rows:
        print(f"{name:<28} {megabytes:8.1f} MB")
    print(f"{'time':<28} {elapsed:>8}    ({n_samples} samples)")
    print(f"{'CPU, of one core':<28} {busy:>8} %")
    if peaks["beyond input"] * 1024 / 1e6 > limit:
        sys.exit(f"error: more than {limit:.0f} MB beyond mapped input pages")


if __name__ == "__main__":
    main()
