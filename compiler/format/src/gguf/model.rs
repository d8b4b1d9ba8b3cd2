//! From a GGUF file back to a program, for running and inspecting it.

use mc_decoder::program::{
    Activation, Attention, Block, Decoder, FeedForward, Head, Norm, Rotary, RotaryPairing, RotaryScaling,
};

use crate::gguf::key_reader::{float, number, text, wrong};
use crate::gguf::names::wire_name;
use crate::gguf::reader::Gguf;
use crate::gguf::value::Value;
use mc_tensor::model_tensor::ModelTensor;

/// The architectures whose programs can be read from keys.
const ARCHITECTURES: [&str; 1] = ["llama"];

/// The most layers that a file may claim: what bounds the work on a lying one.
const MAX_BLOCKS: u32 = 4096;

/// The file is whole, but no model that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A key is not there, or not of its type.
    #[error("Key `{key}`: {found}; expected {expected}")]
    Key {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Nobody here knows the architecture.
    #[error("The file has architecture `{0}`; known are {known}", known = ARCHITECTURES.map(|name| format!("`{name}`")).join(", "))]
    Architecture(String),
}

/// The program that the keys describe; rotary pairs as GGUF files have them.
///
/// # Errors
/// [`ModelError`] when a key is missing or wrong, or the architecture is unknown.
pub fn decoder(gguf: &Gguf) -> Result<Decoder, ModelError> {
    let architecture = text(gguf, "general.architecture")?.to_owned();
    if !ARCHITECTURES.contains(&architecture.as_str()) {
        return Err(ModelError::Architecture(architecture));
    }
    let name = |key: &str| format!("{architecture}.{key}");
    let number = |key: &str| number(gguf, &name(key));
    let or = |key: &str, default: u32| if gguf.key(&name(key)).is_some() { number(key) } else { Ok(default) };
    let n_blocks = number("block_count")?;
    if n_blocks > MAX_BLOCKS {
        return Err(wrong(name("block_count"), "at most 4096", n_blocks.to_string()));
    }
    let n_embd = number("embedding_length")?;
    let n_heads = number("attention.head_count")?;
    if n_heads == 0 {
        return Err(wrong(name("attention.head_count"), "1 or more", "0".to_owned()));
    }
    let head_dim = or("attention.key_length", n_embd / n_heads)?;
    let scaling = match gguf.key(&name("rope.scaling.type")).and_then(Value::as_text) {
        None | Some("none") => RotaryScaling::None,
        Some("linear") => RotaryScaling::Linear { factor: float(gguf, &name("rope.scaling.factor"))? },
        Some(other) => {
            return Err(wrong(name("rope.scaling.type"), "`none` or `linear`", format!("`{other}`")));
        }
    };
    let base = if gguf.key(&name("rope.freq_base")).is_some() {
        float(gguf, &name("rope.freq_base"))?
    } else {
        10_000.0
    };
    let norm = Norm { epsilon: float(gguf, &name("attention.layer_norm_rms_epsilon"))? };
    let has = |tensor: ModelTensor| gguf.tensor(&wire_name(tensor)).is_some();
    let block = Block {
        attn_norm: norm,
        attention: Attention {
            n_heads,
            n_kv_heads: or("attention.head_count_kv", n_heads)?,
            head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
            qkv_bias: has(ModelTensor::AttnQBias { block: 0 }),
            output_bias: has(ModelTensor::AttnOutputBias { block: 0 }),
            rotary: Some(Rotary {
                n_dims: or("rope.dimension_count", head_dim)?,
                base,
                scaling,
                pairing: RotaryPairing::Interleaved,
            }),
        },
        ffn_norm: norm,
        feed_forward: FeedForward { n_ff: number("feed_forward_length")?, activation: Activation::Silu },
    };
    let embedding = wire_name(ModelTensor::TokenEmbedding);
    let n_vocab = gguf.tensor(&embedding).and_then(|tensor| tensor.dims.get(1).copied());
    let n_vocab = n_vocab.and_then(|rows| u32::try_from(rows).ok());
    let n_vocab = n_vocab.ok_or_else(|| wrong(embedding, "a matrix", "no such tensor".to_owned()))?;
    Ok(Decoder {
        context_length: number("context_length")?,
        n_embd,
        n_vocab,
        blocks: vec![block; n_blocks as usize],
        output_norm: norm,
        head: if has(ModelTensor::Output) { Head::Untied } else { Head::Tied },
        architecture,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_decoder::vocabulary::{SpecialTokens, TokenType, Vocabulary, VocabularyKind};

    use crate::gguf::keys::{ModelFacts, keys};
    use crate::gguf::layout::{Layout, TensorPlan};
    use crate::gguf::tensor_type::by_name;
    use crate::gguf::vocabulary_keys::vocabulary;

    fn toy() -> Decoder {
        let norm = Norm { epsilon: 1e-5 };
        let rotary = Rotary {
            n_dims: 8,
            base: 500_000.0,
            scaling: RotaryScaling::Linear { factor: 2.0 },
            pairing: RotaryPairing::Interleaved,
        };
        let block = Block {
            attn_norm: norm,
            attention: Attention {
                n_heads: 4,
                n_kv_heads: 2,
                head_dim: 8,
                scale: 1.0 / 8_f32.sqrt(),
                qkv_bias: false,
                output_bias: false,
                rotary: Some(rotary),
            },
            ffn_norm: norm,
            feed_forward: FeedForward { n_ff: 64, activation: Activation::Silu },
        };
        Decoder {
            architecture: "llama".to_owned(),
            context_length: 128,
            n_embd: 32,
            n_vocab: 3,
            blocks: vec![block; 2],
            output_norm: norm,
            head: Head::Tied,
        }
    }

    fn words() -> Vocabulary {
        Vocabulary {
            kind: VocabularyKind::BytePair,
            pre_tokenizer: "llama-bpe".to_owned(),
            tokens: vec!["a".to_owned(), "<|begin_of_text|>".to_owned(), "<|eot_id|>".to_owned()],
            types: vec![TokenType::Normal, TokenType::Control, TokenType::Control],
            merges: vec!["a a".to_owned()],
            special: SpecialTokens {
                bos: Some(1),
                eos: Some(2),
                stop: vec![2],
                add_bos: Some(true),
                ..SpecialTokens::default()
            },
            chat_template: Some("{{ messages }}".to_owned()),
        }
    }

    fn gguf(change: impl FnOnce(&mut Vec<(String, Value)>)) -> Gguf {
        let facts = ModelFacts { has_head_dim: true, ..ModelFacts::default() };
        let mut keys = keys(&toy(), &words(), &facts);
        change(&mut keys);
        let kind = by_name("F32").unwrap();
        let plan = TensorPlan { name: "token_embd.weight".to_owned(), kind, dims: vec![32, 3] };
        let layout = Layout::new(&keys, &[plan], 32);
        let n_bytes = layout.head.len() as u64 + layout.tensors[0].n_bytes;
        Gguf::parse(&layout.head, n_bytes).unwrap()
    }

    #[test]
    fn the_keys_of_a_model_give_it_back() {
        let gguf = gguf(|_| {});
        assert_eq!(decoder(&gguf).unwrap(), toy());
        assert_eq!(vocabulary(&gguf).unwrap(), words());
    }

    #[test]
    fn wrong_keys_are_named() {
        let message = |key: &str, value: Option<Value>| {
            let gguf = gguf(|keys| match value {
                Some(value) => keys.iter_mut().find(|(name, _)| name == key).unwrap().1 = value,
                None => keys.retain(|(name, _)| name != key),
            });
            decoder(&gguf).map(drop).and_then(|()| vocabulary(&gguf).map(drop)).unwrap_err().to_string()
        };
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        assert_eq!(
            message("general.architecture", text("mamba")),
            "The file has architecture `mamba`; known are `llama`"
        );
        assert_eq!(
            message("llama.block_count", None),
            "Key `llama.block_count`: it is not there; expected a whole number"
        );
        assert_eq!(
            message("llama.block_count", Some(Value::U32(u32::MAX))),
            "Key `llama.block_count`: 4294967295; expected at most 4096"
        );
        assert_eq!(
            message("tokenizer.ggml.eos_token_id", Some(Value::U32(9))),
            "Key `tokenizer.ggml.eos_token_id`: 9; expected the number of a token"
        );
        assert_eq!(
            message("tokenizer.ggml.token_type", Some(Value::integers([1]))),
            "Key `tokenizer.ggml.token_type`: 1 types for 3 tokens; expected a type from 1 to 6 for each token"
        );
    }
}
