//! Interface of a build to the remote cache.
//!
//! The caller chooses the servers; this module defines when they are used: after a miss in the local store, and after
//! an action has run.

use std::sync::Arc;

use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_store::attester::Attester;

/// The foreign outputs of an action, and their attester.
pub type Found = (Outputs, Option<Attester>);

/// Results of other machines.
pub trait RemoteResults: Sync {
    /// Maximum number of parallel lookups.
    fn n_askers(&self) -> usize;

    /// Returns true if the build cannot succeed any more, because a required server failed. Called often; the caller
    /// reports the reason, because actions that are cancelled for it do not count as failures.
    fn is_over(&self) -> bool;

    /// Returns the outputs of an action; `None` on a miss. Every blob is in the local store, possibly only as a
    /// promise.
    ///
    /// * `inputs`: the digests of its inputs
    /// * `source`: returns the bytes of a source input, by its number
    ///
    /// # Errors
    /// If a lookup failed and the cache is required.
    fn find(
        &self,
        node: &Arc<ActionNode>,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Found>, ActionError>;

    /// Returns the outputs of an action that workers ran; `None` if it is to run locally. Blobs are the same as for
    /// [`Self::find`].
    ///
    /// * `tags`: the restrictions on the action and on its result
    /// * `on_stage`: called when the action is queued, and when a worker starts it
    ///
    /// # Errors
    /// If the action failed remotely and must not run locally.
    fn execute(
        &self,
        node: &Arc<ActionNode>,
        tags: Tags,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
        on_stage: &dyn Fn(WorkerStage),
    ) -> Result<Option<Found>, ActionError>;

    /// Fetches promised blobs of the outputs, because they will be read.
    ///
    /// # Errors
    /// If a blob cannot be fetched and the cache is required.
    fn bring(&self, outputs: &[Output]) -> Result<(), ActionError>;

    /// Receives the result of an action that ran here; may wait until its upload is complete.
    fn made(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs);

    /// Receives a result from the local store, which the remote cache may lack.
    fn had(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs);
}
