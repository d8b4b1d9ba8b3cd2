//! Qwen3 with experts in every layer, each stored by itself.
//!
//! Source: `modeling_qwen3_moe.py` and `configuration_qwen3_moe.py` of Transformers.

use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::experts::{experts, with_experts};
use crate::config::outline::{Defaults, Outline};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::{qwen2, qwen3};
use crate::family::Family;
use crate::names::{ATTENTION, ExpertName, LayerName, Names, OUTSIDE, PRE_NORMS, QK_NORMS};

/// Qwen3 with experts.
pub struct Qwen3Moe;

const ROUTER: &[LayerName] = &[("mlp.gate.weight", |block| ModelTensor::FfnGateInp { block })];

// In the order in which the reference converter writes them.
const EXPERTS: &[ExpertName] = &[
    ("mlp.experts.", ".down_proj.weight", |block| ModelTensor::FfnDownExps { block }),
    ("mlp.experts.", ".gate_proj.weight", |block| ModelTensor::FfnGateExps { block }),
    ("mlp.experts.", ".up_proj.weight", |block| ModelTensor::FfnUpExps { block }),
];

static NAMES: Names =
    Names { outside: OUTSIDE, layer: &[ATTENTION, QK_NORMS, PRE_NORMS, ROUTER], expert: EXPERTS };

const DEFAULTS: Defaults = Defaults { architecture: "qwen3moe", ..qwen2::DEFAULTS };

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
        refuse_dense_layers(&config)?;
        let n_ff = config.need_count("moe_intermediate_size")?;
        let experts = experts(&config, "num_experts", n_ff, &outline.feed_forward, outline.n_blocks)?;
        let attention = qwen3::attention(&config, &outline)?;
        Ok(outline.uniform(&with_experts(outline.block(attention), experts)))
    }
}

// GGUF has no words for layers without experts among layers with them, nor for weights that do not sum to 1.
fn refuse_dense_layers(config: &Config<'_>) -> Result<(), FamilyError> {
    if config.count("decoder_sparse_step")?.unwrap_or(1) != 1 {
        return Err(config.unsupported("decoder_sparse_step", "expected 1"));
    }
    let dense = config.get("mlp_only_layers");
    if dense.is_some_and(|layers| layers.as_array().is_none_or(|layers| !layers.is_empty())) {
        return Err(config.unsupported("mlp_only_layers", "expected `[]`"));
    }
    if config.get("norm_topk_prob").is_some() && !config.flag("norm_topk_prob")? {
        return Err(config.unsupported("norm_topk_prob", "expected `true`"));
    }
    Ok(())
}
