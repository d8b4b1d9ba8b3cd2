//! Actions on workers: the same bytes as locally, and a build that succeeds even if the workers fail.

use std::collections::BTreeMap;
use std::fs;

use crate::sandbox::{BUNDLE, GGUF, Ran, Sandbox, Template, mc, run};
use crate::team_trust::{GIVEN, logged_in, of_google};
use crate::worker::Worker;

const QUANTIZE: &str = "--expression=quantize(Q8_0@1, load($0, F32, [2, 32]))";

/// Creates a shared cache folder beside the workspace, and returns the option that names it.
fn team(sandbox: &Sandbox) -> String {
    let folder = sandbox.dir().join("team");
    fs::create_dir(&folder).unwrap();
    format!("--remote-cache=file://{}", folder.display())
}

fn worker(sandbox: &Sandbox) -> Worker {
    Worker::start(&sandbox.dir().join("team"))
}

#[test]
fn workers_and_this_machine_give_the_same_bytes() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    let built = sandbox.build(&[&team, &worker.option(), "--remote-executor-all", BUNDLE]);
    assert_eq!(worker.did(), "accuracy 2, imatrix 1, perplexity 2, tensor 38");
    assert_eq!(built.document["actions"]["ran_remotely"], 43);
    assert!(built.stderr.contains(", 43 of them on workers\n"), "{}", built.stderr);
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().bundle.digests());
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
    let again = sandbox.build(&[&team, BUNDLE]);
    assert_eq!(again.n_ran(), 0);
}

#[test]
fn a_worker_result_is_uploaded_like_a_local_one() {
    let maker = Sandbox::new();
    let (team, worker) = (team(&maker), worker(&maker));
    let send = "--remote-upload-local-results";
    let made = maker.build(&[&team, &worker.option(), "--remote-executor-all", send, GGUF]);
    assert!(!made.stderr.contains("warning"), "{}", made.stderr);
    let other = Sandbox::new();
    let built = other.build(&[&team, GGUF]);
    assert_eq!(built.ran_by_kind(), "");
    assert_eq!(built.digests(), Template::get().gguf.digests());
}

#[test]
fn info_reports_the_negotiated_settings() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.dir().join("team")).unwrap();
    let option = worker(&sandbox).option().replace("executor", "cache");
    let info = |options: &[&str]| {
        let ran = sandbox.mc(&[&["info", "remote", &option], options].concat()).exits(0);
        let rows = ran.stdout.lines().filter_map(|line| line.split_once("  "));
        rows.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect::<BTreeMap<_, _>>()
    };
    let plain = info(&[]);
    let expected = |name, value: &str| assert_eq!(plain[name], value, "{plain:?}");
    expected("compression", "zstd offered, not used");
    expected("says chunks", "yes");
    expected("connection is tried", "every 30s");

    let asked = info(&[
        "--experimental_remote_cache_compression",
        "--experimental_remote_cache_compression_threshold=100",
        "--experimental_remote_cache_chunking=false",
        "--grpc_keepalive_time=0",
        "--digest_function=sha256",
        "--remote-cache-async=false",
        "--remote-download-minimal",
        "--remote-download-regex=gguf$",
    ]);
    assert_eq!(asked["sending is waited for"], "step by step");
    assert_eq!((&*asked["outputs fetched"], &*asked["fetched in any case"]), ("minimal", "gguf$"));
    assert_eq!(asked["compression"], "zstd from 100 bytes on");
    assert_eq!(asked["says chunks"], "yes, not used");
    assert_eq!(asked["connection is tried"], "no");
    assert_eq!(asked["digest function"], "SHA-256");
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    let address = option.split_once('=').unwrap().1;
    let text = format!("{text}cache {{ remote \"{address}\" chunking=#false }}\n");
    fs::write(sandbox.path("workspace.kdl"), text).unwrap();
    assert!(sandbox.mc(&["info", "remote"]).exits(0).stdout.contains("yes, not used"));
    assert_eq!(info(&["--remote-cache-chunking"])["says chunks"], "yes");
}

#[test]
fn the_cache_and_the_workers_get_separate_headers() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    let (both, cache, exec) =
        ("--remote-header=x-both=1", "--remote_cache_header=x-cache=2", "--remote_exec_header=x-exec=3");
    let as_cache = worker.option().replace("executor", "cache");
    sandbox.mc(&["info", "remote", &as_cache, both, cache, exec]).exits(0);
    assert_eq!(worker.headers(), ["x-both=1", "x-cache=2"]);
    let built = sandbox.build(&[&team, &worker.option(), "--remote-executor-all", exec, GGUF]);
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    assert_eq!(worker.headers(), ["x-exec=3"]);
    for wrong in [cache, "--remote-exec-header=x\u{e9}=3"] {
        let ran = sandbox.mc(&["build", &team, &worker.option(), wrong, GGUF]).exits(2);
        let name = wrong.split('=').next().unwrap().replace('_', "-");
        assert!(ran.stderr.contains(&format!("`{name}`")), "{}", ran.stderr);
    }
}

#[test]
fn the_workspace_may_name_the_workers() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    let address = team.split_once('=').unwrap().1;
    let option = worker.option();
    let executor = option.split_once('=').unwrap().1;
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    let text = format!("{text}cache {{ remote \"{address}\" executor=\"{executor}\" }}\n");
    fs::write(sandbox.path("workspace.kdl"), text).unwrap();
    // Disabling the cache disables its workers, too.
    assert_eq!(sandbox.build(&["--remote-cache=", GGUF]).document["actions"]["ran_remotely"], 0);
    fs::remove_dir_all(&sandbox.cache).unwrap();
    let built = sandbox.build(&[GGUF]);
    assert_eq!(worker.did(), "tensor 38");
    assert_eq!(built.digests(), Template::get().gguf.digests());
}

#[test]
fn workers_get_a_google_token() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    worker.let_in("Bearer ya29.neverToBeSeen");
    let server = of_google("200 OK", GIVEN);
    let ran = logged_in(&sandbox, &server, &[&team, &worker.option(), GGUF]).exits(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    assert_eq!(worker.did(), "tensor 38");
    assert_eq!(server.requests().len(), 1);

    let stranger = Sandbox::new();
    let built = stranger.build(&[&team, &worker.option(), GGUF]);
    assert!(built.stderr.contains("who are you?"), "{}", built.stderr);
    assert_eq!(worker.did(), "tensor 38");
}

#[test]
fn actions_restricted_by_tags_run_here() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    let path = sandbox.path("models/package.kdl");
    let text = fs::read_to_string(&path).unwrap();
    let tagged = |tags: &str| {
        let declared = "gguf \"tagged\" { model \":roadtrip-base\"; quantize \"Q8_0\"";
        fs::write(&path, format!("{text}{declared}; tags \"{tags}\" }}\n")).unwrap();
        fs::remove_dir_all(&sandbox.cache).ok();
        let how = [&team, &worker.option(), "--remote-executor-all", "--remote-upload-local-results"];
        sandbox.build(&[&how[..], &["//models:tagged"]].concat()).document["actions"]["ran_remotely"].clone()
    };
    for tags in ["no-remote-exec", "local"] {
        fs::remove_dir_all(sandbox.dir().join("team/blake3")).ok();
        assert_eq!(tagged(tags), 0);
        assert_eq!(worker.did(), "");
    }
    // Results that the first of these uploaded are not taken by the second, and it uploads none, either.
    assert_eq!(tagged("no-remote-cache"), 38);
    assert_eq!(tagged("no-remote-cache"), 38);
    assert_eq!(worker.did(), "tensor 76");
    assert!(!sandbox.dir().join("team/blake3/ac").exists());
}

#[test]
fn large_inputs_that_are_not_in_the_cache_stay_here() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    let built = sandbox.build(&[&team, &worker.option(), GGUF]);
    // The whole model is large; one of its tensors is not.
    assert_eq!(worker.did(), "tensor 38");
    assert_eq!(built.digests(), Template::get().gguf.digests());
}

#[test]
fn an_action_whose_input_is_missing_on_a_worker_runs_here() {
    let sandbox = Sandbox::new();
    let (team, worker) = (team(&sandbox), worker(&sandbox));
    worker.withhold("000000");
    let built = sandbox.build(&[&team, &worker.option(), GGUF]);
    assert_eq!(built.document["actions"]["ran_remotely"], 0);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("a `tensor` ended with exit code 1: error: "), "{}", built.stderr);
    assert!(built.stderr.contains("000000"), "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().gguf.digests());

    let strict = Sandbox::new();
    let arguments = ["build", &team, &worker.option(), "--remote-local-fallback=false", GGUF];
    let ran = strict.mc(&arguments).exits(1);
    assert!(
        ran.stderr.contains("did not run this action: a `tensor` ended with exit code 1"),
        "{}",
        ran.stderr
    );
}

#[test]
fn unreachable_workers_cost_one_warning() {
    let sandbox = Sandbox::new();
    let team = team(&sandbox);
    let built = sandbox.build(&[&team, "--remote-executor=grpc://127.0.0.1:1", "--remote-retries=0", GGUF]);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("The workers of grpc://127.0.0.1:1 did not run"), "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().gguf.digests());
    let ran = sandbox.mc(&["build", "--remote-executor=http://127.0.0.1:1", GGUF]).exits(2);
    assert!(ran.stderr.contains("Only gRPC servers run actions"), "{}", ran.stderr);
}

/// Runs an action in a folder with these inputs, and returns the other files in the folder afterwards.
fn step(arguments: &[&str], inputs: &[(&str, &[u8])]) -> (Ran, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in inputs {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let ran = run(mc().env_clear().arg("action").args(arguments).current_dir(folder.path()));
    let entries = fs::read_dir(folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut others: Vec<String> =
        names.filter(|name| inputs.iter().all(|(input, _)| input != name)).collect();
    others.sort();
    (ran, others)
}

#[test]
fn an_action_needs_only_its_inputs() {
    let values: Vec<u8> = (0..64_u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let (ran, made) = step(&["tensor@2", QUANTIZE], &[("000000", &values)]);
    assert_eq!(made, ["report.json", "tensor"]);
    let lines: Vec<&str> = ran.exits(0).stdout.leak().lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with(" report.json") && lines[1].ends_with("/68 tensor"), "{lines:?}");

    let (ran, made) = step(&["tensor@2", QUANTIZE], &[]);
    assert!(ran.exits(1).stderr.contains("000000"));
    assert!(made.is_empty(), "{made:?}");
    let (ran, made) = step(&["tensor@2", QUANTIZE], &[("000000", &values[..100])]);
    assert_eq!(ran.exits(1).errors().len(), 1);
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn an_action_of_another_mc_version_is_refused() {
    for (arguments, reason) in [
        (&["tensor@1", QUANTIZE][..], "`tensor@1` is not an action that this mc runs remotely"),
        (&["tensor@2", "--expression=quantize(Q8_0@7, load($0, F32, [2, 32]))"], "another version of it"),
        (&["tensor@2", "--expression=lead($0)"], "byte 0: expected an operator such as `load`"),
        (&["tensor@2", "expression"], "expected `--NAME=VALUE`"),
    ] {
        let (ran, made) = step(arguments, &[]);
        let reported = ran.exits(2).stderr;
        assert!(reported.contains(reason), "{reported}");
        assert!(made.is_empty(), "{made:?}");
    }
}
