//! What is measured: a model in a GGUF, or one that was never written, as a runtime model with its tokenizer.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_codec::codecs;
use mc_decoder::program::{Decoder, RotaryPairing};
use mc_decoder::vocabulary::Vocabulary;
use mc_family::family::Change;
use mc_family::tokenizer::{ParseSpecial, Tokenizer};
use mc_format::gguf::model::decoder;
use mc_format::gguf::names::{model_tensor, wire_name};
use mc_format::gguf::reader::Gguf;
use mc_format::gguf::vocabulary_keys::vocabulary as gguf_vocabulary;
use mc_ir::action::{ActionContext, ActionError, Artifact, Content, Input, Piece};
use mc_ir::expression::TensorExpr;
use mc_runtime::cpu_exact::CPU_EXACT;
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;
use mc_runtime::runnable;
use mc_runtime::weight::{Weight as RuntimeWeight, WeightBytes};
use mc_runtime::weights::Weights;
use mc_tensor::convert;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;
use rayon::prelude::*;

use crate::evaluate::Evaluator;
use crate::model_info::{ModelInfo, Weight};
use crate::token_files::{Contents, tokenizer_of, vocabulary_of};
use crate::wire_tensors::{WireTensor, factor_tensors, family_of, wire_tensors};

/// Elements that are computed at once while a merged weight is brought into memory.
const TILE_ELEMENTS: usize = 1 << 18;

/// A model to be measured.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A file that was written.
    Gguf(Artifact),
    /// The checkpoint or merge itself, in its own precision.
    Unquantized(Box<ModelInfo>),
}

/// A model that can be run.
pub(crate) struct Opened {
    /// Weights and program.
    pub(crate) model: Model,
    /// Text to ids and back.
    pub(crate) tokenizer: Tokenizer,
    /// The vocabulary, for its special ids and its template.
    pub(crate) vocabulary: Vocabulary,
}

impl Opened {
    /// The ids of a text that is read from its beginning: with the begin token, where the model wants one.
    pub(crate) fn text_ids(&self, text: &str) -> Result<Vec<u32>, ActionError> {
        let ids = self.tokenizer.encode(text, ParseSpecial::No).map_err(ActionError::failed)?;
        Ok(self.begin().into_iter().chain(ids).collect())
    }

    /// What begins every text.
    pub(crate) fn begin(&self) -> Option<u32> {
        self.vocabulary.special.bos.filter(|_| self.vocabulary.special.add_bos.unwrap_or(false))
    }
}

impl Subject {
    /// What an action that measures it reads; the action's own inputs come after.
    pub(crate) fn inputs(&self) -> Vec<Input> {
        match self {
            Self::Gguf(artifact) => vec![Input::Artifact(artifact.clone())],
            Self::Unquantized(info) => {
                let files =
                    info.files.tokenizer_sources().into_iter().map(|(_, source)| Input::Source(source));
                files.chain(measured(info).into_iter().flat_map(|weight| weight.inputs)).collect()
            }
        }
    }

    /// What besides the inputs' bytes makes the model what it is.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let backend = ("backend".to_owned(), format!("{}@{}", CPU_EXACT.name, CPU_EXACT.version));
        match self {
            Self::Gguf(_) => vec![("model".to_owned(), "gguf".to_owned()), backend],
            Self::Unquantized(info) => {
                let roles: Vec<String> =
                    info.files.tokenizer_sources().into_iter().map(|(role, _)| role).collect();
                let mut parameters = vec![
                    ("model".to_owned(), "unquantized".to_owned()),
                    ("files".to_owned(), roles.join(" ")),
                    backend,
                ];
                let weight = |weight: Weight| (weight.name, weight.expression.to_string());
                parameters.extend(measured(info).into_iter().map(weight));
                parameters
            }
        }
    }

    /// A word for progress lines.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Gguf(_) => "quantized",
            Self::Unquantized(_) => "unquantized",
        }
    }

    /// Brings the model up.
    ///
    /// # Errors
    /// When its files cannot be read or contradict each other.
    pub(crate) fn open(&self, ctx: &dyn ActionContext) -> Result<Opened, ActionError> {
        match self {
            Self::Gguf(_) => open_gguf(&ctx.input(0)?),
            Self::Unquantized(info) => open_unquantized(info, ctx),
        }
    }
}

/// The head of a GGUF whose pieces are given: the first piece, or the whole file when it is one.
pub(crate) fn gguf_head(content: &Content) -> Result<Gguf, ActionError> {
    let first = content.parts.first().map_or(&[][..], Piece::as_slice);
    Gguf::parse(first, content.n_bytes()).map_err(ActionError::failed)
}

/// The program and the vocabulary in a GGUF, without its weights.
///
/// # Errors
/// When the file is broken, or no model that we know.
pub(crate) fn open_head(content: &Content) -> Result<(Decoder, Vocabulary), ActionError> {
    let gguf = gguf_head(content)?;
    let decoder = decoder(&gguf).map_err(ActionError::failed)?;
    Ok((decoder, gguf_vocabulary(&gguf).map_err(ActionError::failed)?))
}

/// Brings up the model in a GGUF.
///
/// # Errors
/// When the file is broken, or no model that we can run.
pub(crate) fn open_gguf(content: &Content) -> Result<Opened, ActionError> {
    let gguf = gguf_head(content)?;
    let decoder = decoder(&gguf).map_err(ActionError::failed)?;
    runnable::check(&decoder).map_err(ActionError::failed)?;
    let vocabulary = gguf_vocabulary(&gguf).map_err(ActionError::failed)?;
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).map_err(ActionError::failed)?;
    let mut weights = Weights::new();
    for tensor in &gguf.tensors {
        let Some(purpose) = model_tensor(&tensor.name) else {
            return Err(ActionError::failed(format!("Tensor `{}` is of no known purpose", tensor.name)));
        };
        let codec = codecs::by_wire_id(tensor.kind.wire_id).ok_or_else(|| {
            ActionError::failed(format!(
                "Tensor `{}` has type {}, which cannot be run",
                tensor.name, tensor.kind.name
            ))
        })?;
        let piece = content
            .piece(tensor.start..tensor.end)
            .ok_or_else(|| ActionError::failed(format!("Tensor `{}` is not in one piece", tensor.name)))?;
        // A file names the fastest dimension first.
        let shape: Vec<u64> = tensor.dims.iter().rev().copied().collect();
        let bytes = WeightBytes::new(piece.bytes, piece.range).map_err(ActionError::failed)?;
        let shape = dimensions(&shape)?;
        let weight = match codec.name {
            "F32" => RuntimeWeight::plain(shape, DType::F32, bytes),
            "F16" => RuntimeWeight::plain(shape, DType::F16, bytes),
            "BF16" => RuntimeWeight::plain(shape, DType::BF16, bytes),
            _ => RuntimeWeight::blocks(shape, codec, bytes),
        };
        weights.insert(purpose, weight.map_err(|error| tensor_error(&tensor.name, &error))?);
    }
    let model = Model::new(decoder, weights).map_err(ActionError::failed)?;
    Ok(Opened { model, tokenizer, vocabulary })
}

fn open_unquantized(info: &ModelInfo, ctx: &dyn ActionContext) -> Result<Opened, ActionError> {
    runnable::check(&info.decoder).map_err(ActionError::failed)?;
    let files = info.files.tokenizer_sources();
    let contents = Contents::read(ctx, &files)?;
    let vocabulary = vocabulary_of(&contents, &info.decoder)?;
    let tokenizer = tokenizer_of(&contents, &info.decoder)?;
    let mut weights = Weights::new();
    let mut first = files.len();
    for weight in measured(info) {
        let runtime = runtime_weight(&weight, first, ctx)?;
        first += weight.inputs.len();
        weights.insert(weight.tensor, runtime.map_err(|error| tensor_error(&weight.name, &error))?);
    }
    let extra = family_of(info).map(|family| family.extra_tensors(&info.decoder)).unwrap_or_default();
    for (tensor, values) in extra {
        let weight = RuntimeWeight::from_f32(vec![values.len()], values).map_err(ActionError::failed)?;
        weights.insert(tensor, weight);
    }
    let decoder = info.decoder.clone().with_pairing(pairing(info));
    let model = Model::new(decoder, weights).map_err(ActionError::failed)?;
    Ok(Opened { model, tokenizer, vocabulary })
}

/// The weights that are run. Those from a GGUF are run in its own layout, so that blocks stay blocks and every bit is
/// that of the file.
fn measured(info: &ModelInfo) -> Vec<Weight> {
    if info.files.head.is_none() {
        return info.weights.to_vec();
    }
    let mut dtypes: BTreeMap<ModelTensor, DType> =
        info.weights.iter().map(|weight| (weight.tensor, weight.dtype)).collect();
    let tensors = factor_tensors(info).into_iter().chain(wire_tensors(info));
    let weight = |wire: WireTensor| Weight {
        tensor: wire.tensor,
        part: None,
        name: wire_name(wire.tensor),
        dtype: dtypes.remove(&wire.tensor).unwrap_or(DType::F32),
        expression: wire.expression,
        inputs: wire.inputs,
    };
    tensors.map(weight).collect()
}

/// The order of rotary pairs in the weights that are run.
fn pairing(info: &ModelInfo) -> RotaryPairing {
    let query = ModelTensor::AttnQ { block: 0 };
    let change = family_of(info).and_then(|family| family.change(query, &info.decoder));
    match change {
        Some(Change::Interleave { .. }) if info.files.head.is_some() => RotaryPairing::Interleaved,
        _ => RotaryPairing::HalfSplit,
    }
}

fn runtime_weight(
    weight: &Weight,
    first: usize,
    ctx: &dyn ActionContext,
) -> Result<Result<RuntimeWeight, RuntimeError>, ActionError> {
    let shape = dimensions(&weight.shape())?;
    if let TensorExpr::Decode { codec, .. } = weight.expression
        && let Some(codec) = codecs::by_name(codec)
    {
        let content = ctx.input(first)?;
        let bytes = match content.parts.as_slice() {
            [piece] => WeightBytes::new(Arc::clone(&piece.bytes), piece.range.clone()),
            _ => Ok(WeightBytes::owned(content.to_contiguous().into_owned())),
        };
        return Ok(bytes.and_then(|bytes| RuntimeWeight::blocks(shape, codec, bytes)));
    }
    let bytes = weight_bytes(weight, first, ctx)?;
    Ok(RuntimeWeight::plain(shape, weight.dtype, bytes))
}

/// The weight's bytes in its own type: mapped when it is as stored, else computed.
fn weight_bytes(weight: &Weight, first: usize, ctx: &dyn ActionContext) -> Result<WeightBytes, ActionError> {
    if matches!(weight.expression, TensorExpr::Load { .. }) {
        let content = ctx.input(first)?;
        if let [piece] = content.parts.as_slice() {
            return WeightBytes::new(Arc::clone(&piece.bytes), piece.range.clone())
                .map_err(ActionError::failed);
        }
    }
    let expression = weight.expression.map_inputs(&|input| first + input);
    let evaluator = Evaluator::new(&expression, ctx)?;
    let rows_per_tile = (TILE_ELEMENTS / evaluator.n_cols.max(1)).max(1);
    let row_bytes = evaluator.n_cols * weight.dtype.n_bytes();
    let n_rows = usize::try_from(evaluator.n_rows).map_err(ActionError::failed)?;
    let mut bytes = vec![0; n_rows * row_bytes];
    bytes.par_chunks_mut(rows_per_tile * row_bytes).enumerate().try_for_each(|(tile, bytes)| {
        let mut values = vec![0.0; bytes.len() / weight.dtype.n_bytes()];
        evaluator.rows((tile * rows_per_tile) as u64, &mut values)?;
        convert::from_f32(weight.dtype, &values, bytes);
        Ok::<_, ActionError>(())
    })?;
    Ok(WeightBytes::owned(bytes))
}

fn dimensions(shape: &[u64]) -> Result<Vec<usize>, ActionError> {
    shape.iter().map(|n| usize::try_from(*n)).collect::<Result<_, _>>().map_err(ActionError::failed)
}

fn tensor_error(name: &str, error: &RuntimeError) -> ActionError {
    ActionError::failed(format!("Tensor `{name}`: {error}"))
}
