//! The keys that llama.cpp's converter writes for a decoder and its vocabulary, in its order.
//!
//! Source: `convert_hf_to_gguf.py` and gguf-py of llama.cpp, compared key by key with its output.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::count_label::count_label;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_facts::SamplingDefaults;

use crate::architecture;
use crate::decoder_keys::{write_decoder, write_early};
use crate::identity_keys::write_identity;
use crate::key_writer::{KeyWriter, Keys};
use crate::layout::TensorPlan;
use crate::model_facts::ModelFacts;
use crate::value::Value;
use crate::vocabulary_keys::write_vocabulary;

/// Every key that the converter writes.
///
/// # Errors
/// If a file cannot express the vocabulary.
pub fn keys(decoder: &Decoder, vocabulary: &Vocabulary, facts: &ModelFacts) -> Result<Keys, FormatError> {
    let mut keys = KeyWriter::default();
    keys.text("general.architecture", architecture::name_of(decoder));
    write_early(&mut keys, decoder);
    keys.text("general.type", "model");
    keys.sampling(&facts.sampling);
    keys.text("general.name", &facts.name);
    write_identity(&mut keys, &facts.identity, facts.quantized_by.as_deref(), &facts.size_label);
    write_decoder(&mut keys, decoder, facts);
    keys.u32("general.quantization_version", 2);
    write_vocabulary(&mut keys, vocabulary, architecture::name_of(decoder))?;
    Ok(keys.0)
}

/// Number of elements in the tensors of a file, as the converter writes it: `90M`, `1.2B`; `8x7B` for experts, where
/// the second number is the size of the model with a single expert.
///
/// Source: `get_total_parameter_count` and `size_label` in gguf-py.
pub fn size_label(plans: &[TensorPlan]) -> String {
    let (mut shared, mut of_one, mut n_experts, mut n_stacks) = (0, 0, 0, 0);
    for plan in plans {
        let n_elements: u64 = plan.dims.iter().product();
        match plan.dims.as_slice() {
            [_, _, n, ..] if *n > 0 && plan.name.contains("_exps.") => {
                of_one += n_elements / n;
                n_experts += n;
                n_stacks += 1;
            }
            _ => shared += n_elements,
        }
    }
    let count = count_label(shared + of_one);
    match n_experts.checked_div(n_stacks) {
        None => count,
        Some(n_experts) => format!("{n_experts}x{count}"),
    }
}

impl KeyWriter {
    fn sampling(&mut self, sampling: &SamplingDefaults) {
        if let Some(top_k) = sampling.top_k {
            self.put("general.sampling.top_k", Value::I32(top_k));
        }
        let floats = [
            ("top_p", sampling.top_p),
            ("min_p", sampling.min_p),
            ("temp", sampling.temperature),
            ("penalty_repeat", sampling.repetition_penalty),
        ];
        for (name, value) in floats {
            if let Some(value) = value {
                self.f32(format!("general.sampling.{name}"), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experts_are_counted_separately() {
        let kind = crate::tensor_type::by_name("F32").unwrap();
        let plan = |name: &str, dims: &[u64]| TensorPlan { name: name.to_owned(), kind, dims: dims.to_vec() };
        let mut plans = vec![plan("blk.0.ffn_gate_exps.weight", &[1000, 2000, 8])];
        assert_eq!(size_label(&plans), "8x2.0M");
        plans.push(plan("token_embd.weight", &[1000, 1000]));
        assert_eq!(size_label(&plans), "8x3.0M");
    }
}
