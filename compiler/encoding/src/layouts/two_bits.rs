//! The common part of Q2_K, Q3_K and TQ2_0: 256 two-bit codes in 64 bytes.
//!
//! In each half of 128 codes, byte `i` of 32 holds codes `i`, `i + 32`, `i + 64` and `i + 96`, the first in its lowest
//! bits.

/// Number of codes per super-block.
pub(crate) const LEN: usize = 256;
/// Number of bytes for them.
pub(crate) const BYTES: usize = LEN / 4;

/// Packs codes in `0..4`.
#[inline(always)]
pub(crate) fn pack(codes: &[u8; LEN]) -> [u8; BYTES] {
    let mut packed = [0; BYTES];
    for (codes, bytes) in codes.as_chunks::<128>().0.iter().zip(packed.as_chunks_mut::<32>().0) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = codes[i] | codes[i + 32] << 2 | codes[i + 64] << 4 | codes[i + 96] << 6;
        }
    }
    packed
}

/// The inverse of [`pack`].
pub(crate) fn unpack(packed: &[u8; BYTES]) -> [u8; LEN] {
    let mut codes = [0; LEN];
    for (codes, bytes) in codes.as_chunks_mut::<128>().0.iter_mut().zip(packed.as_chunks::<32>().0) {
        for (i, byte) in bytes.iter().enumerate() {
            for quarter in 0..4 {
                codes[i + 32 * quarter] = byte >> (2 * quarter) & 3;
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_codes_read_back() {
        let mut codes = [0; LEN];
        for (i, code) in codes.iter_mut().enumerate() {
            *code = (i * i / 3 % 4) as u8;
        }
        assert_eq!(unpack(&pack(&codes)), codes);
    }
}
