//! Encodings: a grid, a solver and a packing, which together define how a tensor is stored in planes.
//!
//! Its name is the name of the grid; a solver or packing other than the grid's default follows after a colon:
//! `affine-4-g64`, `affine-4-g64:weighted`, `int4-g32:least-error:signed-nibbles`.
//!
//! Rows are encoded independently, so a tensor is encoded in tiles of rows, in parallel. Block codecs of GGUF are not
//! encodings in this sense; [`crate::stored_form`] unites both.

use std::fmt;
use std::str::FromStr;

use mc_tensor::dtype::DType;

use crate::codec::Rows;
use crate::encoding_error::EncodingError;
use crate::grids::grid::Grid;
use crate::packings::packing::{Packing, PlaneRow};
use crate::plane::Plane;
use crate::solvers::solver::{Solved, Solver, Weights};
use crate::{grids, packings, solvers};

/// A way to store a tensor in planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The possible values of weights.
    pub grid: &'static Grid,
    /// The choice among the values.
    pub solver: &'static Solver,
    /// The layout in bytes.
    pub packing: &'static Packing,
}

impl Encoding {
    /// Joins a grid with a solver and a packing.
    ///
    /// # Errors
    /// [`EncodingError::Unsuited`] if the solver or the packing does not support the grid.
    pub fn new(
        grid: &'static Grid,
        solver: &'static Solver,
        packing: &'static Packing,
    ) -> Result<Self, EncodingError> {
        if !(solver.accepts)(grid) {
            let suited = solvers::SOLVERS.iter().filter(|solver| (solver.accepts)(grid));
            return Err(EncodingError::unsuited(
                "solver",
                solver.name,
                grid,
                suited.map(|solver| solver.name),
            ));
        }
        if !(packing.accepts)(grid) {
            let suited = packings::PACKINGS.iter().filter(|packing| (packing.accepts)(grid));
            let suited = suited.map(|packing| packing.name);
            return Err(EncodingError::unsuited("packing", packing.name, grid, suited));
        }
        Ok(Self { grid, solver, packing })
    }

    /// The planes of a tensor.
    ///
    /// * `shape`: slowest dimension first; a vector is one row
    /// * `weights`: type of the weights, which some grids also use for the scales
    ///
    /// # Errors
    /// [`EncodingError::Columns`] if rows are not whole groups, [`EncodingError::Shape`] if there are no columns or the
    /// number of elements overflows.
    pub fn planes(&self, shape: &[u64], weights: DType) -> Result<Vec<Plane>, EncodingError> {
        let (leading, n_cols) = match shape {
            [leading @ .., n_cols] if *n_cols > 0 => (leading, *n_cols),
            _ => return Err(EncodingError::Shape { shape: shape.to_vec() }),
        };
        let too_large = || EncodingError::Shape { shape: shape.to_vec() };
        let n_cols = usize::try_from(n_cols).map_err(|_| too_large())?;
        self.check_columns(n_cols)?;
        let n_rows = leading.iter().try_fold(1_u64, |rows, n| rows.checked_mul((*n).max(1)));
        let rows = (self.packing.planes)(self.grid, n_cols, self.grid.scale_format(weights));
        let plane = |row: PlaneRow| {
            n_rows?.checked_mul(row.n_bytes() as u64)?;
            let shape = leading.iter().copied().chain([row.n_cols as u64]).collect();
            Some(Plane { name: row.name, dtype: row.dtype, shape })
        };
        rows.into_iter().map(plane).collect::<Option<_>>().ok_or_else(too_large)
    }

    /// Names of the planes, which do not depend on the shape.
    pub fn plane_names(&self, weights: DType) -> Vec<&'static str> {
        let n_cols = self.grid.group_len(1);
        let rows = (self.packing.planes)(self.grid, n_cols, self.grid.scale_format(weights));
        rows.into_iter().map(|row| row.name).collect()
    }

    fn check_columns(&self, n_cols: usize) -> Result<(), EncodingError> {
        if self.grid.fits(n_cols) { Ok(()) } else { Err(EncodingError::columns(self.grid, n_cols)) }
    }

    /// Encodes rows independently and appends them to the bytes of each plane.
    ///
    /// * `rows`: all finite
    /// * `weights`: type of the weights
    /// * `planes`: one per plane of [`Self::planes`], in its order
    ///
    /// # Panics
    /// If rows are not whole groups, the number of planes is wrong, or the solver requires importance and it is
    /// missing: the caller checks planes and importance first.
    pub fn encode(&self, rows: &Rows<'_>, weights: DType, planes: &mut [Vec<u8>]) {
        assert!(self.check_columns(rows.n_cols).is_ok(), "rows are whole groups of `{}`", self.grid);
        let scales = self.grid.scale_format(weights);
        let plane_rows = (self.packing.planes)(self.grid, rows.n_cols, scales);
        assert_eq!(plane_rows.len(), planes.len(), "planes of `{self}`");
        let mut solved = Solved::new(self.grid, rows.n_cols);
        for x in rows.x.chunks_exact(rows.n_cols) {
            let row = Weights { x, importance: rows.importance, scales };
            (self.solver.solve)(self.grid, &row, &mut solved);
            let grown = planes.iter_mut().zip(&plane_rows).map(|(plane, row)| grow(plane, row.n_bytes()));
            (self.packing.pack)(self.grid, &solved, scales, &mut grown.collect::<Vec<_>>());
        }
    }

    /// Decodes rows. Simple and slow: the reference for the meaning of the planes.
    ///
    /// * `planes`: the bytes of whole rows of each plane, in the order of [`Self::planes`]
    /// * `weights`: type of the weights
    /// * `out`: the same number of rows of `n_cols`
    ///
    /// # Errors
    /// [`EncodingError`] if rows are not whole groups, or the size of a plane does not match that number of rows.
    pub fn decode(
        &self,
        planes: &[&[u8]],
        n_cols: usize,
        weights: DType,
        out: &mut [f32],
    ) -> Result<(), EncodingError> {
        if n_cols == 0 || !out.len().is_multiple_of(n_cols) {
            return Err(EncodingError::Shape { shape: vec![out.len() as u64, n_cols as u64] });
        }
        self.check_columns(n_cols)?;
        let scales = self.grid.scale_format(weights);
        let plane_rows = (self.packing.planes)(self.grid, n_cols, scales);
        check_bytes(planes, &plane_rows, out.len() / n_cols)?;
        let mut solved = Solved::new(self.grid, n_cols);
        for (row, out) in out.chunks_exact_mut(n_cols).enumerate() {
            let of_row = planes.iter().zip(&plane_rows).map(|(plane, of_plane)| {
                let n_bytes = of_plane.n_bytes();
                &plane[row * n_bytes..][..n_bytes]
            });
            (self.packing.unpack)(self.grid, &of_row.collect::<Vec<_>>(), scales, &mut solved);
            solved.values(self.grid, out);
        }
        Ok(())
    }
}

/// Extends a plane by this many bytes and returns them.
fn grow(plane: &mut Vec<u8>, n_bytes: usize) -> &mut [u8] {
    let start = plane.len();
    plane.resize(start + n_bytes, 0);
    &mut plane[start..]
}

/// Checks that each plane has this many rows.
fn check_bytes(planes: &[&[u8]], rows: &[PlaneRow], n_rows: usize) -> Result<(), EncodingError> {
    for (index, row) in rows.iter().enumerate() {
        let expected = (n_rows as u64).saturating_mul(row.n_bytes() as u64);
        let found = planes.get(index).map_or(0, |plane| plane.len() as u64);
        if expected != found {
            return Err(EncodingError::PlaneBytes { plane: row.name, expected, found });
        }
    }
    Ok(())
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.grid.name)?;
        let solver = Some(self.solver.name).filter(|name| *name != self.grid.solver);
        let packing = Some(self.packing.name).filter(|name| *name != self.grid.packing);
        solver.into_iter().chain(packing).try_for_each(|name| write!(formatter, ":{name}"))
    }
}

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        let mut words = text.split(':').peekable();
        let name = words.next().unwrap_or_default();
        let grid =
            grids::by_name(name).ok_or_else(|| EncodingError::unknown("grid", name, grids::names()))?;
        let solver = words.next_if(|word| solvers::by_name(word).is_some()).unwrap_or(grid.solver);
        let packing = words.next_if(|word| packings::by_name(word).is_some()).unwrap_or(grid.packing);
        if let Some(word) = words.next() {
            return Err(EncodingError::unknown("solver or packing", word, names_of_parts()));
        }
        // The solver and packing of every grid exist; a test checks this.
        let unknown = |part, name| EncodingError::unknown(part, name, names_of_parts());
        let solver = solvers::by_name(solver).ok_or_else(|| unknown("solver", solver))?;
        let packing = packings::by_name(packing).ok_or_else(|| unknown("packing", packing))?;
        Self::new(grid, solver, packing)
    }
}

fn names_of_parts() -> Vec<&'static str> {
    let solvers = solvers::SOLVERS.iter().map(|solver| solver.name);
    solvers.chain(packings::PACKINGS.iter().map(|packing| packing.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grid_names_an_encoding() {
        for grid in grids::all() {
            let encoding: Encoding = grid.name.parse().unwrap();
            assert_eq!((encoding.grid, encoding.to_string().as_str()), (grid, grid.name));
        }
    }

    #[test]
    fn names_contain_only_differences_from_the_grid() {
        for name in
            ["affine-4-g64:weighted", "int4-g32:signed-nibbles", "int4-g32:least-error:signed-nibbles"]
        {
            assert_eq!(name.parse::<Encoding>().unwrap().to_string(), name);
        }
        for (name, short) in
            [("affine-4-g64:nearest:mlx", "affine-4-g64"), ("int8-channel:absmax", "int8-channel")]
        {
            assert_eq!(name.parse::<Encoding>().unwrap().to_string(), short);
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let refusal = |name: &str| name.parse::<Encoding>().unwrap_err().to_string();
        assert!(
            refusal("affine-7-g64")
                .starts_with("`affine-7-g64` is not a grid; expected one of `affine-2-g32`, ")
        );
        assert!(refusal("").starts_with("`` is not a grid"));
        let words = "`nearest`, `absmax`, `least-error`, `weighted`, `mlx`, ";
        for name in ["int4-g32:", "int4-g32:best", "int4-g32:signed-nibbles:absmax", "int4-g32:absmax:absmax"]
        {
            let refusal = refusal(name);
            assert!(refusal.contains("is not a solver or packing") && refusal.contains(words), "{refusal}");
        }
        assert_eq!(
            refusal("int4-g32:nearest"),
            "The solver `nearest` does not work on the grid `int4-g32`; expected one of `absmax`, `least-error`, `weighted`"
        );
        assert_eq!(
            refusal("int4-g32:mlx"),
            "The packing `mlx` does not work on the grid `int4-g32`; expected one of `offset-nibbles`, \
             `signed-nibbles`, `signed-bytes`"
        );
    }

    #[test]
    fn words_of_solvers_and_packings_differ() {
        for packing in packings::PACKINGS {
            assert!(solvers::by_name(packing.name).is_none(), "{packing}");
        }
    }

    #[test]
    fn planes_have_the_rows_of_the_tensor() {
        let planes = |name: &str, shape: &[u64]| {
            let planes = name.parse::<Encoding>().unwrap().planes(shape, DType::BF16).unwrap();
            planes.into_iter().map(|plane| (plane.name, plane.dtype, plane.shape)).collect::<Vec<_>>()
        };
        assert_eq!(
            planes("affine-3-g64", &[2, 5, 128]),
            [
                ("weight", DType::U32, vec![2, 5, 12]),
                ("scales", DType::BF16, vec![2, 5, 2]),
                ("biases", DType::BF16, vec![2, 5, 2]),
            ]
        );
        assert_eq!(
            planes("int4-g32", &[5, 64]),
            [("weight", DType::U8, vec![5, 32]), ("scales", DType::F16, vec![5, 2])]
        );
        assert_eq!(
            planes("int8-channel", &[7]),
            [("weight", DType::I8, vec![7]), ("scales", DType::F32, vec![1])]
        );
        assert_eq!(
            planes("uint4-g32", &[5, 96]),
            [
                ("weight", DType::U8, vec![5, 48]),
                ("scales", DType::F16, vec![5, 3]),
                ("zero-points", DType::U8, vec![5, 2]),
            ]
        );
        assert_eq!(
            planes("nvfp4", &[5, 48]),
            [("weight", DType::U32, vec![5, 6]), ("scales", DType::U8, vec![5, 3])]
        );
    }

    #[test]
    fn rows_that_are_not_whole_groups_are_refused_with_the_grids_that_fit() {
        let refusal = |name: &str, shape: &[u64]| {
            name.parse::<Encoding>().unwrap().planes(shape, DType::F32).unwrap_err().to_string()
        };
        assert_eq!(
            refusal("affine-4-g128", &[3, 96]),
            "Rows of 96 columns are not whole groups of 128, which the grid `affine-4-g128` needs; these fit: \
             `affine-4-g32`"
        );
        assert!(refusal("int4-g64", &[3, 32]).ends_with("these fit: `int4-g16`, `int4-g32`"));
        assert!(refusal("affine-4-g128", &[3, 33]).ends_with("no other grid of its kind fits"));
        assert!(
            refusal("int4-channel", &[3, 33]).starts_with("Rows of 33 columns are not whole groups of 2, ")
        );
        for shape in [&[][..], &[4, 0], &[u64::MAX, 64], &[u64::MAX, u64::MAX, 64]] {
            assert!(refusal("affine-4-g64", shape).contains("has no columns, or too many bytes"));
        }
    }

    #[test]
    fn planes_of_other_lengths_are_refused() {
        let encoding: Encoding = "int4-g32".parse().unwrap();
        let mut out = [0.0; 64];
        let decode = |planes: &[&[u8]], out: &mut [f32]| encoding.decode(planes, 32, DType::F32, out);
        assert_eq!(decode(&[&[0x88; 32], &[0; 4]], &mut out), Ok(()));
        assert_eq!(out, [0.0; 64]);
        for planes in [&[&[0_u8; 32][..]][..], &[&[0; 31], &[0; 4]], &[&[0; 32], &[0; 6]], &[]] {
            assert!(matches!(decode(planes, &mut out), Err(EncodingError::PlaneBytes { .. })));
        }
        assert!(encoding.decode(&[], 33, DType::F32, &mut [0.0; 33]).is_err());
        assert!(encoding.decode(&[], 0, DType::F32, &mut []).is_err());
    }
}
