//! Settings that must agree between two models for their weights to have the same meaning, besides the
//! shapes.
//!
//! A projection of four heads of 64 has the shape of one of two heads of 128, and so do rows that rotate at
//! other frequencies; a blend of them would look like a model but not work. The context length, the attention
//! window of a layer and the epsilon of norms may differ: the result has those of the leading model.

use mc_decoder::activation::Activation;
use mc_decoder::kinds::attention::Attention;
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::program::{Block, Decoder};
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::RotaryScaling;

/// A setting in which two models differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Name of the setting.
    pub(crate) what: &'static str,
    /// The value of the first.
    pub(crate) ours: String,
    /// The value of the second.
    pub(crate) theirs: String,
}

/// Returns the first setting in which they differ.
pub(crate) fn first_difference(ours: &Decoder, theirs: &Decoder) -> Option<Difference> {
    let (left, right) = (settings(ours), settings(theirs));
    let mut pairs = left.into_iter().zip(right);
    pairs
        .find_map(|((what, ours), (_, theirs))| (ours != theirs).then_some(Difference { what, ours, theirs }))
}

fn settings(decoder: &Decoder) -> [(&'static str, String); 8] {
    let of_attention = |value: &dyn Fn(&Attention) -> String| distinct(decoder.attentions().map(value));
    let of_rotary = |value: &dyn Fn(&Rotary) -> String| {
        distinct(decoder.attentions().filter_map(|attention| attention.rotary.as_ref()).map(value))
    };
    let n_used = decoder.blocks.iter().filter_map(Block::experts);
    [
        ("Query heads", of_attention(&|attention| attention.n_heads.to_string())),
        ("Key and value heads", of_attention(&|attention| attention.n_kv_heads.to_string())),
        ("Width of a head", of_attention(&|attention| attention.head_dim.to_string())),
        ("Rotary dimensions", of_rotary(&|rotary| rotary.n_dims.to_string())),
        ("Rotary base", of_rotary(&|rotary| rotary.base.to_string())),
        ("Rotary scaling", of_rotary(&|rotary| scaling(&rotary.scaling))),
        ("Experts that a token uses", distinct(n_used.map(|experts| experts.n_used.to_string()))),
        (
            "Activation",
            distinct(
                decoder.blocks.iter().filter_map(activation).map(|activation| format!("{activation:?}")),
            ),
        ),
    ]
}

/// Returns the activation of a layer's feed-forward.
fn activation(block: &Block) -> Option<Activation> {
    let dense = block.feed_forward.get::<GatedFeedForward>().map(|dense| dense.activation);
    dense.or_else(|| block.experts().map(|experts| experts.activation))
}

/// Lists each value once, in the order of the layers.
fn distinct(values: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    if seen.is_empty() { "none".to_owned() } else { seen.join(" and ") }
}

fn scaling(scaling: &RotaryScaling) -> String {
    match scaling {
        RotaryScaling::None => "none".to_owned(),
        RotaryScaling::Linear { factor } => format!("linear by {factor}"),
        RotaryScaling::Divisors { factor } => format!("divisors of its own, and by {factor}"),
        RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            format!("llama3 by {factor} ({low_freq_factor} to {high_freq_factor}, from {original_context})")
        }
        RotaryScaling::Yarn(yarn) => format!("yarn by {} from {}", yarn.factor, yarn.original_context),
        RotaryScaling::LongRope { original_context, .. } => format!("longrope from {original_context}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decoder(more: Value) -> Decoder {
        let mut config = json!({
            "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": 64, "head_dim": 16,
            "intermediate_size": 8, "max_position_embeddings": 8, "num_attention_heads": 4,
            "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "vocab_size": 10,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mc_family::families::for_config(&config).unwrap().decoder(&config).unwrap()
    }

    fn reported(more: Value) -> Option<String> {
        let difference = first_difference(&decoder(more), &decoder(json!({})))?;
        Some(format!("{}: {} and {}", difference.what, difference.ours, difference.theirs))
    }

    #[test]
    fn models_of_equal_shapes_may_differ_in_meaning() {
        let heads = json!({ "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32 });
        assert_eq!(reported(heads).unwrap(), "Query heads: 2 and 4");
        let fewer = json!({ "num_key_value_heads": 4 });
        assert_eq!(reported(fewer).unwrap(), "Key and value heads: 4 and 2");
        assert_eq!(reported(json!({ "head_dim": 32 })).unwrap(), "Width of a head: 32 and 16");
        assert_eq!(reported(json!({ "rope_theta": 500000.0 })).unwrap(), "Rotary base: 500000 and 10000");
        let linear = json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } });
        assert_eq!(reported(linear).unwrap(), "Rotary scaling: linear by 2 and none");
    }

    #[test]
    fn depth_context_and_epsilon_may_differ() {
        let other = json!({ "num_hidden_layers": 4, "max_position_embeddings": 16, "rms_norm_eps": 1e-6 });
        assert_eq!(reported(other), None);
    }
}
