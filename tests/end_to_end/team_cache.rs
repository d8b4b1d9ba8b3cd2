//! Two clones of the demo that share a cache: what one built the other only fetches.

use std::fs;

use crate::sandbox::{GGUF, Sandbox, Template, files_below};

/// An address of a folder in a sandbox, which is made.
fn folder(sandbox: &Sandbox) -> String {
    let path = sandbox.dir().join("team");
    fs::create_dir_all(&path).unwrap();
    format!("--remote-cache=file://{}", path.display())
}

#[test]
fn the_second_clone_runs_nothing() {
    let first = Sandbox::warm();
    let team = folder(&first);
    // What is known here already is not sent: only who makes something has something to give.
    assert_eq!(first.build(&[&team, "--remote-upload-local-results", GGUF]).n_ran(), 0);
    let maker = Sandbox::new();
    let made = maker.build(&[&team, "--remote-upload-local-results", GGUF]).n_ran();
    assert!(made > 38, "{made}");

    let second = Sandbox::new();
    let built = second.build(&[&team, GGUF]);
    assert_eq!((built.n_ran(), built.n_hits()), (0, made));
    let line = format!("{made} actions: {made} hits ({made} remote), 0 ran\n");
    assert!(built.stderr.ends_with(&line), "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().gguf.digests());
    assert_eq!(second.files("mc-out"), Template::get().gguf_files);
    // From now on they are its own.
    assert_eq!(second.build(&[GGUF]).n_ran(), 0);
}

#[test]
fn nothing_is_sent_unless_somebody_asks() {
    let sandbox = Sandbox::new();
    let team = folder(&sandbox);
    sandbox.build(&[&team, GGUF]);
    assert_eq!(fs::read_dir(sandbox.dir().join("team")).unwrap().count(), 0);
}

#[test]
fn the_workspace_may_name_the_cache() {
    let sandbox = Sandbox::new();
    folder(&sandbox);
    let address = format!("file://{}/team", sandbox.dir().display());
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    let text = format!("{text}cache {{ remote \"{address}\" upload=#true }}\n");
    fs::write(sandbox.path("workspace.kdl"), text).unwrap();
    let built = sandbox.build(&[GGUF]);
    assert!(built.n_ran() > 0);
    fs::remove_dir_all(&sandbox.cache).unwrap();
    assert_eq!(sandbox.build(&[GGUF]).n_ran(), 0);
    fs::remove_dir_all(&sandbox.cache).unwrap();
    assert_eq!(sandbox.build(&["--remote-cache=", GGUF]).n_ran(), built.n_ran());
}

#[test]
fn a_dead_server_costs_one_warning_or_one_error() {
    let sandbox = Sandbox::new();
    let dead = "--remote-cache=http://127.0.0.1:1";
    let built = sandbox.build(&[dead, "--remote-upload-local-results", GGUF]);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("was left alone after it failed"), "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().gguf.digests());

    let sandbox = Sandbox::new();
    let ran = sandbox.mc(&["build", dead, "--remote-cache-required", GGUF]).exits(1);
    assert!(ran.stderr.contains("The remote cache"), "{}", ran.stderr);
    assert!(ran.stderr.contains("refused"), "{}", ran.stderr);
}

#[test]
fn what_was_damaged_in_the_cache_is_made_here() {
    let maker = Sandbox::new();
    let team = folder(&maker);
    maker.build(&[&team, "--remote-upload-local-results", GGUF]);
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
    let user = Sandbox::new();
    let built = user.build(&[&team, "--remote-upload-local-results", GGUF]);
    assert!(built.n_ran() >= n_damaged, "{}", built.n_ran());
    assert!(built.stderr.contains("what it sends is not believed"), "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().gguf.digests());
    // And mended there.
    let third = Sandbox::new();
    assert_eq!(third.build(&[&team, GGUF]).n_ran(), 0);
}
