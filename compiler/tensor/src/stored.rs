//! The way in which a checkpoint stores the numbers of a tensor.

/// The numbers of a checkpoint's tensor, compared with those that the model computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// The same.
    #[default]
    AsUsed,
    /// Each is 1 less: weights of norms that are trained around 0.
    LessOne,
}
