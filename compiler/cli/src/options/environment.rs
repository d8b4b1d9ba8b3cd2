//! The environment: variables, and the locations of other programs' files.
//!
//! | for | from |
//! |---|---|
//! | Hugging Face | `HF_TOKEN`; the file `HF_TOKEN_PATH`; `token` in `HF_HOME` or `~/.cache/huggingface` |
//! | any server | `--credential-helper`, else `MC_CREDENTIAL_HELPER`; `NETRC`, else `~/.netrc` |
//! | the remote cache, with `--google-default-credentials` | a file of Google's tools, or the machine |
//! | a bucket | variables and files of AWS's tools, see `mc_remote::aws` |
//! | a registry | `config.json` in `DOCKER_CONFIG` or `~/.docker` |
//!
//! Proxies are in `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or small letters. Files are not
//! read here, see `mc_driver::settings::access`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mc_driver::settings::access::{Access, Aws, GoogleAccount, Token};
use mc_fetch::proxies::Proxies;
use mc_fetch::secret::Secret;

/// Everything in the environment about access to servers.
///
/// * `helper`: the credential helper of the options
pub(crate) fn access(helper: Option<&Path>) -> Access {
    Access {
        hugging_face: token(),
        helper: helper.map(Path::to_owned).or_else(|| path("MC_CREDENTIAL_HELPER")),
        netrc: path("NETRC").or_else(|| home(".netrc")),
        docker_config: path("DOCKER_CONFIG").or_else(|| home(".docker")).map(|dir| dir.join("config.json")),
        google: google(),
        aws: aws(),
        proxies: proxies(),
    }
}

fn token() -> Option<Token> {
    if let Some(token) = variable("HF_TOKEN") {
        return Some(Token::Value(Secret::new(&token)));
    }
    let in_home = || path("HF_HOME").or_else(|| home(".cache/huggingface")).map(|dir| dir.join("token"));
    path("HF_TOKEN_PATH").or_else(in_home).map(Token::File)
}

/// Google's Application Default Credentials: the file in `GOOGLE_APPLICATION_CREDENTIALS`; else the file of a login;
/// else the account of this machine.
fn google() -> GoogleAccount {
    let tools = || path("CLOUDSDK_CONFIG").or_else(|| home(".config/gcloud"));
    let login =
        || tools().map(|dir| dir.join("application_default_credentials.json")).filter(|it| it.exists());
    match path("GOOGLE_APPLICATION_CREDENTIALS").or_else(login) {
        Some(path) => GoogleAccount::File(path),
        None => variable("GCE_METADATA_HOST").map_or_else(GoogleAccount::default, GoogleAccount::Machine),
    }
}

fn aws() -> Aws {
    let named = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        (name.starts_with("AWS_") && !value.is_empty()).then(|| (name, Secret::new(&value)))
    };
    Aws {
        variables: std::env::vars_os().filter_map(named).collect::<BTreeMap<_, _>>(),
        credentials: path("AWS_SHARED_CREDENTIALS_FILE").or_else(|| home(".aws/credentials")),
        config: path("AWS_CONFIG_FILE").or_else(|| home(".aws/config")),
    }
}

/// The proxies that variables set.
fn proxies() -> Proxies {
    let first = |names: [&str; 2]| names.into_iter().find_map(variable);
    let any = || first(["ALL_PROXY", "all_proxy"]);
    Proxies {
        https: first(["HTTPS_PROXY", "https_proxy"]).or_else(any),
        http: first(["HTTP_PROXY", "http_proxy"]).or_else(any),
        none: first(["NO_PROXY", "no_proxy"]).unwrap_or_default(),
    }
}

/// The value of a variable, if it is a non-empty text.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a variable as a path, if it is not empty.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn home(below: &str) -> Option<PathBuf> {
    path("HOME").map(|home| home.join(below))
}
