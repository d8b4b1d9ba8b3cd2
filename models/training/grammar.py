"""Templates: `[a|b]` is a choice, `{slot}` a value of the lexicon. Choices may nest."""

import random

import lexicon


def expand(rng: random.Random, template: str, split: str, bound: dict[str, str] | None = None) -> str:
    """One sentence of `template`. Slots in `bound` keep their value, so that a paragraph
    can speak of one city throughout; new values are added to it."""
    text = choose(rng, template)
    out, rest = [], text
    while "{" in rest:
        before, _, rest = rest.partition("{")
        slot, _, rest = rest.partition("}")
        out.append(before)
        # `{city2}` is a second, independent value of the slot `city`.
        if bound is not None and slot in bound:
            out.append(bound[slot])
            continue
        value = lexicon.fill(rng, slot.rstrip("0123456789"), split)
        if bound is not None:
            bound[slot] = value
        out.append(value)
    return "".join(out) + rest


def choose(rng: random.Random, template: str) -> str:
    """Resolves the choices of a template from the inside out and leaves the slots."""
    while True:
        close = template.find("]")
        if close < 0:
            return template
        start = template.rfind("[", 0, close)
        pick = rng.choice(template[start + 1 : close].split("|"))
        template = template[:start] + pick + template[close + 1 :]


def skeletons(template: str) -> set[str]:
    """Every way the choices of a template can fall, slots left as they are."""
    close = template.find("]")
    if close < 0:
        return {" ".join(template.split())}
    start = template.rfind("[", 0, close)
    found = set()
    for pick in template[start + 1 : close].split("|"):
        found |= skeletons(template[:start] + pick + template[close + 1 :])
    return found
