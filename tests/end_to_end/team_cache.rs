//! Two clones of the demo that share a cache: what one built the other only fetches.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::safetensors_file::set_element;
use crate::sandbox::{Built, GGUF, Ran, Sandbox, Template, files_below, run};
use crate::server::{Server, answer};

/// A target of many tensors that is made in a moment.
const TARGET: &str = "//models:plain";
const DECLARED: &str = "gguf \"plain\" { model \":roadtrip-base\"; quantize \"Q8_0\" }\n";
const SEND: &str = "--remote-upload-local-results";

/// The demo with that target and an empty store.
fn clone() -> Sandbox {
    let sandbox = Sandbox::new();
    let path = sandbox.path("models/package.kdl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text + DECLARED).unwrap();
    sandbox
}

/// An address of a folder in a sandbox, which is made.
fn folder(sandbox: &Sandbox) -> String {
    let path = sandbox.dir().join("team");
    fs::create_dir_all(&path).unwrap();
    format!("--remote-cache=file://{}", path.display())
}

/// What a clone that knows of no cache makes.
fn alone() -> Built {
    clone().build(&[TARGET])
}

#[test]
fn the_second_clone_runs_nothing() {
    let first = clone();
    let team = folder(&first);
    let made = first.build(&[&team, SEND, TARGET]).n_ran();
    assert!(made > 38, "{made}");

    let second = clone();
    // As Bazel's users type it; and a folder is read although no server may be asked.
    let built = second.build(&[&team.replace("--remote-cache", "--remote_cache"), "--offline", TARGET]);
    assert_eq!((built.n_ran(), built.n_hits()), (0, made));
    let line = format!("{made} actions: {made} hits ({made} remote), 0 ran\n");
    assert!(built.stderr.ends_with(&line), "{}", built.stderr);
    assert_eq!(built.digests(), alone().digests());
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
    // What it was promised is enough where nothing has to be read, also when nobody can be asked.
    let line = format!("{made} actions: {made} hits, 0 ran\n");
    assert!(second.build(&[&team, TARGET]).stderr.ends_with(&line));
    fs::remove_dir_all(first.dir().join("team")).unwrap();
    assert_eq!(second.build(&[&team, TARGET]).n_ran(), 0);
}

#[test]
fn everything_that_was_fetched_is_enough_without_the_cache() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let second = clone();
    assert_eq!(second.build(&[&team, "--remote_download_outputs=all", TARGET]).n_ran(), 0);
    assert_eq!(second.build(&[TARGET]).n_ran(), 0);
    // That holds for what an earlier build left there, too.
    let third = clone();
    third.build(&[&team, "--remote-download-minimal", TARGET]);
    assert_eq!(third.build(&[&team, "--remote-download-all", TARGET]).n_ran(), 0);
    assert_eq!(third.build(&[TARGET]).n_ran(), 0);
    // What was noted of the cache goes with the store, of which the name alone is left.
    second.mc(&["clean", "--cache", "--yes"]).exits(0);
    let left: Vec<_> = fs::read_dir(&second.cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["VERSION"]);
    second.mc(&["build", TARGET]).exits(0);
}

#[test]
fn outputs_stay_where_they_are_until_somebody_wants_them() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let size = |sandbox: &Sandbox| -> u64 {
        files_below(&sandbox.cache).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
    };
    let second = clone();
    let minimal = "--remote-download-outputs=minimal";
    let ran = second.mc(&["build", &team, minimal, TARGET]).exits(0);
    assert!(ran.stdout.contains("its outputs stay in the caches"), "{}", ran.stdout);
    assert!(ran.stderr.ends_with("0 ran\n"), "{}", ran.stderr);
    assert!(!second.path("mc-out").exists());
    assert!(size(&second) < size(&first) / 20, "{} of {}", size(&second), size(&first));
    assert_eq!(second.build(&[&team, TARGET]).n_ran(), 0);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
}

/// Bytes that came from the cache.
fn n_fetched(built: &Built) -> u64 {
    built.document["remote"]["bytes_down"].as_u64().unwrap()
}

#[test]
fn whoever_takes_nothing_does_not_take_what_was_promised_before() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let second = clone();
    assert_eq!(second.build(&[&team, "--remote-download-minimal", TARGET]).n_ran(), 0);
    let built = second.build(&[&team, "--remote-accept-cached=false", TARGET]);
    assert!(built.n_ran() > 30 && n_fetched(&built) == 0, "{}", built.stderr);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
}

#[test]
fn outputs_with_the_right_names_come_though_others_stay() {
    let files = |sandbox: &Sandbox| {
        let parts = "quantize \"Q8_0\"; max-file-size \"2MB\"";
        sandbox.edit("models/package.kdl", DECLARED, &DECLARED.replace("quantize \"Q8_0\"", parts));
    };
    let first = clone();
    files(&first);
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let made = first.files("mc-out");
    assert!(made.len() > 2, "{}", made.len());

    let second = clone();
    files(&second);
    let regex = "--remote_download_regex=^models/plain/.*-0000[13]-of";
    let built = second.mc(&["build", &team, "--remote_download_minimal", regex, TARGET]).exits(0);
    assert!(built.stdout.contains("its other outputs stay in the caches"), "{}", built.stdout);
    let wanted = |(path, _): &(String, Vec<u8>)| path.contains("-00001-of") || path.contains("-00003-of");
    assert_eq!(second.files("mc-out"), made.iter().filter(|file| wanted(file)).cloned().collect::<Vec<_>>());
    // The last that is said of it holds, however it is said.
    let all = ["build", &team, "--remote-download-all", "--remote-download-outputs=minimal"];
    second.mc(&[&all[..], &["--remote-download-toplevel", TARGET]].concat()).exits(0);
    assert_eq!(second.files("mc-out"), made);
    let ran = second.mc(&["build", &team, "--remote-download-regex=a(b", TARGET]).exits(2);
    assert!(ran.stderr.contains("unclosed group"), "{}", ran.stderr);
}

#[test]
fn nothing_runs_where_all_must_be_cached() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let second = clone();
    let cached = "--experimental_remote_require_cached";
    assert_eq!(second.build(&[&team, cached, TARGET]).n_ran(), 0);
    // What the store has needs no server.
    assert_eq!(first.build(&["--remote-require-cached", TARGET]).n_ran(), 0);

    let third = clone();
    let weights = third.path("models/base/model.safetensors");
    set_element(&weights, "model.layers.0.mlp.up_proj.weight", [0, 0], 0.5);
    let ran = third.mc(&["build", &team, cached, TARGET]).exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.errors()[0].contains("blk.0.ffn_up.weight"), "{}", ran.stderr);
    assert!(ran.errors()[0].contains("No cache has what this step gives"), "{}", ran.stderr);
    assert!(!third.path("mc-out").exists());
    let built = third.build(&[&team, "--remote-require-cached=false", TARGET]);
    assert_eq!(built.ran_by_kind(), "gguf 1, tensor 1");
}

#[test]
fn blobs_that_are_gone_are_made_again() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let second = clone();
    second.build(&[&team, "--remote-download-outputs=minimal", TARGET]);
    // Promised, and then cleared away: half of what is there, results not.
    let blobs = files_below(&first.dir().join("team/blake3/cas"));
    for path in blobs.iter().step_by(2) {
        fs::remove_file(path).unwrap();
    }
    let built = second.build(&[&team, SEND, TARGET]);
    assert!(built.n_ran() > 5, "{}", built.n_ran());
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("gone that results name"), "{}", built.stderr);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
    // And sent. What the second had no need of, such as the tree of the file's parts, the third makes.
    let third = clone();
    assert!(third.build(&[&team, SEND, TARGET]).n_ran() < built.n_ran());
    assert_eq!(third.files("mc-out"), first.files("mc-out"));
    let fourth = clone();
    assert_eq!(fourth.build(&[&team, TARGET]).n_ran(), 0);
    assert_eq!(fourth.files("mc-out"), first.files("mc-out"));
}

#[test]
fn a_cache_that_was_cleared_is_no_failure() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, GGUF]);
    let promised = clone();
    promised.build(&[&team, "--remote-download-minimal", GGUF]);
    // Everything but the results.
    fs::remove_dir_all(first.dir().join("team/blake3/cas")).unwrap();
    for second in [clone(), promised] {
        let built = second.build(&[&team, "--remote-cache-required", GGUF]);
        assert_eq!(built.digests(), Template::get().gguf.digests());
        assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
        assert!(built.stderr.contains("gone that results name; what"), "{}", built.stderr);
    }
}

#[test]
fn a_cache_that_is_none_is_told_of() {
    static N_PUT: AtomicUsize = AtomicUsize::new(0);
    let team = server_that(|method| {
        N_PUT.fetch_add(usize::from(method == "PUT"), Ordering::Relaxed);
        ("200 OK", "<html>Who are you?</html>")
    });
    let built = clone().build(&[&team, SEND, TARGET]);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains(": 39 results could not be read ("), "{}", built.stderr);
    assert_eq!(built.digests(), alone().digests());
    // A page of another length is no blob.
    let n_sent = N_PUT.load(Ordering::Relaxed);
    assert!(n_sent > 100, "{n_sent}");
    let ran = clone().mc(&["build", &team, "--remote-cache-required", TARGET]).exits(1);
    // What many steps found is said once.
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("sent what is no result"), "{}", ran.stderr);
}

#[test]
fn one_changed_tensor_is_all_that_is_made_and_sent() {
    let first = clone();
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let n_files = |sandbox: &Sandbox| files_below(&sandbox.dir().join("team")).len();
    let before = n_files(&first);

    let second = clone();
    let weights = second.path("models/base/model.safetensors");
    set_element(&weights, "model.layers.0.mlp.up_proj.weight", [0, 0], 0.5);
    let built = second.build(&[&team, SEND, TARGET]);
    assert_eq!(built.ran_by_kind(), "gguf 1, tensor 1");
    // A tensor and its report, the head and the list of reports, and for either step its result, action and command;
    // of the file also the tree of its parts.
    let sent = n_files(&first) - before;
    assert!((8..=12).contains(&sent), "{sent}");
}

#[test]
fn nothing_is_sent_unless_somebody_asks() {
    let sandbox = clone();
    let team = folder(&sandbox);
    sandbox.build(&[&team, TARGET]);
    assert_eq!(fs::read_dir(sandbox.dir().join("team")).unwrap().count(), 0);
}

/// A second target, whose steps are those of the first as far as they are not quantized.
const TAGGED: &str = "//models:tagged";

fn clone_with(tags: &str) -> Sandbox {
    let sandbox = clone();
    let text = fs::read_to_string(sandbox.path("models/package.kdl")).unwrap();
    let declared = format!("gguf \"tagged\" {{ model \":roadtrip-base\"; quantize \"Q4_0\"; {tags} }}\n");
    fs::write(sandbox.path("models/package.kdl"), text + &declared).unwrap();
    sandbox
}

#[test]
fn a_target_says_what_is_not_sent_and_what_is_not_taken() {
    let first = clone_with("tags \"no-remote-cache-upload\" \"no-remote-exec\"");
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let made = first.build(&[&team, SEND, TAGGED]);

    let second = clone_with("tags \"no-remote-cache-upload\"");
    assert_eq!(second.build(&[&team, SEND, TARGET]).n_ran(), 0);
    let built = second.build(&[&team, SEND, TAGGED]);
    assert_eq!(built.ran_by_kind(), made.ran_by_kind());
    assert_eq!(built.digests(), made.digests());

    // Whoever may send does; then whoever may take does.
    let third = clone_with("");
    assert!(third.build(&[&team, SEND, TAGGED]).n_ran() > 0);
    assert_eq!(clone_with("tags \"no-remote-cache-upload\"").build(&[&team, TAGGED]).n_ran(), 0);
    for word in ["no-remote-cache", "no-remote", "local"] {
        let built = clone_with(&format!("tags \"{word}\"")).build(&[&team, TAGGED]);
        assert_eq!((built.n_hits(), built.digests()), (0, made.digests()), "{word}");
    }
}

#[test]
fn a_step_of_two_targets_is_kept_from_what_either_keeps_it_from() {
    let first = clone_with("tags \"no-remote-cache-upload\"");
    let team = folder(&first);
    let alone = clone();
    let n_alone = alone.build(&[TARGET]).n_ran();
    let n_shared = n_alone + clone_with("").build(&[TAGGED]).n_ran()
        - first.build(&[&team, SEND, TARGET, TAGGED]).n_ran();
    assert!(n_shared > 0 && n_shared < n_alone);
    let built = clone().build(&[&team, TARGET]);
    assert_eq!((built.n_ran(), built.n_hits()), (n_shared, n_alone - n_shared));
}

#[test]
fn whoever_has_the_key_sends_and_only_what_it_signed_is_taken() {
    let ci = clone();
    let team = folder(&ci);
    fs::write(ci.path("ci.pem"), PRIVATE).unwrap();
    let sign = format!("--remote-signing-key={}", ci.path("ci.pem").display());
    let count = || fs::read_dir(ci.dir().join("team")).unwrap().count();
    ci.build(&[&team, &sign, "--remote-upload-local-results=false", TARGET]);
    assert_eq!(count(), 0);
    fs::remove_dir_all(&ci.cache).unwrap();
    ci.build(&[&team, &sign, TARGET]);
    assert!(count() > 0);

    let user = clone();
    fs::write(user.path("team.pub"), PUBLIC).unwrap();
    let ask = format!("--remote-require-signed={}", user.path("team.pub").display());
    assert_eq!(user.build(&[&team, &ask, TARGET]).n_ran(), 0);
    // Somebody who has no key replaces a result: it is left alone, and made here.
    let stranger = clone();
    stranger.build(&[&team, SEND, "--remote-accept-cached=false", TARGET]);
    let another = clone();
    let built = another.build(&[&team, &ask, TARGET]);
    assert!(built.n_ran() > 0);
    assert!(built.stderr.contains("not signed by anyone who is trusted"), "{}", built.stderr);
}

#[test]
fn what_nobody_signed_is_no_promise_to_whoever_asks_for_signatures() {
    let stranger = clone();
    let team = folder(&stranger);
    stranger.build(&[&team, SEND, TARGET]);
    let user = clone();
    let minimal = "--remote-download-minimal";
    assert_eq!(user.build(&[&team, minimal, TARGET]).n_ran(), 0);
    fs::write(user.path("team.pub"), PUBLIC).unwrap();
    let ask = format!("--remote-require-signed={}", user.path("team.pub").display());
    let built = user.build(&[&team, &ask, TARGET]);
    // A tree comes, which a signature would be about.
    assert!(built.n_ran() > 30 && n_fetched(&built) < 10_000, "{}", built.stderr);
    assert!(built.stderr.contains("not signed by anyone who is trusted"), "{}", built.stderr);
    assert_eq!(user.files("mc-out"), stranger.files("mc-out"));
}

#[test]
fn whoever_has_the_key_replaces_what_nobody_signed() {
    let stranger = clone();
    let team = folder(&stranger);
    stranger.build(&[&team, SEND, TARGET]);
    let ci = clone();
    fs::write(ci.path("ci.pem"), PRIVATE).unwrap();
    let sign = format!("--remote-signing-key={}", ci.path("ci.pem").display());
    assert!(ci.build(&[&team, &sign, TARGET]).n_ran() > 30);
    assert_eq!(clone().build(&[&team, &sign, TARGET]).n_ran(), 0);
    fs::write(ci.path("team.pub"), PUBLIC).unwrap();
    let ask = format!("--remote-require-signed={}", ci.path("team.pub").display());
    let built = clone().build(&[&team, &ask, TARGET]);
    assert!(built.n_ran() == 0 && !built.stderr.contains("warning:"), "{}", built.stderr);
}

#[test]
fn a_key_in_the_variable_signs_and_is_never_shown() {
    let ci = clone();
    let team = folder(&ci);
    let build = |arguments: &[&str], key: &str| {
        let arguments = [&["build", &team, TARGET], arguments].concat();
        let ran = run(clone().command(&arguments).env("MC_REMOTE_SIGNING_KEY", key));
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("MC4CAQ"), "{}", ran.stderr);
        ran
    };
    build(&[], PRIVATE).exits(0);
    fs::write(ci.path("team.pub"), PUBLIC).unwrap();
    let ask = format!("--remote-require-signed={}", ci.path("team.pub").display());
    assert_eq!(clone().build(&[&team, &ask, TARGET]).n_ran(), 0);
    for key in [&PRIVATE.replace("END", "EN"), &PRIVATE[28..92]] {
        let ran = build(&[], key).exits(2);
        assert!(ran.stderr.contains("MC_REMOTE_SIGNING_KEY: expected a"), "{}", ran.stderr);
    }
    let ran = build(&[&format!("--remote-signing-key={PRIVATE}")], PRIVATE).exits(2);
    assert!(ran.stderr.contains("takes the path of a file"), "{}", ran.stderr);
}

// Made with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`; they protect nothing.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPWMfuXZkU7MsXmTehb1J7/fSXn1iG2ri0FHk0+NN3mp\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAv3Q0vU1qhOn8Nwfg/bsdFYshwifW+U461/3Pg29jerg=\n-----END PUBLIC KEY-----\n";

/// A token.
pub(crate) const GIVEN: &str = "{\"access_token\": \"ya29.neverToBeSeen\", \"expires_in\": 3600}";

/// A cache of nothing, which lets an account of Google's in, and the service that gives it tokens.
pub(crate) fn of_google(status: &'static str, given: &'static str) -> Server {
    Server::new(move |request, stream| match request.path.as_str() {
        "/token" => answer(stream, status, &[], given.as_bytes()),
        _ if request.header("authorization") == Some("Bearer ya29.neverToBeSeen") => {
            answer(stream, "404 Not Found", &[], b"");
        }
        _ => answer(stream, "401 Unauthorized", &[], b"who are you?"),
    })
}

/// A build by somebody who is logged in at Google's.
pub(crate) fn logged_in(sandbox: &Sandbox, server: &Server, arguments: &[&str]) -> Ran {
    let file = sandbox.dir().join("adc.json");
    let login = serde_json::json!({
        "type": "authorized_user", "client_id": "a", "client_secret": "d-neverToBeSeen",
        "refresh_token": "1//neverToBeSeen", "token_uri": format!("{}/token", server.root()),
    });
    fs::write(&file, login.to_string()).unwrap();
    let arguments = [&["build", "--google_default_credentials"], arguments].concat();
    let ran = run(sandbox.command(&arguments).env("GOOGLE_APPLICATION_CREDENTIALS", file));
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("neverToBeSeen"), "{}", ran.stderr);
    ran
}

#[test]
fn whether_a_server_is_a_cache_at_all_is_asked() {
    let says = |status: &'static str, body: &'static str| {
        Server::new(move |_, stream| answer(stream, status, &[], body.as_bytes()))
    };
    let asked = |address: &str| clone().mc(&["info", "remote", &format!("--remote-cache={address}")]);
    let cache = says("404 Not Found", "");
    let ran = asked(&cache.root()).exits(0);
    assert!(ran.stdout.contains("answers"), "{}", ran.stdout);
    assert_eq!(cache.requests()[0].path, format!("/ac/{}", "0".repeat(64)));
    for (address, told) in [
        ("http://127.0.0.1:1".to_owned(), "refused"),
        (says("200 OK", "<html>Who are you?</html>").root(), "is it a cache, or a page to log in?"),
        (says("401 Unauthorized", "").root(), "say who asks with"),
    ] {
        let ran = asked(&address).exits(1);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

#[test]
fn a_proxy_is_chosen_as_the_variables_say() {
    let proxy = || Server::new(|_, stream| answer(stream, "502 Bad Gateway", &[], b""));
    let (https, http) = (proxy(), proxy());
    let sandbox = clone();
    let n_asked = || (https.requests().len(), http.requests().len());
    let ask = |address: &str, none: &str| {
        let before = n_asked();
        let address = format!("--remote-cache={address}");
        let mut command = sandbox.command(&["info", "remote", "--remote-retries=0", &address]);
        command.env_remove("no_proxy").env("NO_PROXY", none);
        run(command.env("HTTPS_PROXY", https.root()).env("HTTP_PROXY", http.root())).exits(1);
        let after = n_asked();
        (after.0 - before.0, after.1 - before.1)
    };
    assert_eq!(ask("https://cache.invalid", ""), (1, 0));
    assert_eq!(ask("http://cache.invalid", "other"), (0, 1));
    assert_eq!(https.requests()[0].path, "cache.invalid:443");
    for none in ["*", "other, .invalid", "cache.invalid:80"] {
        assert_eq!(ask("http://cache.invalid", none), (0, 0), "{none}");
    }
    assert_eq!(ask("http://127.0.0.1:1", ""), (0, 0));
}

#[test]
fn an_account_of_googles_is_let_in() {
    let server = of_google("200 OK", GIVEN);
    let team = format!("--remote-cache={}", server.root());
    let ran = logged_in(&clone(), &server, &[&team, "--remote-cache-required", TARGET]).exits(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.path == "/token").count(), 1);
    assert!(requests.len() > 38, "{}", requests.len());
}

#[test]
fn an_account_of_googles_that_gets_no_token_costs_one_warning_or_one_error() {
    let server = of_google("400 Bad Request", "{\"error\": \"invalid_grant\"}");
    let team = format!("--remote-cache={}", server.root());
    let ran = logged_in(&clone(), &server, &[&team, TARGET]).exits(0);
    assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
    let told = "answered with status 400 (`invalid_grant`); log in again with `gcloud auth";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let ran = logged_in(&clone(), &server, &[&team, "--remote-cache-required", TARGET]).exits(1);
    assert!(ran.errors().len() == 1 && ran.stderr.contains(told), "{}", ran.stderr);

    let lost = |team: &str, file: &str| {
        let sandbox = clone();
        let mut command = sandbox.command(&["build", "--google-default-credentials", team, TARGET]);
        run(command.env("GOOGLE_APPLICATION_CREDENTIALS", file)).exits(2).stderr
    };
    let told = lost("--remote-cache=https://cache.example", "/no/such/file");
    assert!(told.contains("Google's credentials in `/no/such/file`: it cannot be read"), "{told}");
    let told = lost("--remote-cache=grpc://cache.example", "/no/such/file");
    assert!(told.contains("is for servers over TLS or on this machine"), "{told}");
}

#[test]
fn the_workspace_may_name_the_cache() {
    let sandbox = clone();
    folder(&sandbox);
    let address = format!("file://{}/team", sandbox.dir().display());
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    let text = format!("{text}cache {{ remote \"{address}\" upload=#true }}\n");
    fs::write(sandbox.path("workspace.kdl"), text).unwrap();
    let built = sandbox.build(&[TARGET]);
    assert!(built.n_ran() > 0);
    fs::remove_dir_all(&sandbox.cache).unwrap();
    assert_eq!(sandbox.build(&[TARGET]).n_ran(), 0);
    fs::remove_dir_all(&sandbox.cache).unwrap();
    assert_eq!(sandbox.build(&["--remote-cache=", TARGET]).n_ran(), built.n_ran());

    sandbox.edit("workspace.kdl", "upload=#true", "instance=\"main\"");
    let ran = sandbox.mc(&["build", TARGET]).exits(2);
    assert!(ran.stderr.contains("keep instances such as `main`"), "{}", ran.stderr);
}

#[test]
fn what_the_workspace_says_of_its_server_holds_for_no_other() {
    let sandbox = clone();
    let team = folder(&sandbox);
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    let remote = "remote \"grpc://127.0.0.1:1\" instance=\"main\" upload=#true";
    fs::write(sandbox.path("workspace.kdl"), format!("{text}cache {{ {remote} }}\n")).unwrap();
    let made = sandbox.build(&[&team, TARGET]);
    assert!(made.n_ran() > 30 && !made.stderr.contains("warning:"), "{}", made.stderr);
    assert_eq!(fs::read_dir(sandbox.dir().join("team")).unwrap().count(), 0);

    // What the team asks of results it asks everywhere.
    clone().build(&[&team, SEND, TARGET]);
    fs::write(sandbox.path("team.pub"), PUBLIC).unwrap();
    sandbox.edit("workspace.kdl", "upload=#true", "require-signed=\"team.pub\"");
    fs::remove_dir_all(&sandbox.cache).unwrap();
    assert_eq!(sandbox.build(&[&team, TARGET]).n_ran(), made.n_ran());
}

#[test]
fn a_dead_server_costs_one_warning_or_one_error() {
    let sandbox = clone();
    let dead = "--remote-cache=http://127.0.0.1:1";
    let built = sandbox.build(&[dead, SEND, TARGET]);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("was left alone after it failed"), "{}", built.stderr);
    // Programs are told, too.
    let warnings = built.document["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("was left alone"), "{warnings:?}");
    assert_eq!(built.digests(), alone().digests());

    let times = ["--remote_timeout=2m", "--remote-connect-timeout=5s", "--remote_verify_downloads=true"];
    let ran =
        clone().mc(&[&["build", dead, "--remote-cache-required", TARGET], &times[..]].concat()).exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("refused"), "{}", ran.stderr);
    clone().mc(&["build", dead, "--remote-cache-required", "--offline", TARGET]).exits(2);
}

#[test]
fn a_required_server_that_is_not_connected_to_costs_the_time_for_that_and_no_more() {
    // It takes connections, and says nothing of who it is.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--remote-cache=https://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let ran = clone()
        .mc(&["build", &address, "--remote-connect-timeout=1", "--remote-cache-required", TARGET])
        .exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("no connection came about within 1 s"), "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_failed_for_another_reason_is_told_before_the_failure_of_the_cache() {
    let sandbox = clone();
    let weights = sandbox.path("models/base/model.safetensors");
    set_element(&weights, "model.layers.0.mlp.up_proj.weight", [0, 0], f32::NAN);
    // It has nothing and takes nothing.
    let team = server_that(|method| if method == "PUT" { ("403 No", "") } else { ("404 Not Found", "") });
    let build = ["build", "--output=json", "--keep-going", &team, SEND, "--remote-cache-required", TARGET];
    let ran = sandbox.mc(&build).exits(1);
    let errors = ran.errors();
    assert_eq!(errors.len(), 2, "{}", ran.stderr);
    assert!(errors[0].contains("blk.0.ffn_up.weight"), "{}", ran.stderr);
    assert!(errors[1].contains("does not take what was made here"), "{}", ran.stderr);
    assert_eq!(ran.json()["errors"].as_array().unwrap().len(), 2);
}

#[test]
fn what_would_not_be_obeyed_is_refused() {
    for (option, reason) in [
        ("--remote_verify_downloads=false", "all that comes is checked, always"),
        ("--remote_timeout=2 minutes", "expected seconds, or a time such as `90s` or `2m`"),
        ("--remote-connect-timeout=0s", "expected at least one second"),
    ] {
        let ran = clone().mc(&["build", option, TARGET]).exits(2);
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }
}

#[test]
fn calls_of_a_server_are_logged_where_somebody_wants_to_know() {
    let sandbox = clone();
    let log = |path: &Path| format!("--remote_grpc_log={}", path.display());
    let dead = ["--remote-cache=grpc://127.0.0.1:1", "--remote-retries=1"];
    let path = sandbox.dir().join("calls.json");
    for n_calls in [2, 4] {
        sandbox.build(&[&dead[..], &[&log(&path), TARGET]].concat());
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), n_calls, "{text}");
        let is_right = |line: &Value| {
            line["method"] == "build.bazel.remote.execution.v2.Capabilities/GetCapabilities"
                && line["server"] == "grpc://127.0.0.1:1"
                && line["status"] == "Unavailable"
        };
        assert!(lines.iter().all(is_right), "{text}");
        fs::remove_dir_all(&sandbox.cache).unwrap();
    }
    let nowhere = sandbox.dir().join("no/such/folder/calls.json");
    let ran = sandbox.mc(&[&["build"], &dead[..], &[&log(&nowhere), TARGET]].concat()).exits(2);
    assert!(ran.stderr.contains("Cannot write the log of `--remote-grpc-log`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("calls.json"), "{}", ran.stderr);
}

/// A server that keeps nothing, and answers each method with a status and a text.
fn server_that(answers: impl Fn(&str) -> (&'static str, &'static str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--remote-cache=http://{}", listener.local_addr().unwrap());
    let answer = move |mut connection: TcpStream| -> io::Result<()> {
        let mut request = BufReader::new(connection.try_clone()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && request.read_line(&mut head)? > 0 {}
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        io::copy(&mut request.take(length.unwrap_or(0)), &mut io::sink())?;
        let method = head.split(' ').next().unwrap_or_default();
        let (status, text) = answers(method);
        let n_bytes = text.len();
        write!(connection, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {n_bytes}\r\n\r\n")?;
        if method != "HEAD" { connection.write_all(text.as_bytes()) } else { Ok(()) }
    };
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // Who went away is not to be told.
            thread::spawn(move || drop(answer(connection)));
        }
    });
    address
}

/// A server that has nothing, and takes its time to take something.
fn slow_server() -> String {
    server_that(|method| {
        if method != "PUT" {
            return ("404 Not Found", "");
        }
        thread::sleep(Duration::from_millis(100));
        ("200 OK", "")
    })
}

#[test]
fn what_was_made_before_is_sent_to_a_cache_that_lacks_it() {
    let first = clone();
    let team = folder(&first);
    let made = first.build(&[TARGET]).n_ran();
    assert_eq!(first.build(&[&team, TARGET]).n_ran(), 0);
    assert!(files_below(&first.dir().join("team")).is_empty(), "nobody asked to send");
    let built = first.build(&[&team, SEND, TARGET]);
    assert_eq!((built.n_ran(), built.n_hits()), (0, made));
    let second = clone();
    assert_eq!(second.build(&[&team, TARGET]).n_ran(), 0);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
    // Where nothing is missing nothing is sent, and what is there only is left there.
    assert!(!first.build(&[&team, SEND, TARGET]).stderr.contains(": sent "));
    let third = clone();
    third.mc(&["build", &team, "--remote-download-outputs=minimal", TARGET]).exits(0);
    fs::remove_dir_all(first.dir().join("team/blake3/ac")).unwrap();
    let ran = third.mc(&["build", &team, SEND, "--remote-download-outputs=minimal", TARGET]).exits(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
}

#[test]
fn nobody_who_interrupts_waits_for_a_server() {
    let sandbox = clone();
    for scheme in ["http", "grpc"] {
        // It takes whoever comes, and never says a word.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("--remote-cache={scheme}://{}", listener.local_addr().unwrap());
        let options = ["build", &address, "--remote-timeout=3600", "--remote-connect-timeout=3600", TARGET];
        let mut command = sandbox.command(&options);
        let mut build = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let connection = listener.accept().unwrap();
        let pid = build.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut said = String::new();
        build.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(8), "{said}");
        drop(connection);
        assert!(said.contains("interrupted: every step that had finished is kept"), "{said}");
    }
}

#[test]
fn each_step_may_wait_until_its_result_is_sent() {
    let server = slow_server();
    let n_waited = |options: &[&str]| {
        let ran = clone().mc(&[&["build", &server, SEND, TARGET], options].concat()).exits(0);
        assert!(!ran.stderr.contains("warning") && ran.stderr.contains(": sent "), "{}", ran.stderr);
        ran.stderr.matches("waiting for ").count()
    };
    // The last step was made just now, and its result needs a while.
    assert_eq!(n_waited(&[]), 1);
    assert_eq!(n_waited(&["--remote_cache_async=false"]), 0);
}

#[test]
fn what_was_damaged_in_the_cache_is_made_here() {
    let maker = clone();
    let team = folder(&maker);
    let made = maker.build(&[&team, SEND, TARGET]);
    let mut n_damaged = 0;
    for path in files_below(&maker.dir().join("team/blake3/cas")) {
        let mut bytes = fs::read(&path).unwrap();
        if bytes.len() > 100_000 {
            bytes[50_000] ^= 1;
            fs::write(&path, bytes).unwrap();
            n_damaged += 1;
        }
    }
    assert!(n_damaged > 3);
    let built = clone().build(&[&team, SEND, TARGET]);
    assert!(built.n_ran() >= n_damaged, "{}", built.n_ran());
    assert!(built.stderr.contains("what it sends is not believed"), "{}", built.stderr);
    assert_eq!(built.digests(), made.digests());
    // And mended there.
    assert_eq!(clone().build(&[&team, TARGET]).n_ran(), 0);
}
