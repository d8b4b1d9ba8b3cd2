"""Compares the importance matrix of a small checkpoint of every family with llama.cpp's: sums of squares and counts as its
`llama-imatrix` collects them, experts included, from the operations of its library while they run. They run on an F32
file, which it computes in f32, as we do: inputs of F16 matrices are rounded to f16, which changes means by 0.0001 and
routes some of ten thousand tokens to another expert. (In a mixture, the median difference on F16 is 0.0007 for 20 kB of
text and 0.0005 for 100 kB; a build with BLAS multiplies in f32 outside of experts, and its median on F16 is 0.00006.)

With the variable LLAMA_IMATRIX, the path of that program, its own file is compared, too.

usage: imatrix.py MC WORK_FOLDER
"""

import collections
import ctypes
import os
import pathlib
import subprocess
import sys

import numpy

from families import build, file_of
from logits import Llama, library
from make_family import FAMILIES, write

N_CTX = 128
TEXT_BYTES = 20000
# Maximum relative difference of the mean square of a column from llama.cpp's: 0.000006 from the sums of this script,
# 0.00008 from those of the program, which adds in f32; more in the Gemma models, for whose GELU it uses an f16 table.
BOUND = 1e-4
BOUND_OF_GELU = 2e-3
# The smallest batch that the program includes.
LEAST_ROWS = 16
# Tensor types of ggml.
F32 = 0


class Sums:
    """Sums of squared inputs of matrices, as an observer of `Llama`."""

    def __init__(self):
        self.sums, self.counts = {}, {}

    def wants(self, llama, tensor):
        operation = llama.lib.ggml_op_desc(tensor)
        inputs = tensor.contents.src[1]
        if operation == b"MUL_MAT_ID":
            return True
        is_wide = operation == b"MUL_MAT" and inputs.contents.ne[1] >= LEAST_ROWS and inputs.contents.type == F32
        return is_wide and llama.lib.ggml_get_name(tensor.contents.src[0]).startswith(b"blk.")

    def see(self, llama, tensor):
        matrices, inputs, chosen = tensor.contents.src
        name = llama.lib.ggml_get_name(matrices).decode()
        rows = array(llama, inputs, numpy.float32).astype(numpy.float64)
        n_matrices, n_columns = matrices.contents.ne[2], rows.shape[-1]
        sums = self.sums.setdefault(name, numpy.zeros((n_matrices, n_columns)))
        counts = self.counts.setdefault(name, numpy.zeros(n_matrices))
        if llama.lib.ggml_op_desc(tensor) == b"MUL_MAT":
            sums += (rows**2).sum(axis=(0, 1, 2))
            counts += rows.size // n_columns
        else:
            ids = array(llama, chosen, numpy.int32)[0, 0]
            # One row for all chosen experts, or one for each.
            rows = numpy.broadcast_to(rows[0], (*ids.shape, n_columns))
            numpy.add.at(sums, ids, rows**2)
            numpy.add.at(counts, ids, 1)
        return True


def array(llama, tensor, dtype):
    """A tensor's numbers, the last dimension first."""
    shape, strides = (tuple(reversed(list(sizes))) for sizes in (tensor.contents.ne, tensor.contents.nb))
    return numpy.ndarray(shape, dtype, llama.values(tensor), strides=strides)


class GgufParams(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p)]


def read(path):
    """Sums and counts of an importance matrix, opened by llama.cpp's reader."""
    lib, data = library(), path.read_bytes()
    for name, result, arguments in [
        ("gguf_init_from_file", ctypes.c_void_p, [ctypes.c_char_p, GgufParams]),
        ("gguf_get_data_offset", ctypes.c_size_t, [ctypes.c_void_p]),
        ("gguf_get_n_tensors", ctypes.c_int64, [ctypes.c_void_p]),
        ("gguf_get_tensor_name", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int64]),
        ("gguf_get_tensor_offset", ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int64]),
        ("gguf_get_tensor_size", ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int64]),
        ("gguf_free", None, [ctypes.c_void_p]),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    file = lib.gguf_init_from_file(str(path).encode(), GgufParams(True, None))
    found = collections.defaultdict(dict)
    for index in range(lib.gguf_get_n_tensors(file)):
        start = lib.gguf_get_data_offset(file) + lib.gguf_get_tensor_offset(file, index)
        numbers = numpy.frombuffer(data[start : start + lib.gguf_get_tensor_size(file, index)], numpy.float32)
        name, _, kind = lib.gguf_get_tensor_name(file, index).decode().rpartition(".")
        found[kind][name] = numbers.astype(numpy.float64)
    lib.gguf_free(file)
    sums = {name: numbers.reshape(len(found["counts"][name]), -1) for name, numbers in found["in_sum2"].items()}
    return sums, found["counts"]


def theirs(path, text):
    """llama.cpp's sums and counts on a text in whole chunks."""
    sums = Sums()
    llama = Llama(path, N_CTX, sums)
    ids, bos = llama.tokens(text), llama.bos()
    for start in range(0, len(ids) - N_CTX + 1, N_CTX):
        chunk = ids[start : start + N_CTX]
        llama.logits(chunk if bos is None else [bos, *chunk[1:]], [])
    llama.close()
    return sums.sums, sums.counts


def of_program(program, path, folder, name):
    """The program's own sums and counts."""
    out = folder / f"{name}.imatrix.gguf"
    numbers = ["-c", str(N_CTX), "-b", str(N_CTX), "-ctk", "f32", "-ctv", "f32", "-fa", "off"]
    command = [program, "-m", path, "-f", folder / "m/text.txt", "-o", out, *numbers]
    subprocess.run(command, check=True, capture_output=True)
    return read(out)


def compare(name, ours, known):
    """Returns the errors, after printing a line with the results."""
    (sums, counts), (known_sums, known_counts) = ours, known
    if set(sums) != set(known_sums):
        return [f"{name}: only one program measures {sorted(set(sums) ^ set(known_sums))}"]
    if moved := [tensor for tensor in sums if (counts[tensor] != known_counts[tensor]).any()]:
        return [f"{name}: the token counts of the matrices {moved} differ"]
    differences = numpy.concatenate([numpy.abs(sums[tensor] / known_sums[tensor] - 1).ravel() for tensor in sums])
    median, worst = numpy.median(differences), differences.max()
    print(f"{name}: {len(sums)} tensors, {len(differences)} columns: mean squares differ by {median:.1e} (median), {worst:.1e} (most)")
    bound = BOUND_OF_GELU if name.startswith("gemma") else BOUND
    return [] if worst <= bound else [f"{name}: mean squares differ by {worst:.1e} (bound {bound:.0e})"]


def make_workspace(folder, text):
    package = 'dataset "text" { files "text.txt" }\n'
    for name in FAMILIES:
        write(name, folder / "m" / name)
        package += (
            f'checkpoint "{name}" dir="{name}"\n'
            f'gguf "{name}-f32" {{ model ":{name}"; quantize "F32" }}\n'
            f'imatrix "{name}-columns" {{ model ":{name}"; dataset ":text"; context {N_CTX} }}\n'
        )
    (folder / "m/text.txt").write_text(text)
    (folder / "m/package.kdl").write_text(package)
    (folder / "workspace.kdl").write_text('workspace "imatrix"\n')


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "imatrix"
    text = pathlib.Path("models/data/calibration/prose.txt").read_text()[:TEXT_BYTES]
    make_workspace(folder, text)
    built = build(binary, work, folder, [f"//m:{name}-{kind}" for name in FAMILIES for kind in ("f32", "columns")])
    failed = []
    for name in FAMILIES:
        path, ours = file_of(built[f"{name}-f32"]), read(file_of(built[f"{name}-columns"]))
        failed += compare(name, ours, theirs(path, text))
        if program := os.environ.get("LLAMA_IMATRIX"):
            failed += compare(f"{name}, llama-imatrix", ours, of_program(program, path, folder, name))
    for line in failed:
        print(line)
    print(f"importance matrices against llama.cpp: {'FAILED' if failed else 'ok'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
