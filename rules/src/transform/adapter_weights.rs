//! Applies an adapter to a model's weights, as expressions.
//!
//! Intermediate results are not rounded: a weight that adapters change is rounded to its own type once, after
//! the last adapter. `mc_family::adapter::change` decides which weights change.

use std::collections::BTreeSet;

use mc_decoder::program::Head;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::add_low_rank::AddLowRank;
use mc_expression::operators::add_stacked::AddStacked;
use mc_expression::operators::cast::Cast;
use mc_expression::operators::literal::Literal;
use mc_expression::operators::load::Load;
use mc_expression::operators::normalize_columns::NormalizeColumns;
use mc_expression::operators::normalize_rows::NormalizeRows;
use mc_expression::operators::replace_rows::ReplaceRows;
use mc_expression::operators::transpose::Transpose;
use mc_family::adapter::change::{Change, FactorName, Layout, Lengths, LowRankPair, WeightChange};
use mc_family::adapter::matching::{BaseTensors, match_adapter};
use mc_family::family::Family;
use mc_ir::action::Input;
use mc_ir::rule_error::RuleError;
use mc_tensor::model_tensor::ModelTensor;

use crate::source::adapter::AdapterInfo;
use crate::source::model_info::{ModelInfo, Weight};
use crate::source::weights::StoredTensor;

/// An adapter and the options with which it is applied.
pub(crate) struct Application<'a> {
    /// The adapter.
    pub(crate) adapter: &'a AdapterInfo,
    /// Factor on the adapter's own scale.
    pub(crate) scale: f64,
    /// True if a tied head stays tied even if the training changed only one of head and embedding.
    pub(crate) keeps_tied: bool,
    /// Creates an error of this application.
    pub(crate) rule_error: &'a dyn Fn(&'static str, String) -> RuleError,
}

/// The weights of a model while several adapters are applied.
pub(crate) struct AdaptedWeights {
    weights: Vec<Weight>,
    changed: BTreeSet<String>,
}

impl AdaptedWeights {
    /// Starts with the weights of a model.
    pub(crate) fn new(model: &ModelInfo) -> Self {
        Self { weights: model.weights.to_vec(), changed: BTreeSet::new() }
    }

    /// Returns the weights; each changed one is rounded to its own type.
    pub(crate) fn finish(self) -> Vec<Weight> {
        let Self { weights, changed } = self;
        let round = |weight: Weight| {
            let is_stored = weight.expression.get::<Load>().is_some_and(|load| load.dtype == weight.dtype);
            if is_stored || !changed.contains(&weight.name) {
                return weight;
            }
            let expression = TensorExpr::new(Cast { dtype: weight.dtype, of: weight.expression });
            Weight { expression, ..weight }
        };
        weights.into_iter().map(round).collect()
    }

    /// Applies an adapter; changes that it makes to the program are made in `model`.
    ///
    /// # Errors
    /// Fails if it does not fit, or if its options cannot be honored.
    pub(crate) fn apply(
        &mut self,
        model: &mut ModelInfo,
        family: &dyn Family,
        application: &Application<'_>,
    ) -> Result<(), Vec<RuleError>> {
        let names = TokenNames::new(self, family);
        let is_tied = model.decoder.head == Head::Tied;
        if is_tied {
            self.untie(&names);
        }
        let changes = self.changes(&names, application)?;
        for change in &changes {
            self.change(change, application).map_err(|rule_error| vec![rule_error])?;
        }
        self.changed.extend(changes.iter().map(|change| change.weight_name.clone()));
        if is_tied {
            self.settle_head(model, &names, &changes, application)?;
        }
        self.settle_vocabulary(model, application)
    }

    fn changes(
        &self,
        names: &TokenNames,
        application: &Application<'_>,
    ) -> Result<Vec<WeightChange>, Vec<RuleError>> {
        let shapes: Vec<_> =
            self.weights.iter().map(|weight| (weight.name.clone(), weight.shape())).collect();
        let stored = &application.adapter.tensors;
        let stored: Vec<_> =
            stored.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let by_token: Vec<String> = [&names.embedding, &names.head].into_iter().flatten().cloned().collect();
        let base = BaseTensors { tensors: &shapes, by_token: &by_token };
        match_adapter(&application.adapter.config, &stored, &base)
            .map_err(|error| vec![(application.rule_error)("merge::adapter", error.to_string())])
    }

    fn change(&mut self, change: &WeightChange, application: &Application<'_>) -> Result<(), RuleError> {
        let was_changed = self.changed.contains(&change.weight_name);
        let weight = self.weights.iter_mut().find(|weight| weight.name == change.weight_name);
        let weight = weight.expect("changes are of weights that the model has");
        let step = Step { application, was_changed };
        let expression = step.expression(weight, &change.change)?;
        weight.expression = expression;
        Ok(())
    }

    /// Gives a tied head its own weight.
    fn untie(&mut self, names: &TokenNames) {
        let embedding = self.weights.iter().find(|weight| weight.tensor == ModelTensor::TokenEmbedding);
        if let (Some(embedding), Some(name)) = (embedding, &names.head) {
            let head = Weight { tensor: ModelTensor::Output, name: name.clone(), ..embedding.clone() };
            self.weights.insert(0, head);
        }
    }

    /// Decides whether a tied head becomes a separate weight: it does if the training used a head that
    /// differs from the embedding.
    fn settle_head(
        &mut self,
        model: &mut ModelInfo,
        names: &TokenNames,
        changes: &[WeightChange],
        application: &Application<'_>,
    ) -> Result<(), Vec<RuleError>> {
        let of = |name: &Option<String>| -> Vec<&Change> {
            let is_its = |change: &&WeightChange| Some(&change.weight_name) == name.as_ref();
            changes.iter().filter(is_its).map(|change| &change.change).collect()
        };
        let (of_embedding, of_head) = (of(&names.embedding), of(&names.head));
        let rows = |tensor: ModelTensor| self.weight(tensor).map(|weight| weight.shape()[0]);
        let is_resized = rows(ModelTensor::TokenEmbedding) != rows(ModelTensor::Output);
        let is_tied_in_training = application.adapter.config.ensure_weight_tying
            // PEFT ties single rows if the weights are tied.
            || of_embedding.iter().all(|change| matches!(change, Change::ReplaceRows { .. }))
            || is_resized;
        let stays_tied = match (of_embedding.is_empty(), of_head.is_empty()) {
            (true, true) => true,
            (false, true) => is_tied_in_training || application.keeps_tied,
            // Both are copies of a weight that the training kept tied.
            (false, false) if application.adapter.config.ensure_weight_tying => true,
            _ if application.keeps_tied => {
                let message =
                    "The adapter has its own head, so the head cannot stay tied to the token embedding";
                return Err(vec![(application.rule_error)("merge::tied", message.to_owned())]);
            }
            _ => false,
        };
        if stays_tied {
            self.weights.retain(|weight| weight.tensor != ModelTensor::Output);
            if let Some(name) = &names.head {
                self.changed.remove(name);
            }
        } else {
            model.decoder.head = Head::Untied;
            // This includes the one that did not change: its expression may be that of an earlier adapter.
            self.changed.extend([&names.embedding, &names.head].into_iter().flatten().cloned());
        }
        Ok(())
    }

    /// Handles added tokens: the embedding may have more rows than the program declares, and the head must
    /// have as many.
    fn settle_vocabulary(
        &self,
        model: &mut ModelInfo,
        application: &Application<'_>,
    ) -> Result<(), Vec<RuleError>> {
        let rows = |tensor: ModelTensor| self.weight(tensor).map(|weight| weight.shape()[0]);
        let Some(n_rows) = rows(ModelTensor::TokenEmbedding) else { return Ok(()) };
        let n_head_rows = rows(ModelTensor::Output).unwrap_or(n_rows);
        let rule_error = |message: String| Err(vec![(application.rule_error)("merge::tokens", message)]);
        if n_rows != n_head_rows {
            return rule_error(format!(
                "With the adapter the token embedding has {n_rows} rows and the head {n_head_rows}"
            ));
        }
        if n_rows == u64::from(model.decoder.n_vocab) {
            return Ok(());
        }
        let Some(n_vocab) = u32::try_from(n_rows).ok().filter(|_| application.adapter.tokenizer.is_some())
        else {
            return rule_error(format!(
                "The adapter has {n_rows} token rows and the base {}, but the adapter has no `tokenizer.json`",
                model.decoder.n_vocab
            ));
        };
        model.decoder.n_vocab = n_vocab;
        Ok(())
    }

    fn weight(&self, tensor: ModelTensor) -> Option<&Weight> {
        self.weights.iter().find(|weight| weight.tensor == tensor)
    }
}

/// The checkpoint's names of its token embedding and its head.
struct TokenNames {
    embedding: Option<String>,
    head: Option<String>,
}

impl TokenNames {
    fn new(weights: &AdaptedWeights, family: &dyn Family) -> Self {
        let name = |tensor| weights.weight(tensor).map(|weight| weight.name.clone());
        let head = name(ModelTensor::Output).or_else(|| family.checkpoint_name(ModelTensor::Output, None));
        Self { embedding: name(ModelTensor::TokenEmbedding), head }
    }
}

/// One change to one weight.
struct Step<'a> {
    application: &'a Application<'a>,
    was_changed: bool,
}

impl Step<'_> {
    /// Returns the weight's new expression; adds its inputs to those of the weight.
    fn expression(&self, weight: &mut Weight, change: &Change) -> Result<TensorExpr, RuleError> {
        let is_scalable = match change {
            Change::AddLowRank(pair) => pair.lengths.is_none(),
            Change::AddVector { .. } => true,
            Change::Replace { .. } | Change::ReplaceRows { .. } => false,
        };
        let name = &weight.name;
        if !is_scalable && self.application.scale != 1.0 {
            let what = if matches!(change, Change::AddLowRank(_)) { "DoRA" } else { "trained as a whole" };
            let message = format!("The adapter's `{name}` is {what}, which has no scale");
            return Err((self.application.rule_error)("merge::scale", message));
        }
        let is_replacement = matches!(change, Change::Replace { .. } | Change::ReplaceRows { .. });
        if is_replacement && self.was_changed {
            let message = format!("The adapter replaces `{name}`, which an earlier adapter has changed");
            return Err((self.application.rule_error)("merge::lost", message));
        }
        let of = weight.expression.clone();
        Ok(match change {
            Change::Replace { with } => self.load(weight, with)?,
            Change::AddLowRank(pair) => self.low_rank(weight, of, pair)?,
            Change::AddVector { values, scale } => {
                // A vector is one row: a product of rank 1 with the number 1.
                let up = TensorExpr::new(Literal { values: vec![1.0] });
                let scale = (scale * self.application.scale) as f32;
                TensorExpr::new(AddLowRank { of, up, down: self.load(weight, values)?, scale })
            }
            Change::ReplaceRows { rows, with } => {
                let with = self.load(weight, with)?;
                TensorExpr::new(ReplaceRows { of, rows: rows.clone(), with })
            }
        })
    }

    fn low_rank(
        &self,
        weight: &mut Weight,
        of: TensorExpr,
        pair: &LowRankPair,
    ) -> Result<TensorExpr, RuleError> {
        let up = self.factor(weight, &pair.up)?;
        let down = self.factor(weight, &pair.down)?;
        let scale = (pair.scale * self.application.scale) as f32;
        let of = match pair.layout {
            Layout::Matrix => TensorExpr::new(AddLowRank { of, up, down, scale }),
            Layout::Stacked { is_input_first } => {
                TensorExpr::new(AddStacked { of, up, down, scale, is_input_first })
            }
        };
        Ok(match &pair.lengths {
            None => of,
            Some(Lengths::Rows(name)) => {
                let magnitude = self.load(weight, name)?;
                TensorExpr::new(NormalizeRows { of, magnitude })
            }
            Some(Lengths::Columns(name)) => {
                let magnitude = self.load(weight, name)?;
                TensorExpr::new(NormalizeColumns { of, magnitude })
            }
        })
    }

    fn factor(&self, weight: &mut Weight, factor: &FactorName) -> Result<TensorExpr, RuleError> {
        let of = self.load(weight, &factor.name)?;
        Ok(match factor.is_turned {
            true => TensorExpr::new(Transpose { of }),
            false => of,
        })
    }

    fn load(&self, weight: &mut Weight, name: &str) -> Result<TensorExpr, RuleError> {
        let stored = stored(self.application.adapter, name);
        check_dtype(stored).map_err(|message| {
            (self.application.rule_error)("merge::adapter", message).file(stored.file.clone())
        })?;
        weight.inputs.push(Input::Source(stored.source.clone()));
        let input = weight.inputs.len() - 1;
        Ok(TensorExpr::new(Load { input, dtype: stored.dtype, shape: stored.shape.clone() }))
    }
}

/// Returns the tensor of an adapter that a change names.
pub(crate) fn stored<'a>(adapter: &'a AdapterInfo, name: &str) -> &'a StoredTensor {
    let stored = adapter.tensors.iter().find(|tensor| tensor.name == name);
    stored.expect("changes name tensors of their adapter")
}

/// Checks that computations support the type of an adapter's tensor.
pub(crate) fn check_dtype(stored: &StoredTensor) -> Result<(), String> {
    if stored.dtype.is_weight() {
        return Ok(());
    }
    Err(format!("Tensor `{}` has type {}; expected F32, F16 or BF16", stored.name, stored.dtype))
}
