"""Damaged checkpoints, adapters, tokenizers, data and declarations."""

import os

from target import remove

# Each with the number of damages applied in a row; small ones keep a file almost valid, which reaches the deepest code.
NAMES = (
    "models/base/model.safetensors", "models/base/config.json", "models/base/tokenizer.json",
    "models/base/tokenizer_config.json", "models/base/generation_config.json", "models/base/special_tokens_map.json",
    "models/adapter/adapter_model.safetensors", "models/adapter/adapter_config.json", "models/data/intents.jsonl",
    "models/data/calibration.txt", "models/package.kdl", "workspace.kdl", "mc.lock",
)
NUMBERS = (b"0", b"-1", b"1", b"18446744073709551615", b"9223372036854775808", b"1e400", b"NaN", b"4294967296", b"1.5",
           b'"x"', b"null", b"[]", b"{}", b"true", b"1152921504606846976")


def run(target, tally, n_attempts, rng):
    for attempt in range(n_attempts):
        target.reset(target.workspace)
        name = rng.choice(NAMES)
        path = target.workspace / name
        if not path.exists():
            path.write_bytes(b"")
        what = rng.choice((numbers, numbers, head, head, bytes_anywhere, cut, insert, thing))
        what(path, rng)
        model = rng.choice(("//models:app", "//models:plain"))
        ran = target.build(target=model)
        outcome = target.judge(ran, has_outputs=False)
        if outcome == "right":
            # Whatever the result is, a build on another store must give the same.
            before = target.outputs()
            target.reset(target.cache)
            remove(target.workspace / "mc-out")
            again = target.build(target=model)
            after = target.outputs()
            built = {key: value for key, value in before.items() if key in after}
            if target.judge(again, has_outputs=False) != "right" or built != after:
                outcome, ran = "wrong", again
        tally.add(outcome, f"{what.__name__} in {name}, attempt {attempt}", ran, target)


def numbers(path, rng):
    """Replaces one number of a text, or of the header of a container, by another number, word or type."""
    import re

    data = path.read_bytes()
    found = list(re.finditer(rb"(?<![A-Za-z0-9_.])-?[0-9]+(\.[0-9]+)?", data[:100000]))
    if found:
        match = rng.choice(found)
        data = data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]
    path.write_bytes(data)


def head(path, rng):
    """Changes bytes at the beginning, where lengths and counts are stored."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 6)):
        if data:
            data[rng.randrange(min(len(data), 64))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    path.write_bytes(bytes(data))


def bytes_anywhere(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 20)):
        if data:
            data[rng.randrange(min(len(data), 20000))] = rng.randrange(256)
    path.write_bytes(bytes(data))


def cut(path, rng):
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def insert(path, rng):
    data = path.read_bytes()
    at = rng.randrange(min(len(data), 5000) + 1)
    word = rng.choice((b"[" * 100000, b"{" * 100000, b'"' * 1000, b"\0" * 100, b"\xff\xfe", b"\x1b[2J", b"/*" * 50000,
                       b"a " * 200000, b"\n" * 100000, b"0" * 100000))
    path.write_bytes(data[:at] + word + data[at:])


def thing(path, rng):
    """Replaces the file by something that is not a file."""
    remove(path)
    kind = rng.randrange(5)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(rng.choice(("/dev/zero", "/dev/stdin", "nowhere", path.name, "/proc/self/mem", "..")))
    elif kind == 3:
        path.touch()
        os.truncate(path, 4 << 40)
    else:
        path.write_bytes(b"")
