//! Weights as the file stores them, for the nodes that read them.

use crate::element_type::ElementType;

/// A weight as the file stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Its name without the suffix of a plane.
    pub(crate) name: String,
    /// Its shape before it was encoded.
    pub(crate) shape: Vec<u64>,
    /// Its form.
    pub(crate) form: WeightForm,
}

/// The form of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightForm {
    /// Floats.
    Floats(ElementType),
    /// Codes in blocks of adjacent columns, with a scale for each block.
    Blocks(BlockForm),
}

/// Codes in blocks of adjacent columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockForm {
    /// Number of bits of a code.
    pub(crate) bits: u32,
    /// Number of columns of a block.
    pub(crate) len: u64,
    /// True if each block has a zero point.
    pub(crate) has_zero_points: bool,
    /// Type of the scales.
    pub(crate) scales: ElementType,
}
