//! Keys that sign results, and keys whose results count: those of the options, or else of the workspace.
//!
//! The trust applies to the store of this machine as well as to a remote cache, and also if no cache is named: a result
//! that came from an unsigned cache yesterday is not a hit for somebody who asks for signatures today.

use std::fmt;
use std::path::PathBuf;

use mc_remote::error::RemoteError;
use mc_remote::signing::{Signatures, Signer, Trusted, is_pem};
use mc_store::voucher::{Trust, Voucher};

use crate::options::GlobalOptions;
use crate::report::Report;
use crate::wire::credentials::variable;
use crate::wire::team_settings::Declared;

/// The variable that holds the key with which results are signed, or its path.
const KEY_VARIABLE: &str = "MC_REMOTE_SIGNING_KEY";

/// The place of a private key.
#[derive(Clone)]
pub(crate) enum PrivateKey {
    /// In a file.
    File(PathBuf),
    /// In [`KEY_VARIABLE`], whose value must not be seen.
    Variable(String),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(_) => f.write_str("Variable(***)"),
        }
    }
}

/// The places of the keys.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The private key with which results are signed.
    pub(crate) signing: Option<PrivateKey>,
    /// The public keys of which one must have signed a result.
    pub(crate) require_signed: Option<PathBuf>,
}

impl Keys {
    /// Takes the keys that the options name, or else those of the workspace.
    pub(crate) fn of(options: &GlobalOptions, declared: &Declared) -> Result<Self, Report> {
        let require_signed = options.remote_require_signed.as_ref().or(declared.require_signed.as_ref());
        Ok(Self { signing: signing_key(options)?, require_signed: require_signed.cloned() })
    }

    /// Reads the keys. With a private key and no public ones, only results that this key signed are taken, since
    /// results of others would be sent on from here as the user's own.
    ///
    /// * `sends`: whether results are sent; a machine that sends nothing signs nothing, and need not have the key
    pub(crate) fn signatures(&self, sends: bool) -> Result<Signatures, Report> {
        let wrong = |error: RemoteError| Report::usage("Cannot use a key").because(error);
        let signer = self.signing.as_ref().map(PrivateKey::read);
        let trusted = match (&self.require_signed, &signer) {
            (Some(path), _) => Some(Trusted::read(path).map_err(wrong)?),
            (None, Some(Ok(signer))) => Some(signer.trusted()),
            (None, Some(Err(_))) => Some(Trusted::default()),
            (None, None) => None,
        };
        let signer = signer.filter(|_| sends).transpose().map_err(wrong)?;
        Ok(Signatures { signer, trusted })
    }
}

impl PrivateKey {
    fn read(&self) -> Result<Signer, RemoteError> {
        match self {
            Self::File(path) => Signer::read(path),
            Self::Variable(value) => Signer::of_variable(KEY_VARIABLE, value),
        }
    }
}

/// The vouchers that are trusted.
///
/// * `workers`: the voucher of workers, who need not sign
pub(crate) fn trust(signatures: &Signatures, workers: Option<Voucher>) -> Trust {
    match &signatures.trusted {
        None => Trust::Anyone,
        Some(trusted) => Trust::Only(trusted.vouchers().into_iter().chain(workers).collect()),
    }
}

fn signing_key(options: &GlobalOptions) -> Result<Option<PrivateKey>, Report> {
    let Some(path) = &options.remote_signing_key else {
        return Ok(variable(KEY_VARIABLE).map(PrivateKey::Variable));
    };
    // The message must not say it.
    if path.to_str().is_some_and(is_pem) {
        return Err(Report::usage("`--remote-signing-key` takes the path of a file, and was given a key")
            .hint(format!(
                "Other programs see what is on the command line; `{KEY_VARIABLE}` takes a key itself"
            )));
    }
    Ok(Some(PrivateKey::File(path.clone())))
}
