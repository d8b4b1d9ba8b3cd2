//! Decoding in lanes, block by block.

use std::marker::PhantomData;

use mc_tensor::cpu_path::CpuPath;

use crate::lanes::{Kernel, Simd, dispatch};

/// How a block of `LEN` weights in `BYTES` bytes is decoded; all of it is `#[inline(always)]`.
pub(crate) trait DecodeBlock<const LEN: usize, const BYTES: usize> {
    /// Decodes a block, as the codec's `decode_row` does.
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]);
}

/// Decodes blocks on a path; `false` if it has no vectors.
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
