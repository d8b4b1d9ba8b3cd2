"""Builds that are killed, terminated or interrupted at a random moment, repeatedly on one store."""

import os
import signal
import time

from target import finish, remove

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Number of builds that are ended on one store before one may complete.
N_IN_A_ROW = 10
# Time limit for a process to end after a signal.
PATIENCE = 20


def run(target, tally, n_attempts, rng):
    for attempt in range(n_attempts):
        if attempt % N_IN_A_ROW == 0:
            for path in (target.cache, target.workspace / "mc-out"):
                remove(path)
        what = rng.choice(SIGNALS)
        options = () if rng.random() < 0.7 else ("--remote-cache", f"file://{target.team}")
        process = target.start("build", *options, "//models:app")
        # A third of them during startup.
        longest = 0.02 if rng.random() < 0.3 else 1.2 * target.cold_seconds
        time.sleep(rng.uniform(0, longest))
        process.send_signal(what)
        ran = finish(process, PATIENCE)
        outputs = target.outputs()
        if ran.code is None:
            outcome = "hang"
        elif "panicked at" in ran.stderr or ran.code in (37, 101) or -ran.code in (6, 7, 8, 11):
            outcome = "panic"
        elif outputs not in ({}, target.expected):
            # Unfinished outputs are in a folder of their own, which the next build removes.
            half = {name for name in outputs if not name.startswith(".unfinished")}
            outcome = "right" if not half or half == set(target.expected) else "wrong"
        else:
            outcome = "right"
        is_last = attempt % N_IN_A_ROW == N_IN_A_ROW - 1 or attempt == n_attempts - 1
        if outcome == "right" and is_last:
            ran = target.build()
            outcome = target.judge(ran)
            left = [name for name in ("tmp",) if os.path.lexists(target.cache / name)]
            if outcome == "right" and left:
                outcome = "wrong"
        tally.add(outcome, f"{what.name}, attempt {attempt}", ran, target)
