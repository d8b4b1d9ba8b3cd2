//! What is measured: a model in a GGUF, or one that was never written, as a runtime model with its tokenizer.

use std::sync::Arc;

use mc_codec::codecs;
use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_format::gguf::model::decoder;
use mc_format::gguf::names::model_tensor;
use mc_format::gguf::reader::Gguf;
use mc_format::gguf::vocabulary_keys::vocabulary as gguf_vocabulary;
use mc_ir::action::{ActionContext, ActionError, Artifact, Content, Input, Piece};
use mc_runtime::cpu_exact::CPU_EXACT;
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;
use mc_runtime::runnable;
use mc_runtime::weight::{Weight as RuntimeWeight, WeightBytes};
use mc_runtime::weights::Weights;
use mc_tensor::dtype::DType;

use crate::runnable::abandon::unless_cancelled;
use crate::runnable::unquantized::Unquantized;
use crate::source::model_info::ModelInfo;

/// The place of the chat template in a GGUF.
pub(crate) const GGUF_TEMPLATE: &str = "`tokenizer.chat_template` of the GGUF";

/// The parameter that says which kind of subject it is.
const MODEL: &str = "model";
const GGUF: &str = "gguf";
const UNQUANTIZED: &str = "unquantized";
/// The parameter that names what computes.
const BACKEND: &str = "backend";

/// A model to be measured.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A file that was written; the first input of the action.
    Gguf,
    /// The checkpoint or merge itself, in its own precision.
    Unquantized(Box<Unquantized>),
}

/// A model that can be run.
pub(crate) struct Opened {
    /// Weights and program.
    pub(crate) model: Model,
    /// Text to ids and back.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// The vocabulary, for its special ids and its template.
    pub(crate) vocabulary: Vocabulary,
    /// The file or key that its template stands in, in quotes.
    pub(crate) template_place: &'static str,
}

impl Opened {
    /// The ids of a text that is read from its beginning: with the begin token, where the model wants one.
    ///
    /// # Errors
    /// When the tokenizer fails, or nobody wants the ids any more.
    pub(crate) fn text_ids(&self, text: String, ctx: &dyn ActionContext) -> Result<Vec<u32>, ActionError> {
        let tokenizer = Arc::clone(&self.tokenizer);
        let encode = move || tokenizer.encode(&text, ParseSpecial::No).map_err(ActionError::failed);
        let ids = unless_cancelled(ctx, encode)?;
        Ok(self.begin().into_iter().chain(ids).collect())
    }

    /// What begins every text.
    pub(crate) fn begin(&self) -> Option<u32> {
        self.vocabulary.special.bos.filter(|_| self.vocabulary.special.add_bos.unwrap_or(false))
    }
}

impl Subject {
    /// A file, and what an action that measures it reads; the action's own inputs come after.
    pub(crate) fn of_gguf(gguf: &Artifact) -> (Self, Vec<Input>) {
        (Self::Gguf, vec![Input::Artifact(gguf.clone())])
    }

    /// A model that was never written, and what an action that measures it reads; the action's own inputs come after.
    pub(crate) fn of_model(info: &ModelInfo) -> (Self, Vec<Input>) {
        let (model, inputs) = Unquantized::of(info);
        (Self::Unquantized(Box::new(model)), inputs)
    }

    /// The number of the first input that is the action's own.
    pub(crate) fn n_inputs(&self) -> usize {
        match self {
            Self::Gguf => 1,
            Self::Unquantized(model) => model.n_inputs(),
        }
    }

    /// What besides the inputs' bytes makes the model what it is.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let backend = (BACKEND.to_owned(), format!("{}@{}", CPU_EXACT.name, CPU_EXACT.version));
        let (model, own) = match self {
            Self::Gguf => (GGUF, Vec::new()),
            Self::Unquantized(model) => (UNQUANTIZED, model.parameters()),
        };
        [(MODEL.to_owned(), model.to_owned()), backend].into_iter().chain(own).collect()
    }

    /// The subject with these parameters.
    ///
    /// # Errors
    /// What is wrong, when no subject has them.
    pub(crate) fn of_parameters(parameters: &[(String, String)]) -> Result<Self, String> {
        let names = |name: &str, index: usize| parameters.get(index).is_some_and(|(found, _)| found == name);
        if !names(MODEL, 0) || !names(BACKEND, 1) {
            return Err(format!("Expected the parameters `{MODEL}` and `{BACKEND}` first"));
        }
        match parameters[0].1.as_str() {
            GGUF => Ok(Self::Gguf),
            UNQUANTIZED => Ok(Self::Unquantized(Box::new(Unquantized::of_parameters(&parameters[2..])?))),
            other => Err(format!("Parameter `{MODEL}` is `{other}`; expected `{GGUF}` or `{UNQUANTIZED}`")),
        }
    }

    /// A word for progress lines.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Gguf => "quantized",
            Self::Unquantized(_) => "unquantized",
        }
    }

    /// Brings the model up.
    ///
    /// # Errors
    /// When its files cannot be read or contradict each other.
    pub(crate) fn open(&self, ctx: &dyn ActionContext) -> Result<Opened, ActionError> {
        match self {
            Self::Gguf => open_gguf(&ctx.input(0)?),
            Self::Unquantized(model) => model.open(ctx),
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
    Ok(Opened { model, tokenizer: Arc::new(tokenizer), vocabulary, template_place: GGUF_TEMPLATE })
}

/// The lengths of a shape, as they count in memory.
pub(crate) fn dimensions(shape: &[u64]) -> Result<Vec<usize>, ActionError> {
    shape.iter().map(|n| usize::try_from(*n)).collect::<Result<_, _>>().map_err(ActionError::failed)
}

/// What a measurement says that failed, or was given up.
///
/// * `what`: of what, and on what
pub(crate) fn measurement_error(what: &str, error: &RuntimeError) -> ActionError {
    match error {
        RuntimeError::Cancelled => ActionError::Cancelled,
        error => ActionError::failed(format!("{what}: {error}")),
    }
}

/// What is wrong with a tensor.
pub(crate) fn tensor_error(name: &str, error: &RuntimeError) -> ActionError {
    ActionError::failed(format!("Tensor `{name}`: {error}"))
}
