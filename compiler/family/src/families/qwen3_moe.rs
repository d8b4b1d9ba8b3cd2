//! Qwen3 with experts, which are stored separately; some layers may have none.
//!
//! Source: `modeling_qwen3_moe.py` and `configuration_qwen3_moe.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::kinds::experts::Experts;
use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::experts::{experts, with_experts};
use crate::config::outline::{Defaults, Outline};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::qwen2::switched_window;
use crate::families::{qwen2, qwen3};
use crate::family::Family;
use crate::names::{ATTENTION, ExpertName, FEED_FORWARD, LayerName, Names, OUTSIDE, PRE_NORMS, QK_NORMS};

/// Qwen3 with experts.
pub struct Qwen3Moe;

const ROUTER: &[LayerName] = &[("mlp.gate.weight", |block| ModelTensor::FfnGateInp { block })];

// In the order in which the reference converter writes them.
const EXPERTS: &[ExpertName] = &[
    ("mlp.experts.", ".down_proj.weight", |block| ModelTensor::FfnDownExps { block }),
    ("mlp.experts.", ".gate_proj.weight", |block| ModelTensor::FfnGateExps { block }),
    ("mlp.experts.", ".up_proj.weight", |block| ModelTensor::FfnUpExps { block }),
];

static NAMES: Names = Names {
    outside: OUTSIDE,
    layer: &[ATTENTION, QK_NORMS, PRE_NORMS, FEED_FORWARD, ROUTER],
    expert: EXPERTS,
};

const DEFAULTS: Defaults = Defaults { family: "qwen3moe", ..qwen2::DEFAULTS };

impl Family for Qwen3Moe {
    fn name(&self) -> &'static str {
        "qwen3moe"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Qwen3MoeForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        let has_experts = expert_layers(&config, outline.n_blocks)?;
        let n_ff = config.need_count("moe_intermediate_size")?;
        let experts = Experts {
            // An absent key means `false`, as in Transformers.
            is_normalized: config.flag("norm_topk_prob")?,
            ..experts(&config, "num_experts", n_ff, &outline.feed_forward, outline.n_blocks)?
        };
        let attention =
            Attention { window: switched_window(&config)?, ..qwen3::attention(&config, &outline)? };
        Ok(outline.decoder(|block| {
            let dense = outline.block(attention.clone());
            if has_experts[block as usize] { with_experts(dense, experts) } else { dense }
        }))
    }
}

/// Returns the layers that have experts; the others have one feed-forward of the usual width.
fn expert_layers(config: &Config<'_>, n_blocks: u32) -> Result<Vec<bool>, FamilyError> {
    const DENSE: &str = "mlp_only_layers";
    let step = config.count("decoder_sparse_step")?.unwrap_or(1);
    let number = |value: &Value| value.as_u64().filter(|number| *number < u64::from(n_blocks));
    let dense: Vec<u64> = match config.get(DENSE) {
        None => Vec::new(),
        Some(layers) => layers
            .as_array()
            .and_then(|layers| layers.iter().map(number).collect())
            .ok_or_else(|| config.bad(DENSE, &format!("numbers of layers, below {n_blocks}")))?,
    };
    let has_experts = |block: u32| (block + 1).is_multiple_of(step) && !dense.contains(&u64::from(block));
    Ok((0..n_blocks).map(has_experts).collect())
}
