//! Who signs, and whose results count: what the options say, and else the workspace.
//!
//! It holds for the store of this machine as for a cache of the team, and also where no cache is named: what came from
//! an unsigned cache yesterday is no hit for whoever asks for signatures today.

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

/// Where a private key is.
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

/// Where the keys are.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The private key with which results are signed.
    pub(crate) signing: Option<PrivateKey>,
    /// The public keys of which one must have signed a result.
    pub(crate) require_signed: Option<PathBuf>,
}

impl Keys {
    /// Those that the options name, or else the workspace.
    pub(crate) fn of(options: &GlobalOptions, declared: &Declared) -> Result<Self, Report> {
        let require_signed = options.remote_require_signed.as_ref().or(declared.require_signed.as_ref());
        Ok(Self { signing: signing_key(options)?, require_signed: require_signed.cloned() })
    }

    /// The keys themselves. Whoever names a private key and no public ones takes only what that key signed, since what
    /// others made would go on from here as one's own.
    ///
    /// * `sends`: whether results are sent; who sends nothing signs nothing, and need not have the key
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

/// Whose results count.
///
/// * `workers`: who need not sign
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
