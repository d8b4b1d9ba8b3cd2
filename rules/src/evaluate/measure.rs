//! The action that measures: it opens one model or several, runs a computation on a dataset, and writes the
//! result.
//!
//! A metric that runs a model supplies a [`Measure`], which is its computation and parameters. This module
//! does the rest; it judges nothing.

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

/// The output that holds the result: a [`Measure::Found`] as JSON.
pub(crate) const MEASUREMENT: &str = "measurement.json";

/// Stands for the dataset's name in the messages of a worker, which does not know the real one.
const ITS_INPUT: &str = "its input";

/// A computation on `N_MODELS` models and a dataset.
pub(crate) trait Measure<const N_MODELS: usize>: Sized + Send + Sync + 'static {
    /// The action's kind. Its version must be raised when equal models and items may give a different result.
    const KIND: ActionKind;

    /// The result: [`crate::evaluate::measurement::Measurement`] if it is a single number.
    type Found: Serialize + DeserializeOwned;

    /// Returns every parameter that affects the result, except the models and the items.
    fn parameters(&self) -> Vec<(String, String)>;

    /// Parses the parameters that [`Self::parameters`] returned from the end of an action's parameters; also
    /// returns the parameters before them.
    ///
    /// # Errors
    /// A sentence for the user that names the problem.
    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String>;

    /// Computes the result. If there are two models, the first is the quantized one.
    ///
    /// # Errors
    /// Fails if the result cannot be computed on these items, or if the action was cancelled.
    fn measure(
        &self,
        models: &[Opened; N_MODELS],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Self::Found, ActionError>;
}

/// The dataset of a measurement.
pub(crate) struct Data {
    /// Its name, for messages.
    pub(crate) name: String,
    /// Its items, one per line.
    pub(crate) items: String,
}

/// An action that measures. Its inputs are those of each model in turn, then the items.
pub(crate) struct MeasureAction<M, const N_MODELS: usize> {
    models: [Subject; N_MODELS],
    measure: M,
    data: String,
}

impl<M: Measure<N_MODELS>, const N_MODELS: usize> MeasureAction<M, N_MODELS> {
    /// Creates the action and its inputs.
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

    /// Lets a worker create the action.
    pub(crate) const REMOTE: RemoteKind = RemoteKind {
        kind: M::KIND,
        make: |parameters| {
            let (of_models, measure) = M::of_parameters(parameters)?;
            let models = Subject::each_of_parameters(of_models)?;
            Ok(Box::new(Self { models, measure, data: ITS_INPUT.to_owned() }))
        },
    };

    /// Opens the models; also returns the index of the first input after theirs.
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
