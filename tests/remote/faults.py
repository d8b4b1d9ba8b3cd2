"""Builds again and again through a relay that does something wrong at one byte of what travels: whatever it is, the
build ends, with the right bytes and at most one warning.

The demo's weights as `Q8_0`, from a store that is empty each time. One build first tells how many bytes travel; the
faults are spread over all of them, in both directions. Half of the builds may also send.

usage: faults.py MC PORT RUNS [SEED]     PORT: of a server on this machine that speaks the Remote Execution API
"""

import asyncio
import collections
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/conformance"))

from relay import Relay

TARGET = "//models:plain"
SECONDS = 2
# A build that takes longer hangs.
FOR_EVER = 120


class Faulty(Relay):
    """The byte of number `fault[0]`, of both directions, meets the fault `fault[1]`."""

    fault = None

    async def passing(self, data):
        end = self.up + self.down
        at, fault = self.fault or (-1, None)
        if end - len(data) <= at < end:
            return await FAULTS[fault](data, at - (end - len(data)))
        return data


async def cut(_data, _at):
    return None


async def delay(data, _at):
    await asyncio.sleep(0.75 * SECONDS)
    return data


async def hang(data, _at):
    await asyncio.sleep(15 * SECONDS)
    return data


async def flip(data, at):
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


async def drop(data, at):
    return data[:at] + data[at + 50 :]


async def repeat(data, at):
    return data[:at] + data[at : at + 9] + data[at:]


FAULTS = {"cut": cut, "delay": delay, "hang": hang, "flip": flip, "drop": drop, "repeat": repeat}


def build(binary, work, port, *options):
    for name in ["cache", "checkout/mc-out"]:
        shutil.rmtree(work / name, ignore_errors=True)
    command = [binary, "--workspace", work / "checkout", "--cache-dir", work / "cache", "--output", "json", "build"]
    command += [f"--remote-cache=grpc://127.0.0.1:{port}", f"--remote-timeout={SECONDS}"]
    command += [f"--remote-connect-timeout={SECONDS}", *options, TARGET]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=FOR_EVER, check=False)
    if done.returncode != 0:
        sys.exit(f"the build ended with {done.returncode}\n{done.stdout}{done.stderr}")
    told = json.loads(done.stdout)
    return told["targets"][0]["outputs"], told["actions"]["ran"], done.stderr


def main():
    binary, port, n_runs = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    choose = random.Random(sys.argv[4] if len(sys.argv) > 4 else "faults")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "checkout").mkdir()
        shutil.copy(ROOT / "workspace.kdl", work / "checkout")
        for part in ["models", "targets"]:
            shutil.copytree(ROOT / part, work / "checkout" / part)
        with (work / "checkout/models/package.kdl").open("a") as package:
            package.write('gguf "plain" { model ":roadtrip-base"; quantize "Q8_0" }\n')
        expected, _, _ = build(binary, work, port, "--remote-upload-local-results")
        relay = Faulty(port)
        build(binary, work, relay.port)
        n_bytes, longest, seen = sum(relay.take()), 0, collections.Counter()
        for run in range(n_runs):
            relay.take()
            relay.fault = run * n_bytes // n_runs, choose.choice(sorted(FAULTS))
            began = time.monotonic()
            options = ["--remote-upload-local-results"] if choose.random() < 0.5 else []
            found, n_ran, said = build(binary, work, relay.port, *options)
            longest = max(longest, time.monotonic() - began)
            n_warnings = sum(line.startswith("warning") for line in said.splitlines())
            if found != expected or n_warnings > 1:
                sys.exit(f"{relay.fault}: {'right' if found == expected else 'WRONG'} bytes, {n_warnings} warnings\n{said}")
            seen[relay.fault[1], "made here" if n_ran else "all hits"] += 1
        found, n_ran, _ = build(binary, work, port)
        if found != expected or n_ran:
            sys.exit("something was lost on the server")
        for (fault, fate), n in sorted(seen.items()):
            print(f"{fault:<7} {fate:<10} {n:>4}")
        print(f"{n_runs} builds over {n_bytes} bytes: the right bytes each time, the longest took {longest:.1f} s")


if __name__ == "__main__":
    main()
