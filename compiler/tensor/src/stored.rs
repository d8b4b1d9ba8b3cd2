//! The way in which a checkpoint stores the numbers of a tensor.

/// The numbers in a checkpoint, compared with those used in the computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// They are the same.
    #[default]
    AsUsed,
    /// Each is 1 less: weights of norms that are trained around 0.
    LessOne,
}
