//! The factors of a low-rank update: their orientation to the weight, and checks that they fit it.

use std::collections::BTreeMap;

use crate::adapter::AdapterConfig;
use crate::adapter::change::{FactorName, Layout, Lengths, LowRankPair};
use crate::adapter::mismatch::mismatch;
use crate::adapter::name::{Named, Part};
use crate::error::FamilyError;

/// The tensors of one module that were found so far.
#[derive(Default)]
pub(crate) struct Parts<'a>(BTreeMap<Part, &'a Named>);

impl<'a> Parts<'a> {
    /// Inserts a tensor; returns the one that it replaces.
    pub(crate) fn insert(&mut self, part: Part, named: &'a Named) -> Option<&'a Named> {
        self.0.insert(part, named)
    }

    /// Returns the tensor for a part.
    pub(crate) fn get(&self, part: Part) -> Option<&'a Named> {
        self.0.get(&part).copied()
    }

    /// Returns true if there is more than single rows.
    pub(crate) fn is_low_rank(&self) -> bool {
        self.0.keys().any(|part| *part != Part::TokenRows)
    }

    fn first(&self) -> &'a Named {
        self.0.values().next().expect("a module is listed for one of its parts")
    }
}

/// Returns the update of the one weight of `candidates` (names and shapes of the base) that it fits.
pub(crate) fn low_rank(
    config: &AdapterConfig,
    module: &str,
    parts: &Parts<'_>,
    candidates: &[(&str, &[u64])],
) -> Result<(String, LowRankPair), FamilyError> {
    check_layer(config, module, &parts.first().0)?;
    let (up, down, is_embedding) = factors(parts)?;
    // A stacked parameter's name does not end in `weight`, and PEFT's patterns use its whole name.
    let key_of = |weight: &str| match candidates {
        [_] if weight.strip_suffix(".weight") == Some(module) => module.to_owned(),
        _ => weight.to_owned(),
    };
    let fits = |&(weight, shape): &(&str, &[u64])| {
        let key = key_of(weight);
        let rank = config.rank_of(&key);
        let matrices = Matrices { rank: u64::from(rank), up, down, is_embedding };
        let layout = matrices.layout(shape, config.fan_in_fan_out)?;
        Some((weight.to_owned(), key, rank, layout))
    };
    let fitting: Vec<_> = candidates.iter().filter_map(fits).collect();
    let [(weight, key, rank, placed)] = fitting.as_slice() else {
        let key = candidates.first().map_or(module.to_owned(), |(weight, _)| key_of(weight));
        return Err(no_single_fit(config, &key, (up, down, is_embedding), candidates, fitting.len()));
    };
    let lengths = lengths(config, parts, placed, weight, candidates)?;
    let pair = LowRankPair {
        module: module.to_owned(),
        up: FactorName { name: placed.up.to_owned(), is_turned: placed.is_turned },
        down: FactorName { name: placed.down.to_owned(), is_turned: placed.is_turned },
        rank: *rank,
        scale: config.scale_of(key),
        layout: placed.layout,
        lengths,
    };
    Ok((weight.clone(), pair))
}

/// Returns both factors, as in the file, and true if they are those of an embedding.
fn factors<'a>(parts: &Parts<'a>) -> Result<(&'a Named, &'a Named, bool), FamilyError> {
    let pair = |up, down| match (parts.get(up), parts.get(down)) {
        (Some(up), Some(down)) => Some((up, down)),
        _ => None,
    };
    if let Some((up, down)) = pair(Part::Up, Part::Down) {
        return Ok((up, down, false));
    }
    if let Some((up, down)) = pair(Part::EmbeddingUp, Part::EmbeddingDown) {
        return Ok((up, down, true));
    }
    let missing = match () {
        () if parts.get(Part::Down).is_some() => "lora_B",
        () if parts.get(Part::Up).is_some() => "lora_A",
        () if parts.get(Part::EmbeddingDown).is_some() => "lora_embedding_B",
        () if parts.get(Part::EmbeddingUp).is_some() => "lora_embedding_A",
        () => "lora_A",
    };
    Err(mismatch(
        format!("The adapter has `{}`, but no `{missing}` for the same weight", parts.first().0),
        "The file is incomplete; save or download the adapter again",
    ))
}

/// The stored factors of one module.
struct Matrices<'a> {
    rank: u64,
    up: &'a Named,
    down: &'a Named,
    is_embedding: bool,
}

/// Orientation of factors to a weight.
struct Placed<'a> {
    up: &'a str,
    down: &'a str,
    is_turned: bool,
    layout: Layout,
}

impl<'a> Matrices<'a> {
    /// Returns the orientation of the factors if they fit a weight of this shape; `None` if they do not.
    fn layout(&self, weight: &[u64], fan_in_fan_out: bool) -> Option<Placed<'a>> {
        let (&[outputs, up_rank], &[down_rank, inputs]) = (self.up.1.as_slice(), self.down.1.as_slice())
        else {
            return None;
        };
        let n_experts = if let [n_experts, _, _] = weight { *n_experts } else { 1 };
        let stacked_rank = self.rank.checked_mul(n_experts)?;
        if up_rank != stacked_rank || down_rank != stacked_rank {
            return None;
        }
        let plain = |layout| Placed { up: &self.up.0, down: &self.down.0, is_turned: false, layout };
        // `(B A)^T = A^T B^T`: the factors are exchanged.
        let turned = Placed { up: &self.down.0, down: &self.up.0, is_turned: true, layout: Layout::Matrix };
        match *weight {
            [rows, columns] if self.is_embedding => (rows == inputs && columns == outputs).then_some(turned),
            [rows, columns] if rows == outputs && columns == inputs => Some(plain(Layout::Matrix)),
            [rows, columns] if fan_in_fan_out && rows == inputs && columns == outputs => Some(turned),
            // The sides of a square expert cannot be distinguished.
            [_, rows, columns] if rows == columns => None,
            [_, rows, columns] if rows == outputs && columns == inputs => {
                Some(plain(Layout::Stacked { is_input_first: false }))
            }
            [_, rows, columns] if rows == inputs && columns == outputs => {
                Some(plain(Layout::Stacked { is_input_first: true }))
            }
            _ => None,
        }
    }
}

fn lengths(
    config: &AdapterConfig,
    parts: &Parts<'_>,
    placed: &Placed<'_>,
    weight: &str,
    candidates: &[(&str, &[u64])],
) -> Result<Option<Lengths>, FamilyError> {
    let (name, shape) = match (config.use_dora, parts.get(Part::Magnitude)) {
        (false, None) => return Ok(None),
        (true, Some(named)) => named,
        (true, None) => {
            return Err(mismatch(
                format!(
                    "The adapter has `{}`, but no `lora_magnitude_vector` for the same weight",
                    placed.up
                ),
                "The file is incomplete, or `use_dora` was edited; save or download the adapter again",
            ));
        }
        (false, Some((name, _))) => {
            return Err(mismatch(
                format!("The adapter has `{name}`, but `use_dora` in `adapter_config.json` is not `true`"),
                "The configuration belongs to another adapter; take both files from the same folder",
            ));
        }
    };
    let of_weight = candidates.iter().find(|(known, _)| *known == weight).map(|(_, shape)| *shape);
    let (expected, lengths) = match (placed.layout, of_weight) {
        (Layout::Matrix, Some([_, columns])) if placed.is_turned => {
            (*columns, Lengths::Columns(name.clone()))
        }
        (Layout::Matrix, Some([rows, _])) => (*rows, Lengths::Rows(name.clone())),
        _ => {
            return Err(mismatch(
                format!("The adapter has `{name}` for stacked experts"),
                "PEFT has no DoRA of stacked experts; the configuration belongs to another adapter",
            ));
        }
    };
    if *shape == [expected] || *shape == [1, expected] {
        return Ok(Some(lengths));
    }
    Err(mismatch(
        format!("Adapter tensor `{name}` has shape {shape:?}; base tensor `{weight}` needs [{expected}]"),
        "The adapter was trained on a base of another size",
    ))
}

fn check_layer(config: &AdapterConfig, module: &str, name: &str) -> Result<(), FamilyError> {
    let (Some(layers), Some(layer)) = (&config.layers, layer_of(config, module)) else {
        return Ok(());
    };
    if layers.contains(&layer) {
        return Ok(());
    }
    Err(mismatch(
        format!(
            "The adapter has `{name}`, but `layers_to_transform` in `adapter_config.json` does not list layer {layer}"
        ),
        "The configuration belongs to another adapter; take both files from the same folder",
    ))
}

/// Returns the layer's number in a module's name: the first number, or the first after a name of
/// `layers_pattern`.
fn layer_of(config: &AdapterConfig, module: &str) -> Option<u32> {
    let is_layers = |name: &str| {
        config.layers_pattern.is_empty() || config.layers_pattern.iter().any(|known| known == name)
    };
    let pieces = || module.split('.');
    pieces().zip(pieces().skip(1)).find_map(|(name, number)| number.parse().ok().filter(|_| is_layers(name)))
}

fn no_single_fit(
    config: &AdapterConfig,
    key: &str,
    (up, down, is_embedding): (&Named, &Named, bool),
    candidates: &[(&str, &[u64])],
    n_fitting: usize,
) -> FamilyError {
    if n_fitting > 1 {
        return mismatch(
            format!("Adapter tensor `{}` fits {n_fitting} stacked parameters of its module", down.0),
            "The intended one is ambiguous; train the adapter on one parameter at a time",
        );
    }
    let (weight, shape) = candidates.first().copied().unwrap_or_default();
    let rank = u64::from(config.rank_of(key));
    let n_experts = if let [n_experts, _, _] = shape { *n_experts } else { 1 };
    for ((name, shape), axis) in [(down, 0), (up, 1)] {
        match shape.as_slice() {
            [_, _] if Some(shape[axis]) == rank.checked_mul(n_experts) => {}
            [_, _] if n_experts > 1 => {
                return mismatch(
                    format!(
                        "Adapter tensor `{name}` has {} ranks; `adapter_config.json` says {rank} for each of \
                         {n_experts} experts",
                        shape[axis]
                    ),
                    "The configuration belongs to another adapter, or `r` or `rank_pattern` was edited",
                );
            }
            [_, _] => {
                return mismatch(
                    format!(
                        "Adapter tensor `{name}` has rank {}; `adapter_config.json` says {rank}",
                        shape[axis]
                    ),
                    "The configuration belongs to another adapter, or `r` or `rank_pattern` was edited",
                );
            }
            _ => {
                return mismatch(
                    format!("Adapter tensor `{name}` has shape {shape:?}; expected a matrix"),
                    "Adapters of convolutions are not supported yet",
                );
            }
        }
    }
    let (rows, columns) = match *shape {
        [rows, columns] => (rows, columns),
        [_, rows, columns] if rows == columns => {
            return mismatch(
                format!(
                    "Base tensor `{weight}` has shape {shape:?}, and its inputs cannot be told from its outputs"
                ),
                "Merge the adapter with PEFT (`merge_and_unload`) and use the result as the base",
            );
        }
        [_, rows, columns] => (rows, columns),
        _ => {
            return mismatch(
                format!("Base tensor `{weight}` has shape {shape:?}; expected a matrix"),
                "The adapter does not belong to this base",
            );
        }
    };
    let rank = rank.saturating_mul(n_experts);
    let expected = if is_embedding {
        [(down, [rank, rows]), (up, [columns, rank])]
    } else {
        [(down, [rank, columns]), (up, [rows, rank])]
    };
    let wrong = expected.into_iter().find(|((_, shape), expected)| shape != expected);
    let ((name, found), expected) = wrong.unwrap_or((down, [rank, columns]));
    mismatch(
        format!(
            "Adapter tensor `{name}` has shape {found:?}; base tensor `{weight}` of {shape:?} needs {expected:?}"
        ),
        "The adapter was trained on a base of another size",
    )
}
