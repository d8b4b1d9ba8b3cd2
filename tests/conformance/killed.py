"""Kills a server while a build uses it: the build goes on alone, with one warning and the same bytes; a build that must
not do without it ends with one error.
"""

import json
import os
import shutil
import subprocess
import time

DEMO = "//models:roadtrip-q4km-ios"
# Steps that were done when the server is killed.
N_STEPS = 6
# The build would not notice a server that is gone before it asks again; then it waits for a connection, which a machine
# refuses at once, a few times.
CONNECT_SECONDS = 5


def start(binary, folder, address, *options):
    """A build in a checkout of its own, and where it says what it does."""
    folder.mkdir()
    shutil.copy("workspace.kdl", folder)
    for part in ["models", "targets"]:
        shutil.copytree(part, folder / part)
    log = folder / "log"
    command = [binary, "--workspace", folder, "--cache-dir", folder / "cache", "--output", "json", "build"]
    command += [f"--remote-cache={address}", "--remote-upload-local-results", *options, DEMO]
    environment = os.environ | {"HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    return process, log


def n_done(log):
    return sum(line.startswith("tensor ") for line in log.read_text().splitlines())


def kill_after(process, log, servers):
    while n_done(log) < N_STEPS and process.poll() is None:
        time.sleep(0.01)
    servers.stop()
    return time.monotonic()


def digests(told):
    return {output["path"]: output["digest"] for target in told["targets"] for output in target["outputs"]}


def check(start_server, servers, binary, work, expect):
    work.mkdir()
    alone, _ = start(binary, work / "alone", "")
    expected = digests(json.loads(alone.communicate()[0]))

    # Each time one that has nothing yet.
    server = start_server(servers, "casd-goes-on")
    process, log = start(binary, work / "goes-on", server.address(server.port))
    kill_after(process, log, servers)
    told = json.loads(process.communicate()[0])
    said = log.read_text()
    n_warnings = sum(line.startswith("warning") for line in said.splitlines())
    expect(process.returncode == 0, f"the build ended with {process.returncode}\n{said}")
    expect(n_warnings == 1 and "was left alone after it failed" in said, f"expected one warning\n{said}")
    expect(digests(told) == expected, "the build that lost its server has other bytes")

    server = start_server(servers, "casd-ends")
    process, log = start(binary, work / "ends", server.address(server.port), "--remote-cache-required")
    killed = kill_after(process, log, servers)
    told = json.loads(process.communicate()[0])
    elapsed, said = time.monotonic() - killed, log.read_text()
    expect(process.returncode == 1, f"the build ended with {process.returncode}\n{said}")
    expect(len(told["errors"]) == 1, f"expected one error\n{said}")
    # The steps that run when the server is killed are finished first.
    n_more = n_done(log)
    print(
        f"killed after {N_STEPS} tensors: goes on with 1 warning and the same bytes; required: 1 error"
        f" {elapsed:.1f} s later, {n_more} tensors done (a connection may take {CONNECT_SECONDS} s): ok",
        flush=True,
    )
