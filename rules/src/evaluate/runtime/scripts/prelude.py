"""Reads a request from stdin and writes one line of JSON for each prompt to stdout: the greedy answer of a runtime.

A runtime defines `start()`, which returns a function for one prompt: it takes further tokens and returns the logits
after the last one.
"""

import json
import os
import sys

# Libraries may print; only answers go to the real stdout.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
REQUEST = json.load(sys.stdin)


def path(name=None):
    """The folder of the model, or the file in it with this name."""
    return os.path.join(REQUEST["folder"], name) if name else REQUEST["folder"]


def files(*extensions):
    """The paths of the model's files with one of these extensions."""
    return [path(name) for name in REQUEST["files"] if name.endswith(extensions)]


def tell(tokens, log_probabilities):
    """Writes the answer to the next prompt."""
    line = {"tokens": tokens, "log_probabilities": log_probabilities}
    print(json.dumps(line), file=ANSWERS, flush=True)


def answer_all(start):
    """Answers every prompt greedily, token by token."""
    import numpy

    stop = set(REQUEST["stop"])
    for prompt in REQUEST["prompts"]:
        step = start(len(prompt) + REQUEST["max_tokens"])
        tokens, log_probabilities = [], []
        new = prompt
        while len(tokens) < REQUEST["max_tokens"] and not (tokens and tokens[-1] in stop):
            logits = numpy.asarray(step(new), dtype=numpy.float64).ravel()
            token = int(logits.argmax())
            tokens.append(token)
            log_probabilities.append(-float(numpy.log(numpy.exp(logits - logits[token]).sum())))
            new = [token]
        tell(tokens, log_probabilities)
