//! Two clones of the demo that share a remote cache: the second fetches the results of the first.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::safetensors_file::set_element;
use crate::sandbox::{Built, Sandbox, files_below, run};
use crate::server::{Server, answer};
use crate::team_trust::PUBLIC;

/// A target with many tensors that builds quickly.
pub(crate) const TARGET: &str = "//models:plain";
const DECLARED: &str = "gguf \"plain\" { model \":roadtrip-base\"; quantize \"Q8_0\" }\n";
pub(crate) const SEND: &str = "--remote-upload-local-results";

/// The demo with that target and an empty store.
pub(crate) fn clone() -> Sandbox {
    let sandbox = Sandbox::new();
    let path = sandbox.path("models/package.kdl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text + DECLARED).unwrap();
    sandbox
}

/// Creates a cache folder in a sandbox, and returns the option that names it.
pub(crate) fn folder(sandbox: &Sandbox) -> String {
    let path = sandbox.dir().join("team");
    fs::create_dir_all(&path).unwrap();
    format!("--remote-cache=file://{}", path.display())
}

/// A clone that built a target, and the cache to which it uploaded everything.
pub(crate) fn filled(target: &str) -> (Sandbox, String) {
    let sandbox = clone();
    let team = folder(&sandbox);
    sandbox.build(&[&team, SEND, target]);
    (sandbox, team)
}

/// The build of a clone without a remote cache.
pub(crate) fn alone() -> Built {
    clone().build(&[TARGET])
}

#[test]
fn the_second_clone_runs_nothing() {
    let first = clone();
    let team = folder(&first);
    let made = first.build(&[&team, SEND, TARGET]).n_ran();
    assert!(made > 38, "{made}");

    let second = clone();
    // With Bazel's spelling of the option; and a folder is read even in offline mode.
    let built = second.build(&[&team.replace("--remote-cache", "--remote_cache"), "--offline", TARGET]);
    assert_eq!((built.n_ran(), built.n_hits()), (0, made));
    let line = format!("{made} actions: {made} hits ({made} remote), 0 ran\n");
    assert!(built.stderr.ends_with(&line), "{}", built.stderr);
    assert_eq!(built.digests(), alone().digests());
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
    // Promised blobs suffice if nothing has to be read, even in offline mode.
    let line = format!("{made} actions: {made} hits, 0 ran\n");
    assert!(second.build(&[&team, TARGET]).stderr.ends_with(&line));
    fs::remove_dir_all(first.dir().join("team")).unwrap();
    assert_eq!(second.build(&[&team, TARGET]).n_ran(), 0);
}

#[test]
fn fetched_results_suffice_without_the_cache() {
    let (_first, team) = filled(TARGET);
    let second = clone();
    assert_eq!(second.build(&[&team, "--remote_download_outputs=all", TARGET]).n_ran(), 0);
    assert_eq!(second.build(&[TARGET]).n_ran(), 0);
    // The same holds for blobs from an earlier build.
    let third = clone();
    third.build(&[&team, "--remote-download-minimal", TARGET]);
    assert_eq!(third.build(&[&team, "--remote-download-all", TARGET]).n_ran(), 0);
    assert_eq!(third.build(&[TARGET]).n_ran(), 0);
    // The records of the cache are removed with the store, of which only the name is left.
    second.mc(&["clean", "--cache", "--yes"]).exits(0);
    let left: Vec<_> = fs::read_dir(&second.cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["VERSION"]);
    second.mc(&["build", TARGET]).exits(0);
}

#[test]
fn outputs_stay_in_the_cache_until_they_are_needed() {
    let (first, team) = filled(TARGET);
    let size = |sandbox: &Sandbox| -> u64 {
        files_below(&sandbox.cache).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
    };
    let second = clone();
    let minimal = "--remote-download-outputs=minimal";
    let ran = second.mc(&["build", &team, minimal, TARGET]).exits(0);
    assert!(ran.stdout.contains("outputs stay in the caches"), "{}", ran.stdout);
    assert!(ran.stderr.ends_with("0 ran\n"), "{}", ran.stderr);
    assert!(!second.path("mc-out").exists());
    assert!(size(&second) < size(&first) / 20, "{} of {}", size(&second), size(&first));
    assert_eq!(second.build(&[&team, TARGET]).n_ran(), 0);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
}

/// Number of bytes fetched from the cache.
pub(crate) fn n_fetched(built: &Built) -> u64 {
    built.document["remote"]["bytes_down"].as_u64().unwrap()
}

#[test]
fn without_accepting_results_earlier_promises_do_not_count_either() {
    let (first, team) = filled(TARGET);
    let second = clone();
    assert_eq!(second.build(&[&team, "--remote-download-minimal", TARGET]).n_ran(), 0);
    let built = second.build(&[&team, "--noremote_accept_cached", TARGET]);
    assert!(built.n_ran() > 30 && n_fetched(&built) == 0, "{}", built.stderr);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
}

#[test]
fn outputs_whose_names_match_are_downloaded_and_others_stay() {
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
    assert!(built.stdout.contains("other outputs stay in the caches"), "{}", built.stdout);
    let wanted = |(path, _): &(String, Vec<u8>)| path.contains("-00001-of") || path.contains("-00003-of");
    assert_eq!(second.files("mc-out"), made.iter().filter(|file| wanted(file)).cloned().collect::<Vec<_>>());
    // The last of several options applies, in any spelling.
    let all = ["build", &team, "--remote-download-all", "--remote-download-outputs=minimal"];
    second.mc(&[&all[..], &["--remote-download-toplevel", TARGET]].concat()).exits(0);
    assert_eq!(second.files("mc-out"), made);
    let ran = second.mc(&["build", &team, "--remote-download-regex=a(b", TARGET]).exits(2);
    assert!(ran.stderr.contains("unclosed group"), "{}", ran.stderr);
}

#[test]
fn no_action_runs_if_all_must_be_cached() {
    let (first, team) = filled(TARGET);
    let second = clone();
    let cached = "--experimental_remote_require_cached";
    assert_eq!(second.build(&[&team, cached, TARGET]).n_ran(), 0);
    // Results in the local store need no server.
    assert_eq!(first.build(&["--remote-require-cached", TARGET]).n_ran(), 0);

    let third = clone();
    let weights = third.path("models/base/model.safetensors");
    set_element(&weights, "model.layers.0.mlp.up_proj.weight", [0, 0], 0.5);
    let ran = third.mc(&["build", &team, cached, TARGET]).exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.errors()[0].contains("blk.0.ffn_up.weight"), "{}", ran.stderr);
    assert!(ran.errors()[0].contains("No cache has the result of this action"), "{}", ran.stderr);
    assert!(!third.path("mc-out").exists());
    let built = third.build(&[&team, "--remote-require-cached=false", TARGET]);
    assert_eq!(built.ran_by_kind(), "gguf 1, tensor 1");
}

#[test]
fn only_a_changed_tensor_is_remade_and_uploaded() {
    let (first, team) = filled(TARGET);
    let n_files = |sandbox: &Sandbox| files_below(&sandbox.dir().join("team")).len();
    let before = n_files(&first);

    let second = clone();
    let weights = second.path("models/base/model.safetensors");
    set_element(&weights, "model.layers.0.mlp.up_proj.weight", [0, 0], 0.5);
    let built = second.build(&[&team, SEND, TARGET]);
    assert_eq!(built.ran_by_kind(), "gguf 1, tensor 1");
    // A tensor and its report, the head and the list of reports; for either action its result, action and command; and
    // for the file the tree of its parts.
    let sent = n_files(&first) - before;
    assert!((8..=12).contains(&sent), "{sent}");
}

#[test]
fn uploads_are_opt_in() {
    let sandbox = clone();
    let team = folder(&sandbox);
    sandbox.build(&[&team, TARGET]);
    assert_eq!(fs::read_dir(sandbox.dir().join("team")).unwrap().count(), 0);
}

/// A second target that shares the unquantized actions of the first.
const TAGGED: &str = "//models:tagged";

fn clone_with(tags: &str) -> Sandbox {
    let sandbox = clone();
    let text = fs::read_to_string(sandbox.path("models/package.kdl")).unwrap();
    let declared = format!("gguf \"tagged\" {{ model \":roadtrip-base\"; quantize \"Q4_0\"; {tags} }}\n");
    fs::write(sandbox.path("models/package.kdl"), text + &declared).unwrap();
    sandbox
}

#[test]
fn a_target_restricts_uploads_and_downloads_by_tags() {
    let first = clone_with("tags \"no-remote-cache-upload\" \"no-remote-exec\"");
    let team = folder(&first);
    first.build(&[&team, SEND, TARGET]);
    let made = first.build(&[&team, SEND, TAGGED]);

    let second = clone_with("tags \"no-remote-cache-upload\"");
    assert_eq!(second.build(&[&team, SEND, TARGET]).n_ran(), 0);
    let built = second.build(&[&team, SEND, TAGGED]);
    assert_eq!(built.ran_by_kind(), made.ran_by_kind());
    assert_eq!(built.digests(), made.digests());

    // One user uploads; then another downloads.
    let third = clone_with("");
    assert!(third.build(&[&team, SEND, TAGGED]).n_ran() > 0);
    assert_eq!(clone_with("tags \"no-remote-cache-upload\"").build(&[&team, TAGGED]).n_ran(), 0);
    for word in ["no-remote-cache", "no-remote", "local"] {
        let built = clone_with(&format!("tags \"{word}\"")).build(&[&team, TAGGED]);
        assert_eq!((built.n_hits(), built.digests()), (0, made.digests()), "{word}");
    }
}

#[test]
fn an_action_of_two_targets_has_the_restrictions_of_both() {
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
fn a_server_that_is_not_a_cache_is_detected() {
    let says = |status: &'static str, body: &'static str| {
        Server::new(move |_, stream| answer(stream, status, &[], body.as_bytes()))
    };
    let asked = |address: &str| clone().mc(&["info", "remote", &format!("--remote-cache={address}")]);
    let cache = says("404 Not Found", "");
    let ran = asked(&cache.root()).exits(0);
    assert!(ran.stdout.contains("answers"), "{}", ran.stdout);
    assert_eq!(cache.requests()[0].path, format!("/ac/{}", "0".repeat(64)));
    for (address, reported) in [
        ("http://127.0.0.1:1".to_owned(), "refused"),
        (says("200 OK", "<html>Who are you?</html>").root(), "is it a cache, or a login page?"),
        (says("401 Unauthorized", "").root(), "authenticate with"),
    ] {
        let ran = asked(&address).exits(1);
        assert!(ran.stderr.contains(reported), "{}", ran.stderr);
    }
}

#[test]
fn the_proxy_follows_the_environment_variables() {
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
    assert!(ran.stderr.contains("have instances such as `main`"), "{}", ran.stderr);
}

#[test]
fn server_settings_of_the_workspace_apply_to_its_own_server_only() {
    let sandbox = clone();
    let team = folder(&sandbox);
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    let remote = "remote \"grpc://127.0.0.1:1\" instance=\"main\" upload=#true";
    fs::write(sandbox.path("workspace.kdl"), format!("{text}cache {{ {remote} }}\n")).unwrap();
    let made = sandbox.build(&[&team, TARGET]);
    assert!(made.n_ran() > 30 && !made.stderr.contains("warning:"), "{}", made.stderr);
    assert_eq!(fs::read_dir(sandbox.dir().join("team")).unwrap().count(), 0);

    // Required signatures apply to every server.
    clone().build(&[&team, SEND, TARGET]);
    fs::write(sandbox.path("team.pub"), PUBLIC).unwrap();
    sandbox.edit("workspace.kdl", "upload=#true", "require-signed=\"team.pub\"");
    fs::remove_dir_all(&sandbox.cache).unwrap();
    assert_eq!(sandbox.build(&[&team, TARGET]).n_ran(), made.n_ran());
}

#[test]
fn unsupported_values_of_bazel_options_are_refused() {
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
fn grpc_calls_are_logged_on_request() {
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

#[test]
fn older_results_are_uploaded_to_a_cache_that_lacks_them() {
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
    // If the cache has everything, nothing is uploaded; results that only the cache has stay there.
    assert!(!first.build(&[&team, SEND, TARGET]).stderr.contains(": sent "));
    let third = clone();
    third.mc(&["build", &team, "--remote-download-outputs=minimal", TARGET]).exits(0);
    fs::remove_dir_all(first.dir().join("team/blake3/ac")).unwrap();
    let ran = third.mc(&["build", &team, SEND, "--remote-download-outputs=minimal", TARGET]).exits(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
}
