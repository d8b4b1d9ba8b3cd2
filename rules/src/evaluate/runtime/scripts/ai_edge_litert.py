import mmap

import numpy
from ai_edge_litert.interpreter import Interpreter

# Sections of a .litertlm file start at multiples of this.
SECTION = 16384


def model_path():
    """The path of a .tflite file with the model, which a .litertlm file contains as a section."""
    [source] = files(".tflite", ".litertlm")
    if source.endswith(".tflite"):
        return source
    with open(source, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for offset in range(SECTION, len(data), SECTION):
            if data[offset + 4 : offset + 8] == b"TFL3":
                file.seek(offset)
                target = path("section.tflite")
                with open(target, "wb") as section:
                    while piece := file.read(1 << 24):
                        section.write(piece)
                return target
    raise ValueError(f"{source} has no model")


DECODE = Interpreter(model_path()).get_signature_runner("decode")
INPUTS = DECODE.get_input_details()


def mask(details, position):
    """A mask that shows the positions up to this one."""
    shape = tuple(details["shape"])
    shown = numpy.arange(shape[-1]) <= position
    if details["dtype"] == numpy.bool_:
        return numpy.broadcast_to(shown, shape).copy()
    return numpy.broadcast_to(numpy.where(shown, 0.0, -1e4), shape).astype(details["dtype"])


def start(_capacity):
    is_state = lambda name: name not in ("tokens", "input_pos", "mask")
    state = {
        name: numpy.zeros(details["shape"], details["dtype"]) for name, details in INPUTS.items() if is_state(name)
    }
    position = 0

    def step(ids):
        nonlocal state, position
        for token in ids:
            given = {
                "tokens": numpy.array([[token]], INPUTS["tokens"]["dtype"]),
                "input_pos": numpy.array([position], INPUTS["input_pos"]["dtype"]),
            }
            if "mask" in INPUTS:
                given["mask"] = mask(INPUTS["mask"], position)
            found = DECODE(**given, **state)
            state = {name: found[name] for name in state}
            position += 1
        return found["logits"]

    return step


answer_all(start)
