//! Looks an action up in the action cache before anyone runs it, and records what a run gave.
//!
//! A hit needs three things: an entry under the action's digest, somebody who is trusted and answers for it, and every
//! output blob that it names still intact in the store. The last is checked because a blob may be evicted or damaged
//! while the entry lives on.
//!
//! This module runs nothing.

use mc_ir::action::ActionError;
use mc_ir::output::Outputs;
use mc_ir::reapi::{self, EncodedAction};
use mc_ir::reapi_result;
use mc_store::attester::Attester;
use mc_store::error::StoreError;

use crate::services::Services;

/// A result that is known and there.
pub(crate) struct Known {
    pub(crate) outputs: Outputs,
    /// True if this machine made it.
    pub(crate) is_own: bool,
}

/// The outputs of the action, if they are known, vouched for and there.
///
/// # Errors
/// When the store cannot be read. A damaged entry is no error but a miss.
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

/// Remembers the outputs of an action. Its blobs are in the store already, so an entry never promises what is not
/// there, wherever the process is killed. After a loss of power it may: then [`lookup`] finds no intact blob.
///
/// * `attester`: who answers for them
///
/// # Errors
/// When the store or the action cache cannot be written.
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

/// Makes an action's error of a store's. A store that takes nothing more, because its disk is full, it is read-only, or
/// somebody removed it, stays one that can be recognized.
pub fn store_failed(error: StoreError) -> ActionError {
    if error.is_disk_full() || error.is_read_only() || error.is_missing() {
        ActionError::Io(error.into())
    } else {
        ActionError::failed(error)
    }
}
