//! A small program of two layers, for tests.

use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};

/// The norm of the layers.
pub(crate) const NORM: Norm = Norm { epsilon: 1e-5 };

/// The attention of the layers.
pub(crate) fn attention() -> Attention {
    Attention {
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 16,
        scale: 0.25,
        is_fused: false,
        qkv_bias: false,
        output_bias: false,
        qk_norm: QkNorm::None,
        rotary: Some(Rotary {
            n_dims: 16,
            base: 10_000.0,
            scaling: RotaryScaling::None,
            pairing: RotaryPairing::HalfSplit,
        }),
        window: None,
        soft_cap: None,
    }
}

/// A program whose layers have this attention and a tied head.
pub(crate) fn decoder(attention: &Attention) -> Decoder {
    let block = Block {
        attn_norm: Some(NORM),
        mixer: Kind::new(attention.clone()),
        post_attn_norm: None,
        ffn_norm: Some(NORM),
        feed_forward: Kind::new(GatedFeedForward { n_ff: 64, activation: Activation::Silu, is_fused: false }),
        post_ffn_norm: None,
    };
    Decoder {
        family: "llama".to_owned(),
        context_length: 64,
        n_embd: 32,
        n_vocab: 48,
        blocks: vec![block; 2],
        output_norm: NORM,
        head: Head::Tied,
        scales: Scales::ONE,
        logit_soft_cap: None,
    }
}
