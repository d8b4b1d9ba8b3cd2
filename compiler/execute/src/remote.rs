//! What a build asks of the team's cache.
//!
//! Who answers is the caller's to say; here is only when: after the store on this machine had nothing, and when an
//! action has run.

use std::sync::Arc;

use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_store::attester::Attester;

/// The outputs that others have of an action, and who answers for them.
pub type Found = (Outputs, Option<Attester>);

/// Results of other machines.
pub trait RemoteResults: Sync {
    /// How many look-ups may wait for an answer at a time.
    fn n_askers(&self) -> usize;

    /// Whether the build cannot succeed any more, because it must not go on without whoever answers. Asked often; the
    /// caller says why, since steps that are given up for it are no failures.
    fn is_over(&self) -> bool;

    /// The outputs of an action; `None` when nobody has them. Every blob is in the store that the build works with, if
    /// only as a promise.
    ///
    /// * `inputs`: the digests of its inputs
    /// * `source`: the bytes of an input that is a source file, by its number
    ///
    /// # Errors
    /// When the build must not go on without an answer.
    fn find(
        &self,
        node: &Arc<ActionNode>,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Found>, ActionError>;

    /// The outputs of an action that workers ran; `None` when it is to be run here. Blobs are as with [`Self::find`].
    ///
    /// * `tags`: what its result is kept from
    /// * `on_stage`: told when it is on its way to them, and when one of them takes it
    ///
    /// # Errors
    /// When the build must not go on without them.
    fn execute(
        &self,
        node: &Arc<ActionNode>,
        tags: Tags,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
        on_stage: &dyn Fn(WorkerStage),
    ) -> Result<Option<Found>, ActionError>;

    /// Makes promised blobs of some outputs come, because they will be read.
    ///
    /// # Errors
    /// When the build must not go on without them.
    fn bring(&self, outputs: &[Output]) -> Result<(), ActionError>;

    /// Takes note of what an action gave, and may wait until others can have it.
    fn made(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs);

    /// Takes note of what the store on this machine had, which others may lack.
    fn had(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs);
}
