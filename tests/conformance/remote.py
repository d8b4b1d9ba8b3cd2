"""Builds the demo with real servers as the remote cache: results of one clone must be hits of another.

For each server: one clone builds and uploads; a second one, in another folder and with a store of its own, must run
nothing, give the same bytes, and fetch little more than those; a client without access is refused and builds
nevertheless; then blobs are damaged on the server, and the bytes must be the same again. At the end a server is killed
while it is in use. All traffic to and from a server goes through a relay that counts it.

usage: remote.py MC WORK_FOLDER [SERVER...]     SERVER: names in servers.py's table (default: all)
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import killed
from relay import Relay
from servers import SECRETS, TABLE, WHOLE, Servers, casd

DEMO = "//models:roadtrip-q4km-ios"
# An action with one long blob, which is transferred in parts to buckets and registries.
LONG = "//models:long"
N_LONG_WORDS = 2_200_000
# The part of its text on which the shortened demo is measured.
SHARE = 6
# Bytes that a clone may fetch in addition to its outputs: results, trees, and protocol overhead.
MAX_BESIDES = 500_000


def workspace(folder, is_whole):
    """A clone of the repository's demo."""
    folder.mkdir()
    shutil.copy("workspace.kdl", folder)
    for part in ["models", "targets"]:
        shutil.copytree(part, folder / part)
    models = folder / "models"
    words = random.Random("long")
    lines = (" ".join(f"{words.getrandbits(32):08x}" for _ in range(100)) for _ in range(N_LONG_WORDS // 100))
    (models / "data/long.txt").write_text("\n\n".join(lines))
    package = (models / "package.kdl").read_text() + '\ndataset "long" { files "data/long.txt" }\n'
    if not is_whole:
        package = package.replace("sample 256", "sample 32")
        utterances = models / "data/intents.jsonl"
        utterances.write_text("".join(utterances.read_text().splitlines(keepends=True)[::SHARE]))
        for path in [*models.glob("data/calibration/*.txt"), *models.glob("data/evaluation/*.txt")]:
            text = path.read_text()
            path.write_text(text[: len(text) // SHARE])
    (models / "package.kdl").write_text(package)


class Clone:
    """A checkout with a store of its own, both new."""

    def __init__(self, binary, work, name, is_whole):
        self._binary, self._work = binary, work / name
        self._work.mkdir(parents=True)
        self.folder = self._work / "checkout"
        workspace(self.folder, is_whole)

    def build(self, address, who, *options):
        """The output of the command, its warnings, and the outputs."""
        more, variables = who
        command = [self._binary, "--workspace", self.folder, "--cache-dir", self._work / "cache", "--output", "json"]
        command += ["build", f"--remote-cache={address}", *options, *more, DEMO, LONG]
        # No logins of the user who runs the test.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"HOME": str(self._work), "NO_PROXY": "127.0.0.1"} | variables
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
        for secret in SECRETS:
            expect(secret not in done.stdout + done.stderr, f"`{secret}` is in the output of the command\n{done.stderr}")
        expect(done.returncode == 0, f"the command ended with {done.returncode}\n{done.stdout}{done.stderr}")
        told = json.loads(done.stdout)
        return told["actions"], done.stderr, outputs(told)


def outputs(told):
    """Length and digest of every output file on disk."""
    found = {}
    for target in told["targets"]:
        for output in target["outputs"]:
            data = (pathlib.Path(target["directory"]) / output["path"]).read_bytes()
            found[f"{target['label']} {output['path']}"] = len(data), hashlib.sha256(data).hexdigest()
    return found


def warnings(text):
    return [line for line in text.splitlines() if line.startswith("warning")]


class Wrong(Exception):
    pass


def expect(is_right, what):
    if not is_right:
        raise Wrong(what)


def megabytes(n_bytes):
    return f"{n_bytes / 1e6:.1f} MB"


def check(name, server, binary, work, is_whole):
    relay = Relay(server.port)
    address = server.address(relay.port)

    def clone(number, role, *options):
        found = Clone(binary, work, f"{name}-{number}", is_whole).build(address, server.who(role, relay.port), *options)
        return *found, relay.take()

    began = time.monotonic()
    made, _, expected, (up, _) = clone(1, "writer", "--remote-upload-local-results", "--remote-cache-required")
    expect(made["ran"] == made["total"], f"the first clone: {made}")
    found, said, same, (_, down) = clone(2, "reader", "--remote-cache-required")
    expect(found["ran"] == 0 and found["remote_hits"] == found["total"], f"the second clone: {found}\n{said}")
    expect(same == expected, "the bytes of the second clone differ")
    expect(not warnings(said), f"the second clone has warnings\n{said}")
    n_needed = sum(n_bytes for n_bytes, _ in same.values())
    expect(down <= n_needed + MAX_BESIDES, f"the second clone fetched {down} bytes for outputs of {n_needed}")
    told = f"{name}: {made['total']} actions, {megabytes(up)} up; second clone 0 ran, {megabytes(down)} down for outputs of {megabytes(n_needed)}"
    if server.refusal:
        _, said, same, _ = clone(3, "stranger", "--remote-upload-local-results", "--remote-accept-cached=false")
        expect(same == expected, "the bytes of the stranger differ")
        expect(len(warnings(said)) == 1 and server.refusal in said, f"expected `{server.refusal}` in one warning\n{said}")
        told += "; a stranger is refused"
    if server.damage:
        server.damage()
        again, said, same, _ = clone(4, "writer", "--remote-upload-local-results")
        expect(same == expected, "after damage the bytes differ")
        expect(0 < again["ran"] < again["total"], f"after damage: {again}\n{said}")
        told += f"; two blobs damaged: {again['ran']} ran"
        if server.mends:
            found, said, same, _ = clone(5, "reader", "--remote-cache-required")
            expect(found["ran"] == 0 and same == expected, f"after the repair: {found}\n{said}")
            told += ", then 0"
    if server.asked:
        told += f"; {server.asked(relay.port)}"
    print(f"{told}; the same bytes; {time.monotonic() - began:.0f} s: ok", flush=True)


def main():
    binary, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]) / "remote"
    work.mkdir()
    servers = Servers(work)
    servers.install()
    failed = False
    for name, start in [row for row in TABLE if row[0] in sys.argv[3:] or not sys.argv[3:]]:
        try:
            check(name, start(servers), binary, work, name in WHOLE)
        except Wrong as error:
            print(f"{name}: FAILED\n{error}", flush=True)
            print(servers.logs(), file=sys.stderr)
            failed = True
        finally:
            servers.stop()
    if not sys.argv[3:]:
        try:
            killed.check(casd, servers, binary, work / "killed", expect)
        except Wrong as error:
            print(f"killed: FAILED\n{error}", flush=True)
            failed = True
        finally:
            servers.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
