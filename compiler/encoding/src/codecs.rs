//! The table of codecs. A codec is a file of its own and a row here.

use crate::blocks::{
    iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs, iq4_nl, iq4_xs, mxfp4, nvfp4, plain, q1_0, q2_0,
    q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0, tq1_0, tq2_0,
};
use crate::codec::Codec;

/// Every codec, in the order of messages.
pub static CODECS: &[&Codec] = &[
    &plain::F32,
    &plain::F16,
    &q4_0::CODEC,
    &q4_1::CODEC,
    &q5_0::CODEC,
    &q5_1::CODEC,
    &q8_0::CODEC,
    &q2_k::CODEC,
    &q3_k::CODEC,
    &q4_k::CODEC,
    &q5_k::CODEC,
    &q6_k::CODEC,
    &iq2_xxs::CODEC,
    &iq2_xs::CODEC,
    &iq3_xxs::CODEC,
    &iq1_s::CODEC,
    &iq4_nl::CODEC,
    &iq3_s::CODEC,
    &iq2_s::CODEC,
    &iq4_xs::CODEC,
    &iq1_m::CODEC,
    &plain::BF16,
    &tq1_0::CODEC,
    &tq2_0::CODEC,
    &mxfp4::CODEC,
    &nvfp4::CODEC,
    &q1_0::CODEC,
    &q2_0::CODEC,
];

/// The codec with this name, for example `Q4_K`.
pub fn by_name(name: &str) -> Option<&'static Codec> {
    CODECS.iter().copied().find(|codec| codec.name == name)
}

/// Every name, in the order of the table.
pub fn names() -> Vec<&'static str> {
    CODECS.iter().map(|codec| codec.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, codec) in CODECS.iter().enumerate() {
            assert_eq!(by_name(codec.name), Some(*codec));
            assert!(CODECS[..index].iter().all(|other| other.name != codec.name), "{codec}");
        }
    }

    #[test]
    fn every_fallback_has_shorter_blocks() {
        for codec in CODECS {
            assert!(codec.fallback.is_none_or(|fallback| fallback.block_len < codec.block_len), "{codec}");
        }
    }

    #[test]
    fn a_tensor_without_whole_blocks_has_no_size() {
        let codec = by_name("Q4_K").unwrap();
        assert_eq!(codec.tensor_bytes(&[3, 512]), Some(3 * 2 * 144));
        assert_eq!(codec.tensor_bytes(&[0, 512]), Some(0));
        assert_eq!(codec.tensor_bytes(&[512, 3]), None);
        assert_eq!(codec.tensor_bytes(&[u64::MAX, 512]), None);
    }
}
