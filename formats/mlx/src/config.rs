//! `config.json`: that of the checkpoint, with the parameters of the quantization.
//!
//! As mlx-lm writes it: keys sorted, without the source's own quantization and vision parts, and with the end tokens of
//! `generation_config.json`. Layers that differ from the rest are listed by their paths.

use mc_encoding::stored_form::StoredForm;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::EncodedTensor;

use crate::class;
use crate::completions;
use crate::json_text::{JsonText, quoted};
use crate::mixed;
use crate::modules::{module, tensor_name};
use crate::scheme::{EIGHT_BITS, Scheme, of_grid};

/// The file.
pub(crate) const FILE: &str = "config.json";

/// The file with the defaults of generation.
pub(crate) const GENERATION_FILE: &str = "generation_config.json";

/// Writes the configuration.
///
/// # Errors
/// If that of the checkpoint cannot be read.
pub(crate) fn write(model: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<String, FormatError> {
    let mut config = read(model, FILE)?.ok_or_else(|| FormatError::new("There is no `config.json`"))?;
    for key in ["_name_or_path", "vision_config", "quantization", "quantization_config"] {
        config.remove(key);
    }
    if let Some(generation) = read(model, GENERATION_FILE)?
        && let Some(end) = generation.text("eos_token_id").filter(|end| !matches!(*end, "0" | "[]" | "false"))
    {
        config.set("eos_token_id", end);
    }
    completions::complete(model, &mut config);
    if let Some(quantization) = quantization(model, tensors) {
        config.set("quantization", quantization.clone());
        config.set("quantization_config", quantization);
    }
    Ok(config.to_lines())
}

fn read(model: &ModelDescription<'_>, name: &str) -> Result<Option<JsonText>, FormatError> {
    let parse = |bytes| {
        JsonText::parse(bytes).map_err(|error| FormatError::new(format!("`{name}` cannot be read: {error}")))
    };
    model.file(name).map(parse).transpose()
}

/// The parameters of all layers and of those that differ; `None` if nothing is quantized.
fn quantization(model: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Option<String> {
    let word = model.settings.quantization.as_str();
    let layers: Vec<(String, &Scheme)> =
        tensors.iter().filter_map(|tensor| Some((path(tensor), scheme(tensor)?))).collect();
    let is_mixed = mixed::by_name(word).is_some();
    // Where only some layers are quantized, the first one stands for all.
    let of_all = if is_mixed { Some(&mixed::STATED) } else { of_grid(word) };
    let of_all = of_all.or_else(|| layers.first().map(|(_, scheme)| *scheme))?;
    let class = class::of_family(&model.decoder.family);
    let entry = |(path, scheme): &(String, &Scheme)| {
        let is_fixed =
            !is_mixed && **scheme == EIGHT_BITS && class.is_some_and(|class| class.has_eight_bits(path));
        let parameters = match scheme {
            // mlx-lm leaves the mode out where a class has its own parameters.
            _ if is_fixed => sizes(scheme),
            scheme if is_mixed || *scheme != of_all => parameters(scheme),
            _ => return None,
        };
        Some(format!(", {}: {{{parameters}}}", quoted(path)))
    };
    let entries: String = layers.iter().filter_map(entry).collect();
    Some(format!("{{{}{entries}}}", parameters(of_all)))
}

fn path(tensor: &EncodedTensor) -> String {
    module(&tensor_name(tensor.tensor, &tensor.name)).to_owned()
}

fn scheme(tensor: &EncodedTensor) -> Option<&'static Scheme> {
    match tensor.form {
        StoredForm::Planes { encoding, .. } => of_grid(encoding.grid.name),
        StoredForm::Blocks(_) => None,
    }
}

fn parameters(scheme: &Scheme) -> String {
    format!("{}, \"mode\": {}", sizes(scheme), quoted(scheme.mode))
}

fn sizes(scheme: &Scheme) -> String {
    format!("\"group_size\": {}, \"bits\": {}", scheme.group_size, scheme.bits)
}
