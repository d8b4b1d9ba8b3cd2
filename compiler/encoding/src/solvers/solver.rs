//! Solvers: choose the code of each weight, and the scale and bias of each group.
//!
//! A solver works on one row at a time, so that rows can be encoded anywhere and in any order.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::codec::Importance;
use crate::grids::grid::Grid;

/// A way to choose codes, scales and biases.
pub struct Solver {
    /// Name, a word of an encoding's name.
    pub name: &'static str,
    /// Raised when the same rows may get other codes; part of every key of an encoded tensor.
    pub version: u32,
    /// Effect of importance weights on its choice.
    pub importance: Importance,
    /// Returns true if it supports this grid.
    pub accepts: fn(&Grid) -> bool,
    /// Fills in a row.
    pub solve: fn(&Grid, &Weights<'_>, &mut Solved),
}

/// A row of weights.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// The weights: whole groups, all finite.
    pub x: &'a [f32],
    /// One importance weight per column, at least zero, if any.
    pub importance: Option<&'a [f32]>,
    /// Type in which scales and biases are stored.
    pub scale_dtype: DType,
}

/// A row as codes. The packing rounds scales and biases to their type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solved {
    /// One code per weight.
    pub codes: Vec<i32>,
    /// One scale per group.
    pub scales: Vec<f32>,
    /// One bias per group; empty on a grid without biases.
    pub biases: Vec<f32>,
}

/// One group of a row, to fill in.
pub(crate) struct GroupMut<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) importance: Option<&'a [f32]>,
    pub(crate) codes: &'a mut [i32],
    pub(crate) scale: &'a mut f32,
    /// Unused if the grid has no bias.
    pub(crate) bias: &'a mut f32,
}

impl GroupMut<'_> {
    /// Sets scale, bias and the nearest codes.
    ///
    /// * `scaled`: a buffer of the same length
    pub(crate) fn set(&mut self, grid: &Grid, scale: f32, bias: f32, scaled: &mut [f32]) {
        (*self.scale, *self.bias) = (scale, bias);
        for (scaled, x) in scaled.iter_mut().zip(self.x) {
            *scaled = (x - bias) / scale;
        }
        (grid.nearest)(scaled, self.codes);
    }
}

impl Solved {
    /// Creates an empty row of this grid.
    pub fn new(grid: &Grid, n_cols: usize) -> Self {
        let n_groups = grid.n_groups(n_cols);
        let n_biases = if grid.has_bias { n_groups } else { 0 };
        Self { codes: vec![0; n_cols], scales: vec![0.0; n_groups], biases: vec![0.0; n_biases] }
    }

    /// Writes the numbers that the codes represent.
    ///
    /// # Panics
    /// If the lengths disagree.
    pub fn values(&self, grid: &Grid, out: &mut [f32]) {
        assert_eq!(self.codes.len(), out.len(), "codes of a row");
        let group_len = grid.group_len(out.len());
        if group_len == 0 {
            return;
        }
        (grid.levels)(&self.codes, out);
        for (group, out) in out.chunks_exact_mut(group_len).enumerate() {
            let (scale, bias) = (self.scales[group], self.biases.get(group).copied().unwrap_or(0.0));
            for level in out {
                *level = scale * *level + bias;
            }
        }
    }

    /// Calls a function for each group, to fill it in.
    pub(crate) fn each_group(
        &mut self,
        grid: &Grid,
        weights: &Weights<'_>,
        mut fill: impl FnMut(GroupMut<'_>),
    ) {
        let len = grid.group_len(weights.x.len());
        if len == 0 {
            return;
        }
        let groups = weights.x.chunks_exact(len).zip(self.codes.chunks_exact_mut(len));
        for (group, (x, codes)) in groups.enumerate() {
            let importance = weights.importance.map(|importance| &importance[group * len..][..len]);
            let mut unread = 0.0;
            let bias = self.biases.get_mut(group).unwrap_or(&mut unread);
            fill(GroupMut { x, importance, codes, scale: &mut self.scales[group], bias });
        }
    }
}

impl fmt::Display for Solver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl fmt::Debug for Solver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl PartialEq for Solver {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Solver {}
