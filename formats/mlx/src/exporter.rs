//! MLX as a writable format.

use mc_encoding::blocks::plain;
use mc_encoding::codec::Codec;
use mc_encoding::encoding::Encoding;
use mc_encoding::grids::grid::Grid;
use mc_encoding::stored_form::StoredForm;
use mc_encoding::{grids, packings, solvers};
use mc_exporter::exporter::{Exporter, Release};
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_exporter::quantization::{Quantization, UnencodedTensor};
use mc_exporter::refusal::Refusal;
use mc_exporter::written_file::WrittenFile;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::modules::{dims, is_quantized, module, plane_name, tensor_name};
use crate::quantizations::QUANTIZATIONS;
use crate::scheme::{SCHEMES, Scheme};
use crate::settings::dtype;
use crate::{accepts, class, config, found_planes, mixed, scheme, shards};

/// The format.
pub struct MlxExporter;

/// The format's name in declarations, keys and devices.
pub const NAME: &str = "mlx";

/// Files of the checkpoint that stay as they are, if it has them.
const SOURCES: [&str; 8] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    config::GENERATION_FILE,
];

/// The folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates/";

impl Exporter for MlxExporter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "MLX"
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal> {
        accepts::refusals(model)
    }

    fn quantizations(&self) -> &'static [Quantization] {
        &QUANTIZATIONS
    }

    fn form(
        &self,
        model: &ModelDescription<'_>,
        tensor: &UnencodedTensor<'_>,
        quantization: &Quantization,
    ) -> Result<StoredForm, Refusal> {
        // A router has no word of its own.
        let is_router = matches!(tensor.tensor, ModelTensor::FfnGateInp { .. });
        let word = if is_router { model.settings.quantization.as_str() } else { quantization.name };
        let is_quantized = is_quantized(tensor.tensor);
        let dtype = dtype(
            model.settings,
            if is_quantized { word } else { &model.settings.quantization },
            tensor.dtype,
        );
        let name = tensor_name(tensor.tensor, tensor.name);
        let scheme = Some(word).filter(|_| is_quantized).and_then(|word| scheme_of(model, &name, word));
        match scheme {
            None => Ok(StoredForm::Blocks(plain(dtype))),
            Some(scheme) => encoded(tensor, &scheme, dtype),
        }
    }

    fn layout(&self, _: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
        (0..)
            .zip(tensors)
            .map(|(number, tensor)| planes(number, tensor))
            .collect::<Result<Vec<_>, _>>()
            .map(|planes| planes.into_iter().flatten().collect())
    }

    fn files(&self, model: &ModelDescription<'_>, planes: &[Plane]) -> Vec<String> {
        let weights = shards::shards(planes).into_iter().map(|(name, _)| name);
        let own = [config::FILE, shards::INDEX_FILE].map(str::to_owned);
        weights.chain(own).chain(sources(model)).collect()
    }

    fn write(
        &self,
        model: &ModelDescription<'_>,
        tensors: &[EncodedTensor],
        planes: &[Plane],
    ) -> Result<Vec<WrittenFile>, FormatError> {
        let generated = |name: &str, text: String| WrittenFile {
            name: name.to_owned(),
            parts: vec![Part::Bytes(text.into_bytes())],
        };
        let weights =
            shards::shards(planes).into_iter().map(|(name, range)| shards::file(name, planes, range));
        let mut files = weights.collect::<Result<Vec<_>, _>>()?;
        let n_parameters = tensors.iter().map(|tensor| tensor.shape.iter().product::<u64>()).sum();
        files.push(generated(config::FILE, config::write(model, tensors)?));
        files.push(generated(shards::INDEX_FILE, shards::index(planes, n_parameters)));
        files.extend(
            sources(model)
                .into_iter()
                .map(|name| WrittenFile { parts: vec![Part::Source(name.clone())], name }),
        );
        Ok(files)
    }

    fn find_planes(&self, files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
        found_planes::find(files)
    }

    fn file_names(&self, _: &Release<'_>, _: usize) -> Option<Vec<String>> {
        None
    }
}

/// The files of the checkpoint that belong to the folder.
fn sources(model: &ModelDescription<'_>) -> Vec<String> {
    let known = SOURCES.into_iter().filter(|name| model.has_file(name));
    let templates = model.files.iter().map(|file| file.name).filter(|name| name.starts_with(TEMPLATES));
    known.chain(templates).map(str::to_owned).collect()
}

/// The scheme that a word selects for a tensor; `None` for a floating-point type.
///
/// * `name`: the tensor's name in the files
fn scheme_of(model: &ModelDescription<'_>, name: &str, word: &str) -> Option<Scheme> {
    let path = module(name);
    if let Some(mixture) = mixed::by_name(word) {
        return Some(mixture.scheme(path, model.decoder.blocks.len()));
    }
    let scheme = *scheme::of_grid(word)?;
    let class = class::of_family(&model.decoder.family)?;
    // A word for some layers says more than the class.
    let has_eight = word == model.settings.quantization && class.has_eight_bits(path);
    Some(if has_eight { scheme::EIGHT_BITS } else { scheme })
}

fn encoded(tensor: &UnencodedTensor<'_>, scheme: &Scheme, weights: DType) -> Result<StoredForm, Refusal> {
    let n_cols = tensor.shape.last().copied().unwrap_or(0);
    if n_cols == 0 || !n_cols.is_multiple_of(scheme.group_size.into()) {
        return Err(misfit(tensor, scheme, n_cols));
    }
    let encoding = grids::by_name(scheme.grid).and_then(encoding);
    let encoding = encoding.ok_or_else(|| Refusal::new(format!("MLX has no grid `{}`", scheme.grid)))?;
    Ok(StoredForm::Planes { encoding, weights })
}

fn encoding(grid: &'static Grid) -> Option<Encoding> {
    Encoding::new(grid, solvers::by_name(grid.solver)?, packings::by_name(grid.packing)?).ok()
}

/// mlx-lm leaves such a layer as it is, without a message.
fn misfit(tensor: &UnencodedTensor<'_>, scheme: &Scheme, n_cols: u64) -> Refusal {
    let Scheme { grid, group_size, bits, .. } = scheme;
    let fits = |other: &&Scheme| n_cols > 0 && n_cols.is_multiple_of(other.group_size.into());
    let choices: Vec<String> = SCHEMES
        .iter()
        .filter(|other| other.bits == *bits)
        .filter(fits)
        .map(|other| format!("`{}`", other.grid))
        .collect();
    let message = format!(
        "Tensor `{}` has rows of {n_cols} weights, which are not whole groups of {group_size}, as `{grid}` needs them",
        tensor.name
    );
    let rest = "`tensor-type` with `bf16` leaves such tensors unquantized";
    Refusal::new(message).help(match choices.as_slice() {
        [] => format!("no group with {bits} bits fits; {rest}"),
        choices => format!("{} fit; {rest}", choices.join(", ")),
    })
}

/// The codec of a floating-point type.
fn plain(dtype: DType) -> &'static Codec {
    match dtype {
        DType::F16 => &plain::F16,
        DType::BF16 => &plain::BF16,
        _ => &plain::F32,
    }
}

fn planes(number: usize, tensor: &EncodedTensor) -> Result<Vec<Plane>, Refusal> {
    let name = tensor_name(tensor.tensor, &tensor.name);
    if let StoredForm::Blocks(codec) = tensor.form {
        let dtype: DType = codec.name.parse().map_err(|_| {
            Refusal::new(format!("Tensor `{name}` is stored as {}; MLX has no such type", codec.name))
        })?;
        let dims = dims(tensor);
        let n_bytes = dims.iter().product::<u64>() * dtype.n_bytes() as u64;
        return Ok(vec![Plane { tensor: number, plane: 0, name, kind: dtype.name(), dims, n_bytes }]);
    }
    let stored = tensor.form.planes(&tensor.shape).map_err(|error| Refusal::new(error.to_string()))?;
    let planes = (0..).zip(stored).map(|(plane, stored)| Plane {
        tensor: number,
        plane,
        name: plane_name(&name, stored.name),
        kind: stored.dtype.name(),
        n_bytes: stored.n_bytes(),
        dims: stored.shape,
    });
    Ok(planes.collect())
}
