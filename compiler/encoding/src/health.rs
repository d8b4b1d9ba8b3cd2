//! Checks a row before encoding: a block codec would turn a NaN into blocks that look normal.

/// The first number that is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonFinite {
    /// NaN or an infinity.
    pub value: f32,
    /// Row, relative to the given rows.
    pub row: usize,
    /// Column.
    pub col: usize,
}

/// Checks for a NaN or an infinity.
///
/// # Errors
/// The first one, in row-major order.
pub fn check_finite(rows: &[f32], n_cols: usize) -> Result<(), NonFinite> {
    // The exponents are combined first, without a branch per element, because nearly every chunk is clean.
    for (chunk_idx, chunk) in rows.chunks(256).enumerate() {
        let is_clean =
            chunk.iter().fold(true, |clean, value| clean & (value.to_bits() & 0x7f80_0000 != 0x7f80_0000));
        if !is_clean {
            let offset = chunk.iter().position(|value| !value.is_finite()).unwrap_or(0);
            let index = chunk_idx * 256 + offset;
            return Err(NonFinite {
                value: rows[index],
                row: index / n_cols.max(1),
                col: index % n_cols.max(1),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_number_is_found_at_any_position() {
        let mut rows = vec![1.0_f32; 700];
        assert_eq!(check_finite(&rows, 100), Ok(()));
        rows[699] = f32::NEG_INFINITY;
        rows[555] = f32::INFINITY;
        assert_eq!(check_finite(&rows, 100), Err(NonFinite { value: f32::INFINITY, row: 5, col: 55 }));
        rows[0] = f32::NAN;
        let found = check_finite(&rows, 100).unwrap_err();
        assert_eq!((found.row, found.col), (0, 0));
    }
}
