//! What of a program can be run: a program that asks for more is refused, never run as if it did not.

use mc_decoder::program::{Attention, Block, Decoder, Mixer, Norm, QkNorm, Rotary, RotaryScaling, Scales};

use crate::error::RuntimeError;

/// A layer that can be run: a norm before attention and one before the feed-forward.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) attention: Attention,
    pub(crate) attn_norm: Norm,
    pub(crate) ffn_norm: Norm,
}

/// Checks that every part of a program can be run.
///
/// # Errors
/// [`RuntimeError::CannotRun`] with all that cannot.
pub fn check(decoder: &Decoder) -> Result<(), RuntimeError> {
    let mut reasons: Vec<&'static str> = Vec::new();
    let mut note = |is_there: bool, reason: &'static str| {
        if is_there && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    };
    note(decoder.scales != Scales::ONE, "factors on the embedding, the residual stream or the logits");
    note(decoder.logit_soft_cap.is_some(), "a soft cap on the logits");
    for block in &decoder.blocks {
        let is_pre_normed = block.attn_norm.is_some() && block.ffn_norm.is_some();
        note(!is_pre_normed, "layers without a norm before each half");
        note(
            block.post_attn_norm.is_some() || block.post_ffn_norm.is_some(),
            "norms after a half of a layer",
        );
        note(block.feed_forward.is_fused, "gate and up projections in one matrix");
        note(block.feed_forward.experts.is_some(), "experts");
        let Mixer::Attention(attention) = &block.mixer else {
            note(true, "short convolutions");
            continue;
        };
        note(attention.is_fused, "query, key and value projections in one matrix");
        note(attention.qk_norm != QkNorm::None, "norms of queries and keys");
        note(attention.soft_cap.is_some(), "a soft cap on attention scores");
        // A window that is as wide as the context hides nothing.
        let is_narrow = attention.window.is_some_and(|window| window < decoder.context_length);
        note(is_narrow, "attention windows");
        note(attention.rotary.as_ref().is_some_and(stretches_otherwise), "`yarn` or `longrope` scaling");
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(RuntimeError::CannotRun { architecture: decoder.architecture.clone(), what: reasons.join(", ") })
}

impl Layer {
    /// The layer, if it is of the kind that [`check`] lets through.
    pub(crate) fn of(block: &Block) -> Option<Self> {
        Some(Self {
            attention: block.attention()?.clone(),
            attn_norm: block.attn_norm?,
            ffn_norm: block.ffn_norm?,
        })
    }
}

fn stretches_otherwise(rotary: &Rotary) -> bool {
    matches!(rotary.scaling, RotaryScaling::Yarn(_) | RotaryScaling::LongRope { .. })
}
