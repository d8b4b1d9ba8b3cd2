//! Who we are to servers, from the environment and from the files that other programs keep.
//!
//! | for | from |
//! |---|---|
//! | Hugging Face | `HF_TOKEN`; the file `HF_TOKEN_PATH`; `token` in `HF_HOME` or `~/.cache/huggingface` |
//! | any server | `--credential-helper`, else `MC_CREDENTIAL_HELPER`; `NETRC`, else `~/.netrc` |
//! | the team's cache, with `--google-default-credentials` | a file of Google's tools, or the machine; see [`google`] |
//! | a bucket | variables and files of AWS's tools, see `mc_remote::aws` |
//! | a registry | `config.json` in `DOCKER_CONFIG` or `~/.docker` |
//!
//! Proxies are in `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or small letters.
//!
//! A file that is not there, cannot be read, is not a regular file or is much too long is as good as empty: the server
//! says what is missing.

use std::path::PathBuf;

use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::docker_config;
use mc_fetch::credentials::google::Google;
use mc_fetch::credentials::helper::Helper;
use mc_fetch::credentials::netrc::Netrc;
use mc_fetch::error::FetchError;
use mc_fetch::proxies::Proxies;
use mc_fetch::secret::Secret;
use mc_fetch::url::Url;
use mc_files::regular::read_text;

use crate::options::GlobalOptions;

/// A longer file of other programs is as good as empty.
const MAX_FILE: u64 = 4 << 20;

/// Everything that a server may be told.
///
/// * `hugging_face`: where Hugging Face is, which alone gets its token
pub(crate) fn credentials(options: &GlobalOptions, hugging_face: &Url) -> Credentials {
    let helper = options.credential_helper.clone().or_else(|| path("MC_CREDENTIAL_HELPER"));
    let netrc = text(path("NETRC").or_else(|| home(".netrc")));
    let docker = text(path("DOCKER_CONFIG").or_else(|| home(".docker")).map(|dir| dir.join("config.json")));
    let token = token().filter(|token| !token.is_empty());
    Credentials {
        headers: Vec::new(),
        tokens: token.map(|token| (hugging_face.clone(), token)).into_iter().collect(),
        helper: helper.as_deref().map(Helper::new),
        google: None,
        netrc: Netrc::parse(&netrc),
        registries: docker_config::logins(&docker),
    }
}

/// The files of AWS's tools: keys, and settings.
pub(crate) fn aws_files() -> (String, String) {
    let file = |name: &str, below: &str| text(path(name).or_else(|| home(below)));
    (file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), file("AWS_CONFIG_FILE", ".aws/config"))
}

/// Google's Application Default Credentials: the file that `GOOGLE_APPLICATION_CREDENTIALS` names; else the one that
/// a login left; else the account of this machine.
pub(crate) fn google(proxies: &Proxies) -> Result<Google, FetchError> {
    let tools = || path("CLOUDSDK_CONFIG").or_else(|| home(".config/gcloud"));
    let login =
        || tools().map(|dir| dir.join("application_default_credentials.json")).filter(|it| it.exists());
    match path("GOOGLE_APPLICATION_CREDENTIALS").or_else(login) {
        Some(path) => Google::of_file(&path, proxies),
        None => {
            let host = variable("GCE_METADATA_HOST");
            Google::of_machine(host.as_deref().unwrap_or("metadata.google.internal"))
        }
    }
}

fn token() -> Option<Secret> {
    if let Some(token) = variable("HF_TOKEN") {
        return Some(Secret::new(&token));
    }
    let in_home = || path("HF_HOME").or_else(|| home(".cache/huggingface")).map(|dir| dir.join("token"));
    let file = path("HF_TOKEN_PATH").or_else(in_home)?;
    read_text(&file, MAX_FILE).ok().map(|token| Secret::new(&token))
}

/// The ways to servers elsewhere, where variables name some.
pub(crate) fn proxies() -> Proxies {
    let first = |names: [&str; 2]| names.into_iter().find_map(variable);
    let any = || first(["ALL_PROXY", "all_proxy"]);
    Proxies {
        https: first(["HTTPS_PROXY", "https_proxy"]).or_else(any),
        http: first(["HTTP_PROXY", "http_proxy"]).or_else(any),
        none: first(["NO_PROXY", "no_proxy"]).unwrap_or_default(),
    }
}

/// A variable that is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn home(below: &str) -> Option<PathBuf> {
    path("HOME").map(|home| home.join(below))
}

fn text(path: Option<PathBuf>) -> String {
    path.and_then(|path| read_text(&path, MAX_FILE).ok()).unwrap_or_default()
}
