//! A checkpoint from a server: pinned, fetched, and built like one in the workspace.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mc_fetch::checksum::sha256;
use serde_json::json;

use crate::disk_full::SmallDisk;
use crate::sandbox::{GGUF, Ran, Sandbox, Template, files_below, run};
use crate::server::{Request, Server, answer, file, head};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

const TOKEN: &str = "hf_neverToBeSeen";

/// A sandbox whose base model is on a server with the Hugging Face API, not in its workspace.
struct Elsewhere {
    sandbox: Sandbox,
    server: Server,
    /// While this is set, the response with the weights stops in the middle and the connection stays open.
    is_stuck: Arc<AtomicBool>,
}

impl Elsewhere {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let base = sandbox.dir().join("elsewhere");
        fs::rename(sandbox.path("models/base"), &base).unwrap();
        sandbox.edit(
            "models/package.kdl",
            "checkpoint \"roadtrip-base\" dir=\"base\"",
            &format!("checkpoint \"roadtrip-base\" {{ hf \"org/base\" revision=\"{COMMIT}\" }}"),
        );
        let is_stuck: Arc<AtomicBool> = Arc::default();
        let stuck = Arc::clone(&is_stuck);
        let server = Server::new(move |request, stream| serve(&base, &stuck, request, stream));
        Self { sandbox, server, is_stuck }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("HF_ENDPOINT", self.server.root()).env("HF_TOKEN", TOKEN).env("HOME", self.sandbox.dir());
        for name in ["HF_TOKEN_PATH", "HF_HOME", "NETRC", "DOCKER_CONFIG", "MC_CREDENTIAL_HELPER"] {
            command.env_remove(name);
        }
        command
    }

    fn mc(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Removes everything that was fetched and built.
    fn forget(&self) {
        fs::remove_dir_all(&self.sandbox.cache).unwrap();
    }

    /// The start offsets of the requests for the weights.
    fn starts(&self) -> Vec<usize> {
        let weights = |request: &Request| request.path.ends_with("/model.safetensors");
        self.server.requests().iter().filter(|it| weights(it)).map(|it| it.from().unwrap_or(0)).collect()
    }
}

fn serve(base: &Path, is_stuck: &AtomicBool, request: &Request, stream: &mut std::net::TcpStream) {
    if request.header("authorization") != Some("Bearer hf_neverToBeSeen") {
        return answer(stream, "401 Unauthorized", &[], b"{\"error\": \"gated\"}");
    }
    if request.path.starts_with("/api/") {
        return answer(stream, "200 OK", &[], listing(base).as_bytes());
    }
    let name = request.path.strip_prefix(&format!("/org/base/resolve/{COMMIT}/")).unwrap_or_default();
    let Ok(bytes) = fs::read(base.join(name)) else {
        return answer(stream, "404 Not Found", &[], b"");
    };
    let tag = format!("\"{}\"", sha256(&bytes));
    if name == "model.safetensors" && is_stuck.load(Ordering::Relaxed) {
        let length = bytes.len().to_string();
        head(stream, "200 OK", &[("Content-Length", length.as_str()), ("ETag", tag.as_str())]);
        drop(stream.write_all(&bytes[..bytes.len() / 2]));
        std::thread::sleep(Duration::from_secs(20));
        return;
    }
    file(request, stream, &tag, &bytes);
}

fn listing(base: &Path) -> String {
    let sibling = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let name = path.strip_prefix(base).unwrap().display().to_string();
        json!({ "rfilename": name, "size": bytes.len(), "lfs": { "sha256": sha256(&bytes), "size": bytes.len() } })
    };
    let siblings: Vec<_> = files_below(base).iter().map(|path| sibling(path)).collect();
    json!({ "sha": COMMIT, "siblings": siblings }).to_string()
}

#[test]
fn a_fetched_checkpoint_builds_the_same_tensors_as_a_folder_and_names_its_repository() {
    let elsewhere = Elsewhere::new();
    let mut reported = String::new();
    let mut tell = |ran: Ran| {
        reported.push_str(&format!("{}{}", ran.stdout, ran.stderr));
        ran
    };
    let unpinned = tell(elsewhere.mc(&["build", GGUF]).exits(2));
    assert!(unpinned.stderr.contains("is not in `mc.lock`; run `mc lock`"), "{}", unpinned.stderr);
    let locked = tell(elsewhere.mc(&["lock"]).exits(0));
    assert!(locked.stdout.starts_with("pinned hf \"org/base\""), "{}", locked.stdout);
    let lock = fs::read_to_string(elsewhere.sandbox.path("mc.lock")).unwrap();
    let kept = tell(elsewhere.mc(&["lock"]).exits(0));
    assert!(kept.stdout.starts_with("kept hf \"org/base\""), "{}", kept.stdout);

    // Another machine: it has the lock file and nothing else.
    elsewhere.forget();
    let offline = tell(elsewhere.mc(&["build", "--offline", GGUF]).exits(1));
    assert!(offline.stderr.contains("model.safetensors  of hf \"org/base\""), "{}", offline.stderr);
    assert!(offline.stderr.contains("Run `mc fetch`"), "{}", offline.stderr);
    let fetched = tell(elsewhere.mc(&["fetch"]).exits(0));
    assert!(fetched.stdout.starts_with("fetched hf \"org/base\""), "{}", fetched.stdout);
    let n_requests = elsewhere.server.requests().len();
    let again = tell(elsewhere.mc(&["fetch"]).exits(0));
    assert_eq!(again.stdout, "nothing to fetch: 1 origin here\n");
    let built = tell(elsewhere.mc(&["build", "--output", "json", "--offline", GGUF]).exits(0));
    assert_eq!(elsewhere.server.requests().len(), n_requests);

    let document = built.json();
    let target = &document["targets"][0];
    let folder = Path::new(target["directory"].as_str().unwrap());
    let file = fs::read(folder.join(target["outputs"][0]["path"].as_str().unwrap())).unwrap();
    let names = |address: &str| file.windows(address.len()).any(|bytes| bytes == address.as_bytes());
    assert!(names("https://huggingface.co/org/base"));

    // The tensors of the folder are hits for the fetched files and the other way round: places are in no key. Only the
    // file that names the repository is made anew.
    fs::rename(elsewhere.sandbox.dir().join("elsewhere"), elsewhere.sandbox.path("models/base")).unwrap();
    let fetched = format!("{{ hf \"org/base\" revision=\"{COMMIT}\" }}");
    elsewhere.sandbox.edit("models/package.kdl", &fetched, "dir=\"base\"");
    let of_folder = elsewhere.sandbox.build(&[GGUF]);
    assert_eq!(of_folder.n_ran(), 1);
    let template = &Template::get().gguf;
    assert_eq!(of_folder.document["targets"][0]["outputs"], template.document["targets"][0]["outputs"]);
    let removed = tell(elsewhere.mc(&["lock"]).exits(0));
    assert!(removed.stdout.starts_with("removed hf"), "{}", removed.stdout);

    // The token was used, and does not appear anywhere.
    let mut texts = vec![reported, lock];
    for path in files_below(elsewhere.sandbox.dir()) {
        texts.push(path.display().to_string());
        texts.push(String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned());
    }
    assert!(texts.iter().all(|text| !text.contains("neverToBeSeen")));
}

#[test]
fn a_build_fetches_the_files_that_it_needs() {
    let elsewhere = Elsewhere::new();
    elsewhere.mc(&["lock"]).exits(0);
    elsewhere.forget();
    let built = elsewhere.mc(&["build", "--verbose", "//models:roadtrip-base"]).exits(0);
    assert!(built.stderr.contains("fetch      org/base  model.safetensors"), "{}", built.stderr);
    let again = elsewhere.mc(&["build", "//models:roadtrip-base"]).exits(0);
    assert!(!again.stderr.contains("fetch"), "{}", again.stderr);
    elsewhere.mc(&["check"]).exits(0);
}

#[test]
fn bytes_that_do_not_match_the_lock_are_refused() {
    let elsewhere = Elsewhere::new();
    elsewhere.mc(&["lock"]).exits(0);
    elsewhere.forget();
    let path = elsewhere.sandbox.path("mc.lock");
    let lock = fs::read_to_string(&path).unwrap();
    let start = lock.find("blake3=\"").unwrap() + "blake3=\"".len();
    let other = if lock[start..].starts_with('0') { "1" } else { "0" };
    fs::write(&path, format!("{}{other}{}", &lock[..start], &lock[start + 1..])).unwrap();
    let refused = elsewhere.mc(&["fetch"]).exits(1);
    assert!(refused.stderr.contains("has other bytes than expected"), "{}", refused.stderr);
    assert!(refused.stderr.contains("mc lock --update"), "{}", refused.stderr);
    elsewhere.mc(&["build", "//models:roadtrip-base"]).exits(1);
    let fetched = elsewhere.sandbox.cache.join("fetched");
    let whole =
        fs::read_dir(fetched).unwrap().flatten().filter(|entry| entry.file_name() != "partial").count();
    assert_eq!(whole, 0);
    elsewhere.mc(&["lock", "--update"]).exits(0);
    assert_eq!(fs::read_to_string(path).unwrap(), lock);
}

#[test]
fn a_stopped_fetch_resumes() {
    for (signal, code) in [("-KILL", None), ("-INT", Some(8))] {
        let elsewhere = Elsewhere::new();
        elsewhere.mc(&["lock"]).exits(0);
        elsewhere.forget();
        elsewhere.is_stuck.store(true, Ordering::Relaxed);
        let n_before = elsewhere.starts().len();
        let mut command = elsewhere.command(&["fetch"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let half =
            fs::metadata(elsewhere.sandbox.dir().join("elsewhere/model.safetensors")).unwrap().len() / 2;
        let part = || {
            let files = files_below(&elsewhere.sandbox.cache.join("fetched/partial"));
            files.into_iter().find(|path| path.ends_with("files/model.safetensors"))
        };
        while part().is_none_or(|path| fs::metadata(path).unwrap().len() < half) {
            assert_eq!(child.try_wait().unwrap(), None, "the fetch ended too early");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), code);
        elsewhere.is_stuck.store(false, Ordering::Relaxed);
        elsewhere.mc(&["fetch"]).exits(0);
        assert_eq!(elsewhere.starts()[n_before..], [0, usize::try_from(half).unwrap()]);
    }
}

#[test]
fn a_full_disk_is_one_error_and_the_fetch_resumes_when_there_is_room() {
    let mut elsewhere = Elsewhere::new();
    elsewhere.mc(&["lock"]).exits(0);
    let mount = elsewhere.sandbox.dir().join("disk");
    let Some(disk) = SmallDisk::mount(&mount, "2m") else { return };
    elsewhere.sandbox.cache = mount.join("store");
    let n_before = elsewhere.starts().len();
    let refused = elsewhere.mc(&["fetch"]).exits(1);
    assert_eq!(refused.errors().len(), 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("The disk is full: could not write"), "{}", refused.stderr);
    disk.grow("64m");
    elsewhere.mc(&["fetch"]).exits(0);
    let starts = elsewhere.starts();
    assert!(starts.len() == n_before + 2 && starts[n_before + 1] > 0, "{starts:?}");
}

#[test]
fn a_credential_helper_is_called_for_plain_servers() {
    let elsewhere = Elsewhere::new();
    let helper = elsewhere.sandbox.dir().join("helper");
    let script = format!("#!/bin/sh\necho '{{\"headers\": {{\"Authorization\": [\"Bearer {TOKEN}\"]}}}}'\n");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("{}/org/base/resolve/{COMMIT}/", elsewhere.server.root());
    let names = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| format!("file \"{name}\""));
    let from = format!("hf \"org/base\" revision=\"{COMMIT}\"");
    elsewhere.sandbox.edit(
        "models/package.kdl",
        &from,
        &format!("http \"{address}\" {{ {} }}", names.join("; ")),
    );
    let mut refused = elsewhere.command(&["lock"]);
    let refused = run(refused.env_remove("HF_TOKEN").env_remove("HF_ENDPOINT")).exits(1);
    assert!(refused.stderr.contains("`--credential-helper PROGRAM`"), "{}", refused.stderr);
    let mut command = elsewhere.command(&["lock", "--credential-helper"]);
    let locked = run(command.arg(&helper).env_remove("HF_TOKEN").env_remove("HF_ENDPOINT")).exits(0);
    assert!(locked.stdout.starts_with("pinned http"), "{}", locked.stdout);
    elsewhere.mc(&["check"]).exits(0);
    let removed = elsewhere.mc(&["clean", "--cache", "--yes"]).exits(0);
    assert!(removed.stdout.contains("fetched"), "{}", removed.stdout);
    let left: Vec<_> = fs::read_dir(&elsewhere.sandbox.cache).unwrap().flatten().collect();
    assert!(left.len() == 1 && left[0].file_name() == "VERSION", "{left:?}");
}

#[test]
fn a_refused_access_is_reported_with_a_hint() {
    let elsewhere = Elsewhere::new();
    let refused = run(elsewhere.command(&["lock"]).env("HF_TOKEN", "wrong-neverToBeSeen")).exits(1);
    assert!(refused.stderr.contains("refused access (status 401): gated"), "{}", refused.stderr);
    assert!(refused.stderr.contains("set `HF_TOKEN`"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("neverToBeSeen"), "{}", refused.stderr);
    assert!(!elsewhere.sandbox.path("mc.lock").exists());
}

#[test]
fn a_lock_changes_as_a_whole_or_not_at_all() {
    let elsewhere = Elsewhere::new();
    let package = fs::read_to_string(elsewhere.sandbox.path("models/package.kdl")).unwrap();
    // The server has no files of it, and it is pinned last.
    let other = format!("checkpoint \"other\" {{ hf \"org/other\" revision=\"{COMMIT}\" }}\n");
    let with_other = format!("{package}{other}");
    let lock = elsewhere.sandbox.path("mc.lock");
    fs::write(elsewhere.sandbox.path("models/package.kdl"), &with_other).unwrap();
    elsewhere.mc(&["lock"]).exits(1);
    assert!(!lock.exists(), "half of a lock was written");
    fs::write(elsewhere.sandbox.path("models/package.kdl"), &package).unwrap();
    elsewhere.mc(&["lock"]).exits(0);
    let before = fs::read(&lock).unwrap();
    fs::write(elsewhere.sandbox.path("models/package.kdl"), &with_other).unwrap();
    for arguments in [&["lock"][..], &["lock", "--update"]] {
        elsewhere.mc(arguments).exits(1);
        assert_eq!(fs::read(&lock).unwrap(), before);
    }
}

#[test]
fn a_check_needs_no_weights_and_says_what_it_left_out() {
    let elsewhere = Elsewhere::new();
    // What is not pinned is an error for everybody.
    elsewhere.mc(&["check"]).exits(2);
    elsewhere.mc(&["lock"]).exits(0);
    elsewhere.mc(&["check"]).exits(0);
    elsewhere.forget();
    let n_requests = elsewhere.server.requests().len();
    let checked = elsewhere.mc(&["check"]).exits(0);
    assert!(
        checked.stdout.contains("ok: 2 packages, 11 targets\nonly the declarations"),
        "{}",
        checked.stdout
    );
    for part in ["//models:roadtrip-base  ", "is not fetched; run `mc fetch`", "needs //models:roadtrip-base"]
    {
        assert!(checked.stdout.contains(part), "{}", checked.stdout);
    }
    let document = elsewhere.mc(&["check", "--output", "json"]).exits(0).json();
    let left_out = document["left_out"].as_array().unwrap();
    assert!(left_out.iter().any(|it| it["label"] == "//models:roadtrip-q4km-ios" && it["needs"].is_string()));
    assert!(left_out.iter().all(|it| it["label"] != "//models:calibration"));
    // Mistakes elsewhere are found all the same.
    elsewhere.sandbox.edit("models/package.kdl", "quantize \"F16\"", "quantize \"F15\"");
    let wrong = elsewhere.mc(&["check"]).exits(2);
    assert!(wrong.stderr.contains("Did you mean `F16`?"), "{}", wrong.stderr);
    assert_eq!(elsewhere.server.requests().len(), n_requests, "a check asks no server");
    assert!(!elsewhere.sandbox.cache.exists(), "a check makes no store");
}

#[test]
fn fetched_files_are_collected_unless_the_workspace_pins_them() {
    let elsewhere = Elsewhere::new();
    elsewhere.mc(&["lock"]).exits(0);
    let collect = ["cache", "gc", "--max-size", "0B"];
    let fetched = || files_below(&elsewhere.sandbox.cache.join("fetched")).len();
    let before = fetched();
    elsewhere.mc(&collect).exits(0);
    assert_eq!(fetched(), before);
    let outside = elsewhere.sandbox.dir().to_owned();
    let ran = run(elsewhere.command(&collect).current_dir(outside)).exits(0);
    assert!(ran.stdout.contains("fetched  1"), "{}", ran.stdout);
    assert!(
        files_below(&elsewhere.sandbox.cache.join("fetched"))
            .iter()
            .all(|path| { path.components().any(|part| part.as_os_str() == "partial") })
    );
    let built = elsewhere.mc(&["build", "//models:roadtrip-base"]).exits(0);
    assert!(built.stderr.contains("fetch      org/base  8 files"), "{}", built.stderr);
    // With a limit, the end of a fetch says that what is pinned stays.
    let workspace = fs::read_to_string(elsewhere.sandbox.path("workspace.kdl")).unwrap();
    let limited = format!("{workspace}cache {{ disk max-size=\"1kB\" }}\n");
    fs::write(elsewhere.sandbox.path("workspace.kdl"), limited).unwrap();
    let again = elsewhere.mc(&["fetch"]).exits(0);
    assert!(again.stderr.contains("more than its limit of 1000"), "{}", again.stderr);
    assert!(fetched() > 0);
}

#[test]
fn a_branch_is_reported_with_the_commit_to_write() {
    let elsewhere = Elsewhere::new();
    elsewhere.sandbox.edit("models/package.kdl", COMMIT, "main");
    let check = elsewhere.mc(&["check"]).exits(2);
    assert!(check.stderr.contains("a branch can move"), "{}", check.stderr);
    let refused = elsewhere.mc(&["lock"]).exits(2);
    let expected = format!("Write `hf \"org/base\" revision=\"{COMMIT}\"`, its current location");
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
}

#[test]
fn files_fetched_with_a_token_are_private_and_outputs_built_from_them_are_not() {
    let world = Elsewhere::new();
    world.mc(&["lock"]).exits(0);
    world.mc(&["build", GGUF]).exits(0);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let fetched = world.sandbox.cache.join("fetched");
    let mut n_private = 0;
    for entry in fs::read_dir(&fetched).unwrap().map(Result::unwrap) {
        if entry.file_name() == "partial" {
            continue;
        }
        let below = if entry.path().is_dir() { files_below(&entry.path()) } else { Vec::new() };
        for path in below.iter().chain([&entry.path()]) {
            assert_eq!(mode(path) & 0o077, 0, "{}: {:o}", path.display(), mode(path));
            n_private += 1;
        }
    }
    assert!(n_private > 4, "{n_private}");
    let outputs = files_below(&world.sandbox.path("mc-out"));
    for path in outputs.into_iter().filter(|path| !path.ends_with("CACHEDIR.TAG")) {
        assert_eq!(mode(&path), 0o444, "{}", path.display());
    }
}

#[test]
fn pipes_and_endless_files_in_place_of_settings_do_not_block() {
    let world = Elsewhere::new();
    let planted = |name: &str| {
        let path = world.sandbox.dir().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let (pipe, long) = (planted("pipe"), world.sandbox.dir().join("long"));
    fs::File::create(&long).unwrap().set_len(4 << 40).unwrap();
    // They count as empty: the server accepts a request with the token.
    for path in [&pipe, &long] {
        let mut command = world.command(&["lock"]);
        command.env("NETRC", path).env("DOCKER_CONFIG", path).env("HF_TOKEN_PATH", path);
        run(&mut command).exits(0);
    }
    let lock = world.sandbox.path("mc.lock");
    for path in [&pipe, &long] {
        fs::remove_file(&lock).unwrap();
        fs::rename(path, &lock).unwrap();
        let reported = world.mc(&["fetch"]).exits(2).stderr;
        assert!(
            reported.contains("expected a regular file") || reported.contains("limit for a file"),
            "{reported}"
        );
    }
}
