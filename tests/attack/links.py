"""Replaces every folder and file that `mc` writes, reads or removes by a link to the user's home."""

from target import BUNDLE, copy, remove

COMMANDS = (
    ("build", BUNDLE), ("build", "--remote-cache", "TEAM", "--remote-upload-local-results", BUNDLE),
    ("test", BUNDLE), ("cache", "stats"), ("cache", "verify"), ("query", "//..."), ("check",),
    ("clean",), ("clean", "--cache", "--yes"), ("clean", "--dry-run"), ("lock",), ("info",),
)
# Paths that `mc` creates only sometimes; they are planted as well if they do not exist.
MORE = ("cache/tmp", "cache/quarantine", "cache/remote", "cache/fetched", "cache/fetched/tmp", "cache/memo/verified.log",
        "workspace/mc-out/.unfinished", "workspace/mc.lock", "team/blake3/tmp",
        "team/tmp", "cache/remote/names", "workspace/.mc.lock")


def run(target, tally, n_attempts, rng):
    target.build_with_team()
    remove(target.template / "team")
    places = sorted({
        str(path.relative_to(target.folder))
        for root in (target.cache, target.team, target.workspace)
        for path in (root, *root.rglob("*"))
        if path not in (target.cache, target.workspace, target.workspace / "workspace.kdl")
    } | set(MORE))
    # Folders first: there are fewer of them, and they lead further.
    is_folder = {place: (target.folder / place).is_dir() for place in places}
    folders = [place for place in places if is_folder[place] or place in MORE]
    files = [place for place in places if place not in folders]
    copy(target.team, target.template / "team")
    for attempt in range(n_attempts):
        place = rng.choice(folders if rng.random() < 0.75 else files)
        target.reset()
        path = target.folder / place
        remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        goal = target.home if rng.random() < 0.8 else target.home / "thesis.txt"
        path.symlink_to(goal)
        command = rng.choice(COMMANDS)
        words = [f"file://{target.team}" if word == "TEAM" else word for word in command]
        ran = target.run(*words)
        has_outputs = command[0] == "build" and not place.startswith("workspace/models")
        if path.is_symlink() and place.startswith("workspace/mc-out"):
            # The file did not have to be read: it is not an output.
            path.unlink()
        outcome = target.judge(ran, has_outputs)
        tally.add(outcome, f"{place} -> {goal.name}, {' '.join(command)}", ran, target)
