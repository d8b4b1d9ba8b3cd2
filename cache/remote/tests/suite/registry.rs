//! A registry: tokens, blobs in pieces, and artifacts that name only existing blobs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use mc_digest::digest::BlobDigest;
use mc_fetch::credentials::Credentials;
use mc_fetch::secret::Secret;
use mc_fetch::secret::login::Login;
use mc_remote::download::Fetching;
use mc_remote::function::DigestFunction;
use mc_remote::transport::Transport;
use mc_remote::transports::oci::Oci;
use tempfile::tempdir;

use crate::action::{Machine, client};
use crate::server::Request;

/// A registry with a token service: anyone may read, only `me` may write.
#[derive(Default)]
struct Registry {
    port: u16,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    upload: Vec<u8>,
    n_patches: usize,
    /// Accepts this many bytes of the second piece, then closes the connection.
    cut: Option<usize>,
    scopes: Vec<String>,
}

type Shared = Arc<Mutex<Registry>>;

fn start() -> Shared {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let registry = Arc::new(Mutex::new(Registry { port, ..Registry::default() }));
    let shared = Arc::clone(&registry);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            // A slow client delays no other.
            thread::spawn(move || {
                let Ok(request) = Request::read(&stream) else { return };
                // A client may have disconnected.
                drop(shared.lock().unwrap().answer(&request, &mut stream));
            });
        }
    });
    registry
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

impl Registry {
    fn answer(&mut self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        let Request { method, path, query, body, .. } = request;
        let root = format!("http://127.0.0.1:{}", self.port);
        if path == "/token" {
            let is_push = query.contains("pull%2Cpush");
            // `me:secret` in base 64.
            if is_push && request.header("authorization") != "Basic bWU6c2VjcmV0" {
                return say(stream, "401 No", "", b"");
            }
            self.scopes.push(if is_push { "push" } else { "pull" }.to_owned());
            let token = if is_push { "may-push" } else { "may-pull" };
            return say(stream, "200 OK", "", format!("{{\"token\": \"{token}\"}}").as_bytes());
        }
        let may = match request.header("authorization") {
            "Bearer may-push" => true,
            "Bearer may-pull" => matches!(method.as_str(), "GET" | "HEAD"),
            _ => false,
        };
        if !may {
            let actions = if matches!(method.as_str(), "GET" | "HEAD") { "pull" } else { "pull,push" };
            let challenge = format!(
                "www-authenticate: Bearer realm=\"{root}/token\",service=\"r\",scope=\"repository:team/mc:{actions}\"\r\n"
            );
            return say(stream, "401 No", &challenge, b"");
        }
        let below = path.strip_prefix("/v2/team/mc/").unwrap();
        let place = format!(
            "location: /v2/team/mc/blobs/uploads/u1?_state=hidden-state-of-it\r\nrange: 0-{}\r\n",
            self.upload.len().saturating_sub(1)
        );
        match (method.as_str(), below) {
            ("POST", "blobs/uploads/") => {
                self.upload.clear();
                say(stream, "202 Accepted", &place, b"")
            }
            ("GET", "blobs/uploads/u1") => say(stream, "204 No Content", &place, b""),
            ("PATCH", "blobs/uploads/u1") => {
                self.n_patches += 1;
                let first = request.header("content-range").split('-').next().unwrap();
                if first != self.upload.len().to_string() {
                    return say(stream, "416 Gap", "", b"");
                }
                if self.n_patches == 2
                    && let Some(n_bytes) = self.cut
                {
                    self.upload.extend_from_slice(&body[..n_bytes]);
                    return Ok(());
                }
                self.upload.extend_from_slice(body);
                say(stream, "202 Accepted", &place, b"")
            }
            ("PUT", "blobs/uploads/u1") => {
                self.upload.extend_from_slice(body);
                let digest = format!("sha256:{}", DigestFunction::Sha256.digest(&self.upload).hash);
                if !query.ends_with(&digest.replace(':', "%3A")) {
                    return say(stream, "400 DIGEST_INVALID", "", b"");
                }
                let bytes = std::mem::take(&mut self.upload);
                self.blobs.insert(format!("blobs/{digest}"), bytes);
                say(stream, "201 Created", "", b"")
            }
            ("PUT", tag) => {
                let text = String::from_utf8(body.clone()).unwrap();
                let mut named =
                    text.split("\"digest\":\"").skip(1).map(|rest| rest.split('"').next().unwrap());
                if !named.all(|digest| self.blobs.contains_key(&format!("blobs/{digest}"))) {
                    let reported = br#"{"errors": [{"message": "blob unknown to registry"}]}"#;
                    return say(stream, "400 MANIFEST_BLOB_UNKNOWN", "", reported);
                }
                self.manifests.insert(tag.to_owned(), body.clone());
                say(stream, "201 Created", "", b"")
            }
            (_, name) => match self.blobs.get(name).or_else(|| self.manifests.get(name)) {
                Some(bytes) if method == "GET" && request.first() > 0 => {
                    say(stream, "206 Partial", "", &bytes[request.first()..])
                }
                Some(bytes) if method == "GET" => say(stream, "200 OK", "", bytes),
                Some(bytes) => {
                    let n_bytes = bytes.len();
                    write!(
                        stream,
                        "HTTP/1.1 200 OK\r\ncontent-length: {n_bytes}\r\nconnection: close\r\n\r\n"
                    )
                }
                None => say(stream, "404 No", "", b""),
            },
        }
    }
}

fn repository(registry: &Shared, password: Option<&str>) -> Oci {
    let authority = format!("127.0.0.1:{}", registry.lock().unwrap().port);
    let login = password.map(|password| Login { name: "me".to_owned(), password: Secret::new(password) });
    let registries = login.map(|login| (authority.clone(), login)).into_iter().collect();
    let credentials = Credentials { registries, ..Credentials::default() };
    Oci::new(client(credentials), &authority, "team/mc").unwrap()
}

#[test]
fn a_result_is_an_artifact_that_names_its_blobs() {
    let (registry, folder) = (start(), tempdir().unwrap());
    let maker = Machine::of(
        Box::new(repository(&registry, Some("secret"))),
        &folder.path().join("a"),
        Fetching::AtOnce,
    );
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    {
        let registry = registry.lock().unwrap();
        let (tag, manifest) = registry.manifests.first_key_value().unwrap();
        assert!(tag.starts_with("manifests/ac-") && registry.manifests.len() == 1, "{tag}");
        // The manifest names all blobs except itself and its config.
        let manifest = String::from_utf8(manifest.clone()).unwrap();
        assert!(registry.blobs.keys().all(|name| manifest.contains(name.strip_prefix("blobs/").unwrap())));
        // Parallel requests may each ask for a token.
        assert!(["pull", "push"].iter().all(|scope| registry.scopes.iter().any(|asked| asked == scope)));
    }
    // Reading needs no password.
    let user = Machine::of(Box::new(repository(&registry, None)), &folder.path().join("b"), Fetching::AtOnce);
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    assert!(user.holds(&outputs));
    for password in [None, Some("guessed")] {
        let stranger = Machine::of(
            Box::new(repository(&registry, password)),
            &folder.path().join("c"),
            Fetching::AtOnce,
        );
        stranger.run();
        registry.lock().unwrap().blobs.clear();
        let reported = stranger.upload(&outputs).unwrap_err().to_string();
        assert!(reported.contains("refused access") && !reported.contains("guessed"), "{reported}");
    }
}

#[test]
fn an_interrupted_upload_of_a_large_blob_is_resumed() {
    let registry = start();
    registry.lock().unwrap().cut = Some(1_000_003);
    let bytes: Vec<u8> = (0..(20 << 20) + 5).map(|index: u32| (index >> 10) as u8).collect();
    let blob = DigestFunction::Sha256.digest(&bytes);
    let repository = repository(&registry, Some("secret"));
    repository.write(&blob, &bytes).unwrap();
    // Three pieces, the second of them in two.
    assert_eq!(registry.lock().unwrap().n_patches, 4);
    assert!(repository.missing(&[blob]).unwrap().is_empty());
    let mut found = Vec::new();
    repository.read(&blob, 1000).unwrap().unwrap().read_to_end(&mut found).unwrap();
    assert!(found == bytes[1000..]);
}

#[test]
fn a_result_with_missing_blobs_is_refused() {
    let registry = start();
    let repository = repository(&registry, Some("secret"));
    let key = DigestFunction::Sha256.digest(b"action");
    let gone = BlobDigest::new(DigestFunction::Sha256.digest(b"gone").hash, 4);
    let reported = repository.put_result(&key, b"result", &[gone]).unwrap_err().to_string();
    assert!(
        reported.contains("blob unknown to registry") && !reported.contains("hidden-state"),
        "{reported}"
    );
    assert_eq!(repository.result(&key).unwrap(), None);
    repository.write(&gone, b"gone").unwrap();
    repository.put_result(&key, b"result", &[gone]).unwrap();
    assert_eq!(repository.result(&key).unwrap().unwrap(), b"result");
}
