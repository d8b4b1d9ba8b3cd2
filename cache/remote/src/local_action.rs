//! An action with its local digests: the input of every operation on results.

use mc_ir::action::{ActionNode, Content};
use mc_ir::output::Output;

/// An action with its local digests.
#[derive(Clone, Copy)]
pub struct LocalAction<'a> {
    /// The action.
    pub node: &'a ActionNode,
    /// The digests of its inputs.
    pub inputs: &'a [Output],
    /// The bytes of an input that is not a blob of the store, by its index.
    pub source: &'a dyn Fn(usize) -> Option<Content>,
}
