//! Weights of 8-bit floats: each is read together with its separately stored scales.

use mc_expression::expression::TensorExpr;
use mc_expression::operators::load::Load;
use mc_expression::operators::scale_blocks::ScaleBlocks;
use mc_family::config::quantization::StoredScales;
use mc_ir::action::Input;

use crate::source::weights::StoredTensor;

/// Returns the weight in f32, as an expression over its bytes and those of its scales.
///
/// # Errors
/// A message if the scales do not fit the weight.
pub(crate) fn scaled(
    weight: &StoredTensor,
    scales: &StoredTensor,
    stored: StoredScales,
) -> Result<(TensorExpr, Vec<Input>), String> {
    let [n_rows, n_cols] = weight.shape[..] else {
        return Err(format!(
            "Tensor `{}` has type {} and shape {:?}; expected a matrix",
            weight.name, weight.dtype, weight.shape
        ));
    };
    if !scales.dtype.is_weight() {
        return Err(format!("Tensor `{}` has type {}; expected F32, F16 or BF16", scales.name, scales.dtype));
    }
    let block = match (scales.shape.as_slice(), stored.block) {
        ([] | [1] | [1, 1], None) => [n_rows, n_cols],
        ([rows] | [rows, 1], None) if *rows == n_rows => [1, n_cols],
        ([rows, cols], Some(block))
            if *rows == n_rows.div_ceil(block[0]) && *cols == n_cols.div_ceil(block[1]) =>
        {
            block
        }
        (shape, block) => {
            let expected = block.map_or_else(
                || format!("one scale, or one for each of {n_rows} rows"),
                |[rows, cols]| format!("one scale for each block of {rows} rows and {cols} columns"),
            );
            return Err(format!(
                "Tensor `{}` has shape {shape:?}; expected {expected} of `{}`, which has shape {:?}",
                scales.name, weight.name, weight.shape
            ));
        }
    };
    let load = |input: usize, tensor: &StoredTensor| {
        TensorExpr::new(Load { input, dtype: tensor.dtype, shape: tensor.shape.clone() })
    };
    let expression = ScaleBlocks { of: load(0, weight), scales: load(1, scales), block };
    Ok((
        TensorExpr::new(expression),
        vec![Input::Source(weight.source.clone()), Input::Source(scales.source.clone())],
    ))
}
