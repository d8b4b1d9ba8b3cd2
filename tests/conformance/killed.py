"""Kills a server while a build uses it: the build continues without it, with one warning and the same bytes; a build that
requires the server ends with one error, even if it is only computing.
"""

import json
import os
import shutil
import subprocess
import time

DEMO = "//models:roadtrip-q4km-ios"
# Number of finished actions when the server is killed.
N_STEPS = 6
# Number of actions of the whole demo.
N_TENSORS = 38
# With this many repetitions of the text, measuring takes minutes: much longer than detecting that the server is gone.
N_TEXTS = 40
# Connect timeout; a machine refuses a connection at once, a few times.
CONNECT_SECONDS = 5


def start(binary, folder, address, *options, n_texts=1):
    """A build in a checkout of its own, and its log."""
    folder.mkdir()
    shutil.copy("workspace.kdl", folder)
    for part in ["models", "targets"]:
        shutil.copytree(part, folder / part)
    for text in (folder / "models/data/evaluation").iterdir():
        text.write_text(text.read_text() * n_texts)
    log = folder / "log"
    command = [binary, "--workspace", folder, "--cache-dir", folder / "cache", "--output", "json", "build", "-v"]
    command += [f"--remote-cache={address}", "--remote-upload-local-results", *options, DEMO]
    environment = os.environ | {"HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    return process, log


def n_done(log, kind):
    return sum(line.startswith(kind + " ") for line in log.read_text().splitlines())


def kill_after(n_tensors, process, log, servers, seconds=0):
    while n_done(log, "tensor") < n_tensors and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    servers.stop()
    return time.monotonic()


def ends(process, log, killed, expect):
    """Number of seconds between the death of the server and the end of the build, which must have one error."""
    told = json.loads(process.communicate()[0])
    elapsed, said = time.monotonic() - killed, log.read_text()
    expect(process.returncode == 1, f"the build ended with {process.returncode}\n{said}")
    expect(len(told["errors"]) == 1, f"expected one error\n{said}")
    return elapsed


def digests(told):
    return {output["path"]: output["digest"] for target in told["targets"] for output in target["outputs"]}


def check(start_server, servers, binary, work, expect):
    work.mkdir()
    alone, _ = start(binary, work / "alone", "")
    expected = digests(json.loads(alone.communicate()[0]))

    # A new, empty server each time.
    server = start_server(servers, "casd-goes-on")
    process, log = start(binary, work / "goes-on", server.address(server.port))
    kill_after(N_STEPS, process, log, servers)
    told = json.loads(process.communicate()[0])
    said = log.read_text()
    n_warnings = sum(line.startswith("warning") for line in said.splitlines())
    expect(process.returncode == 0, f"the build ended with {process.returncode}\n{said}")
    expect(n_warnings == 1 and "is no longer used after a failure" in said, f"expected one warning\n{said}")
    expect(digests(told) == expected, "the bytes of the build that lost its server differ")

    server = start_server(servers, "casd-ends")
    required = [server.address(server.port), "--remote-cache-required"]
    process, log = start(binary, work / "ends", *required)
    elapsed = ends(process, log, kill_after(N_STEPS, process, log, servers), expect)
    n_more = n_done(log, "tensor")

    # From here on no action makes a request before the end of the measurement.
    server = start_server(servers, "casd-ends-early")
    required = [server.address(server.port), "--remote-cache-required"]
    process, log = start(binary, work / "ends-early", *required, n_texts=N_TEXTS)
    early = ends(process, log, kill_after(N_TENSORS, process, log, servers, seconds=2), expect)
    n_measured = n_done(log, "perplexity")
    expect(n_measured == 0, f"{n_measured} measurements ended before\n{log.read_text()}")
    print(
        f"killed after {N_STEPS} tensors: continues with 1 warning and the same bytes; required: 1 error"
        f" {elapsed:.1f} s later, {n_more} tensors done, and {early:.1f} s later during gate measurements, which would"
        f" take minutes (a connection may take {CONNECT_SECONDS} s): ok",
        flush=True,
    )
