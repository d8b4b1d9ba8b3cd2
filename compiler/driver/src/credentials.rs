//! Credentials for servers, read from the files that [`Access`] names.
//!
//! | for | from |
//! |---|---|
//! | Hugging Face | its token, or the file with the token |
//! | any server | the credential helper, `.netrc` |
//! | the remote cache, if Google's credentials are enabled | a file of Google's tools, or the machine |
//! | a bucket | variables and files of AWS's tools, see `mc_remote::aws` |
//! | a registry | `config.json` of a container client |
//!
//! A file that is missing, unreadable, not a regular file or much too long counts as empty: the server then reports the
//! missing credentials.

use std::path::Path;

use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::docker_config;
use mc_fetch::credentials::google::Google;
use mc_fetch::credentials::helper::Helper;
use mc_fetch::credentials::netrc::Netrc;
use mc_fetch::error::FetchError;
use mc_fetch::secret::Secret;
use mc_fetch::url::Url;
use mc_files::regular::read_text;
use mc_remote::aws::{Account, NoKeys};

use crate::settings::access::{Access, GoogleAccount, Token};

/// A longer file of another program counts as empty.
const MAX_FILE: u64 = 4 << 20;

/// All credentials for servers.
///
/// * `hugging_face`: the URL of Hugging Face, the only server that gets its token
pub(crate) fn credentials(access: &Access, hugging_face: &Url) -> Credentials {
    let token = access.hugging_face.as_ref().and_then(token).filter(|token| !token.is_empty());
    Credentials {
        headers: Vec::new(),
        tokens: token.map(|token| (hugging_face.clone(), token)).into_iter().collect(),
        helper: access.helper.as_deref().map(Helper::new),
        google: None,
        netrc: Netrc::parse(&text(access.netrc.as_deref())),
        registries: docker_config::logins(&text(access.docker_config.as_deref())),
    }
}

/// The Google account of this user or machine.
pub(crate) fn google(access: &Access) -> Result<Google, FetchError> {
    match &access.google {
        GoogleAccount::File(path) => Google::of_file(path, &access.proxies),
        GoogleAccount::Machine(host) => Google::of_machine(host),
    }
}

/// The account for requests to a bucket.
pub(crate) fn aws(access: &Access) -> Result<Account, NoKeys> {
    let variable = |name: &str| access.aws.variables.get(name).map(|value| value.open().to_owned());
    let files = [&access.aws.credentials, &access.aws.config].map(|path| text(path.as_deref()));
    Account::read(&variable, &files[0], &files[1])
}

fn token(token: &Token) -> Option<Secret> {
    match token {
        Token::Value(token) => Some(token.clone()),
        Token::File(path) => read_text(path, MAX_FILE).ok().map(|token| Secret::new(&token)),
    }
}

fn text(path: Option<&Path>) -> String {
    path.and_then(|path| read_text(path, MAX_FILE).ok()).unwrap_or_default()
}
