//! Reads a GGUF file back into a program, to run or inspect it.

use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::experts::{Experts, MAX_EXPERTS, MAX_EXPERTS_OF_MODEL};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::kinds::short_convolution::ShortConvolution;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::{RotaryScaling, Yarn};
use mc_tensor::model_tensor::ModelTensor;

use crate::architecture::{self, Architecture, Norms, QkNorms};
use crate::key_reader::{count, float, text, wrong};
use crate::model_error::ModelError;
use crate::names::wire_name;
use crate::reader::Gguf;
use crate::value::Value;

/// Minimum number of tensors in a layer. It limits the number of layers that a file may claim by its own size.
const MIN_BLOCK_TENSORS: u32 = 4;

/// Reads the program that the keys describe, with rotary pairs as in GGUF files.
///
/// # Errors
/// [`ModelError`] if a key is missing or wrong, or the architecture is unknown.
pub fn decoder(gguf: &Gguf) -> Result<Decoder, ModelError> {
    let name = text(gguf, "general.architecture")?;
    let architecture =
        architecture::by_name(name).ok_or_else(|| ModelError::Architecture(name.to_owned()))?;
    Reader { gguf, architecture }.decoder()
}

struct Reader<'a> {
    gguf: &'a Gguf,
    architecture: &'static Architecture,
}

impl Reader<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name)
    }

    fn key(&self, key: &str) -> Option<&Value> {
        self.gguf.key(&self.name(key))
    }

    fn number(&self, key: &str) -> Result<u32, ModelError> {
        count(self.gguf, &self.name(key), key)
    }

    fn number_or(&self, key: &str, default: u32) -> Result<u32, ModelError> {
        if self.key(key).is_some() { self.number(key) } else { Ok(default) }
    }

    fn float(&self, key: &str) -> Result<Option<f32>, ModelError> {
        self.key(key).map(|_| self.need_float(key)).transpose()
    }

    fn need_float(&self, key: &str) -> Result<f32, ModelError> {
        float(self.gguf, &self.name(key), key)
    }

    fn has(&self, tensor: ModelTensor) -> bool {
        self.gguf.tensor(&wire_name(tensor)).is_some()
    }

    fn decoder(&self) -> Result<Decoder, ModelError> {
        let n_blocks = self.number("block_count")?;
        if n_blocks as usize > self.gguf.tensors.len() / MIN_BLOCK_TENSORS as usize {
            let found = format!("{n_blocks} in a file of {} tensors", self.gguf.tensors.len());
            return Err(wrong(self.name("block_count"), "at most one layer per four tensors", found));
        }
        let n_embd = self.number("embedding_length")?;
        let norm = Norm { epsilon: self.need_float("attention.layer_norm_rms_epsilon")? };
        let kv_heads = self.kv_heads(n_blocks)?;
        let attention = self.attention(n_embd, n_blocks, &kv_heads, norm)?;
        let feed_forward = self.feed_forward(n_blocks)?;
        let windows = self.windows()?;
        let mut blocks = Vec::with_capacity(n_blocks as usize);
        for (block, n_kv_heads) in (0..n_blocks).zip(kv_heads) {
            // In other architectures this is an error, which the lowering of the program reports.
            let mixer = if n_kv_heads == 0 && self.architecture.has_convolutions {
                Kind::new(ShortConvolution { kernel_len: self.number("shortconv.l_cache")? })
            } else {
                Kind::new(self.attention_of(block, &attention, windows.as_ref()))
            };
            blocks.push(self.block(mixer, norm, feed_forward.clone()));
        }
        let embedding = wire_name(ModelTensor::TokenEmbedding);
        let n_vocab = self.gguf.tensor(&embedding).and_then(|tensor| tensor.dims.get(1).copied());
        let n_vocab = n_vocab.and_then(|rows| u32::try_from(rows).ok());
        let n_vocab = n_vocab.ok_or_else(|| wrong(embedding, "a matrix", "no such tensor".to_owned()))?;
        Ok(Decoder {
            context_length: self.number("context_length")?,
            n_embd,
            n_vocab,
            blocks,
            output_norm: norm,
            head: if self.has(ModelTensor::Output) { Head::Untied } else { Head::Tied },
            family: self.architecture.family(self.number_or("expert_count", 0)? > 0).to_owned(),
            scales: self.scales(n_embd)?,
            logit_soft_cap: self.float("final_logit_softcapping")?,
        })
    }

    /// Key and value heads of each layer; zero where it has no attention.
    fn kv_heads(&self, n_blocks: u32) -> Result<Vec<u32>, ModelError> {
        const KEY: &str = "attention.head_count_kv";
        let n_heads = self.number("attention.head_count")?;
        let Some(items) = self.key(KEY).and_then(Value::as_array) else {
            let n_kv_heads = self.number_or(KEY, n_heads)?;
            return Ok(vec![n_kv_heads; n_blocks as usize]);
        };
        let read = |item: Value| item.as_u64().and_then(|number| u32::try_from(number).ok());
        let heads: Option<Vec<u32>> = items.items().map(read).collect();
        heads.filter(|heads| heads.len() == n_blocks as usize).ok_or_else(|| {
            wrong(self.name(KEY), "a number, or one for each layer", format!("a list of {}", items.len()))
        })
    }

    /// The attention of layers without a window.
    fn attention(
        &self,
        n_embd: u32,
        n_blocks: u32,
        kv_heads: &[u32],
        norm: Norm,
    ) -> Result<Attention, ModelError> {
        let n_heads = self.number("attention.head_count")?;
        let head_dim = self.number_or("attention.key_length", n_embd / n_heads)?;
        if head_dim == 0 || head_dim % 2 != 0 {
            let found = format!("{head_dim} for {n_heads} heads in {n_embd}");
            return Err(wrong(self.name("attention.key_length"), "an even head width", found));
        }
        let n_dims = self.number_or("rope.dimension_count", head_dim)?;
        if n_dims > head_dim || n_dims % 2 != 0 {
            let expected = format!("an even number up to the head width {head_dim}");
            return Err(wrong(self.name("rope.dimension_count"), expected, n_dims.to_string()));
        }
        let block = kv_heads.iter().position(|n_kv_heads| *n_kv_heads > 0).unwrap_or(0) as u32;
        let width = if self.architecture.large == Some(n_blocks) { n_embd / n_heads } else { head_dim };
        let scale = self.float("attention.scale")?.filter(|scale| *scale != 0.0);
        Ok(Attention {
            n_heads,
            n_kv_heads: kv_heads.get(block as usize).copied().unwrap_or(n_heads),
            head_dim,
            scale: scale.unwrap_or_else(|| 1.0 / (width as f32).sqrt()),
            is_fused: self.architecture.is_fused,
            qkv_bias: self.has(ModelTensor::AttnQBias { block }),
            output_bias: self.has(ModelTensor::AttnOutputBias { block }),
            qk_norm: match self.architecture.qk {
                QkNorms::None => QkNorm::None,
                QkNorms::PerHead => QkNorm::PerHead(norm),
                QkNorms::Whole => QkNorm::Whole(norm),
            },
            rotary: Some(Rotary {
                n_dims,
                base: self.float("rope.freq_base")?.unwrap_or(10_000.0),
                scaling: self.scaling()?,
                pairing: self.architecture.pairing,
            }),
            window: None,
            soft_cap: self.float("attn_logit_softcapping")?,
        })
    }

    /// A layer's attention: the shared one with its own window and positions.
    fn attention_of(&self, block: u32, shared: &Attention, windows: Option<&Windows>) -> Attention {
        let mut attention = shared.clone();
        let is_every = |interval: u32| (block + 1).is_multiple_of(interval);
        if let Some(windows) = windows.filter(|windows| !is_every(windows.interval)) {
            attention.window = Some(windows.length);
            if let (Some(rotary), Some(base)) = (&mut attention.rotary, windows.base) {
                rotary.base = base;
                rotary.scaling = RotaryScaling::None;
            }
        }
        if self.architecture.position_interval.is_some_and(is_every) {
            attention.rotary = None;
        }
        attention
    }

    fn windows(&self) -> Result<Option<Windows>, ModelError> {
        const KEY: &str = "attention.sliding_window";
        let length = self.number_or(KEY, 0)?;
        match self.architecture.window_interval {
            _ if length == 0 => Ok(None),
            Some(interval) => Ok(Some(Windows { length, interval, base: self.float("rope.freq_base_swa")? })),
            None => Err(wrong(self.name(KEY), "no window in this architecture", length.to_string())),
        }
    }

    fn scaling(&self) -> Result<RotaryScaling, ModelError> {
        let need = |key: &str| self.need_float(key);
        let original_context = || self.number("rope.scaling.original_context_length");
        if self.has(ModelTensor::RopeFactorsLong) {
            return Ok(RotaryScaling::LongRope {
                original_context: original_context()?,
                attention_factor: self.float("rope.scaling.attn_factor")?.unwrap_or(1.0),
                factors: None,
            });
        }
        match self.key("rope.scaling.type").and_then(Value::as_text) {
            None | Some("none") if self.has(ModelTensor::RopeFreqs) => {
                Ok(RotaryScaling::Divisors { factor: 1.0 })
            }
            None | Some("none") => Ok(RotaryScaling::None),
            Some("linear") => {
                let factor = need("rope.scaling.factor")?;
                let has_divisors = self.has(ModelTensor::RopeFreqs);
                Ok(if has_divisors {
                    RotaryScaling::Divisors { factor }
                } else {
                    RotaryScaling::Linear { factor }
                })
            }
            Some("yarn") => Ok(RotaryScaling::Yarn(Yarn {
                factor: need("rope.scaling.factor")?,
                original_context: original_context()?,
                extrapolation_factor: self.float("rope.scaling.yarn_ext_factor")?,
                attention_factor: self.float("rope.scaling.yarn_attn_factor")?,
                beta_fast: self.float("rope.scaling.yarn_beta_fast")?,
                beta_slow: self.float("rope.scaling.yarn_beta_slow")?,
            })),
            Some(other) => {
                Err(wrong(self.name("rope.scaling.type"), "`none`, `linear` or `yarn`", format!("`{other}`")))
            }
        }
    }

    fn feed_forward(&self, n_blocks: u32) -> Result<Kind, ModelError> {
        let n_ff = self.number("feed_forward_length")?;
        let n_experts = self.number_or("expert_count", 0)?;
        if n_experts > MAX_EXPERTS || u64::from(n_experts) * u64::from(n_blocks) > MAX_EXPERTS_OF_MODEL {
            let expected = "at most 1024, and 40000 in all layers together";
            return Err(wrong(self.name("expert_count"), expected, n_experts.to_string()));
        }
        let Architecture { activation, is_fused, .. } = *self.architecture;
        if n_experts == 0 {
            return Ok(Kind::new(GatedFeedForward { n_ff, activation, is_fused }));
        }
        Ok(Kind::new(Experts {
            n_experts,
            n_used: self.number("expert_used_count")?,
            n_ff: self.number_or("expert_feed_forward_length", n_ff)?,
            activation,
            // llama.cpp does this in every architecture supported here.
            is_normalized: true,
            n_ff_dense: n_ff,
        }))
    }

    fn block(&self, mixer: Kind, norm: Norm, feed_forward: Kind) -> Block {
        let before = Some(norm).filter(|_| self.architecture.norms != Norms::After);
        let after = Some(norm).filter(|_| self.architecture.norms != Norms::Before);
        Block {
            attn_norm: before,
            mixer,
            post_attn_norm: after,
            ffn_norm: before,
            feed_forward,
            post_ffn_norm: after,
        }
    }

    fn scales(&self, n_embd: u32) -> Result<Scales, ModelError> {
        let embedding = if self.architecture.scales_embedding { (n_embd as f32).sqrt() } else { 1.0 };
        Ok(Scales {
            embedding: self.float("embedding_scale")?.unwrap_or(embedding),
            residual: self.float("residual_scale")?.unwrap_or(1.0),
            logit_divisor: self.float("logit_scale")?.unwrap_or(1.0),
        })
    }
}

/// The windows of a file.
struct Windows {
    length: u32,
    /// One layer in this many has none.
    interval: u32,
    /// Rotary base of layers with a window, if it differs.
    base: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_decoder::activation::Activation;
    use mc_decoder::vocabulary::{SpecialKey, SpecialTokens, TokenType, Vocabulary, VocabularyKind};
    use mc_graph::rotary::RotaryPairing;

    use crate::keys::keys;
    use crate::layout::{Layout, TensorPlan};
    use crate::model_facts::ModelFacts;
    use crate::pre_tokenizers::named;
    use crate::tensor_type::by_name;
    use crate::vocabulary_keys::vocabulary;

    fn toy() -> Decoder {
        let norm = Norm { epsilon: 1e-5 };
        let rotary = Rotary {
            n_dims: 8,
            base: 500_000.0,
            scaling: RotaryScaling::Linear { factor: 2.0 },
            pairing: RotaryPairing::Interleaved,
        };
        let block = Block {
            attn_norm: Some(norm),
            mixer: Kind::new(Attention {
                n_heads: 4,
                n_kv_heads: 2,
                head_dim: 8,
                scale: 1.0 / 8_f32.sqrt(),
                is_fused: false,
                qkv_bias: false,
                output_bias: false,
                qk_norm: QkNorm::None,
                rotary: Some(rotary),
                window: None,
                soft_cap: None,
            }),
            post_attn_norm: None,
            ffn_norm: Some(norm),
            feed_forward: Kind::new(GatedFeedForward {
                n_ff: 64,
                activation: Activation::Silu,
                is_fused: false,
            }),
            post_ffn_norm: None,
        };
        Decoder {
            family: "llama".to_owned(),
            context_length: 128,
            n_embd: 32,
            n_vocab: 3,
            blocks: vec![block; 2],
            output_norm: norm,
            head: Head::Tied,
            scales: Scales::ONE,
            logit_soft_cap: None,
        }
    }

    fn words() -> Vocabulary {
        Vocabulary {
            kind: VocabularyKind::BytePair,
            pre_tokenizer: named("llama-bpe"),
            tokens: vec!["a".to_owned(), "<|begin_of_text|>".to_owned(), "<|eot_id|>".to_owned()],
            scores: Vec::new(),
            types: vec![TokenType::Normal, TokenType::Control, TokenType::Control],
            merges: vec!["a a".to_owned()],
            special: SpecialTokens {
                bos: Some(1),
                eos: Some(2),
                stop: vec![2],
                add_bos: Some(true),
                order: vec![SpecialKey::Bos, SpecialKey::Eos, SpecialKey::AddBos],
                ..SpecialTokens::default()
            },
            space_prefix: None,
            chat_template: Some("{{ messages }}".to_owned()),
            named_templates: vec![("tool_use".to_owned(), "{{ tools }}".to_owned())],
        }
    }

    fn gguf(change: impl FnOnce(&mut Vec<(String, Value)>)) -> Gguf {
        let facts = ModelFacts { has_head_dim: true, ..ModelFacts::default() };
        let mut keys = keys(&toy(), &words(), &facts).unwrap();
        change(&mut keys);
        let kind = by_name("F32").unwrap();
        let plan = |name: &str| TensorPlan { name: name.to_owned(), kind, dims: vec![32, 3] };
        let layers = (0..8)
            .map(|tensor| plan(&format!("blk.{}.{}.weight", tensor / 4, ["a", "b", "c", "d"][tensor % 4])));
        let plans: Vec<TensorPlan> = std::iter::once(plan("token_embd.weight")).chain(layers).collect();
        let layout = Layout::new(&keys, &plans, 32);
        let n_data: u64 = layout.tensors.iter().map(|stretch| stretch.n_bytes + stretch.padding).sum();
        Gguf::parse(&layout.head, layout.head.len() as u64 + n_data).unwrap()
    }

    #[test]
    fn the_keys_of_a_model_read_back() {
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
            "The file has architecture `mamba`; expected one of `llama`, `qwen2`, `qwen3`, `qwen3moe`, `gemma2`, \
             `gemma3`, `phi3`, `smollm3`, `lfm2`, `granite`, `olmo2`"
        );
        assert_eq!(
            message("llama.block_count", None),
            "Key `llama.block_count`: missing; expected a whole number"
        );
        assert_eq!(
            message("llama.block_count", Some(Value::U32(u32::MAX))),
            "Key `llama.block_count`: 4294967295 in a file of 9 tensors; expected at most one layer per four tensors"
        );
        for (n_heads, found) in [(64, "0 for 64 heads in 32"), (32, "1 for 32 heads in 32")] {
            let gguf = gguf(|keys| {
                keys.retain(|(name, _)| name != "llama.attention.key_length");
                let heads = keys.iter_mut().find(|(name, _)| name == "llama.attention.head_count").unwrap();
                heads.1 = Value::U32(n_heads);
            });
            assert_eq!(
                decoder(&gguf).unwrap_err().to_string(),
                format!("Key `llama.attention.key_length`: {found}; expected an even head width")
            );
        }
        for (key, value, expected) in [
            ("llama.context_length", Value::U32(0), "a whole number from 1 to 1073741824"),
            ("llama.context_length", Value::U32(u32::MAX), "a whole number from 1 to 1073741824"),
            ("llama.context_length", Value::I32(-1), "a whole number"),
            ("llama.context_length", Value::U64(1 << 60), "a whole number"),
            ("llama.embedding_length", Value::U32(1 << 30), "a whole number from 1 to 1048576"),
            ("llama.attention.head_count", Value::U32(0), "a whole number from 1 to 65536"),
            ("llama.rope.dimension_count", Value::U32(10), "an even number up to the head width 8"),
            ("llama.rope.dimension_count", Value::U32(7), "an even number up to the head width 8"),
            ("llama.rope.freq_base", Value::F32(0.5), "a number from 2e0 to 1e12"),
            ("llama.rope.freq_base", Value::F32(f32::NAN), "a number from 2e0 to 1e12"),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1.8e19), "a number from 1e-12 to 1e-1"),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(-1e-5), "a number from 1e-12 to 1e-1"),
            ("llama.rope.scaling.factor", Value::F32(0.0), "a number from 1e0 to 1e6"),
            ("tokenizer.ggml.bos_token_id", Value::I32(-1), "a whole number"),
            ("tokenizer.ggml.bos_token_id", Value::U64(1 << 60), "a whole number"),
        ] {
            let reported = message(key, Some(value));
            assert!(
                reported.contains(key) && reported.ends_with(&format!("expected {expected}")),
                "{reported}"
            );
        }
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
