//! The action that measures: it opens one model or several, runs a computation on a dataset, and writes what it
//! found.
//!
//! A metric with a model to run brings a [`Measure`], its own computation and parameters. This module does the rest; it
//! judges nothing.

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Input, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::work::Work;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::action::remote_kind::{Parameters, RemoteKind};
use crate::inference::model_work;
use crate::inference::opened::Opened;
use crate::inference::subject::Subject;
use crate::source::dataset::DatasetInfo;

/// The output that holds what was found: a [`Measure::Found`] as JSON.
pub(crate) const MEASUREMENT: &str = "measurement.json";

/// The name of a dataset in messages of a worker, which is not told the real one.
const ITS_INPUT: &str = "its input";

/// A computation on so many models and a dataset.
pub(crate) trait Measure<const N_MODELS: usize>: Sized + Send + Sync + 'static {
    /// The action's kind. Its version is raised when the same models and items may give another result.
    const KIND: ActionKind;

    /// Its finding: [`crate::evaluate::measurement::Measurement`], where that is one number.
    type Found: Serialize + DeserializeOwned;

    /// Returns everything besides the models and the items that the result depends on.
    fn parameters(&self) -> Vec<(String, String)>;

    /// Takes what [`Self::parameters`] gave from the end of an action's parameters, and returns those before.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String>;

    /// Computes the result. Of two models, the first is the quantized one.
    ///
    /// # Errors
    /// When it cannot be computed on these items, or nobody wants it any more.
    fn measure(
        &self,
        models: &[Opened; N_MODELS],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Self::Found, ActionError>;
}

/// The dataset that is measured on.
pub(crate) struct Data {
    /// Its name, for messages.
    pub(crate) name: String,
    /// Its items, one per line.
    pub(crate) items: String,
}

/// A measuring action. Its inputs are those of the models, one model after the other, then the items.
pub(crate) struct MeasureAction<M, const N_MODELS: usize> {
    models: [Subject; N_MODELS],
    measure: M,
    data: String,
}

impl<M: Measure<N_MODELS>, const N_MODELS: usize> MeasureAction<M, N_MODELS> {
    /// The action, and its inputs.
    pub(crate) fn new(
        models: [(Subject, Vec<Input>); N_MODELS],
        measure: M,
        data: &DatasetInfo,
    ) -> (Self, Vec<Input>) {
        let mut inputs = Vec::new();
        let models = models.map(|(model, read)| {
            inputs.extend(read);
            model
        });
        inputs.push(Input::Artifact(data.items.clone()));
        (Self { models, measure, data: data.name.clone() }, inputs)
    }

    /// How a worker makes the action.
    pub(crate) const REMOTE: RemoteKind = RemoteKind {
        kind: M::KIND,
        make: |parameters| {
            let (of_models, measure) = M::of_parameters(parameters)?;
            let models = Subject::each_of_parameters(of_models)?;
            Ok(Box::new(Self { models, measure, data: ITS_INPUT.to_owned() }))
        },
    };

    /// Opens the models; the second value is the number of the input after theirs.
    fn open(&self, ctx: &dyn ActionContext) -> Result<([Opened; N_MODELS], usize), ActionError> {
        let mut first = 0;
        let mut opened = Vec::new();
        for model in &self.models {
            opened.push(model.open(ctx, first)?);
            first += model.n_inputs();
        }
        let Ok(opened) = opened.try_into() else { unreachable!("each model was opened") };
        Ok((opened, first))
    }
}

impl<M: Measure<N_MODELS>, const N_MODELS: usize> Action for MeasureAction<M, N_MODELS> {
    fn kind(&self) -> ActionKind {
        M::KIND
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.models.iter().flat_map(Subject::parameters).chain(self.measure.parameters()).collect()
    }

    fn outputs(&self) -> Vec<String> {
        vec![MEASUREMENT.to_owned()]
    }

    fn describe(&self) -> String {
        let models = self.models.each_ref().map(Subject::describe).join(" and ");
        format!("{models} model on {}", self.data)
    }

    fn work(&self, sizes: &[u64]) -> Work {
        model_work::reading(M::KIND.name, sizes)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let (models, items) = self.open(ctx)?;
        let items = String::from_utf8_lossy(&ctx.input(items)?.to_contiguous()).into_owned();
        let data = Data { name: self.data.clone(), items };
        let found = self.measure.measure(&models, &data, ctx)?;
        let json = serde_json::to_vec(&found).map_err(ActionError::failed)?;
        let blob = write_bytes(ctx, &json)?;
        Ok(Outputs::from([(MEASUREMENT.to_owned(), Output::File(blob))]))
    }
}
