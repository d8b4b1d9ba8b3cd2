"""Runs the parts of the campaign and prints the table: number of attempts, and their outcomes."""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import archives
import crowds
import damages
import kills
import links
import servers
import templates
from target import COLUMNS, Target, Tally

# Each part with its number of attempts, full and short.
PARTS = {
    "kills": (kills.run, 1000, 40),
    "damages": (damages.run, 1000, 60),
    "links": (links.run, 400, 60),
    "crowds": (crowds.run, 400, 48),
    "templates": (templates.run, 500, 50),
    "archives": (archives.run, 200, 30),
    "servers": (servers.run, 200, 20),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mc", required=True, type=Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mc-attack-"))
    tallies = {}
    try:
        for name, (run, n_whole, n_short) in PARTS.items():
            if options.only not in (None, name):
                continue
            start = time.monotonic()
            target = Target(options.mc.resolve(), folder / name)
            tally = tallies[name] = Tally(name, folder if options.keep else None)
            # Each part has its own generator, so that it does the same alone as together with the others.
            run(target, tally, n_short if options.short else n_whole, random.Random(f"{options.seed} {name}"))
            shutil.rmtree(folder / name)
            print(f"{name}: {time.monotonic() - start:.0f} s, slowest attempt {tally.slowest:.1f} s", flush=True)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{'seed ' + str(options.seed):12}" + "".join(f"{name:>12}" for name in ("attempts", *COLUMNS)))
    for name, tally in tallies.items():
        counts = [sum(tally.counts.values()), *(tally.counts[column] for column in COLUMNS)]
        print(f"{name:12}" + "".join(f"{count:>12}" for count in counts))
    n_bad = sum(tally.n_bad() for tally in tallies.values())
    if n_bad:
        print(f"\n{n_bad} attempts went wrong; see above")
    sys.exit(1 if n_bad else 0)


if __name__ == "__main__":
    main()
