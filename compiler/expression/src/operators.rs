//! The table of operators. Each operator is a file in `operators/` and a row here.

pub mod add_constant;
pub mod add_low_rank;
pub mod add_stacked;
pub mod blend;
pub mod cast;
pub mod concat;
pub mod decode;
pub mod encode;
pub mod half_split_heads;
pub mod literal;
pub mod load;
pub mod normalize_columns;
pub mod normalize_rows;
pub mod permute_heads;
pub mod quantize;
pub mod replace_rows;
pub mod reshape;
pub mod rotate;
pub mod scale;
pub mod scale_blocks;
pub mod scale_columns;
pub mod scale_rows;
pub mod slice;
pub mod stack;
pub mod transpose;

use crate::operators::blend::{deltas, linear, slerp};
use crate::parser::OperatorRow;

/// Every operator: its name and its parser.
pub static OPERATORS: &[OperatorRow] = &[
    load::ROW,
    decode::ROW,
    literal::ROW,
    add_low_rank::ROW,
    add_stacked::ROW,
    normalize_rows::ROW,
    normalize_columns::ROW,
    replace_rows::ROW,
    linear::ROW,
    slerp::ROW,
    deltas::ROW,
    add_constant::ROW,
    scale::ROW,
    scale_rows::ROW,
    scale_columns::ROW,
    scale_blocks::ROW,
    rotate::ROW,
    permute_heads::ROW,
    half_split_heads::ROW,
    transpose::ROW,
    stack::ROW,
    concat::ROW,
    slice::ROW,
    reshape::ROW,
    cast::ROW,
    quantize::ROW,
    encode::ROW,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, row) in OPERATORS.iter().enumerate() {
            let is_same = |other: &OperatorRow| other.name.word == row.name.word;
            assert!(!OPERATORS[..index].iter().any(is_same), "{}", row.name);
        }
    }
}
