//! The settings that only this format has.

use mc_exporter::export_settings::ExportSettings;
use mc_tensor::dtype::DType;

use crate::quantizations::float;

/// The type of everything that is not quantized, and of scales and biases.
pub const DTYPE: &str = "dtype";

/// True if conversations stay within the context in which mlx-lm computes the model as it was trained.
pub const SHORT_CONTEXT: &str = "short-context";

/// Returns true if the target states that conversations are short.
pub(crate) fn is_short_context(settings: &ExportSettings) -> bool {
    settings.option(SHORT_CONTEXT) == Some("true")
}

/// The type of a tensor's weights in the files: that of the settings, or its own.
///
/// * `own`: its type in the checkpoint
pub(crate) fn dtype(settings: &ExportSettings, quantization: &str, own: DType) -> DType {
    let stated = settings.option(DTYPE).and_then(float).or_else(|| float(quantization));
    stated.unwrap_or(match own {
        DType::F16 | DType::BF16 => own,
        _ => DType::F32,
    })
}
