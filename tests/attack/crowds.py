"""Eight parallel processes on one store and one workspace: builds, counts, checks, and removals."""

from target import BUNDLE, finish

N_AT_A_TIME = 8
COMMANDS = (
    ("build", BUNDLE), ("build", BUNDLE), ("build", BUNDLE), ("build", "//models:plain"), ("test", BUNDLE),
    ("cache", "stats"), ("cache", "verify"), ("clean",), ("clean", "--cache", "--yes"),
)


def run(target, tally, n_attempts, rng):
    n_left = n_attempts
    while n_left > 0:
        running = []
        while running or n_left > 0:
            while len(running) < N_AT_A_TIME and n_left > 0:
                words = rng.choice(COMMANDS)
                running.append((words, target.start(*words)))
                n_left -= 1
            words, process = running.pop(0)
            ran = finish(process, 120)
            # Another process may have removed or replaced the outputs: only the exit is compared.
            outcome = target.judge(ran, has_outputs=False)
            tally.add(outcome, " ".join(words), ran)
    target.run("clean")
    ran = target.build()
    tally.add(target.judge(ran), "the last build", ran, target)
