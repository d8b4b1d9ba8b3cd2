//! Adding a codec takes one file and one row: this one is not in the table and is defined outside the crate.
//!
//! The module below is the file; `TABLE` has the row. The crate itself is unchanged.

use mc_encoding::codec::Codec;
use mc_encoding::codecs::CODECS;
use mc_encoding::quantization_error::QuantizationError;

/// Q3_0: 32 weights in 14 bytes, 3.5 bits per weight: one f16 scale `d` and 3-bit codes, `w ~= d * (q - 4)`.
mod q3_0 {
    use mc_encoding::codec::{Codec, Importance, Vector};
    use mc_tensor::convert::{f16_to_f32, f32_to_f16};

    const LEN: usize = 32;
    const BYTES: usize = 14;

    /// The codec.
    pub(crate) static CODEC: Codec = Codec {
        name: "Q3_0",
        version: 1,
        block_len: LEN,
        block_bytes: BYTES,
        fallback: None,
        importance: Importance::Ignored,
        encode_row,
        decode_row,
        vector: Vector::NONE,
    };

    fn encode_row(row: &[f32], _: Option<&[f32]>, out: &mut [u8]) {
        for (x, block) in row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0) {
            let max = x.iter().fold(0.0_f32, |max, value| if value.abs() > max.abs() { *value } else { max });
            let d = max / -4.0;
            let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
            block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
            for (x, bytes) in x.as_chunks::<8>().0.iter().zip(block[2..].as_chunks_mut::<3>().0) {
                let mut bits = 0_u32;
                for (i, value) in x.iter().enumerate() {
                    let code = (value * inverse + 4.5).clamp(0.0, 7.0) as u32;
                    bits |= code << (3 * i);
                }
                bytes.copy_from_slice(&bits.to_le_bytes()[..3]);
            }
        }
    }

    fn decode_row(blocks: &[u8], out: &mut [f32]) {
        for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
            let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
            for (bytes, out) in block[2..].as_chunks::<3>().0.iter().zip(out.as_chunks_mut::<8>().0) {
                let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
                for (i, value) in out.iter_mut().enumerate() {
                    *value = d * ((bits >> (3 * i) & 7) as f32 - 4.0);
                }
            }
        }
    }
}

/// The crate's table with one more row.
fn table() -> Vec<&'static Codec> {
    CODECS.iter().copied().chain([&q3_0::CODEC]).collect()
}

#[test]
fn an_external_codec_works_like_the_others() {
    let codec = table().into_iter().find(|codec| codec.name == "Q3_0").unwrap();
    assert!(CODECS.iter().all(|known| *known != codec), "it is not in the crate's own table");
    let (n_rows, n_cols) = (3, 96);
    let rows: Vec<f32> = (0..n_rows * n_cols).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let mut blocks = vec![0; n_rows * codec.row_bytes(n_cols)];
    codec.encode(&rows, n_cols, None, &mut blocks);
    let mut decoded = vec![0.0; rows.len()];
    codec.decode(&blocks, &mut decoded);
    let loss = QuantizationError::of(&rows, &decoded, codec.block_len);
    assert!(loss.snr_db().unwrap() > 12.0, "{loss:?}");
    assert_eq!((loss.n_overflowed_blocks, loss.n_vanished_blocks), (0, 0));
    assert!(!codec.fits(40));
    assert_eq!((codec.to_string(), format!("{codec:?}")), ("Q3_0".to_owned(), "Q3_0@1".to_owned()));
}
