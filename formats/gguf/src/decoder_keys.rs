//! The keys of a decoder, architecture by architecture, in the order of llama.cpp's converter.
//!
//! Source: `set_gguf_parameters` of each model in `convert_hf_to_gguf.py` of llama.cpp.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::kinds::experts::Experts;
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::kinds::short_convolution::ShortConvolution;
use mc_decoder::program::{Block, Decoder};
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::{RotaryScaling, Yarn};

use crate::architecture;
use crate::key_writer::KeyWriter;
use crate::model_facts::ModelFacts;
use crate::value::Value;

/// Keys that the converter writes along with tensors, before all other keys.
pub(crate) fn write_early(keys: &mut KeyWriter, decoder: &Decoder) {
    let rotary = decoder.attentions().find_map(|attention| attention.rotary.as_ref());
    if let Some(RotaryScaling::LongRope { attention_factor, factors: Some(_), .. }) =
        rotary.map(|rotary| &rotary.scaling)
    {
        keys.f32(format!("{}.rope.scaling.attn_factor", architecture::name_of(decoder)), *attention_factor);
    }
}

/// The feed-forward of a layer, as the keys describe it.
struct FeedForward {
    /// Width of a layer without experts.
    n_ff: u32,
    experts: Option<Experts>,
}

impl FeedForward {
    fn of(block: &Block) -> Self {
        let experts = block.experts().copied();
        let dense = block.feed_forward.get::<GatedFeedForward>().map(|dense| dense.n_ff);
        Self { n_ff: dense.or(experts.map(|experts| experts.n_ff_dense)).unwrap_or(0), experts }
    }
}

/// Writes the keys that the architecture's converter writes.
pub(crate) fn write_decoder(keys: &mut KeyWriter, decoder: &Decoder, facts: &ModelFacts) {
    let Some(attention) = decoder.attentions().next() else { return };
    let Some(feed_forward) = decoder.blocks.first().map(FeedForward::of) else { return };
    let arch = architecture::name_of(decoder);
    let mut writer = Writer { keys, arch, decoder, attention, feed_forward, facts };
    match arch {
        "gemma2" => writer.gemma2(),
        "phi3" => writer.phi3(),
        _ => writer.usual(),
    }
    match arch {
        "llama" | "smollm3" => writer.vocabulary_and_rope(),
        "granite" => {
            writer.vocabulary_and_rope();
            writer.factors();
        }
        "qwen3moe" => writer.expert_width(),
        "gemma3" => writer.cap_and_window(),
        "lfm2" => writer.convolution(),
        _ => {}
    }
}

struct Writer<'a> {
    keys: &'a mut KeyWriter,
    arch: &'a str,
    decoder: &'a Decoder,
    /// The attention of the first layer that has one; the others differ only in windows and positions.
    attention: &'a Attention,
    feed_forward: FeedForward,
    facts: &'a ModelFacts,
}

impl Writer<'_> {
    fn u32(&mut self, name: &str, number: u32) {
        self.keys.u32(format!("{}.{name}", self.arch), number);
    }

    fn f32(&mut self, name: &str, number: f32) {
        self.keys.f32(format!("{}.{name}", self.arch), number);
    }

    fn optional_f32(&mut self, name: &str, number: Option<f32>) {
        if let Some(number) = number {
            self.f32(name, number);
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.keys.text(format!("{}.{name}", self.arch), text);
    }

    /// The keys of most architectures.
    fn usual(&mut self) {
        self.u32("block_count", self.decoder.blocks.len() as u32);
        self.u32("context_length", self.decoder.context_length);
        self.u32("embedding_length", self.decoder.n_embd);
        self.u32("feed_forward_length", self.feed_forward.n_ff);
        self.u32("attention.head_count", self.attention.n_heads);
        self.kv_heads();
        self.rotary();
        self.f32("attention.layer_norm_rms_epsilon", self.decoder.output_norm.epsilon);
        if let Some(experts) = self.feed_forward.experts {
            self.u32("expert_count", experts.n_experts);
            self.u32("expert_used_count", experts.n_used);
        }
        if self.has_head_dim() {
            self.head_dim();
        }
        self.file_type();
    }

    fn gemma2(&mut self) {
        self.u32("context_length", self.decoder.context_length);
        self.u32("embedding_length", self.decoder.n_embd);
        self.u32("block_count", self.decoder.blocks.len() as u32);
        self.u32("feed_forward_length", self.feed_forward.n_ff);
        self.u32("attention.head_count", self.attention.n_heads);
        self.u32("attention.head_count_kv", self.attention.n_kv_heads);
        self.f32("attention.layer_norm_rms_epsilon", self.decoder.output_norm.epsilon);
        self.head_dim();
        self.file_type();
        self.optional_f32("attn_logit_softcapping", self.attention.soft_cap);
        self.cap_and_window();
    }

    fn phi3(&mut self) {
        let rotary = self.attention.rotary.as_ref();
        self.u32("context_length", self.decoder.context_length);
        let original = match rotary.map(|rotary| &rotary.scaling) {
            Some(RotaryScaling::LongRope { original_context, .. }) => *original_context,
            _ => self.decoder.context_length,
        };
        self.u32("rope.scaling.original_context_length", original);
        self.u32("embedding_length", self.decoder.n_embd);
        self.u32("feed_forward_length", self.feed_forward.n_ff);
        self.u32("block_count", self.decoder.blocks.len() as u32);
        self.u32("attention.head_count", self.attention.n_heads);
        self.u32("attention.head_count_kv", self.attention.n_kv_heads);
        self.f32("attention.layer_norm_rms_epsilon", self.decoder.output_norm.epsilon);
        if let Some(rotary) = rotary {
            self.u32("rope.dimension_count", rotary.n_dims);
            self.f32("rope.freq_base", rotary.base);
        }
        self.file_type();
        // Zero means no window.
        self.u32("attention.sliding_window", self.attention.window.unwrap_or(0));
    }

    fn file_type(&mut self) {
        self.keys.u32("general.file_type", self.facts.file_type);
    }

    /// One number, or one per layer with zero for those without attention.
    fn kv_heads(&mut self) {
        if self.decoder.blocks.iter().all(|block| block.attention().is_some()) {
            self.u32("attention.head_count_kv", self.attention.n_kv_heads);
            return;
        }
        let heads = |attention: &Attention| i32::try_from(attention.n_kv_heads).unwrap_or(i32::MAX);
        let heads = self.decoder.blocks.iter().map(|block| block.attention().map_or(0, heads));
        self.keys.put(format!("{}.attention.head_count_kv", self.arch), Value::integers(heads));
    }

    fn has_head_dim(&self) -> bool {
        let is_default =
            self.attention.head_dim.checked_mul(self.attention.n_heads) == Some(self.decoder.n_embd);
        // Transformers fills in the value for these, and the converter reads the result.
        let is_filled_in = match self.arch {
            "llama" => self.feed_forward.experts.is_none(),
            arch => matches!(arch, "qwen3" | "gemma3"),
        };
        self.arch != "granite" && (self.facts.has_head_dim || is_filled_in || !is_default)
    }

    fn head_dim(&mut self) {
        self.u32("attention.key_length", self.attention.head_dim);
        self.u32("attention.value_length", self.attention.head_dim);
    }

    fn rotary(&mut self) {
        let whole = self.decoder.attentions().find(|attention| attention.window.is_none());
        let whole = whole.unwrap_or(self.attention);
        if let Some(rotary) = &whole.rotary {
            self.scaling(rotary);
            self.f32("rope.freq_base", rotary.base);
        }
        // Used where layers with a window have another rotary embedding.
        let local = self.decoder.attentions().find(|attention| attention.window.is_some());
        if let Some(local) = local.and_then(|local| local.rotary.as_ref()).filter(|_| self.arch == "gemma3") {
            self.f32("rope.freq_base_swa", local.base);
        }
    }

    fn scaling(&mut self, rotary: &Rotary) {
        match &rotary.scaling {
            RotaryScaling::Linear { factor } => {
                self.text("rope.scaling.type", "linear");
                self.f32("rope.scaling.factor", *factor);
            }
            RotaryScaling::Yarn(yarn) => self.yarn(yarn),
            RotaryScaling::LongRope { .. } => self.text("rope.scaling.type", "longrope"),
            // Llama 3's scaling is a tensor of the file, not a key.
            RotaryScaling::None | RotaryScaling::Divisors { .. } | RotaryScaling::Llama3 { .. } => {}
        }
    }

    fn yarn(&mut self, yarn: &Yarn) {
        self.text("rope.scaling.type", "yarn");
        self.f32("rope.scaling.factor", yarn.factor);
        self.u32("rope.scaling.original_context_length", yarn.original_context);
        self.optional_f32("rope.scaling.yarn_ext_factor", yarn.extrapolation_factor);
        self.optional_f32("rope.scaling.yarn_attn_factor", yarn.attention_factor);
        self.optional_f32("rope.scaling.yarn_beta_fast", yarn.beta_fast);
        self.optional_f32("rope.scaling.yarn_beta_slow", yarn.beta_slow);
    }

    fn vocabulary_and_rope(&mut self) {
        self.u32("vocab_size", self.decoder.n_vocab);
        self.u32("rope.dimension_count", self.attention.head_dim);
    }

    fn factors(&mut self) {
        self.f32("attention.scale", self.attention.scale);
        self.f32("embedding_scale", self.decoder.scales.embedding);
        self.f32("residual_scale", self.decoder.scales.residual);
        self.f32("logit_scale", self.decoder.scales.logit_divisor);
    }

    fn expert_width(&mut self) {
        if let Some(experts) = self.feed_forward.experts {
            self.u32("expert_feed_forward_length", experts.n_ff);
        }
    }

    fn cap_and_window(&mut self) {
        self.optional_f32("final_logit_softcapping", self.decoder.logit_soft_cap);
        if let Some(window) = self.decoder.attentions().find_map(|attention| attention.window) {
            self.u32("attention.sliding_window", window);
        }
    }

    fn convolution(&mut self) {
        self.u32("vocab_size", self.decoder.n_vocab);
        let kernel_len = self.decoder.blocks.iter().find_map(|block| block.mixer.get::<ShortConvolution>());
        let kernel_len = kernel_len.map(|convolution| convolution.kernel_len);
        if let Some(kernel_len) = kernel_len {
            self.u32("shortconv.l_cache", kernel_len);
        }
    }
}
