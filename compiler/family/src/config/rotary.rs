//! The rotary embedding of a configuration, in the spellings of Transformers 4 and 5.
//!
//! Source: `modeling_rope_utils.py` of Transformers.

use std::sync::Arc;

use mc_decoder::rotary::Rotary;
use mc_graph::rotary::{LongRopeFactors, RotaryPairing, RotaryScaling, Yarn};
use mc_tensor::math;
use serde_json::Value;

use crate::config::{Config, number_range};
use crate::error::FamilyError;

/// The kinds of scaling that any family's configuration may declare.
const SCALINGS: [&str; 4] = ["linear", "llama3", "longrope", "yarn"];

/// Default values and permitted values of a family's rotary embedding.
pub(crate) struct RotaryDefaults {
    /// The base of the frequencies.
    pub(crate) base: f64,
    /// True if the rotation may be limited to a part of a head.
    pub(crate) may_be_partial: bool,
}

/// Reads the rotary embedding of heads of width `head_dim`.
///
/// # Errors
/// Fails if a key is missing or wrong, or is not supported by the family.
pub(crate) fn rotary(
    config: &Config<'_>,
    head_dim: u32,
    defaults: &RotaryDefaults,
) -> Result<Rotary, FamilyError> {
    let parameters = parameters(config)?;
    let holders = || [parameters.as_ref(), Some(config)].into_iter().flatten();
    let mut base = None;
    let mut part = 1.0;
    for holder in holders() {
        base = base.or(holder.positive("rope_theta")?);
        if let Some(found) = holder.positive("partial_rotary_factor")? {
            if found != 1.0 && !defaults.may_be_partial {
                return Err(holder.unsupported("partial_rotary_factor", "expected 1"));
            }
            if found > 1.0 {
                return Err(holder.bad("partial_rotary_factor", "at most 1"));
            }
            part = found;
        }
    }
    let n_dims = (part * f64::from(head_dim)) as u32;
    if n_dims == 0 || !n_dims.is_multiple_of(2) {
        let expected = format!("an even number of a head's {head_dim} dimensions, not {n_dims}");
        return Err(config.bad("partial_rotary_factor", &expected));
    }
    let scaling = match &parameters {
        Some(parameters) => Reader { config, parameters, n_dims }.scaling()?,
        None => RotaryScaling::None,
    };
    let base = base.unwrap_or(defaults.base) as f32;
    Ok(Rotary { n_dims, base, scaling, pairing: RotaryPairing::HalfSplit })
}

// Transformers 5 moved all rotary settings into `rope_parameters`, by kind of layer if these differ.
fn parameters<'a>(config: &Config<'a>) -> Result<Option<Config<'a>>, FamilyError> {
    match config.object("rope_parameters")? {
        Some(parameters) => Ok(Some(parameters.object("full_attention")?.unwrap_or(parameters))),
        None => config.object("rope_scaling"),
    }
}

struct Reader<'a> {
    config: &'a Config<'a>,
    parameters: &'a Config<'a>,
    n_dims: u32,
}

impl Reader<'_> {
    fn scaling(&self) -> Result<RotaryScaling, FamilyError> {
        // Older configurations use `type`, and the first ones of Phi-3 `su`.
        let key = if self.parameters.get("rope_type").is_some() { "rope_type" } else { "type" };
        let name = match self.parameters.text(key)?.unwrap_or("default") {
            "default" => return Ok(RotaryScaling::None),
            "su" => "longrope",
            name => name,
        };
        match name {
            "linear" => Ok(RotaryScaling::Linear { factor: self.number("factor")? }),
            "llama3" => self.llama3(),
            "yarn" => self.yarn(),
            "longrope" => self.long_rope(),
            _ => {
                let names = ["default"].into_iter().chain(SCALINGS);
                let names: Vec<String> = names.map(|name| format!("`\"{name}\"`")).collect();
                Err(self.parameters.unsupported(key, &format!("expected {}", one_of(&names))))
            }
        }
    }

    fn number(&self, key: &str) -> Result<f32, FamilyError> {
        Ok(self.parameters.need_positive(key)? as f32)
    }

    fn optional(&self, key: &str) -> Result<Option<f32>, FamilyError> {
        self.parameters.get(key).map(|_| self.number(key)).transpose()
    }

    fn llama3(&self) -> Result<RotaryScaling, FamilyError> {
        let (low_freq_factor, high_freq_factor) =
            (self.number("low_freq_factor")?, self.number("high_freq_factor")?);
        if high_freq_factor <= low_freq_factor {
            let expected = format!("more than `low_freq_factor`, which is {low_freq_factor}");
            return Err(self.parameters.bad("high_freq_factor", &expected));
        }
        Ok(RotaryScaling::Llama3 {
            factor: self.number("factor")?,
            low_freq_factor,
            high_freq_factor,
            original_context: self.parameters.need_count("original_max_position_embeddings")?,
        })
    }

    fn yarn(&self) -> Result<RotaryScaling, FamilyError> {
        for key in ["mscale", "mscale_all_dim"] {
            if self.parameters.get(key).is_some() {
                return Err(self.parameters.unsupported(key, "expected no such key"));
            }
        }
        Ok(RotaryScaling::Yarn(Yarn {
            factor: self.number("factor")?,
            original_context: self.parameters.need_count("original_max_position_embeddings")?,
            extrapolation_factor: self.optional("extrapolation_factor")?,
            attention_factor: match self.optional("attention_factor")? {
                Some(factor) => Some(factor),
                None => self.optional("attn_factor")?,
            },
            beta_fast: self.optional("beta_fast")?,
            beta_slow: self.optional("beta_slow")?,
        }))
    }

    fn long_rope(&self) -> Result<RotaryScaling, FamilyError> {
        let key = "original_max_position_embeddings";
        let original_context = match self.parameters.count(key)? {
            Some(context) => context,
            None => self.config.need_count(key)?,
        };
        let context = self.config.need_count("max_position_embeddings")?;
        let stretch = f64::from(context) / f64::from(original_context);
        let attention_factor = if stretch <= 1.0 || original_context < 2 {
            1.0
        } else {
            (1.0 + math::ln(stretch) / math::ln(f64::from(original_context))).sqrt()
        };
        let factors =
            LongRopeFactors { long: self.factors("long_factor")?, short: self.factors("short_factor")? };
        Ok(RotaryScaling::LongRope {
            original_context,
            attention_factor: attention_factor as f32,
            factors: Some(factors),
        })
    }

    fn factors(&self, key: &str) -> Result<Arc<[f32]>, FamilyError> {
        let n_pairs = self.n_dims / 2;
        let expected = format!("a list of {n_pairs} numbers above 0, one for each rotary pair");
        let list = self.parameters.get(key).ok_or_else(|| self.parameters.missing(key, &expected))?;
        let number = |value: &Value| {
            value.as_f64().filter(|number| number_range(key).contains(number)).map(|number| number as f32)
        };
        list.as_array()
            .filter(|list| list.len() == n_pairs as usize)
            .and_then(|list| list.iter().map(number).collect())
            .ok_or_else(|| self.parameters.bad(key, &expected))
    }
}

/// Formats `a`, `a or b`, `a, b or c`.
fn one_of(names: &[String]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
