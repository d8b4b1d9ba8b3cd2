//! F32, F16 and BF16 as codecs with blocks of one element. Importance has no effect.

use mc_tensor::convert::{from_f32, to_f32};
use mc_tensor::cpu_path::{CpuPath, Width};
use mc_tensor::dtype::DType;

use crate::codec::{Codec, Importance, Rows, Vector};
use crate::lanes::{Kernel, Simd, dispatch};

/// 32-bit floats.
pub static F32: Codec = Codec {
    name: "F32",
    version: 1,
    block_len: 1,
    block_bytes: 4,
    fallback: None,
    importance: Importance::Ignored,
    encode_row: |row, _, out| from_f32(DType::F32, row, out),
    decode_row: |bytes, out| to_f32(DType::F32, bytes, out),
    vector: Vector::NONE,
};

/// 16-bit floats.
pub static F16: Codec = Codec {
    name: "F16",
    version: 1,
    block_len: 1,
    block_bytes: 2,
    fallback: None,
    importance: Importance::Ignored,
    encode_row: |row, _, out| from_f32(DType::F16, row, out),
    decode_row: |bytes, out| to_f32(DType::F16, bytes, out),
    vector: Vector { encode: Some(f16_encode), decode: Some(f16_decode) },
};

/// The upper halves of 32-bit floats.
pub static BF16: Codec = Codec {
    name: "BF16",
    version: 1,
    block_len: 1,
    block_bytes: 2,
    fallback: None,
    importance: Importance::Ignored,
    encode_row: |row, _, out| from_f32(DType::BF16, row, out),
    decode_row: |bytes, out| to_f32(DType::BF16, bytes, out),
    vector: Vector { encode: Some(bf16_encode), decode: Some(bf16_decode) },
};

/// Runs the kernel if the path has vector instructions: without them, converting one lane at a time is slower than the
/// bulk conversion.
fn run(path: CpuPath, kernel: impl Kernel) -> bool {
    path.width() != Width::Portable && dispatch::run(path, kernel)
}

fn f16_encode(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    run(path, Encode { dtype: DType::F16, x: rows.x, out })
}

fn bf16_encode(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    run(path, Encode { dtype: DType::BF16, x: rows.x, out })
}

fn f16_decode(path: CpuPath, halves: &[u8], out: &mut [f32]) -> bool {
    run(path, Decode { dtype: DType::F16, halves, out })
}

fn bf16_decode(path: CpuPath, halves: &[u8], out: &mut [f32]) -> bool {
    run(path, Decode { dtype: DType::BF16, halves, out })
}

/// [`from_f32`] in lanes.
struct Encode<'a> {
    dtype: DType,
    x: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for Encode<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { dtype, x, out } = self;
        let n_whole = x.len() - x.len() % S::N;
        let (whole, rest) = x.split_at(n_whole);
        let (out, out_of_rest) = out.split_at_mut(2 * n_whole);
        let chunks = whole.chunks_exact(S::N).zip(out.chunks_exact_mut(2 * S::N));
        if dtype == DType::F16 {
            for (x, out) in chunks {
                S::store_halves(S::to_f16(S::load(x)), out);
            }
        } else {
            for (x, out) in chunks {
                S::store_halves(to_bf16::<S>(S::load(x)), out);
            }
        }
        from_f32(dtype, rest, out_of_rest);
    }
}

/// [`mc_tensor::convert::to_bf16_bits`] in lanes.
#[inline(always)]
fn to_bf16<S: Simd>(x: S::F) -> S::I {
    let bits = S::bits(x);
    let high = S::shr::<16>(bits);
    let rounded = S::shr::<16>(bits + S::splat_i(0x7fff) + (high & S::splat_i(1)));
    S::select_i(S::eq(x, x), rounded, high | S::splat_i(64))
}

/// [`to_f32`] in lanes.
struct Decode<'a> {
    dtype: DType,
    halves: &'a [u8],
    out: &'a mut [f32],
}

impl Kernel for Decode<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { dtype, halves, out } = self;
        let n_whole = out.len() - out.len() % S::N;
        let (whole, rest) = out.split_at_mut(n_whole);
        let (halves, halves_of_rest) = halves.split_at(2 * n_whole);
        let chunks = whole.chunks_exact_mut(S::N).zip(halves.chunks_exact(2 * S::N));
        if dtype == DType::F16 {
            for (out, halves) in chunks {
                S::store(S::from_f16(S::load_halves(halves)), out);
            }
        } else {
            for (out, halves) in chunks {
                S::store(S::from_bits(S::shl::<16>(S::load_halves(halves))), out);
            }
        }
        to_f32(dtype, halves_of_rest, rest);
    }
}
