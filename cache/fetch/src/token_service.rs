//! How a registry lets somebody in: it answers 401 and names a service that gives tokens.
//!
//! Source: the distribution project's token authentication specification, and RFC 6750.

use std::sync::PoisonError;

use serde::Deserialize;

use crate::client::{Answer, Ask, Client, Refusal};
use crate::credentials::{Credentials, SecretHeader};
use crate::error::FetchError;
use crate::secret::Secret;
use crate::url::Url;

/// A longer answer of a token service is none.
const MAX_TOKEN: u64 = 1 << 20;

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What somebody wants of a registry; whoever may read may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Read,
    Send,
}

/// The header that was last good for a repository of a registry.
pub(crate) fn known(client: &Client, url: &Url, intent: Intent) -> Option<SecretHeader> {
    client.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&scope_of(url, intent)).cloned()
}

/// The header that the registry's challenge asks for; `None` when it asks for nothing that we have.
///
/// # Errors
/// When the token service cannot be asked.
pub(crate) fn answer_challenge(
    client: &Client,
    credentials: &Credentials,
    url: &Url,
    intent: Intent,
    answer: &Answer,
) -> Result<Option<SecretHeader>, Refusal> {
    // A redirect elsewhere asks in its own name, and gets nothing from us.
    if !answer.url.is_same_server(url) {
        return Ok(None);
    }
    let Some(challenge) = answer.header("www-authenticate") else { return Ok(None) };
    let login = credentials.registry_login(url);
    let header = match challenge.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
            Some(bearer(client, url, rest, login.as_ref().map(SecretHeader::basic))?)
        }
        _ if challenge.to_ascii_lowercase().starts_with("basic") => login.as_ref().map(SecretHeader::basic),
        _ => None,
    };
    if let Some(header) = &header {
        client
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(scope_of(url, intent), header.clone());
    }
    Ok(header)
}

fn bearer(
    client: &Client,
    url: &Url,
    challenge: &str,
    login: Option<SecretHeader>,
) -> Result<SecretHeader, Refusal> {
    let lie = |what: String| FetchError::Lie { url: url.clone(), what };
    let realm = parameter(challenge, "realm")
        .ok_or_else(|| lie("asks for a token and does not say from where".to_owned()))?;
    let service = Url::parse(&realm)
        .map_err(|error| lie(format!("names a token service that cannot be asked: {error}")))?;
    if !service.is_private() || (url.is_https() && !service.is_https()) {
        return Err(lie(format!(
            "names the token service `{service}`, which is not asked over plain `http`"
        ))
        .into());
    }
    let mut pairs = Vec::new();
    let (name, scope) = (parameter(challenge, "service"), parameter(challenge, "scope"));
    pairs.extend(name.as_deref().map(|name| ("service", name)));
    pairs.extend(scope.as_deref().map(|scope| ("scope", scope)));
    let address = service.with_query(&pairs);
    let mut answer = client.follow(&Ask::whole(&address), login.into_iter().collect())?;
    if answer.status != 200 {
        let (url, status) = (address, answer.status);
        let message = "it is the token service of the registry".to_owned();
        return Err(FetchError::Denied { url, status, message }.into());
    }
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(&mut answer.body, MAX_TOKEN), &mut text)
        .map_err(|error| Refusal::broken(&address, &error))?;
    let token: Option<Token> = serde_json::from_slice(&text).ok();
    let token = token.and_then(|token| token.token.or(token.access_token)).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| FetchError::Lie { url: address, what: "gave no token".to_owned() })?;
    Ok(SecretHeader::bearer(&Secret::new(&token)))
}

/// Server and repository, and what is wanted: `https://registry/v2/org/name Read`.
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
fn parameters_of_a_challenge_are_found() {
    let challenge = "realm=\"https://auth/token\",service=registry, scope=\"repository:a/b:pull,push\"";
    assert_eq!(parameter(challenge, "realm").as_deref(), Some("https://auth/token"));
    assert_eq!(parameter(challenge, "service").as_deref(), Some("registry"));
    assert_eq!(parameter(challenge, "scope").as_deref(), Some("repository:a/b:pull,push"));
    assert_eq!(parameter(challenge, "error"), None);
    assert_eq!(parameter("realm=\"open", "realm"), None);
}
