//! All layer kinds: one file each, one row each.

pub mod attention;
pub mod experts;
pub mod gated_feed_forward;
pub mod short_convolution;

use crate::kind::{KindEntry, read};

/// Every kind, by name.
pub const KINDS: &[KindEntry] = &[
    KindEntry { name: attention::NAME, read: read::<attention::Attention> },
    KindEntry { name: experts::NAME, read: read::<experts::Experts> },
    KindEntry { name: gated_feed_forward::NAME, read: read::<gated_feed_forward::GatedFeedForward> },
    KindEntry { name: short_convolution::NAME, read: read::<short_convolution::ShortConvolution> },
];
