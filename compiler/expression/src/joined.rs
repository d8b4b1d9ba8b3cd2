//! The rows of several tensors, one after another; used by stacks and concatenations.

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::rows::{RowParts, Rows};

/// Tensors whose rows are interleaved in turns: each turn has some rows of the first tensor, then of the second, and so
/// on.
pub(crate) struct Joined {
    parts: Vec<Part>,
    /// Number of rows per turn.
    n_turn: u64,
    has_stretches: bool,
}

struct Part {
    of: Evaluator,
    /// The part's first row within a turn.
    start: u64,
    /// Number of its rows per turn.
    n_rows: u64,
}

/// Consecutive rows of one part.
struct Run<'a> {
    part: &'a Part,
    first: u64,
    n_rows: u64,
}

impl Joined {
    /// Joins tensors with equal columns in `n_turns` turns.
    pub(crate) fn new(parts: Vec<Evaluator>, n_turns: u64) -> Self {
        let has_stretches = parts.iter().all(Evaluator::has_stretches);
        let mut n_turn = 0;
        let place = |of: Evaluator| {
            let (start, n_rows) = (n_turn, of.n_rows() / n_turns.max(1));
            n_turn += n_rows;
            Part { of, start, n_rows }
        };
        let parts = parts.into_iter().map(place).collect();
        Self { parts, n_turn, has_stretches }
    }

    /// The part that contains a row, the row's number in it, and the number of rows up to the part's end in this turn.
    fn run_at(&self, row: u64, n_at_most: u64) -> Run<'_> {
        let (turn, within) = (row / self.n_turn, row % self.n_turn);
        // The last part that starts at or before the row; parts without rows start where the next one does.
        let index = self.parts.partition_point(|part| part.start <= within) - 1;
        let part = &self.parts[index];
        let offset = within - part.start;
        Run { part, first: turn * part.n_rows + offset, n_rows: (part.n_rows - offset).min(n_at_most) }
    }

    fn runs(&self, first: u64, n_rows: u64) -> impl Iterator<Item = Run<'_>> {
        let end = first + n_rows;
        let mut row = first;
        std::iter::from_fn(move || {
            let run = (row < end).then(|| self.run_at(row, end - row))?;
            row += run.n_rows;
            Some(run)
        })
    }
}

impl Rows for Joined {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let mut rest = out;
        for run in self.runs(first, (rest.len() / n_cols) as u64) {
            let (of_part, behind) = rest.split_at_mut(run.n_rows as usize * n_cols);
            run.part.of.rows(run.first, of_part)?;
            rest = behind;
        }
        Ok(())
    }

    fn stored_rows(
        &self,
        first: u64,
        n_rows: u64,
        _n_cols: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EvaluationError> {
        self.runs(first, n_rows)
            .try_for_each(|run| run.part.of.append_stored_rows(run.first, run.n_rows, out))
    }

    fn as_stretches(&self) -> Option<&dyn RowParts> {
        self.has_stretches.then_some(self)
    }
}

impl RowParts for Joined {
    fn stretch(
        &self,
        row: u64,
        first_col: usize,
        _n_cols: usize,
        out: &mut [f32],
    ) -> Result<(), EvaluationError> {
        let run = self.run_at(row, 1);
        run.part.of.stretch(run.first, first_col, out)
    }
}
