//! The keys that sign results, the keys whose results count, and the vouchers that follow from both.
//!
//! The trust applies to the store of this machine as well as to a remote cache, and also if no cache is named: a result
//! that came from an unsigned cache yesterday is not a hit for somebody who asks for signatures today.

use mc_remote::error::RemoteError;
use mc_remote::signing::{Signatures, Signer, Trusted};
use mc_store::attester::{Attester, Trust};

use crate::remote_cache::error::RemoteCacheError;
use crate::settings::keys::{Keys, PrivateKey};

/// Reads the keys. With a private key and no public ones, only results that this key signed are taken, since results of
/// others would be sent on from here as the user's own.
///
/// * `sends`: true if results are sent; a machine that sends nothing signs nothing, and need not have the key
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

/// The vouchers that are trusted.
///
/// * `workers`: the voucher of workers, who need not sign
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
