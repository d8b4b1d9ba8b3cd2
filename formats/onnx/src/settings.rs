//! The settings of an export in the types of this format, with their defaults.

use mc_exporter::model_description::ModelDescription;
use mc_exporter::refusal::Refusal;

use crate::element_type::ElementType;
use crate::quantizations;

/// Name of the setting for the precision of products with quantized weights.
pub(crate) const ACCURACY_LEVEL: &str = "accuracy-level";

/// Name of the setting for the type of activations.
pub(crate) const ACTIVATIONS: &str = "activations";

/// Products in 32-bit floats, so that the runtime computes the model that gates measure. ONNX Runtime's own builder selects
/// 4 for CPUs, which quantizes activations to 8 bits.
const DEFAULT_ACCURACY_LEVEL: i64 = 0;

/// Largest default number of positions of the rotary tables. Each takes the bytes of a head, and a runtime reserves its
/// caches for all of them.
const DEFAULT_CONTEXT: u32 = 4096;

/// Type of the residual stream and its norms. Sums of many layers lose precision in 16 bits, and those of models that
/// scale their embedding exceed the range.
pub(crate) const STREAM: ElementType = ElementType::Float;

/// The settings of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Type of activations, and of weights that are not quantized.
    pub(crate) activations: ElementType,
    /// Number of positions of the rotary tables; the runtime accepts no longer sequence.
    pub(crate) context: u32,
    /// Precision of products with quantized weights.
    pub(crate) accuracy_level: i64,
}

impl Settings {
    /// Reads the settings of a target; a wrong value counts as the default, because [`check`] reports it.
    pub(crate) fn of(model: &ModelDescription<'_>) -> Self {
        let word = model.settings.option(ACTIVATIONS).unwrap_or(&model.settings.quantization);
        let activations = quantizations::activations(word);
        let context = model.settings.context.unwrap_or(DEFAULT_CONTEXT).min(model.decoder.context_length);
        let accuracy_level = accuracy_level(model).unwrap_or(DEFAULT_ACCURACY_LEVEL);
        Self { activations, context, accuracy_level }
    }
}

fn accuracy_level(model: &ModelDescription<'_>) -> Option<i64> {
    let stated = model.settings.option(ACCURACY_LEVEL)?;
    stated.parse().ok().filter(|level| (0..=4).contains(level))
}

/// Checks the settings of a target.
pub(crate) fn check(model: &ModelDescription<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if let Some(stated) = model.settings.option(ACCURACY_LEVEL)
        && accuracy_level(model).is_none()
    {
        let message = format!("`{ACCURACY_LEVEL}` is {stated}; ONNX Runtime has the levels 0 to 4");
        refusals.push(
            Refusal::new(message).help("0 computes in 32-bit floats, 4 quantizes activations to 8 bits"),
        );
    }
    refusals
}
