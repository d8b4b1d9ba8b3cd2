//! Encoding and decoding of blocks in lanes, for codecs without importance.

use std::marker::PhantomData;

use mc_tensor::cpu_path::CpuPath;

use crate::codec::Rows;
use crate::lanes::{Kernel, MAX_LANES, Simd, dispatch};

/// Number of blocks encoded together: few enough to stay in the first-level cache.
pub(crate) const WINDOW: usize = MAX_LANES;

/// Encoder of blocks of `LEN` weights in `BYTES` bytes each; fully `#[inline(always)]`.
pub(crate) trait EncodeBlocks<const LEN: usize, const BYTES: usize> {
    /// Encodes up to [`WINDOW`] blocks, as the codec's `encode_row` does.
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]);
}

/// Encodes rows on a path, ignoring importance. Returns false if it has no vector code.
pub(crate) fn encode<E: EncodeBlocks<LEN, BYTES>, const LEN: usize, const BYTES: usize>(
    path: CpuPath,
    rows: &Rows<'_>,
    out: &mut [u8],
) -> bool {
    dispatch::run(path, Encode::<E, LEN, BYTES> { x: rows.x, out, encode: PhantomData })
}

struct Encode<'a, E, const LEN: usize, const BYTES: usize> {
    x: &'a [f32],
    out: &'a mut [u8],
    encode: PhantomData<E>,
}

impl<E: EncodeBlocks<LEN, BYTES>, const LEN: usize, const BYTES: usize> Kernel for Encode<'_, E, LEN, BYTES> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (x, blocks) = (self.x.as_chunks::<LEN>().0, self.out.as_chunks_mut::<BYTES>().0);
        for (x, blocks) in x.chunks(WINDOW).zip(blocks.chunks_mut(WINDOW)) {
            E::encode::<S>(x, blocks);
        }
    }
}

/// Decoder of blocks of `LEN` weights in `BYTES` bytes each; fully `#[inline(always)]`.
pub(crate) trait DecodeBlock<const LEN: usize, const BYTES: usize> {
    /// Decodes a block, as the codec's `decode_row` does.
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]);
}

/// Decodes blocks on a path. Returns false if it has no vector code.
pub(crate) fn decode<D: DecodeBlock<LEN, BYTES>, const LEN: usize, const BYTES: usize>(
    path: CpuPath,
    blocks: &[u8],
    out: &mut [f32],
) -> bool {
    dispatch::run(path, Decode::<D, LEN, BYTES> { blocks, out, decode: PhantomData })
}

struct Decode<'a, D, const LEN: usize, const BYTES: usize> {
    blocks: &'a [u8],
    out: &'a mut [f32],
    decode: PhantomData<D>,
}

impl<D: DecodeBlock<LEN, BYTES>, const LEN: usize, const BYTES: usize> Kernel for Decode<'_, D, LEN, BYTES> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let blocks = self.blocks.as_chunks::<BYTES>().0;
        for (block, out) in blocks.iter().zip(self.out.as_chunks_mut::<LEN>().0) {
            D::decode::<S>(block, out);
        }
    }
}
