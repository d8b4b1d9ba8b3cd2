//! The keys that llama.cpp's converter writes for a decoder and its vocabulary, in its order.
//!
//! Source: `convert_hf_to_gguf.py` and gguf-py of llama.cpp, compared key by key with its output.

use mc_decoder::program::{Decoder, Rotary, RotaryScaling};
use mc_decoder::vocabulary::Vocabulary;

use crate::gguf::key_writer::{KeyWriter, Keys};
use crate::gguf::value::Value;
use crate::gguf::vocabulary_keys::write_vocabulary;

/// What the keys tell besides the decoder and the vocabulary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// What the model is called: `general.name`.
    pub name: String,
    /// The program that quantized it, if any did.
    pub quantized_by: Option<String>,
    /// The licence's short name.
    pub license: Option<String>,
    /// The checkpoint that was trained further, if any was.
    pub base_model: Option<String>,
    /// How many numbers the model has.
    pub n_parameters: u64,
    /// The number of the recipe: `general.file_type`.
    pub file_type: u32,
    /// Whether the configuration gives the width of a head, which is else left to the reader.
    pub has_head_dim: bool,
    /// Defaults of sampling, from `generation_config.json`.
    pub sampling: SamplingDefaults,
}

/// What a model's makers advise for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Likeliest tokens to choose among.
    pub top_k: Option<i32>,
    /// Probability that the tokens to choose among have together.
    pub top_p: Option<f32>,
    /// Least probability relative to the likeliest token.
    pub min_p: Option<f32>,
    /// Temperature.
    pub temperature: Option<f32>,
    /// Penalty on repeated tokens.
    pub repetition_penalty: Option<f32>,
}

/// Every key that the converter writes.
pub fn keys(decoder: &Decoder, vocabulary: &Vocabulary, facts: &ModelFacts) -> Keys {
    let mut keys = KeyWriter::default();
    keys.text("general.architecture", &decoder.architecture);
    keys.text("general.type", "model");
    keys.sampling(&facts.sampling);
    keys.text("general.name", &facts.name);
    keys.optional_text("general.quantized_by", facts.quantized_by.as_deref());
    keys.text("general.size_label", &size_label(facts.n_parameters));
    keys.optional_text("general.license", facts.license.as_deref());
    if let Some(base) = &facts.base_model {
        keys.u32("general.base_model.count", 1);
        keys.text("general.base_model.0.name", base);
    }
    keys.decoder(decoder, facts);
    keys.u32("general.quantization_version", 2);
    write_vocabulary(&mut keys, vocabulary);
    keys.0
}

/// The parameter count as the converter rounds it: `90M`, `1.2B`.
///
/// Source: `model_weight_count_rounded_notation` in gguf-py.
pub fn size_label(n_parameters: u64) -> String {
    let count = n_parameters as f64;
    let (scaled, suffix) = match count {
        count if count > 1e12 => (count * 1e-12, "T"),
        count if count > 1e9 => (count * 1e-9, "B"),
        count if count > 1e6 => (count * 1e-6, "M"),
        count => (count * 1e-3, "K"),
    };
    // Two digits at least.
    let n_digits = if scaled.round_ties_even() >= 10.0 { 0 } else { 1 };
    let n_digits = if scaled.round_ties_even() < 1.0 { 2 } else { n_digits };
    format!("{scaled:.n_digits$}{suffix}")
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

    fn decoder(&mut self, decoder: &Decoder, facts: &ModelFacts) {
        let arch = &decoder.architecture;
        self.u32(format!("{arch}.block_count"), decoder.blocks.len() as u32);
        self.u32(format!("{arch}.context_length"), decoder.context_length);
        self.u32(format!("{arch}.embedding_length"), decoder.n_embd);
        // The layers of the families that are written so far are alike.
        if let Some(block) = decoder.blocks.first() {
            let attention = &block.attention;
            self.u32(format!("{arch}.feed_forward_length"), block.feed_forward.n_ff);
            self.u32(format!("{arch}.attention.head_count"), attention.n_heads);
            self.u32(format!("{arch}.attention.head_count_kv"), attention.n_kv_heads);
            if let Some(rotary) = &attention.rotary {
                self.rotary(arch, rotary);
            }
            self.f32(format!("{arch}.attention.layer_norm_rms_epsilon"), block.attn_norm.epsilon);
            if facts.has_head_dim {
                self.u32(format!("{arch}.attention.key_length"), attention.head_dim);
                self.u32(format!("{arch}.attention.value_length"), attention.head_dim);
            }
        }
        self.u32("general.file_type", facts.file_type);
        self.u32(format!("{arch}.vocab_size"), decoder.n_vocab);
        if let Some(block) = decoder.blocks.first() {
            self.u32(format!("{arch}.rope.dimension_count"), block.attention.head_dim);
        }
    }

    fn rotary(&mut self, arch: &str, rotary: &Rotary) {
        // Llama 3's stretching is a tensor of the file, not a key.
        if let RotaryScaling::Linear { factor } = rotary.scaling {
            self.text(format!("{arch}.rope.scaling.type"), "linear");
            self.f32(format!("{arch}.rope.scaling.factor"), factor);
        }
        self.f32(format!("{arch}.rope.freq_base"), rotary.base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        for (n_parameters, label) in [
            (89_660_928, "90M"),
            (4_196_608, "4.2M"),
            (1_235_814_400, "1.2B"),
            (9_960_000, "10M"),
            (500, "0.50K"),
            (35_000, "35K"),
        ] {
            assert_eq!(size_label(n_parameters), label);
        }
    }
}
