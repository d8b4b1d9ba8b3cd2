//! The importance of a tensor's columns, as an input of the action that stores it.

use mc_encoding::codec::Importance;
use mc_encoding::stored_form::StoredForm;
use mc_ir::action::ActionError;

/// The weights of a tensor's columns; in a stack of experts, those of each expert.
pub(crate) struct RowWeights {
    /// One weight per column, part after part.
    pub(crate) weights: Vec<f32>,
    n_cols: usize,
    rows_per_part: u64,
}

impl RowWeights {
    /// Joins weights with the shape of their tensor.
    pub(crate) fn new(weights: Vec<f32>, n_cols: usize, rows_per_part: u64) -> Self {
        Self { weights, n_cols, rows_per_part }
    }

    /// Returns the weights of a row, and the number of rows from there on that share them.
    pub(crate) fn at(&self, row: u64) -> (&[f32], u64) {
        let rows_per_part = self.rows_per_part.max(1);
        let part = (row / rows_per_part) as usize;
        (&self.weights[part * self.n_cols..(part + 1) * self.n_cols], rows_per_part - row % rows_per_part)
    }
}

/// Reads the weights of a tensor's columns, part after part; `None` if nothing was measured and the form does
/// not need weights.
///
/// # Errors
/// Fails if the form needs weights and there are none, or if their number differs from that of the columns.
pub(crate) fn read(
    bytes: &[u8],
    n_parts: u64,
    n_cols: usize,
    form: &StoredForm,
    name: &str,
) -> Result<Option<Vec<f32>>, ActionError> {
    if bytes.is_empty() {
        if matches!(form.importance(), Importance::Expected | Importance::Required) {
            let message = format!("The imatrix has no data for tensor `{name}`, which {form} requires");
            let help = "Measure on text that reaches it, or give it another type with `tensor-type`";
            return Err(ActionError::failed(message).with_help(help));
        }
        return Ok(None);
    }
    let weights: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    if Some(weights.len() as u64) != n_parts.checked_mul(n_cols as u64) {
        let of_each = if n_parts == 1 { String::new() } else { format!(" in each of {n_parts} experts") };
        return Err(ActionError::failed(format!(
            "The imatrix has {} columns for tensor `{name}`, which has {n_cols}{of_each}",
            weights.len(),
        ))
        .with_help("It was measured on another model; measure it on this one"));
    }
    Ok(Some(weights))
}

#[cfg(test)]
mod tests {
    use mc_encoding::blocks::{iq2_s, iq2_xxs, q4_k};
    use mc_tensor::dtype::DType;

    use super::*;

    #[test]
    fn codecs_that_require_importance_refuse_an_unmeasured_tensor() {
        let read = |form: &StoredForm| super::read(&[], 1, 256, form, "blk.0.attn_q.weight");
        assert_eq!(read(&StoredForm::Blocks(&q4_k::CODEC)).unwrap(), None);
        assert!(read(&StoredForm::Blocks(&iq2_xxs::CODEC)).is_err());
        assert!(read(&StoredForm::Blocks(&iq2_s::CODEC)).is_err());
        let planes =
            |name: &str| StoredForm::Planes { encoding: name.parse().unwrap(), weights: DType::BF16 };
        assert_eq!(read(&planes("int4-g32")).unwrap(), None);
        assert!(read(&planes("int4-g32:weighted")).is_err());
    }

    #[test]
    fn there_is_one_weight_for_each_column() {
        let bytes: Vec<u8> = [1.0_f32, 2.0].iter().flat_map(|weight| weight.to_le_bytes()).collect();
        let read = |n_parts, n_cols| {
            super::read(&bytes, n_parts, n_cols, &StoredForm::Blocks(&q4_k::CODEC), "blk.0.attn_q.weight")
        };
        assert_eq!(read(1, 2).unwrap(), Some(vec![1.0, 2.0]));
        assert_eq!(read(2, 1).unwrap(), Some(vec![1.0, 2.0]));
        assert!(read(1, 3).is_err());
        let message = read(3, 1).unwrap_err().to_string();
        assert!(message.contains("has 2 columns") && message.contains("1 in each of 3 experts"), "{message}");
    }

    #[test]
    fn each_expert_has_weights_of_its_own() {
        let weights = RowWeights::new(vec![1.0, 2.0, 3.0, 4.0], 2, 3);
        assert_eq!(weights.at(0), (&[1.0, 2.0][..], 3));
        assert_eq!(weights.at(2), (&[1.0, 2.0][..], 1));
        assert_eq!(weights.at(3), (&[3.0, 4.0][..], 3));
        assert_eq!(weights.at(5), (&[3.0, 4.0][..], 1));
    }
}
