//! The settings of a target that only this format has, and their defaults.

use mc_decoder::kinds::attention::Attention;
use mc_exporter::model_description::ModelDescription;
use mc_graph::rotary::RotaryScaling;

/// Name of the setting for the kind of file.
pub const CONTAINER: &str = "container";

/// Name of the setting for the numbers of tokens of prefill signatures.
pub const PREFILL: &str = "prefill";

/// Name of the setting for the precision of activations.
pub const ACTIVATION_BITS: &str = "activation-bits";

/// The words for the kinds of files, the default first.
pub fn containers() -> Vec<&'static str> {
    vec![LITERTLM, TFLITE]
}

const LITERTLM: &str = "litertlm";
const TFLITE: &str = "tflite";

/// Number of positions of the caches, unless the model's own context is shorter.
const CONTEXT: u32 = 4096;

/// Numbers of tokens that a prefill signature takes. A prompt is cut into the largest that fit.
const PREFILL_LENGTHS: &[u32] = &[16, 128];

/// The kind of file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Container {
    /// A graph with its weights.
    Tflite,
    /// A bundle with the graph, the tokenizer and metadata.
    Litertlm,
}

/// Precision of the activations that are multiplied by integers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ActivationBits {
    /// As kernels quantize them.
    Eight,
    /// Two parts of 8 bits.
    Sixteen,
}

/// The settings, with defaults for those that are absent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    pub(crate) container: Container,
    /// Number of positions of the caches.
    pub(crate) context: u32,
    /// In ascending order.
    pub(crate) prefill: Vec<u32>,
    pub(crate) activation_bits: ActivationBits,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// If a value is not valid, as a message.
    pub(crate) fn read(model: &ModelDescription<'_>) -> Result<Self, String> {
        let container = match model.settings.option(CONTAINER) {
            None | Some(LITERTLM) => Container::Litertlm,
            Some(TFLITE) => Container::Tflite,
            Some(other) => {
                return Err(format!("`{other}` is not a container; expected {LITERTLM} or {TFLITE}"));
            }
        };
        let context = model.settings.context.unwrap_or(CONTEXT.min(model.decoder.context_length)).max(1);
        let activation_bits = match model.settings.option(ACTIVATION_BITS) {
            None | Some("16") => ActivationBits::Sixteen,
            Some("8") => ActivationBits::Eight,
            Some(other) => {
                return Err(format!("`{ACTIVATION_BITS}` is {other}; expected 8 or 16"));
            }
        };
        Ok(Self { container, context, prefill: prefill(model, context)?, activation_bits })
    }
}

fn prefill(model: &ModelDescription<'_>, context: u32) -> Result<Vec<u32>, String> {
    let mut lengths = stated(model, context)?;
    lengths.extend(long_rope_length(model, context));
    lengths.sort_unstable();
    lengths.dedup();
    Ok(lengths)
}

/// The length for prompts beyond the original context of LongRoPE. All tokens of a prompt need the same factors, but a
/// batch does not know of those after it, so the first batch of such a prompt must go beyond the original context.
/// LiteRT-LM takes the largest length that a prompt fills, so it takes this one for exactly these prompts.
fn long_rope_length(model: &ModelDescription<'_>, context: u32) -> Option<u32> {
    let original_context = |attention: &Attention| match attention.rotary.as_ref()?.scaling {
        RotaryScaling::LongRope { original_context, .. } => Some(original_context),
        _ => None,
    };
    let original_context = model.decoder.attentions().filter_map(original_context).max()?;
    (context > original_context).then_some(original_context + 1)
}

fn stated(model: &ModelDescription<'_>, context: u32) -> Result<Vec<u32>, String> {
    let Some(text) = model.settings.option(PREFILL) else {
        let fitting = PREFILL_LENGTHS.iter().copied().filter(|length| *length <= context);
        let lengths: Vec<u32> = fitting.collect();
        return Ok(if lengths.is_empty() { vec![context] } else { lengths });
    };
    let length = |word: &str| match word.parse::<u32>() {
        Ok(length) if (1..=context).contains(&length) => Ok(length),
        _ => Err(format!("`{word}` is not a number of tokens from 1 to the context of {context}")),
    };
    let lengths: Vec<u32> = text.split_whitespace().map(length).collect::<Result<_, _>>()?;
    if lengths.is_empty() { Err("a prefill without a number of tokens".to_owned()) } else { Ok(lengths) }
}
