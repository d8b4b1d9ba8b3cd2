//! The families that are known. To add one, write its file and list it here.

use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::family::Family;
use crate::gemma2::Gemma2;
use crate::gemma3::Gemma3;
use crate::granite::Granite;
use crate::lfm2::Lfm2;
use crate::llama::Llama;
use crate::mistral::Mistral;
use crate::mixtral::Mixtral;
use crate::olmo2::Olmo2;
use crate::phi3::Phi3;
use crate::qwen2::Qwen2;
use crate::qwen3::Qwen3;
use crate::qwen3_moe::Qwen3Moe;
use crate::smollm3::SmolLm3;

/// Every family, in the order that messages list them.
pub static FAMILIES: &[&dyn Family] = &[
    &Llama, &Mistral, &Mixtral, &Qwen2, &Qwen3, &Qwen3Moe, &Gemma2, &Gemma3, &Phi3, &SmolLm3, &Lfm2,
    &Granite, &Olmo2,
];

/// The family of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Family> {
    FAMILIES.iter().copied().find(|family| family.name() == name)
}

/// The family whose checkpoints hold the tensors of a program that was read from a container; the first where several
/// have the same.
pub fn for_decoder(decoder: &Decoder) -> Option<&'static dyn Family> {
    let has_experts = decoder.blocks.iter().any(|block| block.feed_forward.experts.is_some());
    FAMILIES.iter().copied().find(|family| {
        family.decoder_architecture() == decoder.architecture
            && family.names().expert.is_empty() != has_experts
    })
}

/// The family of a checkpoint, by the first of `architectures` in its `config.json`.
///
/// # Errors
/// When the key is missing or no family knows the name.
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
