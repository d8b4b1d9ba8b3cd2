//! What is measured: a model in a GGUF, or one that was never written, as a runtime model with its tokenizer.

use mc_ir::action::{ActionContext, ActionError, Artifact, Input};
use mc_runtime::cpu_exact::CPU_EXACT;

use crate::action::remote_kind::Parameters;
use crate::inference::gguf::open_gguf;
use crate::inference::opened::Opened;
use crate::inference::unquantized::Unquantized;
use crate::source::model_info::ModelInfo;

/// The parameter that says which kind of subject it is.
const MODEL: &str = "model";
const GGUF: &str = "gguf";
const UNQUANTIZED: &str = "unquantized";
/// The parameter that names what computes.
const BACKEND: &str = "backend";

/// A model to be measured.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A file that was written; one input of the action.
    Gguf,
    /// The checkpoint or merge itself, in its own precision.
    Unquantized(Box<Unquantized>),
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
    pub(crate) fn of_parameters(parameters: &Parameters) -> Result<Self, String> {
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

    /// The subjects whose parameters follow each other.
    ///
    /// # Errors
    /// What is wrong, when so many subjects do not have them.
    pub(crate) fn each_of_parameters<const N: usize>(parameters: &Parameters) -> Result<[Self; N], String> {
        // No weight has the name that begins a subject: theirs are names of tensors.
        let of_each = parameters.chunk_by(|_, (name, _)| name != MODEL);
        let subjects: Vec<Self> = of_each.map(Self::of_parameters).collect::<Result<_, _>>()?;
        let n_found = subjects.len();
        subjects.try_into().map_err(|_| format!("Expected the parameters of {N} models; found {n_found}"))
    }

    /// A word for progress lines.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Gguf => "quantized",
            Self::Unquantized(_) => "unquantized",
        }
    }

    /// Brings the model up. Its inputs are those of the action from `first` on.
    ///
    /// # Errors
    /// When its files cannot be read or contradict each other.
    pub(crate) fn open(&self, ctx: &dyn ActionContext, first: usize) -> Result<Opened, ActionError> {
        match self {
            Self::Gguf => open_gguf(&ctx.input(first)?),
            Self::Unquantized(model) => model.open(ctx, first),
        }
    }
}
