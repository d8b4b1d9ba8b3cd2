//! Properties that the architecture name implies and GGUF files omit.
//!
//! Source: `src/models` of llama.cpp.

use mc_decoder::activation::Activation;
use mc_decoder::program::Decoder;
use mc_graph::rotary::RotaryPairing;

/// An architecture whose programs can be read from keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Architecture {
    /// Its name in `general.architecture`.
    pub(crate) name: &'static str,
    /// The pairs of dimensions of a head that rotate together.
    pub(crate) pairing: RotaryPairing,
    /// Positions of the norms.
    pub(crate) norms: Norms,
    /// Norms of queries and keys.
    pub(crate) qk: QkNorms,
    /// True if projections of the same input are one matrix.
    pub(crate) is_fused: bool,
    /// Activation of the gate.
    pub(crate) activation: Activation,
    /// True if the embedding is multiplied by the square root of its width.
    pub(crate) scales_embedding: bool,
    /// In models with windows, one layer in this many has none.
    pub(crate) window_interval: Option<u32>,
    /// One layer in this many has no positions.
    pub(crate) position_interval: Option<u32>,
    /// True if layers without key and value heads are short convolutions.
    pub(crate) has_convolutions: bool,
    /// Supported kinds of rotary scaling.
    pub(crate) scalings: &'static [Scaling],
    /// The only rotary base, if it is fixed.
    pub(crate) base: Option<f32>,
    /// Number of layers of the one model size whose scores are divided by the square root of `n_embd / n_heads`.
    pub(crate) large: Option<u32>,
}

/// A kind of rotary scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scaling {
    Linear,
    Llama3,
    Yarn,
    LongRope,
}

/// Positions of the norms in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norms {
    Before,
    After,
    Around,
}

/// Norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QkNorms {
    None,
    PerHead,
    Whole,
}

const LLAMA: Architecture = Architecture {
    name: "llama",
    pairing: RotaryPairing::Interleaved,
    norms: Norms::Before,
    qk: QkNorms::None,
    is_fused: false,
    activation: Activation::Silu,
    scales_embedding: false,
    window_interval: None,
    position_interval: None,
    has_convolutions: false,
    scalings: &[Scaling::Linear, Scaling::Llama3, Scaling::Yarn],
    base: None,
    large: None,
};

const QWEN2: Architecture = Architecture {
    name: "qwen2",
    pairing: RotaryPairing::HalfSplit,
    scalings: &[Scaling::Linear, Scaling::Yarn],
    ..LLAMA
};

const GEMMA2: Architecture = Architecture {
    name: "gemma2",
    norms: Norms::Around,
    activation: Activation::GeluTanh,
    scales_embedding: true,
    window_interval: Some(2),
    scalings: &[],
    base: Some(10_000.0),
    large: Some(46),
    ..QWEN2
};

/// Every architecture.
pub(crate) const ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    QWEN2,
    Architecture { name: "qwen3", qk: QkNorms::PerHead, ..QWEN2 },
    Architecture { name: "qwen3moe", qk: QkNorms::PerHead, ..QWEN2 },
    GEMMA2,
    Architecture {
        name: "gemma3",
        qk: QkNorms::PerHead,
        window_interval: Some(6),
        scalings: &[Scaling::Linear],
        base: None,
        large: Some(62),
        ..GEMMA2
    },
    Architecture {
        name: "phi3",
        is_fused: true,
        window_interval: Some(u32::MAX),
        scalings: &[Scaling::LongRope],
        ..QWEN2
    },
    Architecture { name: "smollm3", position_interval: Some(4), ..LLAMA },
    Architecture { name: "lfm2", qk: QkNorms::PerHead, has_convolutions: true, ..QWEN2 },
    Architecture { name: "granite", ..LLAMA },
    Architecture { name: "olmo2", norms: Norms::After, qk: QkNorms::Whole, ..QWEN2 },
];

/// The architecture with this name.
pub(crate) fn by_name(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|architecture| architecture.name == name)
}

/// Their names, for messages.
pub(crate) fn names() -> String {
    let names: Vec<String> =
        ARCHITECTURES.iter().map(|architecture| format!("`{}`", architecture.name)).collect();
    names.join(", ")
}

/// Families whose files use the architecture name `llama`; those of the last one have experts.
const NAMED_LLAMA: [&str; 2] = ["mistral", "mixtral"];

/// The architecture of a family's files.
pub(crate) fn of_family(family: &str) -> Option<&'static Architecture> {
    by_name(if NAMED_LLAMA.contains(&family) { LLAMA.name } else { family })
}

/// The architecture name in files, which is also the prefix of its keys.
pub fn name_of(decoder: &Decoder) -> &str {
    of_family(&decoder.family).map_or(&decoder.family, |architecture| architecture.name)
}

impl Architecture {
    /// The family of a model in a file.
    pub(crate) fn family(&self, has_experts: bool) -> &'static str {
        let [_, with_experts] = NAMED_LLAMA;
        if has_experts && self.name == LLAMA.name { with_experts } else { self.name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_that_share_an_architecture_name_are_told_apart_by_experts() {
        for (family, has_experts, read) in [
            ("llama", false, "llama"),
            ("mistral", false, "llama"),
            ("mixtral", true, "mixtral"),
            ("qwen3moe", true, "qwen3moe"),
        ] {
            assert_eq!(of_family(family).unwrap().family(has_experts), read);
        }
        assert!(of_family("mamba").is_none());
    }
}
