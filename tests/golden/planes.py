"""Writes planes.safetensors: small hard matrices, and what MLX's quantizer and plain numpy make of them.

    pip install "mlx[cpu]==0.32.4" numpy safetensors
    python planes.py

Names: `input/DTYPE` F32 [rows, 128] (numbers that DTYPE can hold), `DTYPE/GRID/PLANE`. Affine grids come from
`mx.quantize` on the CPU, `int4-b32`, `int4-b32-f32` and `int8-channel` from the formulas below.
"""
import os

import mlx.core as mx
import numpy as np
from safetensors.numpy import save_file

N_COLS = 128
KINDS = {"F32": mx.float32, "BF16": mx.bfloat16, "F16": mx.float16}


def matrix():
    random = np.random.default_rng(7)
    normal = lambda: random.standard_normal(N_COLS) * 0.05
    rows = [
        normal(),
        normal() * 1e-3,
        np.zeros(N_COLS),
        -np.zeros(N_COLS),
        np.full(N_COLS, 0.3),
        np.full(N_COLS, -1.7),
        np.abs(normal()),
        -np.abs(normal()),
        normal() + 5,  # far from zero, so that the bias counts
        normal() * 1e-6,  # scales near the least one
        normal() * 1e-9,
        random.standard_normal(N_COLS) * 1e-40,  # subnormal
        np.arange(N_COLS) - 64.0,
        (np.arange(N_COLS) % 16) / 8 - 1,  # on the levels
        (np.arange(N_COLS) % 31) / 2 - 7.5,  # between the levels: ties
        np.where(np.arange(N_COLS) == 77, 3.0, normal()),  # outliers
        np.where(np.arange(N_COLS) == 3, -60000.0, normal()),
        np.where(np.arange(N_COLS) % 2 == 0, 1.0, -1.0),
        np.where(np.arange(N_COLS) % 2 == 0, 2.0, -1.0),
        np.where(np.arange(N_COLS) < 40, 0.0, normal()),
        random.integers(-8, 8, N_COLS) * 0.25,
        np.sign(normal()) * 10.0 ** random.integers(-6, 4, N_COLS),
    ]
    return np.stack(rows).astype(np.float32)


def rounded(x, dtype):
    return np.array(mx.array(x).astype(dtype).astype(mx.float32))


def bits(array):
    """The array as numpy; bfloat16, which numpy has not, as its bits."""
    return np.array(array.view(mx.uint16)) if array.dtype == mx.bfloat16 else np.array(array)


def affine(x, kind, n_bits, group):
    names = ("weight", "scales", "biases")
    return dict(zip(names, map(bits, mx.quantize(mx.array(x).astype(kind), group_size=group, bits=n_bits))))


def symmetric(x, group, high, scale_type):
    blocks = x.reshape(len(x), -1, group)
    scales = (np.abs(blocks).max(-1) / np.float32(high)).astype(scale_type)
    scales = np.where(scales == 0, scale_type(1), scales)
    codes = np.rint(blocks / scales.astype(np.float32)[..., None]).clip(-high, high).astype(np.int8)
    return codes.reshape(x.shape), scales


def nibbles(codes):
    return ((codes[:, 0::2] + 8) | (codes[:, 1::2] + 8) << 4).astype(np.uint8)


def main():
    tensors = {}
    for name, kind in KINDS.items():
        x = rounded(matrix(), kind)
        tensors[f"input/{name}"] = x
        for n_bits in (2, 3, 4, 5, 6, 8):
            for group in (32, 64, 128):
                for plane, array in affine(x, kind, n_bits, group).items():
                    tensors[f"{name}/affine-{n_bits}-g{group}/{plane}"] = array
        for grid, scale_type in (("int4-b32", np.float16), ("int4-b32-f32", np.float32)):
            codes, scales = symmetric(x, 32, 7, scale_type)
            tensors |= {f"{name}/{grid}/weight": nibbles(codes), f"{name}/{grid}/scales": scales}
        codes, scales = symmetric(x, N_COLS, 127, np.float32)
        tensors |= {f"{name}/int8-channel/weight": codes, f"{name}/int8-channel/scales": scales}
    save_file(tensors, os.path.join(os.path.dirname(os.path.abspath(__file__)), "planes.safetensors"))


main()
