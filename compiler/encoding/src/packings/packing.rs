//! Packings: turn codes, scales and biases into named planes of bytes.
//!
//! A plane has one row per row of the tensor, so all planes are written together, row by row.

use std::fmt;

use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::grids::grid::Grid;
use crate::solvers::solver::Solved;

/// A layout of codes, scales and biases in planes.
pub struct Packing {
    /// Name, a word of an encoding's name.
    pub name: &'static str,
    /// Raised when the same codes may become other bytes; part of every key of an encoded tensor.
    pub version: u32,
    /// Returns true if it can store everything that the grid has.
    pub accepts: fn(&Grid) -> bool,
    /// The planes of a tensor with this number of columns and this type of scales.
    pub planes: fn(&Grid, usize, DType) -> Vec<PlaneRow>,
    /// Writes a row into a row of each plane.
    pub pack: fn(&Grid, &Solved, DType, &mut [&mut [u8]]),
    /// Reads a row from a row of each plane. Accepts any bytes, even those that no encoder writes.
    pub unpack: fn(&Grid, &[&[u8]], DType, &mut Solved),
}

/// A row of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneRow {
    /// Name of the plane.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Number of elements in a row.
    pub n_cols: usize,
}

impl PlaneRow {
    /// Number of bytes in a row.
    pub fn n_bytes(&self) -> usize {
        self.n_cols * self.dtype.n_bytes()
    }
}

/// The planes of most packings: codes, scales and, if the grid has them, biases.
pub(crate) fn planes(codes: PlaneRow, grid: &Grid, n_cols: usize, scales: DType) -> Vec<PlaneRow> {
    let of_groups = |name| PlaneRow { name, dtype: scales, n_cols: grid.n_groups(n_cols) };
    let mut planes = vec![codes, of_groups("scales")];
    if grid.has_bias {
        planes.push(of_groups("biases"));
    }
    planes
}

/// Writes scales and biases into the rows of [`planes`] after the first.
pub(crate) fn pack_scales(row: &Solved, dtype: DType, planes: &mut [&mut [u8]]) {
    convert::from_f32(dtype, &row.scales, planes[1]);
    if let Some(biases) = planes.get_mut(2) {
        convert::from_f32(dtype, &row.biases, biases);
    }
}

/// Reads scales and biases from the rows of [`planes`] after the first.
pub(crate) fn unpack_scales(planes: &[&[u8]], dtype: DType, row: &mut Solved) {
    convert::to_f32(dtype, planes[1], &mut row.scales);
    if let Some(biases) = planes.get(2) {
        convert::to_f32(dtype, biases, &mut row.biases);
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl PartialEq for Packing {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Packing {}
