//! The canonical form of numbers in the text of expressions.
//!
//! The text is part of keys, so nothing in it may come from `Debug`, whose format may change.

use std::fmt::{self, Display, Formatter};

/// Numbers in brackets: `[4, 8]`.
pub(crate) struct Numbers<'a>(pub(crate) &'a [u64]);

/// A float as the 8 hex digits of its bits; a decimal form would need an exact round trip.
pub(crate) struct Float(pub(crate) f32);

/// Parts separated by `, `.
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl Display for Numbers<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}]", List(self.0))
    }
}

impl Display for Float {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", self.0.to_bits())
    }
}

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            write!(formatter, "{}{part}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_numbers_never_changes() {
        for numbers in [&[][..], &[7], &[4, 8], &[0, u64::MAX, 1]] {
            assert_eq!(Numbers(numbers).to_string(), format!("{numbers:?}"));
        }
        assert_eq!(Float(2.0).to_string(), "40000000");
        assert_eq!(Float(0.0).to_string(), "00000000");
    }
}
