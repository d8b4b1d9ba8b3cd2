//! Trust and access: signed results, and Google accounts.

use std::fs;

use crate::poison::{another_tensor, poison};
use crate::sandbox::{Built, Ran, Sandbox, run};
use crate::server::{Server, answer};
use crate::team_cache::{SEND, TARGET, clone, filled, folder, n_fetched};
use crate::worker::Worker;

#[test]
fn the_owner_of_the_key_uploads_and_only_signed_results_are_taken() {
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
    // A user without the key replaces a result: it is ignored, and made here.
    let stranger = clone();
    stranger.build(&[&team, SEND, "--remote-accept-cached=false", TARGET]);
    let another = clone();
    let built = another.build(&[&team, &ask, TARGET]);
    assert!(built.n_ran() > 0);
    assert!(built.stderr.contains("without a trusted signature"), "{}", built.stderr);
}

#[test]
fn unsigned_results_are_not_promises_if_signatures_are_required() {
    let (stranger, team) = filled(TARGET);
    let user = clone();
    let minimal = "--remote-download-minimal";
    assert_eq!(user.build(&[&team, minimal, TARGET]).n_ran(), 0);
    fs::write(user.path("team.pub"), PUBLIC).unwrap();
    let ask = format!("--remote-require-signed={}", user.path("team.pub").display());
    let built = user.build(&[&team, &ask, TARGET]);
    // A tree is fetched, because the signature would cover it.
    assert!(built.n_ran() > 30 && n_fetched(&built) < 10_000, "{}", built.stderr);
    assert!(built.stderr.contains("without a trusted signature"), "{}", built.stderr);
    assert_eq!(user.files("mc-out"), stranger.files("mc-out"));
}

#[test]
fn the_owner_of_the_key_replaces_unsigned_results() {
    let (_stranger, team) = filled(TARGET);
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

/// Creates files with both halves of a key in a sandbox; returns the option that signs and the one that requires
/// signatures.
fn key(sandbox: &Sandbox, name: &str, [private, public]: [&str; 2]) -> [String; 2] {
    let file = |ending: &str, text: &str| {
        let path = sandbox.path(&format!("{name}.{ending}"));
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    [
        format!("--remote-signing-key={}", file("pem", private)),
        format!("--remote-require-signed={}", file("pub", public)),
    ]
}

const KEYS: [[&str; 2]; 2] = [[PRIVATE, PUBLIC], [OTHER_PRIVATE, OTHER_PUBLIC]];

/// Two machines that built with the poisoned results of an unsigned cache, the folder of that cache, and a correct
/// build.
fn poisoned() -> ([Sandbox; 2], String, Sandbox) {
    let (maker, team) = filled(TARGET);
    assert_eq!(poison(&maker.dir().join("team"), &another_tensor), 38);
    let machines = [clone(), clone()];
    for machine in &machines {
        // Without required signatures they are trusted.
        assert!(machine.build(&[&team, TARGET]).n_ran() < 5);
        assert_ne!(machine.files("mc-out"), maker.files("mc-out"));
    }
    (machines, team, maker)
}

#[test]
fn results_fetched_unsigned_are_not_signed_sent_or_used_once_there_is_a_key() {
    let ([ci, user], team, maker) = poisoned();
    let [sign, ask] = key(&ci, "ci", KEYS[0]);
    let built = ci.build(&[&team, &sign, TARGET]);
    assert!(built.n_ran() >= 38, "{}", built.stderr);
    assert_eq!(ci.files("mc-out"), maker.files("mc-out"));
    // Results that it signed are right for all users, including one with the wrong results in the local store.
    for user in [&user, &clone()] {
        let built = user.build(&[&team, &ask, TARGET]);
        assert!(built.n_ran() == 0 && !built.stderr.contains("warning"), "{}", built.stderr);
        assert_eq!(user.files("mc-out"), maker.files("mc-out"));
    }
    // The correct results stay valid for users without required signatures.
    assert_eq!(user.build(&[TARGET]).n_ran(), 0);
    assert_eq!(user.files("mc-out"), maker.files("mc-out"));
}

#[test]
fn results_fetched_unsigned_are_not_hits_if_signatures_are_required_even_without_a_cache() {
    let ([one, other], _, maker) = poisoned();
    let [sign, ask] = key(&one, "ci", KEYS[0]);
    for (machine, option) in [(&one, &ask), (&other, &sign)] {
        let built = machine.build(&[option, TARGET]);
        assert!(built.n_ran() >= 38, "{}", built.stderr);
        assert_eq!(machine.files("mc-out"), maker.files("mc-out"));
        assert_eq!(machine.build(&[option, TARGET]).n_ran(), 0);
    }
}

#[test]
fn results_uploaded_before_there_was_a_key_are_signed_without_being_remade() {
    let (maker, team) = filled(TARGET);
    let [sign, ask] = key(&maker, "ci", KEYS[0]);
    assert_eq!(maker.build(&[&team, &sign, TARGET]).n_ran(), 0);
    let user = clone();
    let built = user.build(&[&team, &ask, TARGET]);
    assert!(built.n_ran() == 0 && !built.stderr.contains("warning"), "{}", built.stderr);
    assert_eq!(user.files("mc-out"), maker.files("mc-out"));
    // A signed result is not uploaded again.
    assert!(!maker.build(&[&team, &sign, TARGET]).stderr.contains(": sent "));
}

#[test]
fn signed_results_count_as_long_as_their_key_is_trusted() {
    let ci = clone();
    let team = folder(&ci);
    let [sign, ask] = key(&ci, "old", KEYS[0]);
    let [new_sign, new_ask] = key(&ci, "new", KEYS[1]);
    let made = ci.build(&[&team, &sign, TARGET]).n_ran();
    let user = clone();
    let build = |arguments: &[&str]| user.build(&[&[TARGET], arguments].concat()).n_ran();
    assert_eq!(build(&[&team, &ask, "--remote-download-all"]), 0);
    // Both keys may be in the file during a key rotation.
    let both = user.path("both.pub");
    fs::write(&both, format!("{}{}", KEYS[1][1], KEYS[0][1])).unwrap();
    let ask_both = format!("--remote-require-signed={}", both.display());
    assert_eq!(build(&[&ask_both, "--offline"]), 0);
    assert_eq!(ci.build(&[&team, &new_sign, "--remote-cache-async=false", TARGET]).n_ran(), 0);
    // The old key is no longer trusted: results that it signed are fetched again, signed by the new one, or remade
    // here.
    assert_eq!(build(&[&team, &new_ask]), 0);
    assert_eq!(build(&[&ask]), 0);
    let other = clone();
    assert_eq!(other.build(&[&team, &new_ask, "--remote-download-all", TARGET]).n_ran(), 0);
    assert_eq!(other.build(&[&ask, TARGET]).n_ran(), made);
    assert_eq!(other.build(&[&new_ask, TARGET]).n_ran(), 0);
}

#[test]
fn workers_are_used_with_required_signatures_only_if_they_are_trusted() {
    let ci = clone();
    let team = folder(&ci);
    let worker = Worker::start(&ci.dir().join("team"));
    let [sign, ask] = key(&ci, "ci", KEYS[0]);
    let build = |sandbox: &Sandbox, how: &[&str]| -> Built {
        let common = ["--remote-executor-all", &worker.option(), &team, TARGET];
        sandbox.build(&[&common[..], how].concat())
    };
    let ran_remotely = |built: &Built| built.document["actions"]["ran_remotely"].as_u64().unwrap();
    for option in [&sign, &ask] {
        let built = build(&clone(), &[option]);
        assert_eq!(ran_remotely(&built), 0);
        let reported = "are not used, because their results are not signed";
        assert_eq!(
            built.stderr.matches("warning: ").count(),
            built.stderr.matches(reported).count(),
            "{}",
            built.stderr
        );
        assert!(built.stderr.contains(reported), "{}", built.stderr);
    }
    assert_eq!(worker.did(), "");
    fs::remove_dir_all(ci.dir().join("team/blake3/ac")).unwrap();

    // Worker results accepted without required signatures are not signed by a user who requires them.
    assert!(ran_remotely(&build(&ci, &[])) > 30);
    assert!(build(&ci, &[&sign]).n_ran() > 30);
    fs::remove_dir_all(ci.dir().join("team/blake3/ac")).unwrap();
    let trusting = clone();
    let trust = "--remote-trust-executor";
    let built = build(&trusting, &[&sign, trust]);
    assert!(ran_remotely(&built) > 30 && !built.stderr.contains("warning: "), "{}", built.stderr);
    let user = clone();
    let built = user.build(&[&team, &ask, TARGET]);
    assert!(built.n_ran() == 0 && !built.stderr.contains("warning: "), "{}", built.stderr);
    assert_eq!(user.files("mc-out"), ci.files("mc-out"));
    // A user who no longer trusts the workers remakes them.
    assert_eq!(build(&trusting, &[&sign, trust]).n_ran(), 0);
    fs::remove_dir_all(ci.dir().join("team/blake3/ac")).unwrap();
    assert!(build(&trusting, &[&sign]).n_ran() > 30);
}

// Created with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`; they protect nothing.
const OTHER_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIE48sXbEpIiI4l0yZfspMR6DWm+iUeHiL2JYet5cWtPS\n-----END PRIVATE KEY-----\n";
const OTHER_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAWptmmkLBnbDz9U0p0Odyu2QOIvUIbIlvsO7sVhqLJDY=\n-----END PUBLIC KEY-----\n";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPWMfuXZkU7MsXmTehb1J7/fSXn1iG2ri0FHk0+NN3mp\n-----END PRIVATE KEY-----\n";
pub(crate) const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAv3Q0vU1qhOn8Nwfg/bsdFYshwifW+U461/3Pg29jerg=\n-----END PUBLIC KEY-----\n";

/// A token.
pub(crate) const GIVEN: &str = "{\"access_token\": \"ya29.neverToBeSeen\", \"expires_in\": 3600}";

/// An empty cache that accepts a Google account, and the service that issues its tokens.
pub(crate) fn of_google(status: &'static str, given: &'static str) -> Server {
    Server::new(move |request, stream| match request.path.as_str() {
        "/token" => answer(stream, status, &[], given.as_bytes()),
        _ if request.header("authorization") == Some("Bearer ya29.neverToBeSeen") => {
            answer(stream, "404 Not Found", &[], b"");
        }
        _ => answer(stream, "401 Unauthorized", &[], b"who are you?"),
    })
}

/// A build by a user with a Google login.
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
fn a_google_account_has_access() {
    let server = of_google("200 OK", GIVEN);
    let team = format!("--remote-cache={}", server.root());
    let ran = logged_in(&clone(), &server, &[&team, "--remote-cache-required", TARGET]).exits(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.path == "/token").count(), 1);
    assert!(requests.len() > 38, "{}", requests.len());
}

#[test]
fn a_google_account_without_a_token_costs_one_warning_or_one_error() {
    let server = of_google("400 Bad Request", "{\"error\": \"invalid_grant\"}");
    let team = format!("--remote-cache={}", server.root());
    let ran = logged_in(&clone(), &server, &[&team, TARGET]).exits(0);
    assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
    let reported = "answered with status 400 (`invalid_grant`); log in again with `gcloud auth";
    assert!(ran.stderr.contains(reported), "{}", ran.stderr);
    let ran = logged_in(&clone(), &server, &[&team, "--remote-cache-required", TARGET]).exits(1);
    assert!(ran.errors().len() == 1 && ran.stderr.contains(reported), "{}", ran.stderr);

    let lost = |team: &str, file: &str| {
        let sandbox = clone();
        let mut command = sandbox.command(&["build", "--google-default-credentials", team, TARGET]);
        run(command.env("GOOGLE_APPLICATION_CREDENTIALS", file)).exits(2).stderr
    };
    let reported = lost("--remote-cache=https://cache.example", "/no/such/file");
    assert!(reported.contains("Google's credentials in `/no/such/file`: it cannot be read"), "{reported}");
    let reported = lost("--remote-cache=grpc://cache.example", "/no/such/file");
    assert!(reported.contains("needs a server over TLS or on this machine"), "{reported}");
}
