//! An action as this machine knows it, which is what all questions about results begin with.

use mc_ir::action::{ActionNode, Content};
use mc_ir::output::Output;

/// An action as this machine knows it.
#[derive(Clone, Copy)]
pub struct LocalAction<'a> {
    /// The action.
    pub node: &'a ActionNode,
    /// The digests of its inputs.
    pub inputs: &'a [Output],
    /// The bytes of an input that is no blob of the store, by its number.
    pub source: &'a dyn Fn(usize) -> Option<Content>,
}
