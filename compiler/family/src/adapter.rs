//! PEFT LoRA adapters: their configuration, and which weights of the base their tensors change.
//!
//! Works on names and shapes alone and reads no weight; adding the products up is done where the matrices are.
//! Every tensor of the adapter must find its place, because a merge that leaves some out goes unnoticed until the
//! model is used. What a configuration may not ask for is listed in `adapter_refusal`.
//!
//! Source: `LoraConfig` and `get_pattern_key` of PEFT.

use std::collections::{BTreeMap, BTreeSet};

use mc_tensor::model_tensor::ModelTensor;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::adapter_mismatch;
use crate::adapter_name::{Half, Named, parse, weight_name};
use crate::adapter_refusal;
use crate::config::{self, Config};
use crate::error::FamilyError;
use crate::family::Family;

/// The name of an adapter's configuration.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// What a pattern may take when it is compiled: a short one can stand for a very large program.
const MAX_RULE_BYTES: usize = 256 << 10;

/// How a LoRA adapter was trained.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// The rank of every module that no pattern names.
    pub rank: u32,
    /// The alpha of every module that no pattern names.
    pub alpha: f64,
    /// Whether the scale is `alpha / sqrt(rank)` rather than `alpha / rank`.
    pub use_rslora: bool,
    /// Ranks of some modules; where several patterns match, [`AdapterConfig::rank_of`] says which one counts.
    pub rank_pattern: BTreeMap<String, u32>,
    /// Alphas of some modules; where several patterns match, [`AdapterConfig::scale_of`] says which one counts.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Where the base came from, as the trainer named it.
    pub base_model: Option<String>,
    /// The layers that were trained; `None` means all.
    pub layers: Option<BTreeSet<u32>>,
    // In the file's order, in which the first match wins.
    rank_rules: Vec<(Regex, u32)>,
    alpha_rules: Vec<(Regex, f64)>,
}

impl AdapterConfig {
    /// Reads the text of `adapter_config.json`.
    ///
    /// # Errors
    /// When it is no JSON, a key is missing or wrong, or it asks for what is not supported.
    pub fn from_json(text: &str) -> Result<Self, FamilyError> {
        let value = config::parse(ADAPTER_CONFIG, text.as_bytes())?;
        let config = Config::new(ADAPTER_CONFIG, &value)?;
        adapter_refusal::check(&config)?;
        let ranks =
            pattern(&config, "rank_pattern", "a whole number above 0", |patterns, key| patterns.count(key))?;
        let alphas =
            pattern(&config, "alpha_pattern", "a number above 0", |patterns, key| patterns.positive(key))?;
        Ok(Self {
            rank: config.need_count("r")?,
            alpha: config.need_positive("lora_alpha")?,
            use_rslora: config.flag("use_rslora")?,
            rank_pattern: ranks.iter().map(|(key, _, rank)| (key.clone(), *rank)).collect(),
            alpha_pattern: alphas.iter().map(|(key, _, alpha)| (key.clone(), *alpha)).collect(),
            base_model: config.text("base_model_name_or_path")?.map(str::to_owned),
            layers: layers(&config)?,
            rank_rules: ranks.into_iter().map(|(_, rule, rank)| (rule, rank)).collect(),
            alpha_rules: alphas.into_iter().map(|(_, rule, alpha)| (rule, alpha)).collect(),
        })
    }

    /// The rank of `module` (`model.layers.0.mlp.up_proj`): that of the first pattern of the file that is its name or
    /// the end of its name after a dot, else [`AdapterConfig::rank`].
    pub fn rank_of(&self, module: &str) -> u32 {
        first_match(&self.rank_rules, module).unwrap_or(self.rank)
    }

    /// The factor on `up * down` of `module`: `alpha / rank`, or `alpha / sqrt(rank)` for rank-stabilised LoRA.
    ///
    /// Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; rsLoRA: arXiv:2312.03732.
    pub fn scale_of(&self, module: &str) -> f64 {
        let alpha = first_match(&self.alpha_rules, module).unwrap_or(self.alpha);
        let rank = f64::from(self.rank_of(module));
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

fn first_match<T: Copy>(rules: &[(Regex, T)], module: &str) -> Option<T> {
    rules.iter().find(|(rule, _)| rule.is_match(module)).map(|(_, value)| *value)
}

/// A low-rank update of one weight: `weight += scale * up * down`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankPair {
    /// What the changed weight is for.
    pub tensor: ModelTensor,
    /// The changed weight's name in the base.
    pub weight_name: String,
    /// Name of `up` (PEFT's `lora_B`), `[out, rank]`, in the adapter.
    pub up: String,
    /// Name of `down` (PEFT's `lora_A`), `[rank, in]`, in the adapter.
    pub down: String,
    /// The rank.
    pub rank: u32,
    /// The factor on the product.
    pub scale: f64,
}

/// The updates of an adapter, in the order of [`ModelTensor`]; names and shapes of both sides as their files have them.
///
/// # Errors
/// When a tensor of the adapter has no place in the base, lacks its other half, or has another rank or shape than the
/// configuration and the base ask for.
pub fn match_adapter(
    family: &dyn Family,
    config: &AdapterConfig,
    adapter_tensors: &[(String, Vec<u64>)],
    base_tensors: &[(String, Vec<u64>)],
) -> Result<Vec<LowRankPair>, FamilyError> {
    let base: BTreeMap<&str, &[u64]> =
        base_tensors.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect();
    let mut halves: BTreeMap<&str, Halves<'_>> = BTreeMap::new();
    let mut unmatched = Vec::new();
    for named in adapter_tensors {
        match place(family, &base, &named.0) {
            Some((module, half)) => halves.entry(module).or_default().put(half, named)?,
            None => unmatched.push(named.0.as_str()),
        }
    }
    if !unmatched.is_empty() || adapter_tensors.is_empty() {
        return Err(adapter_mismatch::not_all_match(
            config.base_model.as_deref(),
            &unmatched,
            adapter_tensors.len(),
            base_tensors,
        ));
    }
    let mut pairs = halves
        .into_iter()
        .map(|(module, halves)| pair(family, config, &base, module, &halves))
        .collect::<Result<Vec<_>, _>>()?;
    pairs.sort_by_key(|pair| pair.tensor);
    Ok(pairs)
}

/// The two factors of one module, as far as they were met.
#[derive(Default)]
struct Halves<'a> {
    down: Option<&'a Named>,
    up: Option<&'a Named>,
}

impl<'a> Halves<'a> {
    fn put(&mut self, half: Half, named: &'a Named) -> Result<(), FamilyError> {
        let slot = match half {
            Half::Down => &mut self.down,
            Half::Up => &mut self.up,
        };
        match slot.replace(named) {
            None => Ok(()),
            Some((first, _)) => Err(FamilyError::AdapterMismatch {
                found: format!("The adapter has `{first}` and `{}` for the same weight", named.0),
                advice: "Save one adapter at a time".to_owned(),
            }),
        }
    }
}

// The module and the half that an adapter tensor's name stands for, if the base has that module's weight.
fn place<'a>(family: &dyn Family, base: &BTreeMap<&str, &[u64]>, name: &'a str) -> Option<(&'a str, Half)> {
    let (module, half) = parse(name)?;
    let weight = weight_name(module);
    let tensor = family.tensor(&weight)?;
    let is_projection = tensor.is_quantizable() && tensor != ModelTensor::TokenEmbedding;
    (is_projection && base.contains_key(weight.as_str())).then_some((module, half))
}

fn pair(
    family: &dyn Family,
    config: &AdapterConfig,
    base: &BTreeMap<&str, &[u64]>,
    module: &str,
    halves: &Halves<'_>,
) -> Result<LowRankPair, FamilyError> {
    let (down, up) = match (halves.down, halves.up) {
        (Some(down), Some(up)) => (down, up),
        (Some(lone), None) => return Err(lone_half(&lone.0, "lora_B")),
        (None, Some(lone)) => return Err(lone_half(&lone.0, "lora_A")),
        (None, None) => unreachable!("a module is listed for one of its halves"),
    };
    let weight_name = weight_name(module);
    let tensor = family.tensor(&weight_name).expect("`place` let only known names in");
    check_layer(config, tensor, &down.0)?;
    let rank = config.rank_of(module);
    check_rank(config, module, down, 0)?;
    check_rank(config, module, up, 1)?;
    check_shapes(base[weight_name.as_str()], &weight_name, rank, down, up)?;
    let scale = config.scale_of(module);
    Ok(LowRankPair { tensor, weight_name, up: up.0.clone(), down: down.0.clone(), rank, scale })
}

fn lone_half(name: &str, missing: &str) -> FamilyError {
    FamilyError::AdapterMismatch {
        found: format!("The adapter has `{name}`, but no `{missing}` for the same weight"),
        advice: "The file is incomplete; save or download the adapter again".to_owned(),
    }
}

fn check_layer(config: &AdapterConfig, tensor: ModelTensor, name: &str) -> Result<(), FamilyError> {
    let (Some(layers), Some(block)) = (&config.layers, tensor.block()) else {
        return Ok(());
    };
    if layers.contains(&block) {
        return Ok(());
    }
    Err(FamilyError::AdapterMismatch {
        found: format!(
            "The adapter has `{name}`, but `layers_to_transform` in `adapter_config.json` does not list layer {block}"
        ),
        advice: "The configuration belongs to another adapter; take both files from the same folder"
            .to_owned(),
    })
}

fn check_rank(
    config: &AdapterConfig,
    module: &str,
    (name, shape): &Named,
    axis: usize,
) -> Result<(), FamilyError> {
    let expected = u64::from(config.rank_of(module));
    match shape.as_slice() {
        [_, _] if shape[axis] == expected => Ok(()),
        [_, _] => Err(FamilyError::AdapterMismatch {
            found: format!(
                "Adapter tensor `{name}` has rank {}; `adapter_config.json` says {expected}",
                shape[axis]
            ),
            advice: "The configuration belongs to another adapter, or `r` or `rank_pattern` was edited"
                .to_owned(),
        }),
        _ => Err(FamilyError::AdapterMismatch {
            found: format!("Adapter tensor `{name}` has shape {shape:?}; expected a matrix"),
            advice: "Adapters of convolutions are not supported yet".to_owned(),
        }),
    }
}

fn check_shapes(
    weight: &[u64],
    weight_name: &str,
    rank: u32,
    down: &Named,
    up: &Named,
) -> Result<(), FamilyError> {
    let rank = u64::from(rank);
    let &[rows, columns] = weight else {
        return Err(FamilyError::AdapterMismatch {
            found: format!("Base tensor `{weight_name}` has shape {weight:?}; expected a matrix"),
            advice: "The base is not the checkpoint that its `config.json` describes".to_owned(),
        });
    };
    for ((name, shape), expected) in [(down, [rank, columns]), (up, [rows, rank])] {
        if *shape != expected {
            return Err(FamilyError::AdapterMismatch {
                found: format!(
                    "Adapter tensor `{name}` has shape {shape:?}; base tensor `{weight_name}` of {weight:?} needs {expected:?}"
                ),
                advice: "The adapter was trained on a base of another size".to_owned(),
            });
        }
    }
    Ok(())
}

/// The patterns under `key` in the file's order, each with its rule and its value.
fn pattern<T>(
    config: &Config<'_>,
    key: &str,
    expected: &str,
    read: impl Fn(&Config<'_>, &str) -> Result<Option<T>, FamilyError>,
) -> Result<Vec<(String, Regex, T)>, FamilyError> {
    let Some(patterns) = config.object(key)? else {
        return Ok(Vec::new());
    };
    let mut rules = Vec::new();
    for (pattern, _) in patterns.entries() {
        let value = read(&patterns, pattern)?.ok_or_else(|| patterns.missing(pattern, expected))?;
        let rule = RegexBuilder::new(&format!(r"^(?:.*\.)?(?:{pattern})$"))
            .size_limit(MAX_RULE_BYTES)
            .build()
            .map_err(|_| patterns.unsupported(pattern, "expected a module's name or a regular expression"))?;
        rules.push((pattern.clone(), rule, value));
    }
    Ok(rules)
}

fn layers(config: &Config<'_>) -> Result<Option<BTreeSet<u32>>, FamilyError> {
    let key = "layers_to_transform";
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let layers = match config.get(key) {
        None => return Ok(None),
        Some(Value::Array(items)) => items.iter().map(number).collect(),
        Some(value) => number(value).map(|layer| BTreeSet::from([layer])),
    };
    layers.map(Some).ok_or_else(|| config.bad(key, "a layer's number or a list of them"))
}
