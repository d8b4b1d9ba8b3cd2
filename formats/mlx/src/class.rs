//! The table of mlx-lm's model classes: what they ignore, and what they assume where a configuration says nothing.
//!
//! Source: mlx-lm 0.32.2, the files under mlx_lm/models.

use mc_decoder::program::Decoder;
use mc_graph::rotary::RotaryScaling;

/// The default of `sliding_window_pattern`.
pub(crate) const DEFAULT_PATTERN: u32 = 6;

/// The class of mlx-lm that runs the models of a family.
pub(crate) struct Class {
    /// The family: [`mc_decoder::program::Decoder::family`].
    pub(crate) family: &'static str,
    /// Its file under mlx_lm/models.
    pub(crate) name: &'static str,
    /// The scalings of rotary frequencies that it supports.
    pub(crate) scalings: &'static [Scaling],
    /// Its support for attention windows.
    pub(crate) windows: Windows,
    /// The value of `tie_word_embeddings` that it assumes; `None` if the key is required.
    pub(crate) is_tied: Option<bool>,
    /// The modules that it stores with eight bits whatever the quantization, by the ends of their paths.
    pub(crate) eight_bits: &'static [&'static str],
}

/// A scaling of rotary frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scaling {
    Linear,
    Llama3,
    Yarn,
    LongRope,
}

/// Support for attention windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Windows {
    /// None: every token attends to all before it.
    Ignored,
    /// In the layers that `layer_types` names, which must not be all.
    LayerTypes,
    /// In all but the last of each `sliding_window_pattern` layers, 6 by default.
    Pattern,
}

const ALL: &[Scaling] = &[Scaling::Linear, Scaling::Llama3, Scaling::Yarn, Scaling::LongRope];

/// A class like most.
const fn class(family: &'static str, name: &'static str) -> Class {
    Class { family, name, scalings: ALL, windows: Windows::Ignored, is_tied: Some(true), eight_bits: &[] }
}

/// Every class.
static CLASSES: [Class; 13] = [
    Class { windows: Windows::LayerTypes, ..class("llama", "llama") },
    Class { windows: Windows::LayerTypes, ..class("mistral", "llama") },
    Class { scalings: &[], is_tied: Some(false), ..class("mixtral", "mixtral") },
    class("qwen2", "qwen2"),
    Class { is_tied: None, ..class("qwen3", "qwen3") },
    Class { is_tied: None, eight_bits: &["mlp.gate"], ..class("qwen3moe", "qwen3_moe") },
    Class { scalings: &[], ..class("gemma2", "gemma2") },
    Class { windows: Windows::Pattern, ..class("gemma3", "gemma3_text") },
    Class { scalings: &[Scaling::Linear, Scaling::LongRope], is_tied: Some(false), ..class("phi3", "phi3") },
    Class { windows: Windows::LayerTypes, ..class("smollm3", "smollm3") },
    Class { eight_bits: &["self_attn.o_proj", "mlp.down_proj", "lm_head"], ..class("granite", "granite") },
    class("olmo2", "olmo2"),
    Class { scalings: &[], ..class("lfm2", "lfm2") },
];

impl Class {
    /// Returns true if a module has eight bits whatever the quantization.
    pub(crate) fn has_eight_bits(&self, path: &str) -> bool {
        self.eight_bits.iter().any(|end| path.ends_with(end))
    }
}

/// The class of a family's models.
pub(crate) fn of_family(family: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.family == family)
}

/// The number of layers after which windows repeat, if all but the last of each so many have one.
pub(crate) fn pattern(decoder: &Decoder) -> Option<u32> {
    let windows: Vec<bool> = decoder.attentions().map(|attention| attention.window.is_some()).collect();
    let is_regular = |pattern: u32| {
        let mut numbered = (1_u32..).zip(&windows);
        numbered.all(|(number, has_window)| *has_window != number.is_multiple_of(pattern))
    };
    let n_layers = u32::try_from(windows.len()).ok()?;
    [DEFAULT_PATTERN].into_iter().chain(1..=n_layers).find(|pattern| is_regular(*pattern))
}

/// The kind of a scaling and its name in configurations; `None` if there is none.
pub(crate) fn kind(scaling: &RotaryScaling) -> Option<(Scaling, &'static str)> {
    Some(match scaling {
        RotaryScaling::None | RotaryScaling::Divisors { .. } => return None,
        RotaryScaling::Linear { .. } => (Scaling::Linear, "linear"),
        RotaryScaling::Llama3 { .. } => (Scaling::Llama3, "llama3"),
        RotaryScaling::Yarn(_) => (Scaling::Yarn, "yarn"),
        RotaryScaling::LongRope { .. } => (Scaling::LongRope, "longrope"),
    })
}
