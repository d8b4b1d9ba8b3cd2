//! The table of families. To add one, write its file and list it here.

pub mod gemma2;
pub mod gemma3;
pub mod granite;
pub mod lfm2;
pub mod llama;
pub mod mistral;
pub mod mixtral;
pub mod olmo2;
pub mod phi3;
pub mod qwen2;
pub mod qwen3;
pub mod qwen3_moe;
pub mod smollm3;

use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::gemma2::Gemma2;
use crate::families::gemma3::Gemma3;
use crate::families::granite::Granite;
use crate::families::lfm2::Lfm2;
use crate::families::llama::Llama;
use crate::families::mistral::Mistral;
use crate::families::mixtral::Mixtral;
use crate::families::olmo2::Olmo2;
use crate::families::phi3::Phi3;
use crate::families::qwen2::Qwen2;
use crate::families::qwen3::Qwen3;
use crate::families::qwen3_moe::Qwen3Moe;
use crate::families::smollm3::SmolLm3;
use crate::family::Family;

/// Every family, in the order that messages list them.
pub static FAMILIES: &[&dyn Family] = &[
    &Llama, &Mistral, &Mixtral, &Qwen2, &Qwen3, &Qwen3Moe, &Gemma2, &Gemma3, &Phi3, &SmolLm3, &Lfm2,
    &Granite, &Olmo2,
];

/// Returns the family with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Family> {
    FAMILIES.iter().copied().find(|family| family.name() == name)
}

/// Returns the family that a program names, if its checkpoints contain the tensors of such a program.
pub fn for_decoder(decoder: &Decoder) -> Option<&'static dyn Family> {
    let has_experts = decoder.blocks.iter().any(|block| block.experts().is_some());
    by_name(&decoder.family).filter(|family| family.names().expert.is_empty() != has_experts)
}

/// Returns the family of a checkpoint, by the first of `architectures` in its `config.json`.
///
/// # Errors
/// Fails if the key is missing or no family has the name.
pub fn for_config(config: &Value) -> Result<&'static dyn Family, FamilyError> {
    let config = Config::new(CONFIG, config)?;
    let expected = "a list with the architecture's name, such as `[\"LlamaForCausalLM\"]`";
    let names = config.get("architectures").ok_or_else(|| config.missing("architectures", expected))?;
    let name = names
        .as_array()
        .and_then(|names| names.first())
        .and_then(Value::as_str)
        .ok_or_else(|| config.bad("architectures", expected))?;
    FAMILIES.iter().copied().find(|family| family.architectures().contains(&name)).ok_or_else(|| {
        let known: Vec<String> = FAMILIES
            .iter()
            .flat_map(|family| family.architectures())
            .map(|architecture| format!("`{architecture}`"))
            .collect();
        FamilyError::UnknownArchitecture { found: name.to_owned(), known: known.join(", ") }
    })
}
