//! Secrets reach their own server and no other.

use std::sync::{Arc, Mutex};

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::helper::Helper;
use mc_fetch::credentials::netrc::Netrc;
use mc_fetch::error::FetchError;
use mc_fetch::http::ask::Ask;
use mc_fetch::proxies::Proxies;
use mc_fetch::secret::Secret;
use mc_fetch::url::Url;

use crate::server::{Request, Server, answer, file, head};
use crate::world::{PATIENCE, World};

const TOKEN: &str = "hf_neverToBeSeen";

fn with_token(server: &Server) -> Credentials {
    let tokens = vec![(Url::parse(&server.root()).unwrap(), Secret::new(TOKEN))];
    Credentials { tokens, ..Credentials::default() }
}

/// A server that redirects its first request.
fn redirecting(status: &'static str, to: impl Fn(&Request) -> String + Send + Sync + 'static) -> Server {
    Server::new(move |request, stream| {
        if request.path.starts_with("/x/") {
            answer(stream, status, &[("Location", &to(request))], b"");
        } else {
            file(request, stream, "\"v1\"", b"abc");
        }
    })
}

#[test]
fn redirects_on_the_same_server_keep_the_token() {
    for status in
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let server = redirecting(status, |_| "/elsewhere?signature=s1".to_owned());
        let world = World::with(&server, with_token(&server));
        assert_eq!(world.fetch_a(&server, b"abc").unwrap(), b"abc");
        let requests = server.requests();
        assert_eq!(requests[1].path, "/elsewhere?signature=s1");
        assert!(
            requests.iter().all(|request| request.header("authorization") == Some("Bearer hf_neverToBeSeen"))
        );
    }
}

#[test]
fn redirects_to_another_server_drop_the_token_for_good() {
    let other = Server::new(|request, stream| file(request, stream, "\"v1\"", b"abc"));
    let elsewhere = format!("{}/cdn", other.root());
    let server = redirecting("302 Found", move |_| elsewhere.clone());
    let world = World::with(&server, with_token(&server));
    assert_eq!(world.fetch_a(&server, b"abc").unwrap(), b"abc");
    assert!(server.requests()[0].header("authorization").is_some());
    assert_eq!(other.requests()[0].header("authorization"), None);

    // A redirect back to the first server does not restore the token.
    let back: Arc<Mutex<String>> = Arc::default();
    let to = Arc::clone(&back);
    let other = Server::new(move |_, stream| {
        answer(stream, "302 Found", &[("Location", &to.lock().unwrap())], b"");
    });
    let elsewhere = format!("{}/cdn", other.root());
    let server = redirecting("302 Found", move |_| elsewhere.clone());
    *back.lock().unwrap() = format!("{}/home", server.root());
    let world = World::with(&server, with_token(&server));
    assert_eq!(world.fetch_a(&server, b"abc").unwrap(), b"abc");
    assert_eq!(server.requests()[1].path, "/home");
    assert_eq!(server.requests()[1].header("authorization"), None);
}

#[test]
fn uploads_follow_redirects_and_secrets_stay_with_the_same_server() {
    let other = Server::new(|_, stream| answer(stream, "201 Created", &[], b""));
    let elsewhere = format!("{}/there", other.root());
    let server = Server::new(move |request, stream| match request.path.as_str() {
        "/same" => answer(stream, "308 Permanent Redirect", &[("Location", "/moved")], b""),
        "/other" => answer(stream, "307 Temporary Redirect", &[("Location", &elsewhere)], b""),
        "/circle" => answer(stream, "307 Temporary Redirect", &[("Location", "/circle")], b""),
        _ => answer(stream, "201 Created", &[], b""),
    });
    let client = Client::new(with_token(&server), PATIENCE, &Proxies::default()).unwrap();
    let put =
        |path: &str| client.put(&Url::parse(&format!("{}{path}", server.root())).unwrap(), 3, || &b"abc"[..]);
    put("/same").unwrap();
    put("/other").unwrap();
    let moved = server.requests().into_iter().find(|request| request.path == "/moved").unwrap();
    assert_eq!((moved.body.as_str(), moved.header("authorization").is_some()), ("abc", true));
    let there = &other.requests()[0];
    assert_eq!((there.body.as_str(), there.header("authorization")), ("abc", None));
    assert!(put("/circle").unwrap_err().to_string().contains("redirects more than 10 times"));
}

#[test]
fn another_name_of_the_same_machine_counts_as_another_server() {
    let root: Arc<Mutex<String>> = Arc::default();
    let to = Arc::clone(&root);
    let server = redirecting("302 Found", move |_| format!("{}/b", to.lock().unwrap()));
    *root.lock().unwrap() = server.other_root();
    let world = World::with(&server, with_token(&server));
    assert_eq!(world.fetch_a(&server, b"abc").unwrap(), b"abc");
    assert_eq!(server.requests()[1].header("authorization"), None);
}

#[test]
fn redirect_loops_and_invalid_redirects_end() {
    let circle = redirecting("302 Found", |request| format!("{}x", request.path));
    let error = World::new(&circle).fetch_a(&circle, b"abc").unwrap_err().to_string();
    assert!(error.contains("redirects more than 10 times"), "{error}");
    assert_eq!(circle.requests().len(), 11);
    for to in ["", "ftp://host/", "file:///etc/passwd", "http://me:pw@host/", "http://"] {
        let server = redirecting("302 Found", move |_| to.to_owned());
        if let Err(error) = World::new(&server).fetch_a(&server, b"abc") {
            let error = error.to_string();
            assert!(error.contains("redirects") && !error.contains("pw"), "{to}: {error}");
        } else {
            panic!("{to}");
        }
    }
    let silent = Server::new(|_, stream| head(stream, "302 Found", &[]));
    let error = World::new(&silent).fetch_a(&silent, b"abc").unwrap_err().to_string();
    assert!(error.contains("without a destination"), "{error}");
}

#[test]
fn a_token_repeated_by_a_server_is_not_displayed() {
    let server = Server::new(|request, stream| {
        let sent = request.header("authorization").unwrap_or_default().to_owned();
        let body = format!("{{\"error\": \"not for {sent}\"}}");
        answer(stream, "403 Forbidden", &[], body.as_bytes());
    });
    let world = World::with(&server, with_token(&server));
    let error = world.fetch_a(&server, b"abc").unwrap_err();
    let reported = format!("{error} {error:?} {:?} {:?}", error.help(), world.fetcher);
    assert!(reported.contains("not for ***"), "{reported}");
    assert!(!reported.contains("neverToBeSeen"), "{reported}");
    assert!(!world.holds("neverToBeSeen"));
}

#[test]
fn signatures_in_urls_are_not_displayed() {
    let server = Server::new(|request, stream| {
        if request.path.contains("signature") {
            answer(stream, "403 Forbidden", &[], b"");
        } else {
            answer(stream, "302 Found", &[("Location", "/cdn?signature=neverToBeSeen")], b"");
        }
    });
    let world = World::new(&server);
    let error = world.fetch_a(&server, b"abc").unwrap_err().to_string();
    assert!(error.contains("/cdn?…") && !error.contains("neverToBeSeen"), "{error}");
    assert!(!world.holds("neverToBeSeen"));
}

#[test]
fn the_store_contains_no_token_after_a_fetch() {
    let server = Server::new(|request, stream| file(request, stream, "\"v1\"", b"abc"));
    let world = World::with(&server, with_token(&server));
    world.lock_a(&server).unwrap();
    assert!(server.requests()[0].header("authorization").is_some());
    assert!(!world.holds("neverToBeSeen"));
}

#[test]
fn netrc_is_used_for_servers_without_other_credentials() {
    let server = Server::new(|request, stream| file(request, stream, "\"v1\"", b"abc"));
    let netrc = Netrc::parse("machine 127.0.0.1 login me password secret");
    let world = World::with(&server, Credentials { netrc, ..Credentials::default() });
    assert_eq!(world.fetch_a(&server, b"abc").unwrap(), b"abc");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic bWU6c2VjcmV0"));
}

#[test]
fn a_token_with_a_line_break_is_not_sent_as_two_headers() {
    let server = Server::new(|request, stream| file(request, stream, "\"v1\"", b"abc"));
    let tokens = vec![(Url::parse(&server.root()).unwrap(), Secret::new("a\r\nX-Evil: neverToBeSeen"))];
    let world = World::with(&server, Credentials { tokens, ..Credentials::default() });
    let error = world.fetch_a(&server, b"abc").unwrap_err().to_string();
    assert!(error.contains("cannot be sent") && !error.contains("neverToBeSeen"), "{error}");
    assert!(server.requests().is_empty());
}

#[cfg(unix)]
#[test]
fn a_refused_helper_answer_is_replaced_by_a_newer_one() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("helper");
    let script = format!(
        "#!/bin/sh\necho >> {0}/runs\n\
         printf '{{\"headers\":{{\"Authorization\":[\"Bearer %s\"]}}}}' $(wc -l < {0}/runs)\n",
        dir.path().display()
    );
    let text = dir.path().join("text");
    std::fs::write(&text, script).unwrap();
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A file that another test's child process holds open for writing cannot be executed; a copy made by another
    // process can.
    assert!(std::process::Command::new("cp").arg("-p").args([&text, &program]).status().unwrap().success());
    let client = || {
        let helper = Some(Helper::new(&program));
        Client::new(Credentials { helper, ..Credentials::default() }, PATIENCE, &Proxies::default()).unwrap()
    };
    let server = Server::new(|request, stream| {
        let status = if request.header("authorization") == Some("Bearer 2") { "200 OK" } else { "401 No" };
        answer(stream, status, &[], b"");
    });
    let url = Url::parse(&server.root()).unwrap();
    client().text(&Ask::whole(&url), 10).unwrap();
    assert_eq!(server.requests().len(), 2);
    std::fs::remove_file(dir.path().join("runs")).unwrap();
    let client = client();
    client.put(&url, 3, || &b"abc"[..]).unwrap();
    client.put(&url, 3, || &b"abc"[..]).unwrap();
    assert_eq!(server.requests().len(), 5);

    let strict = Server::new(|_, stream| answer(stream, "401 No", &[], b""));
    let url = Url::parse(&strict.root()).unwrap();
    for n_requests in [2, 3] {
        assert!(matches!(client.open(&Ask::whole(&url)), Err(FetchError::Denied { .. })));
        assert_eq!(strict.requests().len(), n_requests);
    }
}
