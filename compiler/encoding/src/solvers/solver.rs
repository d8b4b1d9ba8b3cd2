//! Solvers: choose the code of each weight, and the scale and bias of each group.
//!
//! A solver works on one row at a time, so that rows can be encoded anywhere and in any order.

use std::fmt;

use crate::codec::Importance;
use crate::grids::grid::{Grid, Offset};
use crate::grids::scales::ScaleFormat;

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
    /// Format in which scales and biases are stored.
    pub scales: ScaleFormat,
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
    /// One zero point per group, a code; empty on a grid without zero points.
    pub zero_points: Vec<i32>,
}

/// One group of a row, to fill in.
pub(crate) struct GroupMut<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) importance: Option<&'a [f32]>,
    pub(crate) codes: &'a mut [i32],
    pub(crate) scale: &'a mut f32,
    /// Unused if the grid has no bias.
    pub(crate) bias: &'a mut f32,
    /// Unused if the grid has no zero point.
    pub(crate) zero_point: &'a mut i32,
}

/// Scale, bias and zero point of a group: `w ~= scale * (level - zero point) + bias`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) scale: f32,
    /// Zero if the grid has none.
    pub(crate) bias: f32,
    /// Zero if the grid has none.
    pub(crate) zero_point: f32,
}

impl Line {
    /// Without a bias and zero point.
    pub(crate) fn through_zero(scale: f32) -> Self {
        Self { scale, bias: 0.0, zero_point: 0.0 }
    }

    /// Writes the nearest code of each weight.
    ///
    /// * `scaled`: a buffer of the same length
    #[inline(always)]
    pub(crate) fn round(self, grid: &Grid, x: &[f32], scaled: &mut [f32], codes: &mut [i32]) {
        if self.scale == 0.0 {
            codes.fill(0);
            return;
        }
        for (scaled, x) in scaled.iter_mut().zip(x) {
            *scaled = (x - self.bias) / self.scale;
        }
        // Adding zero would lose the sign of minus zero, which is a code of some grids.
        if self.zero_point != 0.0 {
            scaled.iter_mut().for_each(|scaled| *scaled += self.zero_point);
        }
        (grid.nearest)(scaled, codes);
    }
}

impl GroupMut<'_> {
    /// Sets scale, bias, zero point and the nearest codes.
    ///
    /// * `scaled`: a buffer of the same length
    pub(crate) fn set(&mut self, grid: &Grid, line: Line, scaled: &mut [f32]) {
        self.set_line(line);
        line.round(grid, self.x, scaled, self.codes);
    }

    /// Sets scale, bias and zero point, not the codes.
    pub(crate) fn set_line(&mut self, line: Line) {
        (*self.scale, *self.bias, *self.zero_point) = (line.scale, line.bias, line.zero_point as i32);
    }

    /// The scale, bias and zero point that are set.
    pub(crate) fn line(&self) -> Line {
        Line { scale: *self.scale, bias: *self.bias, zero_point: *self.zero_point as f32 }
    }
}

impl Solved {
    /// Creates an empty row of this grid.
    pub fn new(grid: &Grid, n_cols: usize) -> Self {
        let n_groups = grid.n_groups(n_cols);
        let n_if = |offset| if grid.offset == offset { n_groups } else { 0 };
        Self {
            codes: vec![0; n_cols],
            scales: vec![0.0; n_groups],
            biases: vec![0.0; n_if(Offset::Bias)],
            zero_points: vec![0; n_if(Offset::ZeroPoint)],
        }
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
            if let Some(zero_point) = self.zero_points.get(group) {
                out.iter_mut().for_each(|level| *level = scale * (*level - *zero_point as f32));
            } else {
                out.iter_mut().for_each(|level| *level = scale * *level + bias);
            }
        }
    }

    /// Calls a function for each group, to fill it in.
    #[inline(always)]
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
            let (mut no_bias, mut no_zero_point) = (0.0, 0);
            let bias = self.biases.get_mut(group).unwrap_or(&mut no_bias);
            let zero_point = self.zero_points.get_mut(group).unwrap_or(&mut no_zero_point);
            fill(GroupMut { x, importance, codes, scale: &mut self.scales[group], bias, zero_point });
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
