//! Mixtral: Mistral with experts, which are stored separately.
//!
//! Source: `modeling_mixtral.py` and `configuration_mixtral.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::experts::{experts, with_experts};
use crate::config::outline::{Defaults, Outline};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{ATTENTION, ExpertName, LayerName, Names, OUTSIDE, PRE_NORMS};

/// Mixtral.
pub struct Mixtral;

const ROUTER: &[LayerName] = &[("block_sparse_moe.gate.weight", |block| ModelTensor::FfnGateInp { block })];

const BEFORE: &str = "block_sparse_moe.experts.";

const EXPERTS: &[ExpertName] = &[
    (BEFORE, ".w1.weight", |block| ModelTensor::FfnGateExps { block }),
    (BEFORE, ".w2.weight", |block| ModelTensor::FfnDownExps { block }),
    (BEFORE, ".w3.weight", |block| ModelTensor::FfnUpExps { block }),
];

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, ROUTER], expert: EXPERTS };

const DEFAULTS: Defaults = Defaults {
    family: "mixtral",
    rotary: RotaryDefaults { base: 1e6, ..llama::DEFAULTS.rotary },
    ..llama::DEFAULTS
};

impl Family for Mixtral {
    fn name(&self) -> &'static str {
        "mixtral"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["MixtralForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        let experts = experts(
            &config,
            "num_local_experts",
            outline.feed_forward.n_ff,
            &outline.feed_forward,
            outline.n_blocks,
        )?;
        let attention = Attention { window: config.count("sliding_window")?, ..outline.attention() };
        Ok(outline.uniform(&with_experts(outline.block(attention), experts)))
    }
}
