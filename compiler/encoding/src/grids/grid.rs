//! Grids: the possible values of the weights of one group.
//!
//! A weight is stored as a code; a group of weights shares a scale and, on some grids, a bias or a zero point:
//! `w ~= scale * level(code) + bias` or `w ~= scale * (level(code) - zero point)`. The solver chooses the codes; the packing turns codes, scales and biases into
//! bytes.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::grids::scales::{ScaleFormat, ScaleType};

/// The possible values of weights.
pub struct Grid {
    /// Name, such as `affine-4-g64`; the first part of an encoding's name.
    pub name: &'static str,
    /// Raised when the same codes may represent other numbers; part of every key of an encoded tensor.
    pub version: u32,
    /// Number of bits per code.
    pub bits: u32,
    /// Lowest and highest code.
    pub codes: (i32, i32),
    /// The weights that share a scale.
    pub group: Group,
    /// The number that a group has in addition to its scale.
    pub offset: Offset,
    /// Type in which scales are stored, and biases.
    pub scale_type: ScaleType,
    /// Writes the level of each code: the weight that it represents with a scale of 1 and a bias of 0.
    pub levels: fn(&[i32], &mut [f32]),
    /// Writes the code with the level nearest to each number, within [`Self::codes`]; of two equally near ones, the
    /// even one.
    pub nearest: fn(&[f32], &mut [i32]),
    /// The default solver of an encoding.
    pub solver: &'static str,
    /// The default packing of an encoding.
    pub packing: &'static str,
}

/// The weights that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// This many adjacent columns of a row.
    Columns(usize),
    /// A whole row, which is one output channel of a matrix.
    Row,
}

/// The number of a group that shifts its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// None: the level zero represents the weight zero.
    None,
    /// A float, added to each weight.
    Bias,
    /// A code, whose level is subtracted from each level. The levels of such grids are their codes.
    ZeroPoint,
}

impl Grid {
    /// Returns true if a row with this many columns is a whole number of groups.
    pub fn fits(&self, n_cols: usize) -> bool {
        match self.group {
            Group::Columns(len) => n_cols.is_multiple_of(len),
            Group::Row => n_cols.is_multiple_of(self.codes_per_byte()),
        }
    }

    /// Number of codes in a byte, for rows that are not divided into groups: a row occupies whole bytes.
    pub(crate) fn codes_per_byte(&self) -> usize {
        if self.bits <= 4 { 2 } else { 1 }
    }

    /// Number of weights in a group of a row.
    pub fn group_len(&self, n_cols: usize) -> usize {
        match self.group {
            Group::Columns(len) => len,
            Group::Row => n_cols,
        }
    }

    /// Number of groups in a row, which must be a whole number.
    pub fn n_groups(&self, n_cols: usize) -> usize {
        match self.group {
            Group::Columns(len) => n_cols / len,
            Group::Row => 1,
        }
    }

    /// Returns true if this is another grid that has the same levels and scales for other groups.
    pub(crate) fn differs_in_groups(&self, other: &Self) -> bool {
        let kind = |grid: &Self| (grid.bits, grid.codes, grid.offset, grid.scale_type, grid.packing);
        self != other && kind(self) == kind(other)
    }

    /// The highest level.
    pub fn top(&self) -> f32 {
        let mut level = [0.0];
        (self.levels)(&[self.codes.1], &mut level);
        level[0]
    }

    /// Format of the scales for weights of this type.
    pub fn scale_format(&self, weights: DType) -> ScaleFormat {
        match (self.scale_type, weights) {
            (ScaleType::Fixed(format), _) => format,
            (ScaleType::OfWeights, DType::F16 | DType::BF16) => ScaleFormat::Float(weights),
            (ScaleType::OfWeights, _) => ScaleFormat::Float(DType::F32),
            (ScaleType::PowerOfTwo, DType::F16) => ScaleFormat::PowerOfTwo(weights),
            (ScaleType::PowerOfTwo, _) => ScaleFormat::PowerOfTwo(DType::F32),
        }
    }

    /// Type of the elements of the plane of scales for weights of this type.
    pub fn scale_dtype(&self, weights: DType) -> DType {
        self.scale_format(weights).dtype()
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl fmt::Debug for Grid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl PartialEq for Grid {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Grid {}
