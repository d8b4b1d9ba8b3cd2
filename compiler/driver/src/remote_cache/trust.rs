//! The keys that sign results, the keys whose results count, and the attesters that follow from both.
//!
//! Trust applies to the local store as well as to a remote cache, even without a remote cache: a result that came from
//! an unsigned cache yesterday is not a hit for a user who requires signatures today.

use mc_remote::error::RemoteError;
use mc_remote::signing::{Signatures, Signer, Trusted};
use mc_store::attester::{Attester, Trust};

use crate::remote_cache::error::RemoteCacheError;
use crate::settings::keys::{Keys, PrivateKey};

/// Reads the keys. With a private key and no public ones, only results signed with this key count, because foreign
/// results would be uploaded from here as the user's own.
///
/// * `sends`: true if results are uploaded; a machine that uploads nothing signs nothing, and does not need the key
pub(crate) fn signatures(keys: &Keys, sends: bool) -> Result<Signatures, RemoteCacheError> {
    let signer = keys.signing.as_ref().map(read);
    let trusted = match (&keys.require_signed, &signer) {
        (Some(path), _) => Some(Trusted::read(path).map_err(RemoteCacheError::Key)?),
        (None, Some(Ok(signer))) => Some(signer.trusted()),
        (None, Some(Err(_))) => Some(Trusted::default()),
        (None, None) => None,
    };
    let signer = signer.filter(|_| sends).transpose().map_err(RemoteCacheError::Key)?;
    Ok(Signatures { signer, trusted })
}

/// The trusted attesters.
///
/// * `workers`: the attester of workers, which need not sign
pub(crate) fn trust(signatures: &Signatures, workers: Option<Attester>) -> Trust {
    match &signatures.trusted {
        None => Trust::Anyone,
        Some(trusted) => Trust::Only(trusted.attesters().into_iter().chain(workers).collect()),
    }
}

fn read(key: &PrivateKey) -> Result<Signer, RemoteError> {
    match key {
        PrivateKey::File(path) => Signer::read(path),
        PrivateKey::Variable { name, value } => Signer::of_variable(name, value.open()),
    }
}
