//! Parameters that may differ from weight to weight: a number, a gradient over the layers, or several of these for
//! parts of the model.

use mc_ir::attribute::{Place, Record};

use crate::attributes::{number_property, text_property};

/// One setting of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Location at which it is written.
    pub(crate) place: Place,
    /// The part of a weight's name that it applies to; `None` for all weights.
    pub(crate) filter: Option<String>,
    /// The number, or several that are interpolated from the first layer to the last.
    pub(crate) values: Vec<f64>,
}

/// Returns a node's settings of a parameter, in the order in which they are tried: the children, then the
/// property.
pub(crate) fn settings(record: &Record, name: &str) -> Vec<Setting> {
    let child = |child: &Record| Setting {
        place: child.argument().map_or(child.place, |placed| placed.place),
        filter: text_property(child, "filter").map(str::to_owned),
        values: child.arguments.iter().filter_map(|placed| placed.value.as_number()).collect(),
    };
    let mut settings: Vec<Setting> = record.children(name).iter().map(child).collect();
    if let (Some(value), Some(placed)) = (number_property(record, name), record.property(name)) {
        settings.push(Setting { place: placed.place, filter: None, values: vec![value] });
    }
    settings
}

/// Returns the parameter for a weight, from the first setting that applies to it, with the setting's
/// location.
///
/// * `position`: of its layer, from 0 for the first to 1 for the last
pub(crate) fn value<'a>(
    settings: impl IntoIterator<Item = &'a Setting>,
    name: &str,
    position: f64,
) -> Option<(f64, Place)> {
    let is_for = |setting: &&Setting| setting.filter.as_deref().is_none_or(|part| name.contains(part));
    let setting = settings.into_iter().find(is_for)?;
    Some((along(&setting.values, position)?, setting.place))
}

/// Interpolates linearly between equally spaced values.
fn along(values: &[f64], position: f64) -> Option<f64> {
    let scaled = position * values.len().checked_sub(1)? as f64;
    let left = scaled as usize;
    let right = (left + 1).min(values.len() - 1);
    let share = scaled - left as f64;
    Some((1.0 - share) * values.get(left)? + share * values.get(right)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(filter: Option<&str>, values: &[f64]) -> Setting {
        Setting { place: Place(0), filter: filter.map(str::to_owned), values: values.to_vec() }
    }

    fn at(settings: &[Setting], name: &str, position: f64) -> Option<f64> {
        value(settings, name, position).map(|(value, _)| value)
    }

    #[test]
    fn a_gradient_runs_from_the_first_layer_to_the_last() {
        let gradient = [setting(None, &[0.0, 0.5, 0.25])];
        let walked = [0.0, 0.25, 0.5, 0.75, 1.0].map(|position| at(&gradient, "", position).unwrap());
        assert_eq!(walked, [0.0, 0.25, 0.5, 0.375, 0.25]);
        assert_eq!(at(&[setting(None, &[3.0])], "", 0.7), Some(3.0));
        assert_eq!(at(&[setting(None, &[])], "", 0.7), None);
    }

    #[test]
    fn the_first_setting_that_applies_to_a_weight_wins() {
        let settings =
            [setting(Some("self_attn"), &[1.0]), setting(Some("mlp"), &[2.0]), setting(None, &[3.0])];
        let name = |part: &str| format!("model.layers.0.{part}.weight");
        assert_eq!(at(&settings, &name("self_attn.q_proj"), 0.0), Some(1.0));
        assert_eq!(at(&settings, &name("mlp.up_proj"), 0.0), Some(2.0));
        assert_eq!(at(&settings, &name("input_layernorm"), 0.0), Some(3.0));
        assert_eq!(at(&settings[..2], &name("input_layernorm"), 0.0), None);
    }
}
