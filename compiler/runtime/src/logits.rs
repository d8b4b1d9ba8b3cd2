//! The result of a forward pass: one row of scores over the vocabulary per position.

use std::ops::Range;

/// The positions of a batch whose logits are needed. The head is the widest product, so fewer positions are faster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogitPositions {
    /// Every position.
    All,
    /// The last one.
    Last,
    /// A range, counted from the batch's first token and limited to the batch.
    Range(Range<usize>),
}

impl LogitPositions {
    /// The range of rows in a batch of `n_tokens`.
    pub(crate) fn range(&self, n_tokens: usize) -> Range<usize> {
        match self {
            Self::All => 0..n_tokens,
            Self::Last => n_tokens - 1..n_tokens,
            Self::Range(range) => range.start.min(n_tokens)..range.end.min(n_tokens),
        }
    }
}

/// Scores over the vocabulary, unnormalized.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    n_vocab: usize,
    values: Vec<f32>,
}

impl Logits {
    /// Wraps rows of `n_vocab` scores.
    pub(crate) fn new(n_vocab: usize, values: Vec<f32>) -> Self {
        Self { n_vocab, values }
    }

    /// Size of the vocabulary.
    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Number of positions with logits.
    pub fn n_rows(&self) -> usize {
        self.values.len() / self.n_vocab
    }

    /// The scores of one position, counted from the first requested one.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_vocab..][..self.n_vocab]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.n_vocab)
    }

    /// All scores, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
