//! Reasons why a tensor cannot be stored in an encoding.

use crate::grids;
use crate::grids::grid::{Grid, Group};

/// A name is unknown, or a tensor does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// A word in a name is unknown.
    #[error("`{found}` is not a {part}; expected one of {}", quoted(known))]
    Unknown {
        /// The expected kind of word.
        part: &'static str,
        /// The word.
        found: String,
        /// The known words.
        known: Vec<&'static str>,
    },
    /// A solver or a packing does not support a grid.
    #[error("The {part} `{name}` does not work on the grid `{grid}`; expected one of {}", quoted(suited))]
    Unsuited {
        /// `solver` or `packing`.
        part: &'static str,
        /// Its name.
        name: &'static str,
        /// The grid's name.
        grid: &'static str,
        /// Those that support it.
        suited: Vec<&'static str>,
    },
    /// A row is not a whole number of groups.
    #[error(
        "Rows of {n_cols} columns are not whole groups of {group_len}, which the grid `{grid}` needs; {}",
        those_that_fit(choices)
    )]
    Columns {
        /// Number of columns of the tensor.
        n_cols: usize,
        /// Number of columns per group.
        group_len: usize,
        /// The grid's name.
        grid: &'static str,
        /// The grids that differ from it only in groups, which divide the row.
        choices: Vec<&'static str>,
    },
    /// A row is not a whole number of a codec's blocks.
    #[error("Rows of {n_cols} columns are not whole blocks of {block_len}, which the codec `{codec}` needs")]
    Blocks {
        /// Number of columns of the tensor.
        n_cols: u64,
        /// Number of columns per block.
        block_len: usize,
        /// The codec's name.
        codec: &'static str,
    },
    /// A tensor has no columns, or its size overflows.
    #[error("A tensor of shape {} has no columns, or too many bytes", bracketed(shape))]
    Shape {
        /// The shape.
        shape: Vec<u64>,
    },
    /// The size of a plane does not match its shape.
    #[error("The plane `{plane}` has {found} bytes; expected {expected}")]
    PlaneBytes {
        /// The plane's name.
        plane: &'static str,
        /// Expected size in bytes.
        expected: u64,
        /// Found size in bytes.
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
        let choices = grids::all().filter(|other| other.differs_in_groups(grid) && other.fits(n_cols));
        let group_len = match grid.group {
            Group::Columns(len) => len,
            Group::Row => grid.codes_per_byte(),
        };
        let choices = choices.map(|grid| grid.name).collect();
        Self::Columns { n_cols, group_len, grid: grid.name, choices }
    }
}

fn quoted(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}

fn those_that_fit(choices: &[&str]) -> String {
    if choices.is_empty() {
        "no other grid of its kind fits".to_owned()
    } else {
        format!("these fit: {}", quoted(choices))
    }
}

fn bracketed(shape: &[u64]) -> String {
    let numbers: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("[{}]", numbers.join(", "))
}
