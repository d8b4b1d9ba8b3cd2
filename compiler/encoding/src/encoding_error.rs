//! The reasons why a tensor is not stored in an encoding.

use crate::grids;
use crate::grids::grid::Grid;

/// A name says nothing, or a tensor does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// A word of a name is unknown.
    #[error("`{found}` is not a {part}; expected one of {}", quoted(known))]
    Unknown {
        /// The kind of word that belongs there.
        part: &'static str,
        /// The word.
        found: String,
        /// The words that there are.
        known: Vec<&'static str>,
    },
    /// A solver or a packing has no use for a grid.
    #[error("The {part} `{name}` does not work on the grid `{grid}`; expected one of {}", quoted(suited))]
    Unsuited {
        /// `solver` or `packing`.
        part: &'static str,
        /// Its name.
        name: &'static str,
        /// The grid's name.
        grid: &'static str,
        /// Those that work on it.
        suited: Vec<&'static str>,
    },
    /// A row is not a whole number of groups.
    #[error(
        "Rows of {n_cols} columns are not whole groups of {group_len}, as the grid `{grid}` needs them; of {bits} bits \
         {}",
        those_that_fit(choices)
    )]
    Columns {
        /// Columns of the tensor.
        n_cols: usize,
        /// Columns of a group.
        group_len: usize,
        /// The grid's name.
        grid: &'static str,
        /// Bits of its codes.
        bits: u32,
        /// The grids of as many bits whose groups divide the row.
        choices: Vec<&'static str>,
    },
    /// A row is not a whole number of a codec's blocks.
    #[error(
        "Rows of {n_cols} columns are not whole blocks of {block_len}, as the codec `{codec}` needs them"
    )]
    Blocks {
        /// Columns of the tensor.
        n_cols: u64,
        /// Columns of a block.
        block_len: usize,
        /// The codec's name.
        codec: &'static str,
    },
    /// A tensor has no columns, or more than can be counted.
    #[error("A tensor of shape {} has no columns, or more bytes than can be counted", bracketed(shape))]
    Shape {
        /// The shape.
        shape: Vec<u64>,
    },
    /// A plane has not the bytes that its shape says.
    #[error("The plane `{plane}` has {found} bytes; expected {expected}")]
    PlaneBytes {
        /// The plane's name.
        plane: &'static str,
        /// Bytes of its shape.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
}

impl EncodingError {
    pub(crate) fn unknown(part: &'static str, found: &str, known: Vec<&'static str>) -> Self {
        Self::Unknown { part, found: found.to_owned(), known }
    }

    pub(crate) fn unsuited(
        part: &'static str,
        name: &'static str,
        grid: &Grid,
        suited: impl Iterator<Item = &'static str>,
    ) -> Self {
        Self::Unsuited { part, name, grid: grid.name, suited: suited.collect() }
    }

    pub(crate) fn columns(grid: &Grid, n_cols: usize) -> Self {
        let fits = |other: &&Grid| other.bits == grid.bits && other.fits(n_cols);
        let choices = grids::all().filter(fits).map(|grid| grid.name).collect();
        let (group_len, bits) = (grid.group_len(n_cols), grid.bits);
        Self::Columns { n_cols, group_len, grid: grid.name, bits, choices }
    }
}

fn quoted(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}

fn those_that_fit(choices: &[&str]) -> String {
    if choices.is_empty() { "no grid fits".to_owned() } else { format!("these fit: {}", quoted(choices)) }
}

fn bracketed(shape: &[u64]) -> String {
    let numbers: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("[{}]", numbers.join(", "))
}
