//! Folders of fetched files: complete, read-only, checked for changes, shared by processes.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mc_fetch::area::Presence;
use mc_fetch::fetcher::Event;
use mc_fetch::inventory::{Held, Inventory, Verified};
use mc_files::folder::Folder;
use mc_ir::origin::Origin;

use crate::server::{Server, answer, file};
use crate::world::{World, locked, noise};

fn origin(server: &Server, names: &[&str]) -> Origin {
    Origin::http(&format!("{}/x/", server.root()), names.iter().map(|&name| name.to_owned()).collect())
}

/// Serves each file's own name, many times over.
fn names() -> Server {
    Server::new(|request, stream| {
        let name = request.path.strip_prefix("/x/").unwrap_or_default();
        file(request, stream, "\"v1\"", bytes(name).as_slice());
    })
}

fn bytes(name: &str) -> Vec<u8> {
    name.repeat(1_000).into_bytes()
}

#[test]
fn a_folder_has_read_only_files_under_their_own_names() {
    let server = names();
    let world = World::new(&server);
    let origin = origin(&server, &["b/c", "a"]);
    let locked = world.lock(&origin).unwrap();
    let folder = world.fetch(&origin, &locked).unwrap();
    for name in ["a", "b/c"] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), bytes(name));
        assert!(fs::metadata(folder.join(name)).unwrap().permissions().readonly());
    }
}

#[test]
fn changed_files_are_detected_and_only_they_are_fetched() {
    let server = names();
    let world = World::new(&server);
    let origin = origin(&server, &["a", "b"]);
    let locked = world.lock(&origin).unwrap();
    let folder = world.fetch(&origin, &locked).unwrap();
    let path = folder.join("a");
    let presence = || world.fetcher.area.presence(&origin, &locked).unwrap();
    let damage = |bytes: &[u8]| {
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    };
    // Rewriting the same bytes is not damage.
    damage(&bytes("a"));
    assert_eq!(presence(), Presence::Whole(folder.clone()));
    for wrong in [&b"short"[..], &bytes("x")] {
        damage(wrong);
        assert_eq!(presence(), Presence::Damaged(vec!["a".to_owned()]));
        assert_eq!(world.n_fetched(&origin, &locked).unwrap(), 1_000);
        assert_eq!(fs::read(&path).unwrap(), bytes("a"));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(presence(), Presence::Damaged(vec!["a".to_owned()]));
    assert_eq!(world.n_fetched(&origin, &locked).unwrap(), 1_000);
}

#[test]
fn if_one_file_fails_nothing_is_published_and_the_others_are_kept() {
    let server = Server::new(|request, stream| {
        if request.path.ends_with("/b") && request.n_before == 0 {
            return answer(stream, "404 Not Found", &[], b"");
        }
        let name = request.path.strip_prefix("/x/").unwrap_or_default();
        file(request, stream, "\"v1\"", bytes(name).as_slice());
    });
    let world = World::new(&server);
    let origin = origin(&server, &["a", "b"]);
    let locked = [locked("a", &bytes("a")), locked("b", &bytes("b"))];
    assert!(world.fetch(&origin, &locked).unwrap_err().to_string().contains("does not exist"));
    assert_eq!(world.fetcher.area.presence(&origin, &locked).unwrap(), Presence::Missing);
    assert_eq!(world.n_fetched(&origin, &locked).unwrap(), 1_000);
}

#[test]
fn files_of_an_earlier_list_are_not_in_the_folder() {
    let server = names();
    let world = World::new(&server);
    let origin = origin(&server, &["a"]);
    let work = world.fetcher.area.begin(&origin, || ()).unwrap();
    for stray in ["stray", "d/stray"] {
        fs::write(work.part(stray).unwrap().path(), "x").unwrap();
    }
    drop(work);
    let folder = world.fetch(&origin, &[locked("a", &bytes("a"))]).unwrap();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

#[test]
fn two_concurrent_fetches_download_once() {
    let content = noise(3_000_000);
    let sent = content.clone();
    let server = Server::new(move |request, stream| file(request, stream, "\"v1\"", &sent));
    let world = World::new(&server);
    let origin = origin(&server, &["a"]);
    let locked = [locked("a", &content)];
    let n_bytes = AtomicU64::new(0);
    let watch = |event: &Event<'_>| {
        if let Event::Bytes(more) = event {
            n_bytes.fetch_add(*more, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| world.fetcher.fetch(&origin, &locked, &watch).unwrap());
        }
    });
    assert_eq!(n_bytes.into_inner(), 3_000_000);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn pins_do_not_depend_on_their_maker() {
    let server = names();
    let origin = origin(&server, &["a", "b/c", "d"]);
    let first = World::new(&server).lock(&origin).unwrap();
    assert_eq!(World::new(&server).lock(&origin).unwrap(), first);
}

#[test]
fn verify_finds_a_flipped_bit_that_leaves_the_stamp_unchanged() {
    let server = names();
    let world = World::new(&server);
    let area = &world.fetcher.area;
    assert_eq!(area.inventory().unwrap(), Inventory::default());
    let origin = origin(&server, &["a", "b/c"]);
    let locked = world.lock(&origin).unwrap();
    let folder = world.fetch(&origin, &locked).unwrap();
    let all = Held { n_files: 2, n_bytes: 4_000 };
    assert_eq!(area.inventory().unwrap(), Inventory { whole: all, unfinished: Held::default() });
    assert_eq!(area.verify().unwrap(), Verified { intact: all, damaged: Vec::new() });

    let path = folder.join("b/c");
    let mut damaged = bytes("b/c");
    damaged[7] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, &damaged).unwrap();
    // Simulates silent disk corruption: the file status stays the same.
    let stamps = mc_fetch::stamps::stamps(&Folder::open(&folder).unwrap(), &locked).unwrap();
    fs::write(folder.with_extension("stamps"), stamps).unwrap();
    assert_eq!(area.presence(&origin, &locked).unwrap(), Presence::Whole(folder.clone()));

    let verified = area.verify().unwrap();
    assert_eq!(verified.intact, Held { n_files: 1, n_bytes: 1_000 });
    assert_eq!(verified.damaged.len(), 1);
    let path = path.display().to_string();
    assert!(verified.damaged[0].contains(&path), "{:?}", verified.damaged);
    assert_eq!(area.presence(&origin, &locked).unwrap(), Presence::Damaged(vec!["b/c".to_owned()]));
    assert_eq!(world.n_fetched(&origin, &locked).unwrap(), 3_000);
    assert_eq!(area.verify().unwrap(), Verified { intact: all, damaged: Vec::new() });

    // A folder without a valid list is treated as absent.
    fs::write(folder.with_extension("lock"), "version 1\n").unwrap();
    assert_eq!(area.verify().unwrap().damaged.len(), 1);
    assert_eq!(area.presence(&origin, &locked).unwrap(), Presence::Missing);
}
