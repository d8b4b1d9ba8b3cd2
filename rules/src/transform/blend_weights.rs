//! The weights of a blend: selects the weights that are merged, and builds the expression that merges them.
//!
//! Embeddings come from the first slice, the last norm and the head from the last; blocks are renumbered. A
//! weight keeps its type in the base, or in the first model, unless the declaration sets another.

use std::collections::{BTreeMap, BTreeSet};

use mc_expression::expression::TensorExpr;
use mc_expression::operators::blend::deltas::Deltas;
use mc_expression::operators::blend::linear::Linear;
use mc_expression::operators::blend::slerp::Slerp;
use mc_expression::operators::blend::term::{Keep, Term};
use mc_expression::operators::cast::Cast;
use mc_family::family::Family;
use mc_ir::attribute::Place;
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;
use mc_tensor::blend::{stream, sum_of};
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::attributes::counted;
use crate::source::model_info::{ModelInfo, Weight};
use crate::transform::blend_method::Method;
use crate::transform::blend_parts::{Part, Slice};
use crate::transform::blend_settings::{Setting, value};

/// Maximum number of names that a message lists.
const MAX_LISTED: usize = 4;

/// Builds the weights of a blend.
pub(crate) struct WeightBlender<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The slices in the order of the result's layers.
    pub(crate) slices: &'a [Slice],
    /// The models by their labels.
    pub(crate) models: &'a BTreeMap<Label, ModelInfo>,
    /// The family, which defines the names.
    pub(crate) family: &'static dyn Family,
    /// Parameters for every model.
    pub(crate) shared: &'a BTreeMap<&'static str, Vec<Setting>>,
    /// True if sums are divided by the sum of their weights.
    pub(crate) divide: bool,
    /// True if values that DARE keeps are scaled up.
    pub(crate) rescale: bool,
    /// The seed of DARE's draws.
    pub(crate) seed: u64,
    /// The type of the result, unless weights keep their own.
    pub(crate) dtype: Option<DType>,
}

/// One weight of the result.
struct BlendedWeight<'a> {
    slice: &'a Slice,
    /// Its block in the result, for weights of layers.
    block: Option<u32>,
    /// Index of its layer within the slice.
    offset: u32,
    /// From 0 at the slice's first layer to 1 at its last.
    position: f64,
}

impl WeightBlender<'_> {
    /// Returns the weights: embeddings, blocks in ascending order, then the rest.
    ///
    /// # Errors
    /// An error for each model whose weights differ from those of the others, and for parameters that are
    /// missing or out of range.
    pub(crate) fn weights(&self) -> Result<Vec<Weight>, Vec<RuleError>> {
        let rule_errors: Vec<RuleError> =
            self.slices.iter().flat_map(|slice| self.mismatches(slice)).collect();
        if !rule_errors.is_empty() {
            return Err(rule_errors);
        }
        let (Some(first), Some(last)) = (self.slices.first(), self.slices.last()) else {
            return Ok(Vec::new());
        };
        let mut weights = Vec::new();
        let mut rule_errors = Vec::new();
        let mut add = |place: &BlendedWeight<'_>, is_wanted: &dyn Fn(ModelTensor) -> bool| {
            for weight in self.reference_weights(place) {
                if is_wanted(weight.tensor) {
                    match self.weight(place, weight) {
                        Ok(weight) => weights.push(weight),
                        Err(rule_error) => rule_errors.push(rule_error),
                    }
                }
            }
        };
        // Weights outside the layers are at position 0 of every gradient, including the head, as in mergekit
        // since 0.1, so that its files have the same meaning here.
        let outside = |slice| BlendedWeight { slice, block: None, offset: 0, position: 0.0 };
        let is_embedding = |tensor| tensor == ModelTensor::TokenEmbedding;
        add(&outside(first), &is_embedding);
        let mut block = 0;
        for slice in self.slices {
            for offset in 0..slice.n_layers() {
                let steps = slice.n_layers() - 1;
                let position = if steps == 0 { 1.0 } else { f64::from(offset) / f64::from(steps) };
                add(&BlendedWeight { slice, block: Some(block), offset, position }, &|_| true);
                block += 1;
            }
        }
        add(&outside(last), &|tensor| !is_embedding(tensor));
        if rule_errors.is_empty() { Ok(weights) } else { Err(first_of_each(rule_errors)) }
    }

    fn model(&self, part: &Part) -> &ModelInfo {
        &self.models[&part.label.value]
    }

    fn reference_weights<'a>(&'a self, place: &BlendedWeight<'a>) -> impl Iterator<Item = &'a Weight> {
        let part = place.slice.reference();
        let block = place.block.map(|_| part.layers.start + place.offset);
        self.model(part).weights.iter().filter(move |weight| weight.tensor.block() == block)
    }

    /// Reports weights that only one of a model of the slice and the reference has, or that differ in shape.
    fn mismatches(&self, slice: &Slice) -> Vec<RuleError> {
        let reference = slice.reference();
        let expected = self.named(reference);
        let mut rule_errors = Vec::new();
        for part in &slice.parts {
            let found = self.named(part);
            let (ours, theirs) = (&part.label.value, &reference.label.value);
            let mut reported = |message: String, help: &str| {
                rule_errors.push(RuleError::new(part.label.place, "blend::tensor", message).help(help));
            };
            let lacks =
                |of: &BTreeMap<String, Vec<u64>>, other: &BTreeMap<String, Vec<u64>>| -> Vec<String> {
                    of.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
                };
            for (missing, has, has_not) in
                [(lacks(&expected, &found), theirs, ours), (lacks(&found, &expected), ours, theirs)]
            {
                if !missing.is_empty() {
                    reported(
                        format!(
                            "{} in `{has}` and not in `{has_not}`: {}",
                            counted(missing.len(), "tensor is", "tensors are"),
                            listed(&missing)
                        ),
                        "Only models that derive from the same one can be blended",
                    );
                }
            }
            let other_shape =
                |(name, shape): &(&String, &Vec<u64>)| found.get(*name).is_some_and(|other| other != *shape);
            if let Some((name, shape)) = expected.iter().find(other_shape) {
                reported(
                    format!(
                        "Tensor `{name}` has shape {:?} in `{ours}` and {shape:?} in `{theirs}`",
                        found[name]
                    ),
                    "Only models of one size can be blended",
                );
            }
        }
        rule_errors
    }

    /// Returns the shapes of the weights outside the blocks and of the part's layers, by names as if its
    /// layers began at 0.
    fn named(&self, part: &Part) -> BTreeMap<String, Vec<u64>> {
        let start = part.layers.start;
        let named = |weight: &Weight| match weight.tensor.block() {
            None => Some((weight.name.clone(), weight.shape())),
            Some(block) => part
                .layers
                .contains(&block)
                .then(|| (moved(&weight.name, block, block - start), weight.shape())),
        };
        self.model(part).weights.iter().filter_map(named).collect()
    }

    /// Returns the weight of the result in the position of `reference`.
    fn weight(&self, place: &BlendedWeight<'_>, reference: &Weight) -> Result<Weight, RuleError> {
        let dtype = self.dtype.unwrap_or(reference.dtype);
        let (name, tensor) = match (place.block, reference.tensor.block()) {
            (Some(block), Some(old)) if block != old => {
                let name = moved(&reference.name, old, block);
                let tensor = self.family.tensor(&name).unwrap_or(reference.tensor);
                (name, tensor)
            }
            _ => (reference.name.clone(), reference.tensor),
        };
        let mut inputs = Vec::new();
        let mut sources = Vec::new();
        for part in &place.slice.parts {
            let block = place.block.map(|_| part.layers.start + place.offset);
            let of = match (block, reference.tensor.block()) {
                (Some(block), Some(old)) => moved(&reference.name, old, block),
                _ => reference.name.clone(),
            };
            let Some(weight) = self.model(part).weights.iter().find(|weight| weight.name == of) else {
                let message = format!("Tensor `{of}` is not in `{}`", part.label.value);
                return Err(RuleError::new(part.label.place, "blend::tensor", message));
            };
            let first = inputs.len();
            inputs.extend(weight.inputs.iter().cloned());
            let expression = weight.expression.map_inputs(&|input| input + first);
            sources.push(Source { part, weight, expression });
        }
        let cast = |of| TensorExpr::new(Cast { dtype, of });
        let expression = match self.passed_through(place, &sources) {
            // A layer that is copied unchanged has the same action as in its own model.
            Some(expression) if dtype == reference.dtype => expression,
            Some(expression) => cast(expression),
            None => cast(self.expression(place, &name, sources)?),
        };
        let mut weight = reference.clone();
        (weight.tensor, weight.name, weight.dtype) = (tensor, name, dtype);
        (weight.expression, weight.inputs) = (expression, inputs);
        Ok(weight)
    }

    /// Returns the expression of a weight that is copied from its model.
    fn passed_through(&self, place: &BlendedWeight<'_>, sources: &[Source<'_>]) -> Option<TensorExpr> {
        let source = sources.first().filter(|_| self.method == Method::Passthrough)?;
        (self.scale(source, place) == 1.0).then(|| source.expression.clone())
    }

    fn scale(&self, source: &Source<'_>, place: &BlendedWeight<'_>) -> f64 {
        self.own(source, "scale", place.position).map_or(1.0, |(scale, _)| scale)
    }

    fn expression(
        &self,
        place: &BlendedWeight<'_>,
        name: &str,
        mut sources: Vec<Source<'_>>,
    ) -> Result<TensorExpr, RuleError> {
        let reference = place.slice.reference;
        Ok(match self.method {
            Method::Passthrough => {
                let source = sources.remove(0);
                let weight = self.scale(&source, place) as f32;
                let term = Term { of: source.expression, weight, keep: Keep::All };
                TensorExpr::new(Linear { divide: false, terms: vec![term] })
            }
            Method::Slerp => {
                let base = sources.remove(reference);
                let settings = place.slice.t.iter().chain(&self.shared["t"]);
                let (t, at) = value(settings, name, place.position)
                    .ok_or_else(|| missing(place.slice.place, "t", name, "Add `t 0.5`"))?;
                within(
                    t,
                    at,
                    "t",
                    name,
                    (0.0..=1.0).contains(&t),
                    "from 0 (the base) to 1 (the other model)",
                )?;
                let term = |source: Source<'_>| Term { of: source.expression, weight: 1.0, keep: Keep::All };
                let terms = std::iter::once(base).chain(sources).map(term).collect();
                TensorExpr::new(Slerp { t, terms })
            }
            Method::Linear => {
                let terms = self.terms(place, name, sources)?;
                let weights: Vec<f32> = terms.iter().map(|term| term.weight).collect();
                if self.divide && sum_of(&weights) == 0.0 {
                    let message =
                        format!("The weights for tensor `{name}` sum to 0, so `normalize` would divide by 0");
                    return Err(RuleError::new(place.slice.place, "blend::parameter", message)
                        .help("Write `normalize #false`, or other weights"));
                }
                TensorExpr::new(Linear { divide: self.divide, terms })
            }
            Method::TaskArithmetic | Method::Ties | Method::DareLinear | Method::DareTies => {
                let base = sources.remove(reference);
                let lambda = value(&self.shared["lambda"], name, place.position);
                let others =
                    sources.into_iter().filter(|source| source.part.label.value != base.part.label.value);
                let terms = self.terms(place, name, others.collect())?;
                TensorExpr::new(Deltas {
                    base: base.expression,
                    elect: self.method.elects(),
                    divide: self.divide,
                    lambda: lambda.map_or(1.0, |(lambda, _)| lambda as f32),
                    terms,
                })
            }
        })
    }

    fn terms(
        &self,
        place: &BlendedWeight<'_>,
        name: &str,
        sources: Vec<Source<'_>>,
    ) -> Result<Vec<Term>, RuleError> {
        let mut terms = Vec::new();
        for (number, source) in (0..).zip(sources) {
            let at = source.part.label.place;
            let (weight, _) = self.own(&source, "weight", place.position).ok_or_else(|| {
                missing(
                    at,
                    "weight",
                    &source.weight.name,
                    "Add `weight=1.0` to the model, or `weight 1.0` for all",
                )
            })?;
            let keep = self.keep(place, name, number, &source)?;
            terms.push(Term { of: source.expression, weight: weight as f32, keep });
        }
        Ok(terms)
    }

    fn keep(
        &self,
        place: &BlendedWeight<'_>,
        name: &str,
        number: u64,
        source: &Source<'_>,
    ) -> Result<Keep, RuleError> {
        let Some((density, at)) = self.own(source, "density", place.position) else { return Ok(Keep::All) };
        within(density, at, "density", name, density > 0.0 && density <= 1.0, "above 0 and at most 1")?;
        let n_elements: u64 = source.weight.shape().iter().product();
        Ok(match self.method {
            _ if density == 1.0 => Keep::All,
            Method::Ties => Keep::Largest(((density * n_elements as f64) as u64).max(1)),
            Method::DareLinear | Method::DareTies => Keep::Random {
                stream: stream(self.seed, number, name),
                below: ((density * 4_294_967_296.0).round() as u64).max(1),
                factor: if self.rescale { (1.0 / density) as f32 } else { 1.0 },
            },
            _ => Keep::All,
        })
    }

    /// Returns a model's own parameter, or the shared one.
    fn own(&self, source: &Source<'_>, name: &str, position: f64) -> Option<(f64, Place)> {
        let own = source.part.settings.get(name).into_iter().flatten();
        let shared = self.shared.get(name).into_iter().flatten();
        value(own.chain(shared), &source.weight.name, position)
    }
}

/// A weight that is merged into another.
struct Source<'a> {
    part: &'a Part,
    weight: &'a Weight,
    expression: TensorExpr,
}

/// Renames `model.layers.3.x` to `model.layers.7.x`: replaces the first number between dots that is the
/// block's.
pub(crate) fn moved(name: &str, from: u32, to: u32) -> String {
    let from = from.to_string();
    let mut is_done = false;
    let moved = |segment: &str| {
        if !is_done && segment == from {
            is_done = true;
            return to.to_string();
        }
        segment.to_owned()
    };
    name.split('.').map(moved).collect::<Vec<_>>().join(".")
}

fn missing(place: Place, parameter: &str, tensor: &str, help: &str) -> RuleError {
    let message = format!("There is no `{parameter}` for tensor `{tensor}`");
    RuleError::new(place, "blend::parameter", message).help(help)
}

fn within(
    value: f64,
    place: Place,
    parameter: &str,
    tensor: &str,
    is_within: bool,
    expected: &str,
) -> Result<(), RuleError> {
    if is_within {
        return Ok(());
    }
    let message = format!("`{parameter}` must be {expected}; found {value} for tensor `{tensor}`");
    Err(RuleError::new(place, "blend::parameter", message))
}

/// Keeps one error per location: the others report the same for other weights.
fn first_of_each(rule_errors: Vec<RuleError>) -> Vec<RuleError> {
    let mut seen = BTreeSet::new();
    rule_errors.into_iter().filter(|rule_error| seen.insert((rule_error.place, rule_error.code))).collect()
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.len() - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gets_its_new_number_and_an_expert_keeps_its_own() {
        assert_eq!(moved("model.layers.3.mlp.up_proj.weight", 3, 12), "model.layers.12.mlp.up_proj.weight");
        assert_eq!(moved("model.layers.3.experts.3.w1.weight", 3, 0), "model.layers.0.experts.3.w1.weight");
        assert_eq!(moved("model.layers.13.x", 3, 0), "model.layers.13.x");
    }
}
