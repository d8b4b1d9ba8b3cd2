//! Finds the weights of a base that the tensors of an adapter change, and the changes.
//!
//! Works on names and shapes alone and reads no weight; the arithmetic is done elsewhere. Every tensor of the
//! adapter must match, because a merge that omits some goes unnoticed until the model is used. Tensors are
//! matched by the names of the base's checkpoint, so it works for any family.

use std::collections::BTreeMap;

use crate::adapter::AdapterConfig;
use crate::adapter::change::{Change, WeightChange};
use crate::adapter::factors::{Parts, low_rank};
use crate::adapter::mismatch::{self, mismatch};
use crate::adapter::name::{Named, Part, bias_name, parse, weight_name, whole};
use crate::error::FamilyError;

/// The properties of a base that matter for matching.
#[derive(Clone, Copy, Debug)]
pub struct BaseTensors<'a> {
    /// Names and shapes, as in the checkpoint. A tied head is listed under its own name.
    pub tensors: &'a [(String, Vec<u64>)],
    /// The names of those with a row for each token; an adapter with added tokens may have more rows.
    pub by_token: &'a [String],
}

/// Returns the changes that an adapter makes, by weight and then in the order in which they are applied.
///
/// # Errors
/// Fails if a tensor of the adapter has no counterpart in the base, lacks a tensor that belongs to it, or has
/// another rank or shape than the configuration and the base require.
pub fn match_adapter(
    config: &AdapterConfig,
    adapter_tensors: &[(String, Vec<u64>)],
    base: &BaseTensors<'_>,
) -> Result<Vec<WeightChange>, FamilyError> {
    let matcher = Matcher { config, base, shapes: base.tensors.iter().map(shape_entry).collect() };
    let mut places = Places::default();
    let mut unmatched = Vec::new();
    for named in adapter_tensors {
        if !matcher.place(named, &mut places)? {
            unmatched.push(named.0.as_str());
        }
    }
    if !unmatched.is_empty() || adapter_tensors.is_empty() {
        return Err(mismatch::not_all_match(
            config.base_model.as_deref(),
            &unmatched,
            adapter_tensors.len(),
            base.tensors,
        ));
    }
    matcher.check_saved_modules(&places)?;
    matcher.changes(&places)
}

fn shape_entry((name, shape): &Named) -> (&str, &[u64]) {
    (name, shape)
}

struct Matcher<'a> {
    config: &'a AdapterConfig,
    base: &'a BaseTensors<'a>,
    shapes: BTreeMap<&'a str, &'a [u64]>,
}

/// The matched tensors of the adapter.
#[derive(Default)]
struct Places<'a> {
    /// By module.
    parts: BTreeMap<&'a str, Parts<'a>>,
    /// By the weight of the base.
    wholes: BTreeMap<String, &'a Named>,
}

impl<'a> Matcher<'a> {
    /// Inserts a tensor; returns false if it has no counterpart in the base.
    fn place<'t>(&self, named: &'t Named, places: &mut Places<'t>) -> Result<bool, FamilyError> {
        let earlier = match parse(&named.0) {
            Some((module, part)) if self.has(module) => {
                places.parts.entry(module).or_default().insert(part, named)
            }
            Some(_) => return Ok(false),
            None => match whole(&named.0).filter(|weight| self.shapes.contains_key(weight.as_str())) {
                Some(weight) => places.wholes.insert(weight, named),
                None => return Ok(false),
            },
        };
        match earlier {
            None => Ok(true),
            Some((first, _)) => Err(mismatch(
                format!("The adapter has `{first}` and `{}` for the same weight", named.0),
                "Save one adapter at a time",
            )),
        }
    }

    fn has(&self, module: &str) -> bool {
        self.shapes.contains_key(weight_name(module).as_str()) || self.stacks(module).next().is_some()
    }

    /// Returns the stacked parameters of a module that the configuration names. PEFT wraps a module once for
    /// each of them, and `base_layer` denotes the wrapped module.
    fn stacks(&self, module: &str) -> impl Iterator<Item = (&'a str, &'a [u64])> {
        let mut module = module;
        while let Some(inner) = module.strip_suffix(".base_layer") {
            module = inner;
        }
        let first = format!("{module}.");
        let targets = &self.config.target_parameters;
        let is_target = move |name: &str| {
            name.strip_prefix(&first).is_some_and(|leaf| !leaf.contains('.'))
                && targets.iter().any(|target| is_end(name, target))
        };
        let tensors = self.base.tensors.iter().map(shape_entry);
        tensors.filter(move |(name, shape)| shape.len() == 3 && is_target(name))
    }

    /// Checks that every module that was trained as a whole is present.
    fn check_saved_modules(&self, places: &Places<'_>) -> Result<(), FamilyError> {
        let names_one = |saved: &str, weight: &str| {
            weight.rsplit_once('.').is_some_and(|(module, _)| is_end(module, saved))
        };
        for saved in &self.config.modules_to_save {
            let is_known = self.shapes.keys().any(|weight| names_one(saved, weight));
            let is_there = places.wholes.keys().any(|weight| names_one(saved, weight));
            if is_known && !is_there && !self.config.ensure_weight_tying {
                return Err(mismatch(
                    format!("`modules_to_save` names `{saved}`, but the adapter holds no tensor of it"),
                    "The file is incomplete; save or download the adapter again",
                ));
            }
        }
        Ok(())
    }

    fn changes(&self, places: &Places<'_>) -> Result<Vec<WeightChange>, FamilyError> {
        let mut by_weight: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        let mut shapes: BTreeMap<&str, &[u64]> = self.shapes.clone();
        for (weight, named) in &places.wholes {
            self.check_whole(weight, named)?;
            shapes.insert(weight, &named.1);
            by_weight.entry(weight.clone()).or_default().push(Change::Replace { with: named.0.clone() });
        }
        for (module, parts) in &places.parts {
            self.push_parts(module, parts, &shapes, &mut by_weight)?;
        }
        let changes = by_weight.into_iter().flat_map(|(weight, changes)| {
            changes.into_iter().map(move |change| WeightChange { weight_name: weight.clone(), change })
        });
        Ok(changes.collect())
    }

    fn check_whole(&self, weight: &str, (name, shape): &Named) -> Result<(), FamilyError> {
        let expected = self.shapes[weight];
        let has_rows_of_tokens = self.base.by_token.iter().any(|known| known == weight);
        let fits = match (expected, shape.as_slice()) {
            ([_, base_columns], [_, columns]) if has_rows_of_tokens => base_columns == columns,
            (expected, shape) => expected == shape,
        };
        if fits {
            return Ok(());
        }
        Err(mismatch(
            format!("Adapter tensor `{name}` has shape {shape:?}; base tensor `{weight}` has {expected:?}"),
            "The adapter was trained on a base of another size",
        ))
    }

    fn push_parts(
        &self,
        module: &str,
        parts: &Parts<'_>,
        shapes: &BTreeMap<&str, &[u64]>,
        by_weight: &mut BTreeMap<String, Vec<Change>>,
    ) -> Result<(), FamilyError> {
        let weight = weight_name(module);
        let mut push = |weight: String, change| by_weight.entry(weight).or_default().push(change);
        let candidates: Vec<(&str, &[u64])> = match shapes.get_key_value(weight.as_str()) {
            Some((name, shape)) => vec![(name, shape)],
            None => self.stacks(module).collect(),
        };
        if parts.is_low_rank() {
            let (weight, pair) = low_rank(self.config, module, parts, &candidates)?;
            let scale = pair.scale;
            push(weight, Change::AddLowRank(pair));
            if let Some(values) = parts.get(Part::UpBias) {
                let bias = bias_name(module);
                check_vector(values, &bias, shapes.get(bias.as_str()).copied())?;
                push(bias, Change::AddVector { values: values.0.clone(), scale });
            }
        }
        if let Some(with) = parts.get(Part::TokenRows) {
            let rows = self.token_rows(module, with, shapes.get(weight.as_str()).copied())?;
            push(weight, Change::ReplaceRows { rows, with: with.0.clone() });
        }
        Ok(())
    }

    fn token_rows(
        &self,
        module: &str,
        (name, shape): &Named,
        weight: Option<&[u64]>,
    ) -> Result<Vec<u64>, FamilyError> {
        let entries = &self.config.token_rows;
        let rows = entries.iter().find(|(known, _)| known.is_empty() || is_end(module, known));
        let Some((_, rows)) = rows else {
            return Err(mismatch(
                format!(
                    "The adapter has `{name}`, but `trainable_token_indices` names no tokens of `{module}`"
                ),
                "The configuration belongs to another adapter; take both files from the same folder",
            ));
        };
        let n_cols = weight.and_then(|shape| shape.last()).copied().unwrap_or(0);
        let expected = [rows.len() as u64, n_cols];
        if *shape != expected {
            return Err(mismatch(
                format!(
                    "Adapter tensor `{name}` has shape {shape:?}; `trainable_token_indices` and the base need \
                     {expected:?}"
                ),
                "The adapter was trained on a base of another size, or the configuration was edited",
            ));
        }
        let n_rows = weight.and_then(|shape| shape.first()).copied().unwrap_or(0);
        match rows.iter().find(|row| **row >= n_rows) {
            None => Ok(rows.clone()),
            Some(row) => Err(mismatch(
                format!("`trainable_token_indices` names token {row}; `{module}` has {n_rows} rows"),
                "The adapter was trained on a base with more tokens",
            )),
        }
    }
}

fn check_vector((name, shape): &Named, bias: &str, expected: Option<&[u64]>) -> Result<(), FamilyError> {
    match expected {
        Some(expected) if expected == shape => Ok(()),
        Some(expected) => Err(mismatch(
            format!("Adapter tensor `{name}` has shape {shape:?}; base tensor `{bias}` has {expected:?}"),
            "The adapter was trained on a base of another size",
        )),
        None => Err(mismatch(
            format!("The adapter has `{name}`, but the base has no `{bias}` to add it to"),
            "PEFT cannot merge it, either; train the adapter without `lora_bias`",
        )),
    }
}

/// Returns true if `name` is `end`, or ends with it after a dot.
fn is_end(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|start| start.is_empty() || start.ends_with('.'))
}
