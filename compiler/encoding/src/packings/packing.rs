//! Packings: turn codes, scales and biases into named planes of bytes.
//!
//! A plane has one row per row of the tensor, so all planes are written together, row by row.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Offset};
use crate::grids::scales::ScaleFormat;
use crate::solvers::solver::Solved;

/// A layout of codes, scales and biases in planes.
pub struct Packing {
    /// Name, a word of an encoding's name.
    pub name: &'static str,
    /// Raised when the same codes may become other bytes; part of every key of an encoded tensor.
    pub version: u32,
    /// Returns true if it can store everything that the grid has.
    pub accepts: fn(&Grid) -> bool,
    /// The planes of a tensor with this number of columns and this format of scales.
    pub planes: fn(&Grid, usize, ScaleFormat) -> Vec<PlaneRow>,
    /// Writes a row into a row of each plane.
    pub pack: fn(&Grid, &Solved, ScaleFormat, &mut [&mut [u8]]),
    /// Reads a row from a row of each plane. Accepts any bytes, even those that no encoder writes.
    pub unpack: fn(&Grid, &[&[u8]], ScaleFormat, &mut Solved),
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

/// The planes of most packings: codes, scales and, if the grid has them, biases or zero points.
pub(crate) fn planes(codes: PlaneRow, grid: &Grid, n_cols: usize, scales: ScaleFormat) -> Vec<PlaneRow> {
    let n_groups = grid.n_groups(n_cols);
    let of_groups = |name| PlaneRow { name, dtype: scales.dtype(), n_cols: n_groups };
    let mut planes = vec![codes, of_groups("scales")];
    match grid.offset {
        Offset::None => {}
        Offset::Bias => planes.push(of_groups("biases")),
        Offset::ZeroPoint => {
            let n_bytes = n_groups.div_ceil(grid.codes_per_byte());
            planes.push(PlaneRow { name: "zero-points", dtype: DType::U8, n_cols: n_bytes });
        }
    }
    planes
}

/// Writes scales, biases and zero points into the rows of [`planes`] after the first. Zero points of four bits share
/// bytes, the first in the lower half; an odd last one has zeros above it.
pub(crate) fn pack_groups(grid: &Grid, row: &Solved, scales: ScaleFormat, planes: &mut [&mut [u8]]) {
    scales.write(&row.scales, planes[1]);
    match grid.offset {
        Offset::None => {}
        Offset::Bias => scales.write(&row.biases, planes[2]),
        Offset::ZeroPoint => {
            let shared = row.zero_points.chunks(grid.codes_per_byte());
            for (byte, points) in planes[2].iter_mut().zip(shared) {
                *byte = points.iter().rev().fold(0, |byte, point| byte << 4 | *point as u8);
            }
        }
    }
}

/// Reads scales, biases and zero points from the rows of [`planes`] after the first.
pub(crate) fn unpack_groups(grid: &Grid, planes: &[&[u8]], scales: ScaleFormat, row: &mut Solved) {
    scales.read(planes[1], &mut row.scales);
    match grid.offset {
        Offset::None => {}
        Offset::Bias => scales.read(planes[2], &mut row.biases),
        Offset::ZeroPoint => {
            let mask = ((1_u32 << grid.bits) - 1) as u8;
            let shared = row.zero_points.chunks_mut(grid.codes_per_byte());
            for (points, byte) in shared.zip(planes[2]) {
                for (index, point) in points.iter_mut().enumerate() {
                    *point = i32::from(byte >> (4 * index) & mask);
                }
            }
        }
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
