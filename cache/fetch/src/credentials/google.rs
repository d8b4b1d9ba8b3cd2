//! Google's Application Default Credentials: tokens for servers that accept Google accounts.
//!
//! | account | proof of identity |
//! |---|---|
//! | `service_account`, a file | a claim signed with its key (RS256), sent to its `token_uri` |
//! | `authorized_user`, a file | the refresh token of an earlier login |
//! | of the machine, in Google's cloud | none; the metadata server answers only this machine |
//!
//! A token is kept until shortly before it expires, and a refusal for the life of the process. The caller locates the
//! files and reads the variables that name them.
//!
//! Source: RFC 7523 (claims), RFC 6749 (refresh tokens), <https://google.aip.dev/auth>.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use mc_files::regular::read;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use crate::error::FetchError;
use crate::http::agents::Agents;
use crate::http::answer::Answer;
use crate::http::ask::Ask;
use crate::http::auth_headers::AuthHeaders;
use crate::http::refusal::patiently;
use crate::http::sending::{Sending, Verb};
use crate::lifetime::{Lifetime, Moment};
use crate::proxies::Proxies;
use crate::secret::Secret;
use crate::secret::header::SecretHeader;
use crate::stall_limit::StallLimit;
use crate::tls::Pem;
use crate::url::{Url, escaped_all};

/// The scope of a token.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The token service, if the file does not name one.
const TOKEN_SERVICE: &str = "https://oauth2.googleapis.com/token";

/// The header that identifies a Google metadata server.
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

/// Lifetime of a claim: the longest that the service accepts.
const CLAIM: Duration = Duration::from_secs(3600);

/// A token is renewed this long before it expires, unless its whole lifetime was shorter.
const MARGIN: Duration = Duration::from_secs(300);

/// Error codes of RFC 6749, and those that Google adds.
const CODES: [&str; 12] = [
    "access_denied",
    "admin_policy_enforced",
    "deleted_client",
    "disabled_client",
    "internal_failure",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "org_internal",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Limit on the size of a credentials file.
const MAX_FILE: u64 = 1 << 20;

/// Limit on the size of a response.
const MAX_ANSWER: u64 = 1 << 20;

/// Help for a file that cannot be used.
const ANOTHER_FILE: &str = "name another file in GOOGLE_APPLICATION_CREDENTIALS, or log in with `gcloud auth \
                            application-default login`";

/// Timeouts and retries for Google's token service.
const PATIENCE: StallLimit = StallLimit {
    connect: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    n_retries: 2,
    asks_silent: true,
    first_delay: Duration::from_millis(500),
    longest_delay: Duration::from_secs(5),
};

/// Timeouts and retries for a metadata server, which is either close or absent.
const NEAR: StallLimit =
    StallLimit { connect: Duration::from_secs(3), idle: Duration::from_secs(3), ..PATIENCE };

/// An account that issues tokens.
pub struct Google {
    account: Account,
    agents: Agents,
    /// The last result.
    token: Mutex<Option<Result<Token, String>>>,
}

enum Account {
    Service { path: PathBuf, email: String, key_id: Option<String>, key: Box<RsaKeyPair>, service: Url },
    User { path: PathBuf, id: String, secret: Secret, refresh: Secret, service: Url },
    Machine { token: Url },
}

#[derive(Clone)]
struct Token {
    header: SecretHeader,
    lifetime: Lifetime,
}

/// The fields of a credentials file that are needed.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: u64,
}

impl fmt::Debug for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account.name())
    }
}

impl Google {
    /// Reads an account from a file: a service account key, or the result of a login.
    ///
    /// * `proxies`: proxies for the token service
    ///
    /// # Errors
    /// Fails if the file cannot be used; the message repeats nothing secret.
    pub fn of_file(path: &Path, proxies: &Proxies) -> Result<Self, FetchError> {
        let account = Account::read(path).map_err(|what| of(&named(path), what))?;
        Ok(Self {
            account,
            agents: Agents::new(PATIENCE, proxies, &Pem::default())?,
            token: Mutex::default(),
        })
    }

    /// The account of this machine in Google's cloud.
    ///
    /// * `host`: its metadata server, with an optional port
    ///
    /// # Errors
    /// Fails if `host` is not a host.
    pub fn of_machine(host: &str) -> Result<Self, FetchError> {
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let token = Url::parse(&format!("http://{host}/{path}"))
            .map_err(|error| of("Google's metadata server", format!("expected a host: {error}")))?;
        let account = Account::Machine { token: token.with_query(&[("scopes", SCOPE)]) };
        // The metadata server is part of the machine, so no proxy is used.
        let agents = Agents::new(NEAR, &Proxies::default(), &Pem::default())?;
        Ok(Self { account, agents, token: Mutex::default() })
    }

    /// `Authorization: Bearer TOKEN`, with a token that remains valid for a while.
    ///
    /// # Errors
    /// Fails if no token is issued. A failure is remembered and not retried.
    pub fn header(&self) -> Result<SecretHeader, FetchError> {
        self.header_at(&Moment::now())
    }

    fn header_at(&self, now: &Moment) -> Result<SecretHeader, FetchError> {
        let mut known = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let token = match known.take() {
            Some(Ok(token)) if !token.lifetime.has_ended(now) => Ok(token),
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(_)) | None => self.ask(now),
        };
        let header = match &token {
            Ok(token) => Ok(token.header.clone()),
            Err(refusal) => Err(of(&self.account.name(), refusal.clone())),
        };
        *known = Some(token);
        header
    }

    fn ask(&self, now: &Moment) -> Result<Token, String> {
        let (url, answer) = match &self.account {
            Account::Service { email, key_id, key, service, .. } => {
                let claim = claim(email, key_id.as_deref(), key, service, now.wall)?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                (service, self.send(service, &[("grant_type", grant), ("assertion", &claim)]))
            }
            Account::User { id, secret, refresh, service, .. } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", id),
                    ("client_secret", secret.open()),
                    ("refresh_token", refresh.open()),
                ];
                (service, self.send(service, &form))
            }
            Account::Machine { token } => (token, self.look_up(token)),
        };
        let wrong = |what: &str| format!("expected a token from `{url}`, {what}; {}", self.account.advice());
        let mut answer = answer.map_err(|error| wrong(&refusal(&error)))?;
        if matches!(self.account, Account::Machine { .. }) && answer.header(FLAVOR.0) != Some(FLAVOR.1) {
            return Err(wrong("which is not Google's"));
        }
        let text = answer.short(MAX_ANSWER).map_err(|refused| wrong(&refusal(&refused.error)))?;
        // The parse error is dropped, because it may quote the token.
        let given: Option<Given> = serde_json::from_slice(&text).ok();
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let given = given.filter(|given| is_token(&given.access_token));
        let given = given
            .ok_or_else(|| wrong("which did not answer with `access_token` and `expires_in` in JSON"))?;
        let lives = Duration::from_secs(given.expires_in.min(CLAIM.as_secs() * 24));
        Ok(Token {
            header: SecretHeader::bearer(&Secret::new(&given.access_token)),
            lifetime: Lifetime::new(*now, lives.saturating_sub(MARGIN).max(lives / 2)),
        })
    }

    fn send(&self, service: &Url, form: &[(&str, &str)]) -> Result<Answer, FetchError> {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped_all(value));
        let body = form.iter().map(pair).collect::<Vec<_>>().join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let sending = Sending { headers: &headers, ..Sending::to(Verb::Post, service) };
        let body = body.as_bytes();
        patiently(&self.agents.stall_limit, || {
            let answer = self.agents.send(&sending, AuthHeaders::default(), body.len() as u64, &|| body)?;
            answer.accepted(&self.agents.stall_limit)
        })
    }

    fn look_up(&self, token: &Url) -> Result<Answer, FetchError> {
        patiently(&self.agents.stall_limit, || {
            let flavor = SecretHeader { name: FLAVOR.0.to_owned(), value: Secret::new(FLAVOR.1) };
            let reported = AuthHeaders { headers: vec![flavor], ..AuthHeaders::default() };
            let answer = self.agents.follow(&Ask::whole(token), reported)?;
            if answer.status == 200 { Ok(answer) } else { Err(answer.refusal(&self.agents.stall_limit)) }
        })
    }
}

impl Account {
    fn read(path: &Path) -> Result<Self, String> {
        let text =
            read(path, MAX_FILE).map_err(|error| format!("it cannot be read: {error}; {ANOTHER_FILE}"))?;
        // The parser's message is dropped, because it may quote a secret.
        let file: File = serde_json::from_slice(&text).map_err(|_| {
            format!("expected a JSON object with string values, found something else; {ANOTHER_FILE}")
        })?;
        let service = Url::parse(file.token_uri.as_deref().unwrap_or(TOKEN_SERVICE));
        let service = service.ok().filter(Url::is_private).ok_or_else(|| {
            "expected an address that begins with `https://` in `token_uri`, found another; ".to_owned()
                + ANOTHER_FILE
        })?;
        let path = path.to_owned();
        match file.kind.as_deref() {
            Some("service_account") => Ok(Self::Service {
                path,
                email: wanted("client_email", file.client_email)?,
                key_id: file.private_key_id,
                key: Box::new(rsa_key(&wanted("private_key", file.private_key)?)?),
                service,
            }),
            Some("authorized_user") => Ok(Self::User {
                path,
                id: wanted("client_id", file.client_id)?,
                secret: Secret::new(&wanted("client_secret", file.client_secret)?),
                refresh: Secret::new(&wanted("refresh_token", file.refresh_token)?),
                service,
            }),
            other => {
                let found = other.filter(|kind| is_word(kind)).map(|kind| format!("`{kind}`"));
                let found = found.unwrap_or_else(|| "none".to_owned());
                Err(format!(
                    "expected the `type` `service_account` or `authorized_user`, found {found}; {ANOTHER_FILE}"
                ))
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Service { path, .. } | Self::User { path, .. } => named(path),
            Self::Machine { .. } => "Google's credentials of this machine".to_owned(),
        }
    }

    /// Help for a missing token.
    fn advice(&self) -> &'static str {
        match self {
            Self::Service { .. } => {
                "check this machine's clock and whether the key is still valid, or name another file in \
                 GOOGLE_APPLICATION_CREDENTIALS"
            }
            Self::User { .. } => "log in again with `gcloud auth application-default login`",
            Self::Machine { .. } => {
                "outside of Google's cloud, name a file in GOOGLE_APPLICATION_CREDENTIALS, or log in with \
                 `gcloud auth application-default login`"
            }
        }
    }
}

fn wanted(name: &str, value: Option<String>) -> Result<String, String> {
    let value = value.filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("expected `{name}`, found none; {ANOTHER_FILE}"))
}

fn rsa_key(pem: &str) -> Result<RsaKeyPair, String> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok();
    let key = key.and_then(|key| RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok());
    key.ok_or_else(|| {
        format!("expected an RSA key (PKCS#8, PEM) in `private_key`, found another text; {ANOTHER_FILE}")
    })
}

fn named(path: &Path) -> String {
    format!("Google's credentials in `{}`", path.display())
}

fn of(account: &str, what: String) -> FetchError {
    FetchError::Listing { origin: account.to_owned(), what }
}

/// Returns true if a text looks like a protocol keyword, and therefore not like a secret.
fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Text of a refusal. Of the server's own text it contains only a known code, because the rest may repeat the request.
fn refusal(error: &FetchError) -> String {
    match error {
        FetchError::Denied { status, message, .. }
        | FetchError::Missing { status, message, .. }
        | FetchError::Status { status, message, .. } => match message.as_str() {
            code if CODES.contains(&code) => format!("which answered with status {status} (`{code}`)"),
            _ => format!("which answered with status {status}"),
        },
        FetchError::Connection { reason, .. } => format!("which cannot be reached: {reason}"),
        FetchError::Busy { .. } => "which is busy".to_owned(),
        _ => "which sent an unusable answer".to_owned(),
    }
}

/// A signed claim (JSON Web Token): identity, scope and expiry.
fn claim(
    email: &str,
    key_id: Option<&str>,
    key: &RsaKeyPair,
    service: &Url,
    now: SystemTime,
) -> Result<String, String> {
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut head = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(key_id) = key_id {
        head["kid"] = key_id.into();
    }
    let body = json!({
        "iss": email,
        "scope": SCOPE,
        "aud": service.full(),
        "iat": seconds(now),
        "exp": seconds(now + CLAIM),
    });
    let coded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", coded(head.to_string().as_bytes()), coded(body.to_string().as_bytes()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "its key cannot sign".to_owned())?;
    Ok(format!("{signed}.{}", coded(&signature)))
}
