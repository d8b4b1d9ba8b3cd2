//! Tokens for registries: a registry answers 401 and names the service that issues tokens.
//!
//! Source: the distribution project's token authentication specification, and RFC 6750.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use crate::credentials::Credentials;
use crate::error::FetchError;
use crate::http::agents::Agents;
use crate::http::answer::Answer;
use crate::http::ask::Ask;
use crate::http::auth_headers::AuthHeaders;
use crate::http::refusal::Refusal;
use crate::secret::Secret;
use crate::secret::header::SecretHeader;
use crate::url::Url;

/// Limit on the size of a token service's response.
const MAX_TOKEN: u64 = 1 << 20;

/// Limit on the length of a token.
const MAX_HEADER: usize = 32 << 10;

/// An authorization header for a registry.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) header: SecretHeader,
    /// True if the token was issued to the user, not to an anonymous client.
    pub(crate) is_private: bool,
}

#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
}

/// Intended use of a registry; permission to read does not imply permission to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Read,
    Send,
}

/// Headers issued by token services, by registry and scope.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<String, Token>>);

impl Tokens {
    /// The last valid header for a repository of a registry.
    pub(crate) fn known(&self, url: &Url, intent: Intent) -> Option<Token> {
        self.lock().get(&scope_of(url, intent)).cloned()
    }

    /// Obtains the header that the registry's challenge requests. Returns `false` if no known credentials fit the
    /// challenge.
    ///
    /// # Errors
    /// Fails if the token service cannot be reached.
    pub(crate) fn answer_challenge(
        &self,
        agents: &Agents,
        credentials: &Credentials,
        url: &Url,
        intent: Intent,
        answer: &Answer,
    ) -> Result<bool, Refusal> {
        // The challenge comes from another server, after a redirect. It receives no credentials.
        if !answer.url.is_same_server(url) {
            return Ok(false);
        }
        let Some(challenge) = answer.header("www-authenticate") else { return Ok(false) };
        let token = match challenge.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
                Some(bearer(agents, credentials, url, rest)?)
            }
            _ if challenge.to_ascii_lowercase().starts_with("basic") => {
                let login = credentials.registry_login(url);
                login.map(|login| Token { header: SecretHeader::basic(&login), is_private: true })
            }
            _ => None,
        };
        let Some(token) = token else { return Ok(false) };
        self.lock().insert(scope_of(url, intent), token);
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(agents: &Agents, credentials: &Credentials, url: &Url, challenge: &str) -> Result<Token, Refusal> {
    let invalid_response = |what: String| FetchError::InvalidResponse { url: url.clone(), what };
    let realm = parameter(challenge, "realm")
        .ok_or_else(|| invalid_response("requires a token but names no token service".to_owned()))?;
    let service = Url::parse(&realm)
        .map_err(|error| invalid_response(format!("names an invalid token service: {error}")))?;
    if !service.is_private() {
        return Err(invalid_response(format!(
            "names the token service `{service}`, which would receive the request over plain `http`"
        ))
        .into());
    }
    url.may_lead_to(&service).map_err(|what| {
        invalid_response(format!("names a token service that is refused: it leads {what}"))
    })?;
    // A registry's credentials are not sent to a token service elsewhere; a user with a login there can configure it
    // for that server.
    let login = if is_of(url.host(), service.host()) {
        credentials.registry_login(url)
    } else {
        credentials.own_login(&service)
    };
    let is_private = login.is_some();
    let headers = login.iter().map(SecretHeader::basic).collect();
    let mut pairs = Vec::new();
    let (name, scope) = (parameter(challenge, "service"), parameter(challenge, "scope"));
    pairs.extend(name.as_deref().map(|name| ("service", name)));
    pairs.extend(scope.as_deref().map(|scope| ("scope", scope)));
    let address = service.with_query(&pairs);
    let mut answer = agents.follow(&Ask::whole(&address), AuthHeaders { headers, is_private })?;
    if answer.status != 200 {
        let (url, status) = (address, answer.status);
        let message = match is_private {
            true => "it is the token service of the registry".to_owned(),
            false => format!(
                "`{}` names this token service, which received no login; only a login for `{}` itself would be sent",
                url.host(),
                service.host()
            ),
        };
        return Err(FetchError::Denied { url, status, message }.into());
    }
    let given: Option<Given> = serde_json::from_slice(&answer.short(MAX_TOKEN)?).ok();
    let is_header = |token: &String| {
        (1..=MAX_HEADER).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let token = given.and_then(|given| given.token.or(given.access_token)).filter(is_header);
    let token = token
        .ok_or_else(|| FetchError::InvalidResponse { url: address, what: "issued no token".to_owned() })?;
    Ok(Token { header: SecretHeader::bearer(&Secret::new(&token)), is_private })
}

/// Returns true if a token service belongs to the registry: it is on the registry's host, or on one that shares its
/// domain (`registry.gitlab.com` and `gitlab.com`). Docker's two hosts belong together.
fn is_of(registry: &str, service: &str) -> bool {
    if registry == service || (registry, service) == ("registry-1.docker.io", "auth.docker.io") {
        return true;
    }
    let is_name = |host: &str| !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err();
    // For a name with two labels, the rest (`com`) belongs to no one.
    let domain = registry.split_once('.').map(|(_, domain)| domain);
    let domain = domain.filter(|domain| domain.contains('.') && is_name(registry));
    let below = domain.and_then(|domain| service.strip_suffix(domain));
    below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

#[test]
fn a_login_goes_to_the_token_service_of_its_registry_alone() {
    for (registry, service) in [
        ("ghcr.io", "ghcr.io"),
        ("registry-1.docker.io", "auth.docker.io"),
        ("registry.gitlab.com", "gitlab.com"),
        ("registry.example.com", "auth.example.com"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        assert!(is_of(registry, service), "{registry} {service}");
    }
    for (registry, service) in [
        ("ghcr.io", "evil.io"),
        ("ghcr.io", "io"),
        ("registry.gitlab.com", "evilgitlab.com"),
        ("registry.gitlab.com", "gitlab.com.evil.io"),
        ("registry.example.com", "com"),
        ("127.0.0.1", "5.0.0.1"),
        ("auth.docker.io", "registry-1.docker.io.evil.io"),
    ] {
        assert!(!is_of(registry, service), "{registry} {service}");
    }
}

/// Key of a token: server, repository and intended use, such as `https://registry/v2/org/name Read`.
fn scope_of(url: &Url, intent: Intent) -> String {
    let text = url.to_string();
    let end = text.find("/manifests/").or_else(|| text.find("/blobs/")).unwrap_or(text.len());
    format!("{} {intent:?}", &text[..end])
}

/// The value of `name="value"` or `name=value` in a challenge.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_start_matches([',', ' ']).trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = after.trim_start_matches([',', ' ']);
    }
    None
}

#[test]
fn challenge_parameters_are_parsed() {
    let challenge = "realm=\"https://auth/token\",service=registry, scope=\"repository:a/b:pull,push\"";
    assert_eq!(parameter(challenge, "realm").as_deref(), Some("https://auth/token"));
    assert_eq!(parameter(challenge, "service").as_deref(), Some("registry"));
    assert_eq!(parameter(challenge, "scope").as_deref(), Some("repository:a/b:pull,push"));
    assert_eq!(parameter(challenge, "error"), None);
    assert_eq!(parameter("realm=\"open", "realm"), None);
}
