"""Builds repeatedly, each time with a fault at one message between `mc` and a server: whatever the fault is, the build
ends with the right bytes and at most one warning, and nothing on the server is lost or wrong.

The demo's checkpoint is merged with its adapter and quantized. Two builds are recorded first: one that makes and sends
everything, and one that only reads. Faults are then injected at every HTTP/2 frame of both in turn, from the first to
the last. Uploads go to a server that is empty each time, and are read back by another build.

usage: faults.py MC WORK_FOLDER [RUNS [SEED]]     WORK_FOLDER: where remote.py installed buildbox-casd
"""

import asyncio
import collections
import concurrent.futures
import json
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time

from relay import Relay
from servers import Servers, casd

TARGET = "//models:plain"
DECLARED = 'model "plain" { base ":roadtrip-base"; adapter ":roadtrip-adapter" scale=1.0; quantize "Q8_0" }\n'
N_RUNS = 500
# Parallel builds: most of the time they wait for timeouts.
N_WORKERS = 4
# Timeouts of `mc`: for a connection, and for a silent server.
SECONDS = 2
# A delay within the timeouts; and one far beyond them.
LATE, NEVER = 0.5 * SECONDS, 1000 * SECONDS
# A build that takes longer counts as hanging: by then even several timeouts with all retries of `mc` have passed.
FOR_EVER = 120
PREFACE, HEADER = 24, 9

SEND = ["--remote-upload-local-results"]


class Wrong(Exception):
    pass


class Frames(Relay):
    """Forwards HTTP/2 frames, and applies the fault `fault[1]` to frame number `fault[0]`, counted over both directions."""

    def __init__(self, port, fault=None, seed=None):
        self.n_frames, self.fault, self.is_met = 0, fault, False
        self._choose = random.Random(seed)
        super().__init__(port)

    async def _pump(self, reader, writer, direction):
        held = b""
        try:
            if direction == "up":
                writer.write(await reader.readexactly(PREFACE))
            while True:
                header = await reader.readexactly(HEADER)
                frame = header + await reader.readexactly(int.from_bytes(header[:3], "big"))
                at, fault = self.fault or (-1, None)
                is_it, self.n_frames = self.n_frames == at, self.n_frames + 1
                self.is_met |= is_it
                if is_it and fault == "swap":
                    held = frame
                    continue
                passed = await FAULTS[fault](frame, self._choose) if is_it else frame
                writer.write(passed + held)
                await writer.drain()
                held = b""
                if is_it and fault in ENDS:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def cut(_frame, _choose):
    return b""


async def cut_within(frame, choose):
    return frame[: choose.randrange(1, len(frame))]


async def delay(frame, _choose):
    await asyncio.sleep(LATE)
    return frame


async def hang(frame, _choose):
    await asyncio.sleep(NEVER)
    return frame


async def flip(frame, choose):
    at = choose.randrange(len(frame))
    return frame[:at] + bytes([frame[at] ^ 1 << choose.randrange(8)]) + frame[at + 1 :]


async def drop(_frame, _choose):
    return b""


async def drop_bytes(frame, choose):
    at = choose.randrange(len(frame))
    return frame[:at] + frame[at + choose.randrange(1, 60) :]


async def repeat(frame, _choose):
    return frame + frame


FAULTS = {
    "cut": cut,
    "cut within": cut_within,
    "delay": delay,
    "hang": hang,
    "flip": flip,
    "drop": drop,
    "drop bytes": drop_bytes,
    "repeat": repeat,
    # Sent after the next frame of its direction.
    "swap": None,
}
# The faults after which the connection is closed.
ENDS = {"cut", "cut within"}


class Machine:
    """A checkout with a store of its own, both new."""

    def __init__(self, binary, folder):
        self._binary, self._folder = binary, folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "checkout/models").mkdir(parents=True)
        models = pathlib.Path("models").resolve()
        workspace = pathlib.Path("workspace.kdl").read_text()
        (folder / "checkout/workspace.kdl").write_text(f'{workspace}\nallow-outside "{models}"\n')
        for part in ["base", "adapter"]:
            (folder / "checkout/models" / part).symlink_to(models / part)
        (folder / "checkout/models/package.kdl").write_text(
            'checkpoint "roadtrip-base" dir="base"\nadapter "roadtrip-adapter" dir="adapter" base=":roadtrip-base"\n' + DECLARED
        )

    def build(self, port, *options):
        """Digests of the outputs, number of actions that ran, and stderr."""
        command = [self._binary, "--workspace", self._folder / "checkout", "--cache-dir", self._folder / "cache"]
        command += ["--output", "json", "build", f"--remote-cache=grpc://127.0.0.1:{port}", *options, TARGET]
        command += [f"--remote-timeout={SECONDS}", f"--remote-connect-timeout={SECONDS}"]
        try:
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=FOR_EVER, check=False)
        except subprocess.TimeoutExpired as error:
            raise Wrong(f"the build did not end in {FOR_EVER} s\n{error.stderr}") from error
        if done.returncode != 0:
            raise Wrong(f"the build ended with {done.returncode}\n{done.stdout}{done.stderr}")
        told = json.loads(done.stdout)
        found = {output["path"]: output["digest"] for output in told["targets"][0]["outputs"]}
        return found, told["actions"]["ran"], done.stderr


def warnings(said):
    return sum(line.startswith("warning") for line in said.splitlines())


class Runs:
    """All runs and their results."""

    def __init__(self, binary, work, n_runs, seed):
        self._binary, self._work, self._n_runs, self._seed = binary, work, n_runs, seed
        self._servers = Servers(work)
        self._full = casd(self._servers, "faults-full")
        self._seen, self._lock, self._longest, self._n_met = collections.Counter(), threading.Lock(), 0.0, 0
        self._expected, _, n_sent = self._recorded("sends", self._full.port, *SEND)
        _, n_ran, n_read = self._recorded("reads", self._full.port)
        if n_ran:
            raise Wrong(f"{n_ran} actions ran although all results had been uploaded")
        self._n_frames = {"sends": n_sent, "reads": n_read}

    def _machine(self, name):
        return Machine(self._binary, self._work / name)

    def _recorded(self, name, port, *options):
        """Digests of the outputs, number of actions that ran, and number of messages of a build without a fault."""
        relay = Frames(port)
        found, n_ran, _ = self._machine(f"faults-{name}").build(relay.port, *options)
        return found, n_ran, relay.n_frames

    def _chosen(self, run):
        """Whether the run sends, and its fault with the frame: every other run sends, and over all runs of a kind each fault
        covers frames from the first to the last."""
        kind, number = ("sends", "reads")[run % 2], run // 2
        at = number * self._n_frames[kind] // max(1, self._n_runs // 2)
        return kind, at, list(FAULTS)[number % len(FAULTS)]

    def all(self):
        with concurrent.futures.ThreadPoolExecutor(N_WORKERS) as pool:
            jobs = [pool.submit(self._run, run) for run in range(self._n_runs)]
            try:
                for job in concurrent.futures.as_completed(jobs):
                    job.result()
            finally:
                pool.shutdown(cancel_futures=True)
        if self._recorded("last", self._full.port)[:2] != (self._expected, 0):
            raise Wrong("the server of the read-only builds lost data")
        self._servers.stop()
        for fault in FAULTS:
            fates = ", ".join(f"{n} {fate}" for (of, fate), n in sorted(self._seen.items()) if of == fault)
            print(f"{fault:<10} {fates}")
        sent, read = self._n_frames["sends"], self._n_frames["reads"]
        print(
            f"{self._n_runs} builds, faults over {sent} messages of a build that sends and {read} of one that reads,"
            f" {self._n_met} met: the right bytes each time, at most 1 warning, nothing lost, the longest took"
            f" {self._longest:.1f} s: ok",
            flush=True,
        )

    def _run(self, run):
        kind, at, fault = self._chosen(run)
        name = f"faults-{threading.get_ident()}"
        servers = Servers(self._work)
        try:
            if kind == "sends":
                shutil.rmtree(self._work / f"{name}-server", ignore_errors=True)
                server = casd(servers, f"{name}-server")
            else:
                server = self._full
            relay = Frames(server.port, (at, fault), f"{self._seed} {run}")
            began = time.monotonic()
            found, n_ran, said = self._machine(name).build(relay.port, *(SEND if kind == "sends" else []))
            took = time.monotonic() - began
            if found != self._expected or warnings(said) > 1:
                raise Wrong(f"{found} and {warnings(said)} warnings; expected {self._expected} and one at most\n{said}")
            if kind == "sends":
                # Uploads that arrived are right, and the others are remade.
                found, n_ran, said = self._machine(f"{name}-after").build(server.port)
                if found != self._expected or warnings(said):
                    raise Wrong(f"another build then found {found}; expected {self._expected}\n{said}")
                fate = "had not arrived completely" if n_ran else "arrived"
            else:
                fate = "made here" if n_ran else "read"
        except Wrong as error:
            raise Wrong(f"run {run}, which {kind}, `{fault}` at message {at}: {error}") from error
        finally:
            servers.stop()
        with self._lock:
            self._seen[fault, fate] += 1
            self._n_met += relay.is_met
            self._longest = max(self._longest, took)


def main():
    binary, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve() / "remote"
    n_runs = int(sys.argv[3]) if len(sys.argv) > 3 else N_RUNS
    try:
        Runs(binary, work, n_runs, sys.argv[4] if len(sys.argv) > 4 else "faults").all()
    except Wrong as error:
        sys.exit(f"faults: FAILED\n{error}")


if __name__ == "__main__":
    main()
