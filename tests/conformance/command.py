"""Runs commands of `mc`."""

import json
import subprocess
import sys


def mc(binary, work, *arguments):
    """A command's result as JSON."""
    command = [binary, "--cache-dir", str(work / "cache"), "--output", "json", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)
