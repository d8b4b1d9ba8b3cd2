//! Looks an action up in the action cache before it runs, and records the result of a run.
//!
//! A hit needs three things: an entry under the action's digest, a trusted attester of the entry, and every output blob
//! that it names intact in the store. Blobs are checked because one may be evicted or damaged while the entry remains.
//!
//! This module runs nothing.

use mc_ir::action::ActionError;
use mc_ir::output::Outputs;
use mc_ir::reapi::{self, EncodedAction};
use mc_ir::reapi_result;
use mc_store::attester::Attester;
use mc_store::error::StoreError;

use crate::services::Services;

/// A result from the action cache whose blobs are present.
pub(crate) struct Known {
    pub(crate) outputs: Outputs,
    /// True if this machine made it.
    pub(crate) is_own: bool,
}

/// Returns the outputs of the action if an entry exists, its attester is trusted, and its blobs are present.
///
/// # Errors
/// If the store cannot be read. A damaged entry is a miss, not an error.
pub(crate) fn lookup(services: &Services<'_>, action: &EncodedAction) -> Result<Option<Known>, ActionError> {
    let Some(entry) = services.actions.get(&action.digest).map_err(store_failed)? else {
        return Ok(None);
    };
    if !services.trust.accepts(&entry.attesters) {
        return Ok(None);
    }
    let mut failure = None;
    let decoded = reapi_result::decode_result(&entry.result, &mut |tree| match services.store.open(tree) {
        Ok(blob) => blob.map(|blob| blob.to_vec()),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    if let Some(error) = failure {
        return Err(store_failed(error));
    }
    let Ok(outputs) = decoded else {
        return Ok(None);
    };
    for part in outputs.values().flat_map(|output| output.parts()) {
        if !services.store.contains(part).map_err(store_failed)? {
            return Ok(None);
        }
    }
    Ok(Some(Known { outputs, is_own: entry.attesters.contains(&Attester::Here) }))
}

/// Records the outputs of an action. Its blobs are in the store already, so an entry never names a missing blob, even
/// if the process is killed at any time. After a power loss it may: then [`lookup`] finds no intact blob.
///
/// * `attester`: the attester of the outputs
///
/// # Errors
/// If the store or the action cache cannot be written.
pub(crate) fn record(
    services: &Services<'_>,
    action: &EncodedAction,
    outputs: &Outputs,
    attester: Option<Attester>,
) -> Result<(), ActionError> {
    let (result, trees) = reapi::encode_result(outputs);
    for tree in &trees {
        services.store.put_bytes(tree).map_err(store_failed)?;
    }
    services.actions.put(&action.digest, &result, attester).map_err(store_failed)
}

/// Converts a store error to an action error. The error stays recognizable if the store cannot accept more data: its
/// disk is full, it is read-only, or it was removed.
pub fn store_failed(error: StoreError) -> ActionError {
    if error.is_disk_full() || error.is_read_only() || error.is_missing() {
        ActionError::Io(error.into())
    } else {
        ActionError::failed(error)
    }
}
