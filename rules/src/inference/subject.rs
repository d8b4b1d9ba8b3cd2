//! The subject of a measurement: an exported or unexported model, as a runtime model with its tokenizer.

use mc_ir::action::{ActionContext, ActionError, Artifact, Input};
use mc_runtime::backend::BackendId;
use mc_runtime::backends::{self, BACKENDS, BackendEntry};

use crate::action::remote_kind::Parameters;
use crate::exporters::{self, EXPORTERS};
use crate::inference::exported::open_exported;
use crate::inference::opened::Opened;
use crate::inference::unquantized::Unquantized;
use crate::inference::written::Written;
use crate::inference::written_model::WrittenModel;
use crate::source::model_info::ModelInfo;

/// The parameter that names the kind of subject.
const MODEL: &str = "model";
const UNQUANTIZED: &str = "unquantized";
/// The parameter that names the backend.
const BACKEND: &str = "backend";

/// A model to be measured, and the backend that runs it.
#[derive(Clone)]
pub(crate) struct Subject {
    backend: &'static BackendEntry,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// An exported file, in the format of this name; one input of the action.
    Exported(&'static str),
    /// The files of an export in a format that is not read back on its own.
    Written(Box<Written>),
    /// The checkpoint or merge itself, in its own precision.
    Unquantized(Box<Unquantized>),
}

impl Subject {
    /// Creates the subject of a file; also returns its inputs, which precede the action's own.
    pub(crate) fn of_export(format: &'static str, whole: &Artifact) -> (Self, Vec<Input>) {
        (Self::on_chosen(Form::Exported(format)), vec![Input::Artifact(whole.clone())])
    }

    /// Creates the subject of files that do not describe themselves; also returns its inputs, which precede the action's
    /// own.
    pub(crate) fn of_written(
        format: &'static str,
        info: &ModelInfo,
        written: &WrittenModel,
    ) -> (Self, Vec<Input>) {
        let (model, inputs) = Written::of(format, info, written);
        (Self::on_chosen(Form::Written(Box::new(model))), inputs)
    }

    /// Creates the subject of an unexported model; also returns its inputs, which precede the action's own.
    pub(crate) fn of_model(info: &ModelInfo) -> (Self, Vec<Input>) {
        let (model, inputs) = Unquantized::of(info);
        (Self::on_chosen(Form::Unquantized(Box::new(model))), inputs)
    }

    fn on_chosen(form: Form) -> Self {
        Self { backend: backends::chosen(), form }
    }

    /// Returns the model if it is unexported.
    pub(crate) fn unquantized(&self) -> Option<&Unquantized> {
        match &self.form {
            Form::Exported(_) | Form::Written(_) => None,
            Form::Unquantized(model) => Some(model),
        }
    }

    /// Returns the index of the first input that belongs to the action itself.
    pub(crate) fn n_inputs(&self) -> usize {
        match &self.form {
            Form::Exported(_) => 1,
            Form::Written(model) => model.n_inputs(),
            Form::Unquantized(model) => model.n_inputs(),
        }
    }

    /// Returns the exported files, each with its path in the folder of the model and the index of its input.
    pub(crate) fn files(&self) -> Vec<(String, usize)> {
        match &self.form {
            Form::Exported(format) => {
                let container = exporters::by_name(format).and_then(|format| format.container());
                container
                    .map(|container| (format!("model.{}", container.extension()), 0))
                    .into_iter()
                    .collect()
            }
            Form::Written(model) => model.files(),
            Form::Unquantized(_) => Vec::new(),
        }
    }

    /// Returns every parameter that affects the model, except the inputs' bytes.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let backend = (BACKEND.to_owned(), key(self.backend.id));
        let (model, own) = match &self.form {
            Form::Exported(format) => (*format, Vec::new()),
            Form::Written(model) => (model.format(), model.parameters()),
            Form::Unquantized(model) => (UNQUANTIZED, model.parameters()),
        };
        [(MODEL.to_owned(), model.to_owned()), backend].into_iter().chain(own).collect()
    }

    /// Creates the subject with these parameters.
    ///
    /// # Errors
    /// A message if no subject has them.
    pub(crate) fn of_parameters(parameters: &Parameters) -> Result<Self, String> {
        let names = |name: &str, index: usize| parameters.get(index).is_some_and(|(found, _)| found == name);
        if !names(MODEL, 0) || !names(BACKEND, 1) {
            return Err(format!("Expected the parameters `{MODEL}` and `{BACKEND}` first"));
        }
        let (model, named) = (parameters[0].1.as_str(), parameters[1].1.as_str());
        let backend = BACKENDS.iter().find(|backend| key(backend.id) == named);
        let backend = backend.ok_or_else(|| {
            let known: Vec<String> =
                BACKENDS.iter().map(|backend| format!("`{}`", key(backend.id))).collect();
            format!("Parameter `{BACKEND}` is `{named}`; this mc has {}", known.join(", "))
        })?;
        if model == UNQUANTIZED {
            let model = Unquantized::of_parameters(&parameters[2..])?;
            return Ok(Self { backend, form: Form::Unquantized(Box::new(model)) });
        }
        let form = match exporters::by_name(model) {
            Some(exporter) if exporter.container().is_some() => Form::Exported(exporter.name()),
            Some(exporter) => Form::Written(Box::new(Written::of_parameters(exporter, &parameters[2..])?)),
            None => {
                let known: Vec<String> =
                    EXPORTERS.iter().map(|known| format!("`{}`", known.name())).collect();
                let known = known.join(", ");
                return Err(format!("Parameter `{MODEL}` is `{model}`; expected {known} or `{UNQUANTIZED}`"));
            }
        };
        Ok(Self { backend, form })
    }

    /// Creates `N` subjects from their concatenated parameters.
    ///
    /// # Errors
    /// A message if they are not the parameters of `N` subjects.
    pub(crate) fn each_of_parameters<const N: usize>(parameters: &Parameters) -> Result<[Self; N], String> {
        // No weight has the name that begins a subject, because weights have names of tensors.
        let of_each = parameters.chunk_by(|_, (name, _)| name != MODEL);
        let subjects: Vec<Self> = of_each.map(Self::of_parameters).collect::<Result<_, _>>()?;
        let n_found = subjects.len();
        subjects.try_into().map_err(|_| format!("Expected the parameters of {N} models; found {n_found}"))
    }

    /// Returns a word for progress lines.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.form {
            Form::Exported(_) | Form::Written(_) => "quantized",
            Form::Unquantized(_) => "unquantized",
        }
    }

    /// Opens the model. Its inputs are those of the action from `first` on.
    ///
    /// # Errors
    /// Fails if its files cannot be read or contradict each other.
    pub(crate) fn open(&self, ctx: &dyn ActionContext, first: usize) -> Result<Opened, ActionError> {
        match &self.form {
            Form::Exported(_) => open_exported(&ctx.input(first)?, self.backend),
            Form::Written(model) => model.open(ctx, first, self.backend),
            Form::Unquantized(model) => model.open(ctx, first, self.backend),
        }
    }
}

/// Returns a backend's id, as in keys.
fn key(id: BackendId) -> String {
    format!("{}@{}", id.name, id.version)
}
