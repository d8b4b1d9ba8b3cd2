//! Permissions of fetched files, and foreign files planted among them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mc_fetch::area::Presence;
use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::netrc::Netrc;
use mc_ir::origin::Origin;

use crate::server::{Request, Server, file, head};
use crate::world::{World, locked, noise, one};

fn login() -> Credentials {
    let netrc = Netrc::parse("machine 127.0.0.1 login me password secret");
    Credentials { netrc, ..Credentials::default() }
}

fn named(request: &Request) -> Vec<u8> {
    request.path.trim_start_matches("/x/").repeat(100).into_bytes()
}

fn names() -> Server {
    Server::new(|request, stream| file(request, stream, "\"v1\"", &named(request)))
}

/// Everything below the store's root, but not the root itself.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// Asserts that only the owner has access to the files of an entry.
fn assert_private(path: &Path) {
    assert_eq!(mode(path) & 0o077, 0, "{}: {:o}", path.display(), mode(path));
}

#[test]
fn files_are_private_exactly_if_fetched_with_credentials() {
    for (credentials, is_private) in [(login(), true), (Credentials::default(), false)] {
        let server = names();
        let world = World::with(&server, credentials);
        let origin = Origin::http(&format!("{}/x/", server.root()), vec!["a".to_owned(), "b/c".to_owned()]);
        let locked = world.lock(&origin).unwrap();
        let folder = world.fetch(&origin, &locked).unwrap();
        let notes = [folder.with_extension("lock"), folder.with_extension("stamps")];
        let entry = all_below(&folder).into_iter().chain([folder.clone()]).chain(notes.clone());
        if is_private {
            entry.for_each(|path| assert_private(&path));
        } else {
            let readable = mode(folder.parent().unwrap()) & 0o444;
            entry.for_each(|path| assert_eq!(mode(&path) & 0o444, readable, "{}", path.display()));
        }
        for name in ["a", "b/c"] {
            assert_eq!(mode(&folder.join(name)) & 0o222, 0, "it is read-only");
        }
        // Rewritten metadata is as private as before.
        notes.iter().for_each(|note| fs::remove_file(note).unwrap());
        assert_eq!(world.fetcher.area.presence(&origin, &locked).unwrap(), Presence::Whole(folder));
        if is_private {
            notes.iter().for_each(|note| assert_private(note));
        }
    }
}

#[test]
fn a_redirect_to_a_server_without_credentials_keeps_files_private() {
    let other = names();
    let elsewhere = format!("{}/x/a", other.root());
    let server = Server::new(move |_, stream| head(stream, "302 Found", &[("Location", &elsewhere)]));
    let world = World::with(&server, login());
    let folder = world.fetch(&one(&server), &[locked("a", &b"a".repeat(100))]).unwrap();
    assert_eq!(other.requests()[0].header("authorization"), None);
    assert_private(&folder);
    assert_private(&folder.join("a"));
}

#[test]
fn partial_downloads_are_private_and_stay_private_if_resumed_without_credentials() {
    let content = noise(300_000);
    let (sent, breaks) = (content.clone(), Arc::new(AtomicBool::new(true)));
    let is_broken = Arc::clone(&breaks);
    let server = Server::new(move |request, stream| {
        if is_broken.load(Ordering::Relaxed) {
            let length = sent.len().to_string();
            head(stream, "200 OK", &[("Content-Length", &length), ("ETag", "\"v1\"")]);
            drop(stream.write_all(&sent[..100_000]));
        } else {
            file(request, stream, "\"v1\"", &sent);
        }
    });
    for credentials in [login(), Credentials::default()] {
        breaks.store(true, Ordering::Relaxed);
        let is_private = credentials.netrc.login("127.0.0.1").is_some();
        let world = World::with(&server, credentials);
        let (origin, pins) = (one(&server), [locked("a", &content)]);
        assert!(world.fetch(&origin, &pins).is_err());
        let partial = world.path().join("fetched/partial");
        let below = all_below(&partial);
        assert!(below.len() > 4, "{below:?}");
        below.iter().for_each(|path| assert_private(path));
        breaks.store(false, Ordering::Relaxed);
        let next = World::of(&server, Credentials::default(), world);
        assert!(next.n_fetched(&origin, &pins).unwrap() < 300_000);
        assert_eq!(mode(&next.fetcher.area.folder(&origin, &pins)) & 0o077 == 0, is_private);
    }
}

#[test]
fn files_fetched_without_credentials_are_not_fetched_again_with_them() {
    let server = names();
    let world = World::new(&server);
    let (origin, pins) = (one(&server), [locked("a", &b"a".repeat(100))]);
    let folder = world.fetch(&origin, &pins).unwrap();
    let before = mode(&folder);
    let n_requests = server.requests().len();
    let next = World::of(&server, login(), world);
    assert_eq!(next.n_fetched(&origin, &pins).unwrap(), 0);
    assert_eq!((server.requests().len(), mode(&folder)), (n_requests, before));
}

#[test]
fn a_repaired_private_folder_stays_private() {
    let server = names();
    let world = World::with(&server, login());
    let origin = Origin::http(&format!("{}/x/", server.root()), vec!["a".to_owned(), "b".to_owned()]);
    let pins = world.lock(&origin).unwrap();
    let folder = world.fetch(&origin, &pins).unwrap();
    fs::remove_file(folder.join("b")).unwrap();
    let next = World::of(&server, Credentials::default(), world);
    assert_eq!(next.n_fetched(&origin, &pins).unwrap(), 100);
    assert_private(&folder);
    assert_private(&folder.join("a"));
}

/// A folder next to the store.
fn home(world: &World) -> PathBuf {
    let home = world.path().with_extension("home");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("thesis"), "years of work").unwrap();
    home
}

fn assert_untouched(home: &Path, what: &str) {
    let names: Vec<_> = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["thesis"], "{what}");
    let thesis = home.join("thesis");
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years of work", "{what}");
    assert_eq!(mode(&thesis) & 0o200, 0o200, "{what}");
}

#[test]
fn planted_links_cause_no_write_or_removal_outside_the_store() {
    let server = names();
    let (origin, pins) = (one(&server), [locked("a", &b"a".repeat(100))]);
    let hash = mc_digest::digest::Digest::of(format!("{origin:?}").as_bytes()).to_string();
    let work = format!("fetched/partial/{hash}");
    let entry = {
        let world = World::new(&server);
        let folder = world.fetcher.area.folder(&origin, &pins);
        folder.strip_prefix(world.path()).unwrap().display().to_string()
    };
    let state = mc_digest::digest::Digest::of(b"a").to_string();
    for planted in [
        "fetched".to_owned(),
        "fetched/partial".to_owned(),
        work.clone(),
        format!("{work}.lock"),
        format!("{work}/files"),
        format!("{work}/files/a"),
        format!("{work}/state"),
        format!("{work}/state/{state}"),
        format!("{work}/private"),
        entry.clone(),
        format!("{entry}/a"),
        format!("{entry}.lock"),
        format!("{entry}.stamps"),
    ] {
        for target in ["", "thesis"] {
            let world = World::with(&server, login());
            let home = home(&world);
            let link = world.path().join(&planted);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(home.join(target), &link).unwrap();
            // The link is either rejected with an error that names it, or replaced.
            if let Err(error) = world.fetch(&origin, &pins) {
                assert!(error.to_string().contains("is a symbolic link to"), "{planted}: {error}");
            } else {
                assert_eq!(
                    fs::read(world.path().join(&entry).join("a")).unwrap(),
                    b"a".repeat(100),
                    "{planted}"
                );
            }
            drop(world.fetcher.area.inventory());
            drop(world.fetcher.area.verify());
            assert_untouched(&home, &planted);
        }
    }
}

#[test]
fn planted_pipes_devices_and_endless_files_are_not_read() {
    let server = names();
    let (origin, pins) = (one(&server), [locked("a", &b"a".repeat(100))]);
    for planted in ["pipe", "device", "sparse"] {
        let world = World::new(&server);
        let folder = world.fetch(&origin, &pins).unwrap();
        for note in [folder.with_extension("lock"), folder.with_extension("stamps"), folder.join("a")] {
            fs::remove_file(&note).unwrap();
            match planted {
                "pipe" => assert!(Command::new("mkfifo").arg(&note).status().unwrap().success()),
                "device" => symlink("/dev/zero", &note).unwrap(),
                _ => fs::File::create(&note).unwrap().set_len(4 << 40).unwrap(),
            }
            assert_eq!(fs::read(world.fetch(&origin, &pins).unwrap().join("a")).unwrap(), b"a".repeat(100));
        }
        fs::remove_file(folder.with_extension("lock")).unwrap();
        assert!(Command::new("mkfifo").arg(folder.with_extension("lock")).status().unwrap().success());
        assert_eq!(world.fetcher.area.verify().unwrap().damaged.len(), 1);
        assert!(!folder.exists());
    }
}
