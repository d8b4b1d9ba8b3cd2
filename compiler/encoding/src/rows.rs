//! Rows as sequences of blocks: the common loop of scalar encoders.

/// Encodes a row; `encode` makes a block from its weights and, if present, their importance.
pub(crate) fn encode_blocks<const LEN: usize, const BYTES: usize>(
    row: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
    encode: impl Fn(&[f32; LEN], Option<&[f32; LEN]>, &mut [u8; BYTES]),
) {
    let importance = importance.map(|weights| weights.as_chunks::<LEN>().0);
    let blocks = row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0);
    for (block_idx, (x, block)) in blocks.enumerate() {
        encode(x, importance.map(|weights| &weights[block_idx]), block);
    }
}
