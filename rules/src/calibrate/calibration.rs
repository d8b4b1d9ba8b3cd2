//! A run of a model over a calibration text: the part that all statistics of a model share.
//!
//! It is independent of the measured statistic. Not a rule.

use std::collections::BTreeSet;

use mc_ir::action::{ActionContext, ActionError, Input};
use mc_ir::attribute::{Placed, Record};
use mc_ir::label::Label;
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;
use mc_ir::work::ProgressUnit;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;
use mc_tensor::model_tensor::ModelTensor;

use crate::action::remote_kind::{Parameters, last, number};
use crate::attributes::{place_of, provider};
use crate::calibrate::matrices::{Matrix, is_measured};
use crate::inference::chunk_len::chunk_len;
use crate::inference::model_work;
use crate::inference::opened::measurement_error;
use crate::inference::subject::Subject;
use crate::source::dataset::{DatasetInfo, DatasetKind};
use crate::source::model_info::ModelInfo;

const CONTEXT: &str = "context";

/// A model and the length of the chunks in which it reads a text.
pub(crate) struct Calibration {
    subject: Subject,
    n_ctx: usize,
    /// Name of the text, for messages.
    pub(crate) data: String,
    /// The matrices that are measured.
    pub(crate) measured: BTreeSet<ModelTensor>,
}

impl Calibration {
    /// Combines a model with a chunk length in tokens; also returns the inputs of an action that measures it.
    pub(crate) fn new(
        model: &ModelInfo,
        matrices: &[Matrix],
        n_ctx: usize,
        data: &DatasetInfo,
    ) -> (Self, Vec<Input>) {
        let (subject, mut inputs) = Subject::of_model(model);
        inputs.push(Input::Artifact(data.items.clone()));
        let measured = matrices.iter().map(|matrix| matrix.tensor).collect();
        (Self { subject, n_ctx, data: data.name.clone(), measured }, inputs)
    }

    /// Returns every parameter that affects a measurement, except the inputs' bytes.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = self.subject.parameters();
        parameters.push((CONTEXT.to_owned(), self.n_ctx.to_string()));
        parameters
    }

    /// Creates the calibration with these parameters, on a text of this name.
    ///
    /// # Errors
    /// A sentence for the user that names the problem.
    pub(crate) fn of_parameters(parameters: &Parameters, data: &str) -> Result<Self, String> {
        let (of_subject, context) = last(parameters, CONTEXT)?;
        let subject = Subject::of_parameters(of_subject)?;
        let Some(model) = subject.unquantized() else {
            return Err("Statistics are computed on an unexported model".to_owned());
        };
        let measured = model.tensors().filter(|tensor| is_measured(*tensor)).collect();
        Ok(Self { subject, n_ctx: number(CONTEXT, context)?, data: data.to_owned(), measured })
    }

    /// Returns the number of tokens per chunk.
    pub(crate) fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Opens the model and computes a result on the text.
    ///
    /// * `what`: name of the result, for messages
    ///
    /// # Errors
    /// Fails if the model or the text cannot be read, if the computation fails, or if the action was
    /// cancelled.
    pub(crate) fn compute<T>(
        &self,
        ctx: &dyn ActionContext,
        what: &str,
        compute: impl FnOnce(&Model, &[u32], &ChunkOptions, Cancellation<'_>) -> Result<T, RuntimeError>,
    ) -> Result<T, ActionError> {
        let opened = self.subject.open(ctx, 0)?;
        let items = ctx.input(self.subject.n_inputs())?;
        let text = String::from_utf8_lossy(&items.to_contiguous()).into_owned();
        let options = ChunkOptions { n_ctx: self.n_ctx, bos: opened.begin(), max_chunks: None };
        let is_cancelled = || ctx.is_cancelled();
        let report = model_work::report(ctx, ProgressUnit::Tokens);
        let cancellation = Cancellation::new(&is_cancelled).reporting(&report);
        let ids = opened.text_ids(text, ctx)?;
        compute(&opened.model, &ids, &options, cancellation)
            .map_err(|error| measurement_error(&format!("{what} on `{}`", self.data), &error))
    }
}

/// Returns the dataset that an attribute names, which must hold text.
///
/// # Errors
/// An error with this code, or that of [`provider`].
pub(crate) fn text_of(
    ctx: &dyn RuleContext,
    dataset: &Placed<Label>,
    code: &'static str,
) -> Result<DatasetInfo, Vec<RuleError>> {
    let data: DatasetInfo = provider(ctx, dataset, "a `dataset`")?;
    if data.kind != DatasetKind::Text {
        let message = format!("`{}` does not hold text (`.txt` or `.md`)", dataset.value);
        return Err(vec![RuleError::new(dataset.place, code, message)]);
    }
    Ok(data)
}

/// Returns the number of tokens per chunk: the attribute `context`, or the default.
///
/// # Errors
/// An error with this code if it exceeds the model's context.
pub(crate) fn context_of(
    record: &Record,
    model: &ModelInfo,
    code: &'static str,
) -> Result<usize, Vec<RuleError>> {
    let context = record.value(CONTEXT).and_then(|context| context.value.as_integer());
    let context = context.and_then(|context| usize::try_from(context).ok());
    chunk_len(context, model.decoder.context_length as usize)
        .map_err(|message| vec![RuleError::new(place_of(record, CONTEXT), code, message)])
}
