//! The configuration of PEFT LoRA adapters.
//!
//! What a configuration may not ask for is listed in [`refusal`]; which weights of the base the tensors change
//! is for [`matching`].
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
    /// What stands before a layer's number in a module's name (`layers`); empty means anything.
    pub layers_pattern: Vec<String>,
    /// Whether each changed row is brought to a trained length (DoRA).
    pub use_dora: bool,
    /// Whether the up projections have biases of their own.
    pub lora_bias: bool,
    /// Whether the adapter was declared to be for weights that are stored `[in, out]`. PEFT ignores it for linear
    /// layers; so it counts only for a weight whose shape fits no other way.
    pub fan_in_fan_out: bool,
    /// Modules that were trained as a whole.
    pub modules_to_save: Vec<String>,
    /// Rows that were trained by themselves, by the name of their module; empty where PEFT does not say.
    pub token_rows: BTreeMap<String, Vec<u64>>,
    /// Whether a head that is the token embedding was kept so in training.
    pub ensure_weight_tying: bool,
    /// Parameters that are no module's `weight` (stacked experts).
    pub target_parameters: Vec<String>,
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

/// A text or a list of them.
fn texts(config: &Config<'_>, key: &str) -> Result<Vec<String>, FamilyError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = match config.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(value) => text(value).map(|text| vec![text]),
    };
    texts.ok_or_else(|| config.bad(key, "a name or a list of them"))
}

/// A list of rows, or one for each module; without a module they are of the one that has such a tensor.
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
