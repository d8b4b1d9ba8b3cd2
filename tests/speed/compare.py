"""Times ggml's reference encoders and ours alternately and prints a table.

usage: compare.py ROOT LIBREFERENCE [TYPE...]

Numbers are MB of f32 input per CPU second, one thread, 2048 columns, the best of some runs.
"""

import array
import ctypes
import random
import re
import subprocess
import sys
import time

N_COLS, MAX_ROWS = 2048, 256
PATIENCE = 0.25
TYPES = (
    "Q2_K Q4_K Q5_K Q4_1 Q5_1 Q3_K Q6_K IQ4_NL IQ4_XS IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S Q4_0 Q5_0 Q8_0 "
    "F16 BF16 TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0"
).split()
NEED_IMPORTANCE = {"IQ1_S", "IQ2_XXS", "IQ2_XS"}


def load(path):
    library = ctypes.CDLL(path, mode=1)  # lazily: what plain encoders do not call may be missing
    for number in (16, 17, 19, 22, 29):
        library.iq2xs_init_impl(number)
    for size in (256, 512):
        library.iq3xs_init_impl(size)
    return library


def numbers():
    generator = random.Random(1)
    few = [generator.gauss(0, 0.02) for _ in range(16 * N_COLS)]
    return (
        array.array("f", few * (MAX_ROWS // 16)),
        array.array("f", [abs(generator.gauss(0, 1)) + 0.05 for _ in range(N_COLS)]),
    )


def pointer(values):
    return ctypes.cast((ctypes.c_char * (4 * len(values))).from_buffer(values), ctypes.c_void_p)


def reference(library, name, rows, importance):
    """MB/s of the reference."""
    out = ctypes.create_string_buffer(4 * len(rows))
    if name in ("F16", "BF16"):
        convert = getattr(library, {"F16": "ggml_fp32_to_fp16_row", "BF16": "ggml_fp32_to_bf16_row"}[name])
        convert.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]

        def run(n_rows):
            convert(pointer(rows), out, n_rows * N_COLS)
    else:
        quantize = getattr(library, "quantize_" + name.lower().replace("_k", "_K"))
        quantize.restype = ctypes.c_size_t
        quantize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]

        def run(n_rows):
            quantize(pointer(rows), out, n_rows, N_COLS, pointer(importance) if importance else None)

    def timed(n_rows):
        start = time.process_time()
        run(n_rows)
        return time.process_time() - start

    n_rows = 4
    while timed(n_rows) < PATIENCE / 10 and n_rows < MAX_ROWS:
        n_rows *= 2
    best, spent = float("inf"), 0.0
    while spent < PATIENCE:
        seconds = timed(n_rows)
        best, spent = min(best, seconds), spent + seconds
    return n_rows * N_COLS * 4 / 1e6 / best


def ours(root, name):
    """MB/s of our benchmark, by label ("", "imatrix") and path."""
    command = ["cargo", "bench", "--quiet", "--manifest-path", f"{root}/Cargo.toml", "-p", "mc-encoding", "--bench", "codecs"]
    printed = subprocess.run([*command, "--", name], capture_output=True, text=True, check=True).stdout
    lines = printed.splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("type"))
    paths = lines[head].split()[1:]
    speeds = {}
    for line in lines[head + 1 :]:
        match = re.match(rf"{name}\s+(imatrix|decode)?\s+(\d.*)$", line)
        if match:
            figures = [float(figure) for figure in re.findall(r"(\d+)\s+[\d.]+x", match.group(2))]
            speeds[match.group(1) or ""] = dict(zip(paths, figures, strict=True))
    return speeds


def main():
    root, library, names = sys.argv[1], load(sys.argv[2]), sys.argv[3:] or TYPES
    rows, importance = numbers()
    is_first = True
    for name in names:
        speeds = ours(root, name)
        for label in ("", "imatrix"):
            if label not in speeds or (label == "" and name in NEED_IMPORTANCE):
                continue
            if is_first:
                paths = list(speeds[label])
                ratios = [f"{path} / reference" for path in paths[1:]]
                print("| type | imatrix | reference | " + " | ".join(paths + ratios) + " |")
                print("|---" * (3 + 2 * len(paths) - 1) + "|")
                is_first = False
            speed = reference(library, name, rows, importance if label else None)
            figures = speeds[label].values()
            cells = [f"{figure:.0f}" for figure in figures] + [f"{figure / speed:.1f}" for figure in list(figures)[1:]]
            print(f"| {name} | {'yes' if label else 'no'} | {speed:.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
