"""The target of the attacks: a small workspace, a store with a finished build, a shared folder, and a home beside them.

An attempt has one of six outcomes. Two are fine: `right` (the requested outputs exist, byte for byte) and `error` (they
do not, and one command reports why). The others are `wrong`, `panic`, `hang` and `outside` (the home was changed).
"""

import collections
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

COLUMNS = ("right", "error", "wrong", "panic", "hang", "outside")
REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLE = "//models:app"
TIMEOUT = 60
# Files above this size are sparse ones planted by the attack.
HUGE = 1 << 30
# Memory limit: a process that needs more counts as unbounded.
ADDRESS_SPACE = 16 << 30

PACKAGE = """
checkpoint "base" dir="base"
adapter "adapter" dir="adapter" base=":base"
dataset "calibration" { files "data/calibration.txt" }
dataset "evaluation" { files "data/evaluation.txt" }
dataset "intents" { files "data/intents.jsonl" }
model "app" {
    base ":base"
    adapter ":adapter" scale=1.0
    calibration ":calibration" from="base"
    quantize "Q4_K_M"
    gate { perplexity on=":evaluation" max-increase="100%"; accuracy on=":intents" min="0%" }
}
model "plain" {
    base ":base"
    quantize "F16"
    gate { accuracy on=":intents" min="0%" }
}
"""

Ran = collections.namedtuple("Ran", "code stdout stderr seconds")


class Tally:
    """Counts the outcomes of attempts, and reports those that went wrong."""

    def __init__(self, name, kept):
        self.name, self.kept, self.counts, self.slowest = name, kept, collections.Counter(), 0.0

    def add(self, outcome, what, ran=None, target=None):
        self.counts[outcome] += 1
        if ran:
            self.slowest = max(self.slowest, ran.seconds)
        if outcome in ("right", "error"):
            return
        text = f"{ran.code} after {ran.seconds:.1f} s\n{ran.stderr[-1500:]}" if ran else ""
        print(f"{self.name}: {outcome}: {what}: {text}", flush=True)
        if self.kept and target:
            kept = self.kept / f"{self.name}-{sum(self.counts.values())}"
            shutil.copytree(target.folder, kept, symlinks=True, ignore_dangling_symlinks=True)
            print(f"  kept in {kept}")

    def n_bad(self):
        return sum(count for outcome, count in self.counts.items() if outcome not in ("right", "error"))


class Target:
    def __init__(self, mc, folder):
        self.mc, self.folder = mc, folder
        self.workspace, self.cache = folder / "workspace", folder / "cache"
        self.team, self.home = folder / "team", folder / "home"
        self.template = folder / "template"
        self.make_workspace()
        self.team.mkdir()
        for name in ("Documents", "session-notes", "models/app", "ab"):
            (self.home / name).mkdir(parents=True)
            (self.home / name / "thesis.txt").write_text("years of work")
        (self.home / "thesis.txt").write_text("years of work")
        self.untouched = fingerprint(self.home)
        ran = self.build()
        assert ran.code == 0, ran
        self.expected = self.outputs()
        assert self.expected
        self.cold_seconds = ran.seconds
        for path in (self.cache, self.team, self.workspace):
            copy(path, self.template / path.name)

    def make_workspace(self):
        models = self.workspace / "models"
        models.mkdir(parents=True)
        (self.workspace / "workspace.kdl").write_text('workspace "attacked"\n')
        (models / "package.kdl").write_text(PACKAGE)
        demo = REPOSITORY / "models"
        shutil.copytree(demo / "base", models / "base")
        shutil.copytree(demo / "adapter", models / "adapter")
        (models / "data").mkdir()
        for name in ("calibration", "evaluation"):
            text = (demo / "data" / name / "prose.txt").read_text()
            (models / "data" / f"{name}.txt").write_text(text[:3000])
        lines = (demo / "data/intents.jsonl").read_text().splitlines()
        (models / "data/intents.jsonl").write_text("\n".join(lines[:8]) + "\n")

    def reset(self, *paths):
        """Restores folders to the state after the first build."""
        for path in paths or (self.cache, self.team, self.workspace):
            remove(path)
            copy(self.template / path.relative_to(self.folder), path)

    def command(self, *words):
        return [str(self.mc), "--cache-dir", str(self.cache), "--color", "never", *words]

    def start(self, *words):
        return subprocess.Popen(
            self.command(*words),
            cwd=self.workspace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            preexec_fn=limit,
        )

    def run(self, *words):
        return finish(self.start(*words))

    def build(self, *options, target=BUNDLE):
        return self.run("build", *options, target)

    def build_with_team(self):
        return self.build("--remote-cache", f"file://{self.team}", "--remote-upload-local-results")

    def outputs(self):
        return fingerprint(self.workspace / "mc-out")

    def judge(self, ran, has_outputs=True):
        """Outcome of a command. `has_outputs`: it builds, so that success requires the expected files."""
        if ran.code is None:
            return "hang"
        if ran.code < 0 or ran.code in (37, 101) or ran.code >= 128 or "panicked at" in ran.stderr:
            return "panic"
        if fingerprint(self.home) != self.untouched:
            return "outside"
        if ran.code == 0:
            return "right" if not has_outputs or self.outputs() == self.expected else "wrong"
        is_clear = any(line.startswith("error") for line in ran.stderr.splitlines())
        return "error" if is_clear and ran.code in (1, 2, 3) else "wrong"


def environment():
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "RUST_BACKTRACE": "0"}


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def finish(process, timeout=TIMEOUT):
    """Waits for a process; the code is None if it does not end."""
    start = time.monotonic()
    try:
        stdout, stderr = process.communicate(timeout=timeout)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        stdout, stderr = process.communicate()
        code = None
    text = [part.decode("utf-8", "replace") for part in (stdout, stderr)]
    return Ran(code, *text, time.monotonic() - start)


def fingerprint(folder):
    """Path, kind and bytes of everything below a folder; links are not followed."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() and not folder.is_symlink() else []:
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link {os.readlink(path)}"
        elif path.is_file() and path.stat().st_size > HUGE:
            found[name] = "huge"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not path.is_dir():
            found[name] = "other"
    return found


def remove(path):
    """Removes a file, folder or link of this name; a link is not followed."""
    if path.is_symlink() or path.exists() and not path.is_dir():
        path.unlink()
    elif path.is_dir():
        subprocess.run(["chmod", "-R", "u+rwX", path], check=True)
        subprocess.run(["rm", "-rf", path], check=True)


def copy(source, to):
    """Copies a folder with links, times and permissions."""
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", source, to], check=True)


def files_below(*folders):
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                found.append(path)
    return found
