"""Writes `models/data`: calibration text, held-out text, and the held-out intents."""

import json
import pathlib
import random

import corpus
import intents
import words

SEED = 99


def main():
    data = pathlib.Path(__file__).parent.parent / "data"
    training, held_out = words.split()
    rng = random.Random(SEED)

    items = intents.held_out_items(held_out, rng, per_specialist=40)
    utterances = {utterance for utterance, _ in items}
    with open(data / "intents.jsonl", "w", encoding="utf-8") as file:
        for utterance, answer in items:
            file.write(json.dumps({"utterance": utterance, "answer": answer}, ensure_ascii=False) + "\n")

    # Calibration sees what the shipped model will see: prose and requests, from the training half of the fillers.
    prose = unique(lambda: corpus.paragraph(training, rng), 280, utterances)
    requests = unique(lambda: intents.training_item(training, rng)[0], 500, utterances | set(prose))
    write(data / "calibration" / "prose.txt", prose)
    write(data / "calibration" / "requests.txt", requests)

    # Evaluation is prose of the same kind about towns, people and bands that no training text names.
    seen = utterances | set(prose) | set(requests)
    write(data / "evaluation" / "prose.txt", unique(lambda: corpus.paragraph(training, rng), 130, seen))
    write(data / "evaluation" / "elsewhere.txt", unique(lambda: corpus.paragraph(held_out, rng), 70, seen))


def unique(make, count, taken):
    lines = []
    while len(lines) < count:
        line = make()
        if line not in taken and line not in lines:
            lines.append(line)
    return lines


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
