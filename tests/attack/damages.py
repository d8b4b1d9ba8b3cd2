"""Damage of every kind to every kind of file: in the store, in a shared folder, below mc-out."""

import os

from target import HUGE, copy, files_below, remove

# Locations of files of each kind.
KINDS = ("cache/cas", "cache/ac", "cache/memo/inputs", "cache/memo", "cache/out", "cache/remote", "cache", "team",
         "workspace/mc-out")


def run(target, tally, n_attempts, rng):
    # The shared folder is filled once, and the store has its records about it.
    remove(target.cache)
    assert target.build_with_team().code == 0
    for path in (target.cache, target.team):
        remove(target.template / path.name)
        copy(path, target.template / path.name)
    for attempt in range(n_attempts):
        target.reset(target.cache, target.team, target.workspace / "mc-out")
        done = [damage(target, rng, rng.choice(KINDS)) for _ in range(rng.choice((1, 1, 1, 3, 20)))]
        if rng.random() < 0.3:
            remove(target.cache)
        what = f"attempt {attempt}: {'; '.join(filter(None, done))}"[:500]
        build = target.build_with_team if rng.random() < 0.5 else target.build
        ran = build()
        outcome = target.judge(ran)
        if outcome == "error":
            # Building again succeeds, or the error names the file.
            again = build()
            names_it = any(is_named(path, again.stderr) for path in DAMAGED)
            outcome = "error" if target.judge(again) == "right" or names_it else "wrong"
            ran = again
        elif outcome == "right":
            # Detected damage was repaired: the next build has nothing to do.
            again = build()
            if target.judge(again) != "right" or ", 0 ran" not in again.stderr:
                outcome, ran = "wrong", again
        DAMAGED.clear()
        tally.add(outcome, what, ran, target)


DAMAGED = []


def damage(target, rng, kind):
    files = [path for path in files_below(target.folder / kind) if is_plain(path)]
    if not files:
        return None
    path = rng.choice(files)
    name, change = rng.choice(CHANGES)
    DAMAGED.append(path)
    try:
        change(path, rng, files)
    except FileNotFoundError:
        return None
    return f"{name} {path.relative_to(target.folder)}"


def is_named(path, text):
    """Returns true if a text names a file, by its path or by its name and its folder's path."""
    return str(path) in text or f"`{path.name}`" in text and f"`{path.parent}`" in text


def is_plain(path):
    return path.is_file() and not path.is_symlink() and path.stat().st_size < HUGE


def rewrite(path, data):
    """Changes a file in place, as a program that writes to it or a failing disk would."""
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate()
    os.chmod(path, 0o444)


def flip(path, rng, _):
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    rewrite(path, bytes(data))


def flip_quietly(path, rng, _):
    """Same as `flip`, and restores the time of modification."""
    status = os.stat(path)
    flip(path, rng, None)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path, rng, _):
    data = path.read_bytes()
    rewrite(path, data[: rng.randrange(len(data) + 1)])


def extend(path, rng, _):
    rewrite(path, path.read_bytes() + rng.randbytes(rng.randrange(1, 5000)))


def zero(path, _, __):
    rewrite(path, bytes(len(path.read_bytes())))


def garbage(path, rng, _):
    rewrite(path, rng.randbytes(rng.randrange(0, 4096)))


def other(path, rng, files):
    """Replaces the bytes by those of another file."""
    rewrite(path, rng.choice(files).read_bytes())


def swap(path, rng, files):
    """Swaps the names of two files."""
    second = rng.choice(files)
    if second == path:
        return
    DAMAGED.append(second)
    aside = path.with_name("aside")
    path.rename(aside)
    second.rename(path)
    aside.rename(second)


def replaced_by(make):
    def change(path, _, __):
        path.unlink()
        make(path)

    return change


def huge(path):
    path.touch()
    os.truncate(path, 4 << 40)


CHANGES = [
    ("flip", flip), ("flip quietly", flip_quietly), ("cut", cut), ("extend", extend), ("zero", zero),
    ("garbage in", garbage), ("bytes of another file in", other), ("swap", swap),
    ("remove", replaced_by(lambda path: None)),
    ("huge", replaced_by(huge)),
    ("folder for", replaced_by(lambda path: (path / "deep").mkdir(parents=True))),
    ("pipe for", replaced_by(os.mkfifo)),
    ("dangling link for", replaced_by(lambda path: path.symlink_to("nowhere"))),
    ("device for", replaced_by(lambda path: path.symlink_to("/dev/zero"))),
    ("link to itself for", replaced_by(lambda path: path.symlink_to(path.name))),
    ("unreadable", lambda path, _, __: os.chmod(path, 0)),
]
