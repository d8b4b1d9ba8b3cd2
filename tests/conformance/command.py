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


def changed_weights(binary, work, folder, checkpoint, target):
    """What `mc diff` says of the weights of a target that stores them as floats of 32 bits: all are those of the
    checkpoint."""
    found = mc(binary, work, "--workspace", str(folder), "diff", checkpoint, target)
    changed = [one["name"] for one in found["tensors"] if not one["equal"] and one.get("fidelity", {}).get("rmse") != 0]
    missing = [name for names in found["only"] for name in names]
    return [f"{target}: mc diff finds another `{name}` than in {checkpoint}" for name in changed + missing]
