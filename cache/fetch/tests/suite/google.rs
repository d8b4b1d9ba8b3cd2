//! Google tokens: requested with proof of identity, cached, and sent only to their own server.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::google::Google;
use mc_fetch::credentials::netrc::Netrc;
use mc_fetch::proxies::Proxies;
use mc_fetch::url::Url;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::server::{Request, Server, answer};

/// Made with `openssl genpkey -algorithm RSA`; it protects nothing.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCdZ+/U8PT1bn6R\n\
    j+boSIhklndr8t4RM7K7m5GS7jrgquop0oiYyK1dkI3VFOuRrHOhmYEZxulnMj0U\n\
    S+5uiQZS697eQ57CR6ZX7ygLqWU08h9DgMre+9qhuPoHvyb89gtpCFJNkrB+kJTy\n\
    XBheOUpgRxn9aK8SdM5lJs+Gs0lcEh0wYSKKBPL8MgcQWw+P7t4UQ9af7u17CnSR\n\
    KtSoCkLJrRJ4SaDa54v1xQ3jkL1EBq19HuV8VCXX/g4MrOl4gJeYWsU8qvHcwzjH\n\
    q7Xb5Zdi7xvVfDkdm/ZLzKPwDQMqqMvx4YSh5So+E7MhoviAOcz7939XbINxdxUs\n\
    LxqMDdbZAgMBAAECggEAOZWGDEFQZB9Vp1vdLhom56GSM8goTGO83dxmT7neiUWN\n\
    n9o5BafYoJObB5p9KZBMxxA4xhzaU1nyNWQn6IExcpF+uZJEWK/Mn3vLCyUf9NQk\n\
    8tWBojzB+YsJ0V6xXTaH6xdTwLRK5Cpxiw59Da9o0bsBO48aCSb5QNEHd7BMRKV6\n\
    vwP8+TWdUblXi4n7WBD4wwKe0eaIQADRfCWXwEi7h0K1Q8eta52VF47G368zFafJ\n\
    COKuN1VxuWERCUM65TaAAC9cSp70VQm9/2xhv2ajC9rBR0avjNVNhYBRs3yyQIXP\n\
    Jc3qwqbCTymTX1vRYr3RMcAu3hiIqSFF+4lGlJuArwKBgQDTKAAJR+2nq4FZSMe0\n\
    eZn8/xq6c09NCgIYqauydXv6IGDwjHwDOcCC+yZz3y6Q4b+MjkuhwMHTpJ9OivaR\n\
    ebu0nJ5CxkRFVXxHSoY7CBvmS7fFYOb6ngQyaZlbVxIuGfk02pe677Uu5m8COrqD\n\
    Vba8pbSxuBSNHwE/115vqzyscwKBgQC+1a4BAzyPAIQTZNhfG1i9soh9Pmy0LF1P\n\
    UjZ1M2u9EtT51nAgTGY2Ru2ca4RvT/u0o6MJy8te50zOKdldTXQEj/QBq34d9i3K\n\
    u5yIZ/jsrqnehPD/kelpqQYOfKtZ7H5ewUIluwiZF/PvKIJMJcY4lzVkE7mMDUfx\n\
    /e8wJWoIgwKBgE2ep5zBxxfakLrcaSTrinKY6B9f4efE5Q5h2I7KZx+EJX5ndfLN\n\
    mPnNDs6LXRe/FGW7rQuxys5c9n6t0IObhyeWZwrOzSvbh8rBF2S9z1uxu8UfoOjB\n\
    i3NopAoSkMlHnPcT37DFCwpJhMcCBavfp0Pjee/WZh+WJSRtq/ZKsQwHAoGAPrT6\n\
    Q2zr1lWmELVfgAj9ZQAoZ3c+wwmc87ahHGv0KCHrB9mV6JcSMx2lcHPIBcezfw0S\n\
    QuLLhfjdPRV1Tnpn+CPRW0cd3vyI2YhCjHQV0LgoK21lv6UTnNukmNgQejEC6WH5\n\
    uWo3Dg9X4ate/WSgOPI+4g61NrcagAMgOKLir78CgYEArHy0IzsxCUqlXQL8Mw8u\n\
    2e2j6Kmg3LZVdbAc/sMKhn+MIcPdTsqXMoDleK27ndIM9KcgGhJ/rHhVtCXvMqqj\n\
    Ev+O/nLYeXfEysTiZoRGHPolgReWsqSN0GoXBzswDn2jrKrOLYBq6zilZukLrFhX\n\
    NQQdl8MIQdTAPHbbGLNd0jQ=\n\
    -----END PRIVATE KEY-----\n";

/// A secret, as long as the real ones.
const REFRESH: &str = "1//0e-neverToBeSeen-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";

/// A credentials file of Google's tools.
struct Tools {
    folder: tempfile::TempDir,
}

impl Tools {
    fn with(content: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("adc.json"), content.to_string()).unwrap();
        Self { folder }
    }

    fn login(server: &Server) -> Self {
        Self::with(&json!({
            "type": "authorized_user", "client_id": "id&1", "client_secret": "d-neverToBeSeen",
            "refresh_token": REFRESH, "token_uri": format!("{}/token", server.root()),
        }))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("adc.json")
    }

    fn google(&self) -> Google {
        Google::of_file(&self.path(), &Proxies::default()).unwrap()
    }
}

fn give(stream: &mut TcpStream, token: &str, expires_in: u64) {
    let body = json!({ "access_token": token, "expires_in": expires_in, "token_type": "Bearer" });
    answer(stream, "200 OK", &[("Metadata-Flavor", "Google")], body.to_string().as_bytes());
}

/// A service that issues `ya29.1`, `ya29.2` and so on.
fn giving(expires_in: u64) -> Server {
    Server::new(move |request, stream| give(stream, &format!("ya29.{}", request.n_before + 1), expires_in))
}

fn token(google: &Google) -> String {
    let header = google.header().unwrap();
    assert_eq!(header.name, "authorization");
    header.value.open().strip_prefix("Bearer ").unwrap().to_owned()
}

fn refusal(google: &Google) -> String {
    let refusal = google.header().unwrap_err().to_string();
    assert!(!refusal.contains("neverToBeSeen"), "{refusal}");
    refusal
}

/// A value of a form.
fn field<'a>(request: &'a Request, name: &str) -> &'a str {
    let pairs = request.body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(found, _)| *found == name).unwrap().1
}

#[test]
fn a_service_account_signs_a_claim_and_requests_one_token() {
    let server = giving(3600);
    let service = format!("{}/token", server.root());
    let tools = Tools::with(&json!({
        "type": "service_account", "client_email": "ci@team.example", "private_key_id": "k1",
        "private_key": KEY, "token_uri": service,
    }));
    let google = tools.google();
    assert_eq!((token(&google), token(&google)), ("ya29.1".to_owned(), "ya29.1".to_owned()));
    let [request] = &server.requests()[..] else { panic!("asked again") };
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(field(request, "grant_type"), "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");

    let (signed, signature) = field(request, "assertion").rsplit_once('.').unwrap();
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let [head, claims]: [Value; 2] = [head, claims].map(|part| serde_json::from_slice(&bytes(part)).unwrap());
    assert_eq!(head, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let began = claims["iat"].as_u64().unwrap();
    assert!(now.abs_diff(began) < 60, "{began}");
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    let expected = json!({
        "iss": "ci@team.example", "scope": scope, "aud": service, "iat": began, "exp": began + 3600,
    });
    assert_eq!(claims, expected);
    let der: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(der).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &bytes(signature)).unwrap();
}

#[test]
fn a_login_is_renewed_shortly_before_a_token_expires() {
    let server = giving(4);
    let tools = Tools::login(&server);
    let google = tools.google();
    assert_eq!((token(&google), token(&google)), ("ya29.1".to_owned(), "ya29.1".to_owned()));
    sleep(Duration::from_millis(2100));
    assert_eq!(token(&google), "ya29.2");
    let requests = server.requests();
    let names = ["grant_type", "client_id", "client_secret", "refresh_token"];
    let sent = names.map(|name| field(&requests[1], name).to_owned());
    assert_eq!(sent, ["refresh_token", "id%261", "d-neverToBeSeen", &REFRESH.replace('/', "%2F")]);
}

#[test]
fn a_google_cloud_machine_uses_its_metadata_server() {
    let server = giving(3600);
    let google = Google::of_machine(&server.authority()).unwrap();
    assert_eq!(token(&google), "ya29.1");
    let [request] = &server.requests()[..] else { panic!("asked again") };
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let scope = "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform";
    assert_eq!(request.path, format!("{path}?scopes={scope}"));
    assert_eq!(request.header("metadata-flavor"), Some("Google"));

    // A server that answers there without the `metadata-flavor` header is not Google's.
    let other = Server::new(|_, stream| answer(stream, "200 OK", &[], b"{}"));
    let reported = refusal(&Google::of_machine(&other.authority()).unwrap());
    assert!(
        reported.starts_with("Google's credentials of this machine: expected a token from "),
        "{reported}"
    );
    assert!(
        reported.contains("which is not Google's; outside of Google's cloud, name a file in "),
        "{reported}"
    );
    assert!(Google::of_machine("a b").is_err());
}

#[test]
fn a_refusal_is_reported_without_secrets_and_not_retried() {
    let cases = [
        (
            "400 Bad Request",
            "{\"error\": \"invalid_grant\"}",
            "status 400 (`invalid_grant`); log in again with ",
        ),
        ("401 Unauthorized", "{\"error\": \"1//0e-neverToBeSeen\"}", "status 401; log in again with "),
        ("403 Forbidden", "d-neverToBeSeen", "status 403; log in again with "),
        (
            "200 OK",
            "{\"access_token\": \"ya29 neverToBeSeen\", \"expires_in\": 1}",
            "did not answer with `access_token` and `expires_in` in JSON; log",
        ),
        (
            "200 OK",
            "{\"access_token\": 7, \"refresh\": \"neverToBeSeen\"}",
            "did not answer with `access_token` and `expires_in` in JSON; log",
        ),
    ];
    for (status, body, expected) in cases {
        let server = Server::new(move |_, stream| answer(stream, status, &[], body.as_bytes()));
        let tools = Tools::login(&server);
        let google = tools.google();
        let reported = refusal(&google);
        assert!(
            reported.starts_with(&format!("Google's credentials in `{}`: ", tools.path().display())),
            "{reported}"
        );
        assert!(
            reported.contains(&format!("`{}/token`", server.root())) && reported.contains(expected),
            "{reported}"
        );
        assert_eq!(refusal(&google), reported);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn transient_failures_of_a_token_service_are_retried() {
    let server = Server::new(|request, stream| match request.n_before {
        0 => answer(stream, "503 Service Unavailable", &[], b""),
        _ => give(stream, "ya29.a", 3600),
    });
    assert_eq!(token(&Tools::login(&server).google()), "ya29.a");
}

#[test]
fn invalid_files_are_reported_without_their_content() {
    let service = |key: &str, uri: &str| {
        json!({
            "type": "service_account", "client_email": "a@b", "private_key": key, "token_uri": uri,
        })
    };
    let cases = [
        (
            json!("neverToBeSeen"),
            "expected a JSON object with string values, found something else; name another file",
        ),
        (json!({ "type": 7 }), "expected a JSON object with string values"),
        (json!({}), "expected the `type` `service_account` or `authorized_user`, found none"),
        (
            json!({ "type": "external_account" }),
            "or `authorized_user`, found `external_account`; name another",
        ),
        (json!({ "type": "neverToBeSeen" }), "or `authorized_user`, found none"),
        (json!({ "type": "authorized_user", "client_id": "a" }), "expected `client_secret`, found none"),
        (service("", "https://h/t"), "expected `private_key`, found none"),
        (
            service("neverToBeSeen", "https://h/t"),
            "expected an RSA key (PKCS#8, PEM) in `private_key`, found",
        ),
        (service(KEY, "http://neverToBeSeen/t"), "begins with `https://` in `token_uri`, found another"),
    ];
    for (content, expected) in cases {
        let reported =
            Google::of_file(&Tools::with(&content).path(), &Proxies::default()).unwrap_err().to_string();
        assert!(reported.contains("adc.json`: ") && reported.contains(expected), "{reported}");
        assert!(!reported.contains("neverToBeSeen"), "{reported}");
    }
    let reported =
        Google::of_file(&PathBuf::from("/no/such/file"), &Proxies::default()).unwrap_err().to_string();
    assert!(
        reported.starts_with("Google's credentials in `/no/such/file`: it cannot be read: "),
        "{reported}"
    );
}

#[test]
fn a_token_goes_to_its_server_and_to_no_other() {
    let server = giving(3600);
    let tools = Tools::login(&server);
    let cache = Url::parse("https://cache.example/mc").unwrap();
    let netrc = Netrc::parse("machine cache.example login me password secret");
    let google = Some((cache.clone(), tools.google()));
    let credentials = Credentials { google, netrc, ..Credentials::default() };
    assert_eq!(format!("{credentials:?}").matches("neverToBeSeen").count(), 0);
    for other in ["https://other.example/", "http://cache.example:443/", "https://cache.example:8080/"] {
        let headers = credentials.headers(&Url::parse(other).unwrap()).unwrap();
        assert!(headers.iter().all(|header| !header.value.open().starts_with("Bearer")), "{other}");
    }
    assert!(server.requests().is_empty());
    let headers = credentials.headers(&cache.below("ac")).unwrap();
    assert_eq!(headers.iter().map(|header| header.value.open()).collect::<Vec<_>>(), ["Bearer ya29.1"]);
}
