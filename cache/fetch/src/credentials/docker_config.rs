//! The logins of a container client: `auths` of `~/.docker/config.json`.
//!
//! Credential stores that the file may name use another protocol and are not supported.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::secret::Secret;
use crate::secret::login::Login;

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
}

/// Parses the logins by registry (`ghcr.io`). Skips entries that it does not understand: the file belongs to another
/// program.
pub fn logins(text: &str) -> BTreeMap<String, Login> {
    let config: Config = serde_json::from_str(text).unwrap_or_default();
    let login = |(registry, auth): (String, Auth)| {
        let plain = String::from_utf8(BASE64_STANDARD.decode(auth.auth.trim()).ok()?).ok()?;
        let (name, password) = plain.split_once(':')?;
        let registry = registry.split_once("://").map_or(registry.as_str(), |(_, rest)| rest);
        let registry = registry.split('/').next()?;
        // Docker stores the login for its own registry under this name.
        let registry = if registry == "index.docker.io" { "registry-1.docker.io" } else { registry };
        Some((registry.to_owned(), Login { name: name.to_owned(), password: Secret::new(password) }))
    };
    config.auths.into_iter().filter_map(login).collect()
}

#[test]
fn logins_are_found_by_registry() {
    let text = r#"{"auths": {"ghcr.io": {"auth": "bWU6c2VjcmV0"}, "https://index.docker.io/v1/": {"auth": "bWU6eA=="},
                   "empty": {}, "broken": {"auth": "%"}}, "credsStore": "desktop"}"#;
    let found = logins(text);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["ghcr.io", "registry-1.docker.io"]);
    assert_eq!(found["ghcr.io"].password.open(), "secret");
    assert!(logins("no json").is_empty());
}
