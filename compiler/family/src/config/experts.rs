//! The experts of a configuration.

use mc_decoder::kind::Kind;
use mc_decoder::kinds::experts::{Experts, MAX_EXPERTS, MAX_EXPERTS_OF_MODEL};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::program::Block;

use crate::config::Config;
use crate::error::FamilyError;

/// Reads the number of experts, under `count_key`, and the number that each token uses. Their shares are
/// normalized.
///
/// * `n_ff`: the width of one expert
/// * `dense`: the feed-forward of a layer without experts
///
/// # Errors
/// Fails if a key is missing or wrong.
pub(crate) fn experts(
    config: &Config<'_>,
    count_key: &str,
    n_ff: u32,
    dense: &GatedFeedForward,
    n_blocks: u32,
) -> Result<Experts, FamilyError> {
    let n_experts = config.need_count(count_key)?;
    if n_experts > MAX_EXPERTS || u64::from(n_experts) * u64::from(n_blocks) > MAX_EXPERTS_OF_MODEL {
        let expected = format!("at most {MAX_EXPERTS}, and {MAX_EXPERTS_OF_MODEL} in all layers together");
        return Err(config.bad(count_key, &expected));
    }
    let n_used = config.need_count("num_experts_per_tok")?;
    if n_used > n_experts {
        return Err(
            config.bad("num_experts_per_tok", &format!("at most `{count_key}`, which is {n_experts}"))
        );
    }
    Ok(Experts {
        n_experts,
        n_used,
        n_ff,
        activation: dense.activation,
        is_normalized: true,
        n_ff_dense: dense.n_ff,
    })
}

/// Replaces a layer's feed-forward by experts.
pub(crate) fn with_experts(block: Block, experts: Experts) -> Block {
    Block { feed_forward: Kind::new(experts), ..block }
}
