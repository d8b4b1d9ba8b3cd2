//! The configuration of PEFT LoRA adapters.
//!
//! [`refusal`] lists the settings that are refused; [`matching`] decides which weights of the base the
//! tensors change.
//!
//! Source: `LoraConfig` and `get_pattern_key` of PEFT.

pub mod base;
pub mod change;
pub mod factors;
pub mod matching;
pub mod mismatch;
pub mod name;
pub mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::config::{self, Config};
use crate::error::FamilyError;

/// The name of an adapter's configuration.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Size limit of a compiled pattern, because a short pattern can expand to a very large program.
const MAX_RULE_BYTES: usize = 256 << 10;

/// How a LoRA adapter was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// The rank of every module that no pattern names.
    pub rank: u32,
    /// The alpha of every module that no pattern names.
    pub alpha: f64,
    /// True if the scale is `alpha / sqrt(rank)` rather than `alpha / rank`.
    pub use_rslora: bool,
    /// Ranks of some modules; if several patterns match, [`AdapterConfig::rank_of`] decides.
    pub rank_pattern: BTreeMap<String, u32>,
    /// Alphas of some modules; if several patterns match, [`AdapterConfig::scale_of`] decides.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// The base, as the trainer named it.
    pub base_model: Option<String>,
    /// The layers that were trained; `None` means all.
    pub layers: Option<BTreeSet<u32>>,
    /// The names that precede a layer's number in a module's name (`layers`); if empty, any name may precede
    /// it.
    pub layers_pattern: Vec<String>,
    /// True if each changed row is scaled to a trained length (DoRA).
    pub use_dora: bool,
    /// True if the up projections have their own biases.
    pub lora_bias: bool,
    /// True if the adapter declares that weights are stored `[in, out]`. PEFT ignores it for linear layers,
    /// so it only counts for a weight whose shape fits in no other way.
    pub fan_in_fan_out: bool,
    /// Modules that were trained as a whole.
    pub modules_to_save: Vec<String>,
    /// Rows that were trained separately, by the name of their module; empty if PEFT does not name the
    /// module.
    pub token_rows: BTreeMap<String, Vec<u64>>,
    /// True if a tied head was kept tied in training.
    pub ensure_weight_tying: bool,
    /// Parameters that are not a module's `weight` (stacked experts).
    pub target_parameters: Vec<String>,
    // In the file's order; the first match wins.
    rank_rules: Vec<(Modules, u32)>,
    alpha_rules: Vec<(Modules, f64)>,
}

/// A pattern of names of modules. Two patterns are equal if their texts are.
#[derive(Clone, Debug)]
struct Modules(Regex);

impl PartialEq for Modules {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl AdapterConfig {
    /// Reads the text of `adapter_config.json`.
    ///
    /// # Errors
    /// Fails if it is not JSON, if a key is missing or wrong, or if a setting is not supported.
    pub fn from_json(text: &str) -> Result<Self, FamilyError> {
        let value = config::parse(ADAPTER_CONFIG, text.as_bytes())?;
        let config = Config::new(ADAPTER_CONFIG, &value)?;
        refusal::check(&config)?;
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
            layers_pattern: texts(&config, "layers_pattern")?,
            use_dora: config.flag("use_dora")?,
            lora_bias: config.flag("lora_bias")?,
            fan_in_fan_out: config.flag("fan_in_fan_out")?,
            modules_to_save: texts(&config, "modules_to_save")?,
            token_rows: token_rows(&config)?,
            ensure_weight_tying: config.flag("ensure_weight_tying")?,
            target_parameters: texts(&config, "target_parameters")?,
            rank_rules: ranks.into_iter().map(|(_, rule, rank)| (Modules(rule), rank)).collect(),
            alpha_rules: alphas.into_iter().map(|(_, rule, alpha)| (Modules(rule), alpha)).collect(),
        })
    }

    /// Returns the rank of `module` (`model.layers.0.mlp.up_proj`): that of the first pattern of the file
    /// that equals its name, or the end of its name after a dot, else [`AdapterConfig::rank`].
    pub fn rank_of(&self, module: &str) -> u32 {
        first_match(&self.rank_rules, module).unwrap_or(self.rank)
    }

    /// Returns the factor on `up * down` of `module`: `alpha / rank`, or `alpha / sqrt(rank)` for
    /// rank-stabilized LoRA.
    ///
    /// Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; rsLoRA: arXiv:2312.03732.
    pub fn scale_of(&self, module: &str) -> f64 {
        let alpha = first_match(&self.alpha_rules, module).unwrap_or(self.alpha);
        let rank = f64::from(self.rank_of(module));
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

fn first_match<T: Copy>(rules: &[(Modules, T)], module: &str) -> Option<T> {
    rules.iter().find(|(rule, _)| rule.0.is_match(module)).map(|(_, value)| *value)
}

/// Returns the patterns under `key` in the file's order, each with its expression and its value.
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

/// Reads a text or a list of texts.
fn texts(config: &Config<'_>, key: &str) -> Result<Vec<String>, FamilyError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = match config.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(value) => text(value).map(|text| vec![text]),
    };
    texts.ok_or_else(|| config.bad(key, "a name or a list of them"))
}

/// Reads a list of rows, or one for each module; a list without a module belongs to the module with such a
/// tensor.
fn token_rows(config: &Config<'_>) -> Result<BTreeMap<String, Vec<u64>>, FamilyError> {
    let key = "trainable_token_indices";
    let rows = |value: &Value| -> Option<Vec<u64>> {
        let rows: Vec<u64> = value.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
        let distinct: BTreeSet<&u64> = rows.iter().collect();
        (distinct.len() == rows.len()).then_some(rows)
    };
    let by_module = match config.get(key) {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(modules)) => {
            modules.iter().map(|(module, value)| Some((module.clone(), rows(value)?))).collect()
        }
        Some(value) => rows(value).map(|rows| BTreeMap::from([(String::new(), rows)])),
    };
    let by_module: BTreeMap<String, Vec<u64>> =
        by_module.ok_or_else(|| config.bad(key, "a list of different token ids, or one for each module"))?;
    Ok(by_module.into_iter().filter(|(_, rows)| !rows.is_empty()).collect())
}
