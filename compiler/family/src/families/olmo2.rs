//! `OLMo` 2: norms after each half of a layer and none before; queries and keys are normed over all heads together.
//!
//! Source: `modeling_olmo2.py` and `configuration_olmo2.py` of Transformers.

use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::program::{Block, Decoder};
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, refuse_flag};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::qwen2;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, LayerName, Names, OUTSIDE, QK_NORMS};

/// `OLMo` 2.
pub struct Olmo2;

const POST_NORMS: &[LayerName] = &[
    ("post_attention_layernorm.weight", |block| ModelTensor::PostAttnNorm { block }),
    ("post_feedforward_layernorm.weight", |block| ModelTensor::PostFfnNorm { block }),
];

static NAMES: Names =
    Names { outside: OUTSIDE, layer: &[ATTENTION, QK_NORMS, POST_NORMS, FEED_FORWARD], expert: &[] };

const DEFAULTS: Defaults = Defaults { family: "olmo2", ..qwen2::DEFAULTS };

impl Family for Olmo2 {
    fn name(&self) -> &'static str {
        "olmo2"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Olmo2ForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        refuse_flag(&config, "attention_bias")?;
        let attention = Attention { qk_norm: QkNorm::Whole(outline.norm), ..outline.attention() };
        let norm = Some(outline.norm);
        let block = outline.block(attention);
        Ok(outline.uniform(&Block {
            attn_norm: None,
            post_attn_norm: norm,
            ffn_norm: None,
            post_ffn_norm: norm,
            ..block
        }))
    }
}
