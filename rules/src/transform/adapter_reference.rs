//! A second, plain implementation of adapters, against which the evaluation is tested.

use std::collections::BTreeMap;

use serde_json::Value;

/// A tensor with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    /// Slowest dimension first.
    pub(crate) shape: Vec<u64>,
    /// Row after row.
    pub(crate) values: Vec<f32>,
}

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// The plain reference. `round` is applied after every operation: rounding to f32 gives f32 arithmetic to the
/// bit, because f64 has more than twice the digits; without rounding it is f64 arithmetic.
pub(crate) struct Reference<'a> {
    /// Applied after every operation.
    pub(crate) round: fn(f64) -> f64,
    /// The adapter's tensors.
    pub(crate) tensors: &'a Tensors,
    /// The adapter's configuration.
    pub(crate) config: &'a Value,
}

impl Reference<'_> {
    fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(&format!("base_model.model.{name}"))
    }

    fn scale(&self, rank: u64, factor: f64) -> f64 {
        let alpha = self.config["lora_alpha"].as_f64().unwrap();
        let rank = rank as f64;
        let root = self.config["use_rslora"].as_bool().unwrap_or(false);
        f64::from((alpha / if root { rank.sqrt() } else { rank } * factor) as f32)
    }

    /// Computes the weight after the adapter, in `round`'s arithmetic.
    pub(crate) fn weight(&self, name: &str, weight: &mut Vec<f64>, shape: &[u64], factor: f64) {
        let round = self.round;
        let (module, leaf) = name.rsplit_once('.').unwrap();
        for whole in [name.to_owned(), format!("{module}.base_layer.{leaf}")] {
            if let Some(whole) = self.tensor(&whole) {
                *weight = whole.values.iter().map(|value| f64::from(*value)).collect();
            }
        }
        if leaf == "bias" {
            if let (Some(bias), Some(up)) = (
                self.tensor(&format!("{module}.lora_B.bias")),
                self.tensor(&format!("{module}.lora_B.weight")),
            ) {
                let scale = self.scale(up.shape[1], factor);
                for (value, bias) in weight.iter_mut().zip(&bias.values) {
                    *value = round(*value + round(f64::from(*bias) * scale));
                }
            }
            return;
        }
        let n_cols = shape[shape.len() - 1] as usize;
        if let (Some(up), Some(down)) =
            (self.tensor(&format!("{module}.lora_B.weight")), self.tensor(&format!("{module}.lora_A.weight")))
        {
            let rank = up.shape[1] as usize;
            let product = |row: usize, col: usize, k: usize| {
                f64::from(up.values[row * rank + k]) * f64::from(down.values[k * n_cols + col])
            };
            self.add(weight, n_cols, rank, self.scale(rank as u64, factor), &product);
        }
        let (up, down) = ("lora_embedding_B", "lora_embedding_A");
        if let (Some(up), Some(down)) =
            (self.tensor(&format!("{module}.{up}")), self.tensor(&format!("{module}.{down}")))
        {
            let rank = up.shape[1] as usize;
            let n_rows = down.shape[1] as usize;
            let product = |row: usize, col: usize, k: usize| {
                f64::from(up.values[col * rank + k]) * f64::from(down.values[k * n_rows + row])
            };
            self.add(weight, n_cols, rank, self.scale(rank as u64, factor), &product);
        }
        if let Some(lengths) = self.tensor(&format!("{module}.lora_magnitude_vector")) {
            let is_embedding = self.tensor(&format!("{module}.lora_embedding_A")).is_some();
            self.normalize(weight, n_cols, &lengths.values, is_embedding);
        }
        if let Some(rows) = self.tensor(&format!("{module}.token_adapter.trainable_tokens_delta")) {
            let indices = &self.config["trainable_token_indices"];
            let indices = indices.get(module.rsplit('.').next().unwrap()).unwrap_or(indices);
            for (index, row) in indices.as_array().unwrap().iter().zip(rows.values.chunks(n_cols)) {
                let start = index.as_u64().unwrap() as usize * n_cols;
                for (value, new) in weight[start..start + n_cols].iter_mut().zip(row) {
                    *value = f64::from(*new);
                }
            }
        }
    }

    fn add(
        &self,
        weight: &mut [f64],
        n_cols: usize,
        rank: usize,
        scale: f64,
        product: &dyn Fn(usize, usize, usize) -> f64,
    ) {
        let round = self.round;
        for (index, value) in weight.iter_mut().enumerate() {
            let mut sum = 0.0;
            for k in 0..rank {
                sum = round(sum + round(product(index / n_cols, index % n_cols, k)));
            }
            *value = round(*value + round(sum * scale));
        }
    }

    fn normalize(&self, weight: &mut [f64], n_cols: usize, lengths: &[f32], by_column: bool) {
        let round = self.round;
        let n_rows = weight.len() / n_cols;
        let (n_outer, n_inner) = if by_column { (n_cols, n_rows) } else { (n_rows, n_cols) };
        let place = |outer: usize, inner: usize| match by_column {
            true => inner * n_cols + outer,
            false => outer * n_cols + inner,
        };
        for outer in 0..n_outer {
            let squares: Vec<f64> =
                (0..n_inner).map(|inner| weight[place(outer, inner)] * weight[place(outer, inner)]).collect();
            let sum = if by_column {
                squares.iter().fold(0.0, |sum, square| sum + square)
            } else {
                sixteen(&squares)
            };
            let factor = round(f64::from(lengths[outer]) / round(sum.sqrt()));
            for inner in 0..n_inner {
                let value = &mut weight[place(outer, inner)];
                *value = round(*value * factor);
            }
        }
    }
}

/// Returns a sum in sixteen lanes, folded by halves.
fn sixteen(values: &[f64]) -> f64 {
    let mut lanes: Vec<f64> = (0..16)
        .map(|lane| values.iter().skip(lane).step_by(16).fold(0.0, |sum, value| sum + value))
        .collect();
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(upper).for_each(|(lane, upper)| *lane += upper);
    }
    lanes[0]
}

/// Returns the difference of two numbers in units of the last place of a bf16 near `expected`.
pub(crate) fn bf16_units(found: f32, expected: f64) -> f64 {
    // A bf16 has eight digits; below its normal numbers they become coarser, which no test reaches.
    let exponent = (expected.abs().max(1e-30) as f32).to_bits() >> 23;
    let unit = f64::from(f32::from_bits(exponent << 23)) / 128.0;
    (f64::from(found) - expected).abs() / unit
}
