"""Writes planes.safetensors: small hard matrices, and what MLX's quantizer and plain numpy make of them.

    pip install "mlx[cpu]==0.32.4" numpy safetensors
    python planes.py

Names: `input/DTYPE` F32 [rows, 128] (numbers that DTYPE can hold), `DTYPE/GRID/PLANE`. Affine grids and those of floats
come from `mx.quantize` on the CPU, the others from the formulas below, for F32 only. Grids with blocks of 256 columns
take two rows as one.
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


def floats(x, kind, mode):
    return dict(zip(("weight", "scales"), map(bits, mx.quantize(mx.array(x).astype(kind), mode=mode))))


def symmetric(x, group, high, scale_type, least=0.0):
    """Codes and scales. A scale of zero is 1, others are at least `least`."""
    blocks = x.reshape(len(x), -1, group)
    exact = np.abs(blocks).max(-1) / np.float32(high)
    scales = exact.astype(scale_type)
    scales = np.where((exact if least else scales) == 0, scale_type(1), np.maximum(scales, scale_type(least)))
    codes = np.rint(blocks / scales.astype(np.float32)[..., None]).clip(-high, high).astype(np.int8)
    return codes.reshape(x.shape), scales


def in_both_types(exact):
    """The nearest normal F16 numbers that BF16 has, too; 1 for zero."""
    halves = (exact.view(np.uint32) + 0x7FFF + (exact.view(np.uint32) >> 16 & 1) & 0xFFFF0000).view(np.float32)
    return np.where(exact == 0, np.float32(1), halves.clip(2.0**-14, 65280)).astype(np.float16)


def of_exact_scales(x, group):
    blocks = x.reshape(len(x), -1, group)
    scales = in_both_types(np.abs(blocks).max(-1) / np.float32(7))
    codes = np.rint(blocks / scales.astype(np.float32)[..., None]).clip(-7, 7).astype(np.int8)
    return {"weight": nibbles(codes.reshape(x.shape) & 15), "scales": scales}


def asymmetric(x, group, high, scale_type):
    """Codes, scales and zero points, which are codes."""
    blocks = x.reshape(len(x), -1, group)
    low, top = np.minimum(blocks.min(-1), 0), np.maximum(blocks.max(-1), 0)
    scales = ((top - low) / np.float32(high)).astype(scale_type)
    scales = np.where(scales == 0, scale_type(1), scales)
    wide = scales.astype(np.float32)
    points = np.rint(-low / wide).clip(0, high)
    codes = np.rint(blocks / wide[..., None] + points[..., None]).clip(0, high)
    return codes.astype(np.uint8).reshape(x.shape), scales, points.astype(np.uint8)


def nibbles(codes):
    """Two codes per byte, the even column lower; an odd last column alone."""
    codes = np.pad(codes.astype(np.uint8), ((0, 0), (0, codes.shape[1] % 2)))
    return codes[:, 0::2] | codes[:, 1::2] << 4


def of_blocks(x):
    """Grids with blocks of columns: symmetric with codes + 8 or + 128, and with zero points."""
    planes = {}
    for group in (16, 32, 64, 128, 256):
        rows = x.reshape(-1, max(group, N_COLS))
        for suffix, scale_type in (("", np.float16), ("-f32", np.float32)):
            least = np.finfo(scale_type).tiny
            codes, scales = symmetric(rows, group, 7, scale_type, least)
            planes[f"int4-g{group}{suffix}"] = {"weight": nibbles(codes + 8), "scales": scales}
            codes, scales = symmetric(rows, group, 127, scale_type)
            codes = (codes.astype(np.int16) + 128).astype(np.uint8)
            planes[f"int8-g{group}{suffix}"] = {"weight": codes, "scales": scales}
            codes, scales, points = asymmetric(rows, group, 15, scale_type)
            stored = {"weight": nibbles(codes), "scales": scales, "zero-points": nibbles(points)}
            planes[f"uint4-g{group}{suffix}"] = stored
            codes, scales, points = asymmetric(rows, group, 255, scale_type)
            planes[f"uint8-g{group}{suffix}"] = {"weight": codes, "scales": scales, "zero-points": points}
    return planes


def of_channels(x):
    codes, scales = symmetric(x, N_COLS, 7, np.float32, np.finfo(np.float32).tiny)
    int4 = {"weight": nibbles(codes & 15), "scales": scales}
    codes, scales = symmetric(x, N_COLS, 127, np.float32)
    return {"int4-g32-bf16": of_exact_scales(x, 32), "int4-channel": int4, "int8-channel": {"weight": codes, "scales": scales}}


def main():
    tensors = {}
    for name, kind in KINDS.items():
        x = rounded(matrix(), kind)
        tensors[f"input/{name}"] = x
        for n_bits in (2, 3, 4, 5, 6, 8):
            for group in (32, 64, 128):
                for plane, array in affine(x, kind, n_bits, group).items():
                    tensors[f"{name}/affine-{n_bits}-g{group}/{plane}"] = array
        for mode in ("mxfp4", "mxfp8", "nvfp4"):
            for plane, array in floats(x, kind, mode).items():
                tensors[f"{name}/{mode}/{plane}"] = array
    # These do not depend on the type of the weights.
    x = tensors["input/F32"]
    for grid, planes in (of_blocks(x) | of_channels(x)).items():
        for plane, array in planes.items():
            tensors[f"F32/{grid}/{plane}"] = array
    save_file(tensors, os.path.join(os.path.dirname(os.path.abspath(__file__)), "planes.safetensors"))


main()
