//! Artifacts in a registry: manifest and blobs by digest, and token authentication.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use mc_fetch::checksum::sha256;
use mc_fetch::credentials::Credentials;
use mc_fetch::secret::Secret;
use mc_fetch::secret::login::Login;
use mc_ir::origin::Origin;

use crate::server::{Server, answer, file, head};
use crate::world::World;

const TITLE: &str = "org.opencontainers.image.title";

fn layer(name: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    format!(
        "{{\"digest\": \"sha256:{digest}\", \"size\": {}, \"annotations\": {{\"{TITLE}\": \"{name}\"}}}}",
        bytes.len()
    )
}

fn manifest(layers: &[String]) -> String {
    format!("{{\"schemaVersion\": 2, \"config\": {{}}, \"layers\": [{}]}}", layers.join(", "))
}

/// Authentication that a registry requires.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Token,
    Basic,
}

struct Registry {
    server: Server,
    origin: Origin,
}

/// A registry with one artifact, and the blobs `config` and `weights`.
fn registry(text: &str, door: Door) -> Registry {
    let digest = sha256(text.as_bytes());
    let text = text.to_owned();
    let root: Arc<Mutex<String>> = Arc::default();
    let realm = Arc::clone(&root);
    let server = Server::new(move |request, stream| {
        let authorization = request.header("authorization").unwrap_or_default();
        if request.path.starts_with("/token") {
            let body = match authorization {
                "Basic bWU6c2VjcmV0" => "{\"token\": \"neverToBeSeen\"}",
                _ => "{\"token\": \"anonymous\"}",
            };
            return answer(stream, "200 OK", &[], body.as_bytes());
        }
        let challenge = format!(
            "Bearer realm=\"{}/token\",service=\"reg\",scope=\"repository:org/model:pull\"",
            realm.lock().unwrap()
        );
        let (wanted, challenge) = match door {
            Door::Open => ("", challenge),
            Door::Token => ("Bearer neverToBeSeen", challenge),
            Door::Basic => ("Basic bWU6c2VjcmV0", "Basic realm=\"reg\"".to_owned()),
        };
        if authorization != wanted {
            return head(
                stream,
                "401 Unauthorized",
                &[("WWW-Authenticate", &challenge), ("Content-Length", "0")],
            );
        }
        for bytes in [&b"config"[..], b"weights"] {
            if request.path == format!("/v2/org/model/blobs/sha256:{}", sha256(bytes)) {
                return file(request, stream, "\"v1\"", bytes);
            }
        }
        if request.path.starts_with("/v2/org/model/manifests/") {
            return answer(stream, "200 OK", &[], text.as_bytes());
        }
        answer(stream, "404 Not Found", &[], b"");
    });
    *root.lock().unwrap() = server.root();
    let origin = Origin::oci(&format!("{}/org/model@sha256:{digest}", server.authority()));
    Registry { server, origin }
}

fn with_login(server: &Server) -> Credentials {
    let login = Login { name: "me".to_owned(), password: Secret::new("secret") };
    Credentials { registries: BTreeMap::from([(server.authority(), login)]), ..Credentials::default() }
}

fn two_files() -> String {
    manifest(&[layer("config.json", b"config"), layer("model.safetensors", b"weights")])
}

#[test]
fn layers_with_titles_are_files() {
    let Registry { server, origin } = registry(&two_files(), Door::Open);
    let world = World::new(&server);
    let files = world.lock(&origin).unwrap();
    let folder = world.fetch(&origin, &files).unwrap();
    assert_eq!(fs::read(folder.join("config.json")).unwrap(), b"config");
    assert_eq!(files[1].sha256, Some(sha256(b"weights")));
    // Another user with the same lock file requests only blobs.
    let n_before = server.requests().len();
    World::new(&server).fetch(&origin, &files).unwrap();
    let paths: Vec<_> = server.requests().into_iter().skip(n_before).map(|request| request.path).collect();
    assert!(paths.iter().all(|path| path.contains("/blobs/")), "{paths:?}");
}

#[test]
fn a_registry_that_requires_a_token_receives_one() {
    let Registry { server, origin } = registry(&two_files(), Door::Token);
    let world = World::with(&server, with_login(&server));
    let files = world.lock(&origin).unwrap();
    assert_eq!(files.len(), 2);
    let tokens: Vec<_> =
        server.requests().into_iter().filter(|request| request.path.starts_with("/token")).collect();
    assert_eq!(tokens[0].path, "/token?service=reg&scope=repository%3Aorg%2Fmodel%3Apull");
    assert_eq!(tokens.len(), 1, "it is remembered");
    assert!(!world.holds("neverToBeSeen") && !world.holds("bWU6c2VjcmV0"));
    assert!(!format!("{:?}", world.fetcher).contains("neverToBeSeen"));
}

#[test]
fn a_registry_may_require_a_password() {
    let Registry { server, origin } = registry(&two_files(), Door::Basic);
    assert_eq!(World::with(&server, with_login(&server)).lock(&origin).unwrap().len(), 2);
    let error = World::new(&server).lock(&origin).unwrap_err();
    assert!(error.to_string().contains("refused access (status 401)"), "{error}");
    assert!(error.help().unwrap().contains("docker login"));
}

#[test]
fn a_rejected_token_is_reported() {
    let Registry { server, origin } = registry(&two_files(), Door::Token);
    let error = World::new(&server).lock(&origin).unwrap_err().to_string();
    assert!(error.contains("refused access (status 401)"), "{error}");
    assert!(server.requests().len() < 6);
}

#[test]
fn a_wrong_manifest_or_blob_is_rejected() {
    let Registry { server, origin } = registry(&two_files(), Door::Open);
    let other = Origin::oci(&format!("{}/org/model@sha256:{}", server.authority(), "0".repeat(64)));
    let error = World::new(&server).lock(&other).unwrap_err().to_string();
    assert!(error.contains("sent the manifest `sha256:"), "{error}");
    let pin = World::new(&server)
        .fetcher
        .pin(&Origin::oci(&format!("{}/org/model:v1", server.authority())))
        .unwrap();
    assert_eq!(pin, origin.to_string());
}

#[test]
fn manifests_that_do_not_describe_files_are_rejected() {
    let layer = layer("a", b"config");
    for (text, expected) in [
        (manifest(&[]), "no layer has a title"),
        (manifest(&[layer.replace(TITLE, "other")]), "no layer has a title"),
        (manifest(&[layer.clone(), layer.clone()]), "lists `a` twice"),
        (manifest(&[layer.replace("\"a\"", "\"../a\"")]), "leaves its folder"),
        (manifest(&[layer.replace("sha256:", "sha512:")]), "expected `sha256:…`"),
        (
            manifest(&[layer.replace("}}", ", \"io.deis.oras.content.unpack\": \"true\"}}")]),
            "is a packed folder",
        ),
        ("{\"manifests\": []}".to_owned(), "is a list of artifacts"),
        ("[]".to_owned(), "cannot be read"),
        ("no json".to_owned(), "cannot be read"),
    ] {
        let Registry { server, origin } = registry(&text, Door::Open);
        let error = World::new(&server).lock(&origin).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
