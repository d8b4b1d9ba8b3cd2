//! Tests that actions read the bytes that their keys name, even if sources and stored blobs change undetectably.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use mc_digest::digest::BlobDigest;
use mc_ir::action::ActionNode;
use mc_store::local::verified::VerifiedMemo;
use mc_store::session::LazySession;
use mc_store::stamp::FileStamp;
use mc_store::traits::BlobStore;

use crate::bench::{Bench, over_stores};
use crate::glue::{Effect, file, glue, node, of, step};

/// A file mapped for writing.
#[expect(unsafe_code, reason = "a write through a mapping is what is tested")]
fn mapped(path: &Path) -> memmap2::MmapMut {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: nothing else in this process holds a reference into the mapping while it is written: the code under test
    // maps the file anew, reads it, unmaps it, and reads plain bytes.
    unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap()
}

/// Makes a page of a mapping dirty, so that the next write to it is undetectable, and waits until the file's stamp is
/// trusted.
fn settle(map: &mut memmap2::MmapMut, path: &Path) -> FileStamp {
    map[..1].copy_from_slice(&fs::read(path).unwrap()[..1]);
    thread::sleep(Duration::from_millis(2100));
    FileStamp::of(&fs::metadata(path).unwrap())
}

fn key_of(text: &str) -> String {
    BlobDigest::of(text.as_bytes()).to_string()
}

#[test]
fn bytes_written_through_a_mapping_are_never_recorded_under_the_old_key() {
    over_stores(|bench| {
        let path = bench.path("x");
        bench.source("x", "before");
        let mut map = mapped(&path);
        let stamp = settle(&mut map, &path);
        let [first, second] = ["a", "b"].map(|name| step(name, vec![file(path.clone(), None)]));
        assert_eq!(bench.build(&[&first]).log, ["run a"]);
        map[..6].copy_from_slice(b"after!");
        // If the system does update the times on the write, there is nothing to test.
        let is_silent = FileStamp::of(&fs::metadata(&path).unwrap()) == stamp;
        let outcome = bench.build(&[&second]);
        if is_silent {
            let (before, after) = (key_of("before"), key_of("after!"));
            let reported = format!(
                "fail b: `{}` changed without a change of its size or times: expected digest `{before}`, found `{after}`",
                path.display()
            );
            assert_eq!(outcome.log, [reported]);
            // No result is suspect, so nothing is retried automatically; the next build is right.
            assert_eq!(bench.suspects.n_reasons(), 0);
            let again = bench.build(&[&second]);
            assert_eq!((&*again.log, &*bench.text(&again, &second)), (&["run b".to_owned()][..], "after!b"));
        } else {
            assert_eq!(bench.text(&outcome, &second), "after!b");
        }
        // The old bytes still have the old result only.
        bench.source("y", "before");
        let old = bench.build(&[&step("b", vec![file(bench.path("y"), None)])]);
        assert_eq!((&*old.log, old.built.n_ran), (&["run b".to_owned()][..], 1));
    });
}

#[test]
fn only_the_ranges_that_are_read_are_compared_and_named() {
    over_stores(|bench| {
        let path = bench.path("x");
        bench.source("x", "0123456789");
        let mut map = mapped(&path);
        settle(&mut map, &path);
        let of_range = |name, range| step(name, vec![file(path.clone(), Some(range))]);
        let log = bench.build(&[&of_range("a", (0, 5)), &of_range("b", (5, 10))]).log;
        assert_eq!(log, ["run a", "run b"]);
        let stamp = FileStamp::of(&fs::metadata(&path).unwrap());
        map[7] = b'_';
        if FileStamp::of(&fs::metadata(&path).unwrap()) != stamp {
            return;
        }
        let log = bench.build(&[&of_range("c", (0, 5)), &of_range("d", (5, 10))]).log;
        let reported = format!("fail d: `{}` changed without", path.display());
        assert!(
            log.len() == 2
                && log[0].starts_with(&reported)
                && log[0].contains("in bytes 5 to 10, found")
                && log[1] == "run c",
            "{log:?}"
        );
    });
}

#[test]
fn a_source_truncated_while_it_is_read_fails_only_its_action() {
    over_stores(|bench| {
        let source = bench.source("x", &"0123456789".repeat(10_000));
        let path = bench.path("x");
        let cut =
            glue("p", Effect::Meanwhile(Arc::new(move || File::create(&path).unwrap().set_len(3).unwrap())));
        let log = bench.build(&[&node("n", cut, vec![source])]).log;
        assert!(log.len() == 1 && log[0].contains("changed while it was read: expected digest"), "{log:?}");
    });
}

/// Changes a blob below the store: its bytes differ, but the store's record of the file stays valid.
fn rot(bench: &Bench<mc_store::local::store::LocalStore>, blob: &BlobDigest, bytes: &[u8]) {
    let layout = bench.store.layout();
    let path = layout.at(&layout.blob(&blob.hash));
    let before = fs::metadata(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    fs::set_permissions(&path, before.permissions()).unwrap();
    // The change time cannot be set, so the record of it is changed.
    let session = LazySession::new(Arc::clone(layout.folder()), layout.unfinished());
    let memo = VerifiedMemo::open(layout.folder(), layout.verified_log(), &session).unwrap();
    let stamp = FileStamp::of(&fs::metadata(&path).unwrap());
    memo.believe(blob.hash, stamp);
    memo.note(&[(blob.hash, stamp)]);
}

#[test]
fn an_undetectably_rotted_blob_is_found_by_its_reader_and_remade() {
    let mut bench = Bench::local();
    let a = step("a", vec![bench.source("x", "X")]);
    let first = bench.build(&[&a]);
    let blob = first.output(&a).parts()[0];
    rot(&bench, &blob, b"Xb");
    bench.reopen();
    assert_eq!(&*bench.store.open(&blob).unwrap().unwrap(), b"Xb", "it rotted without a sign");
    let gate = step("gate", vec![of(&a)]);
    let found = key_of("Xb");
    let outcome = bench.build(&[&gate]);
    let reported =
        format!("fail gate: The stored blob `{blob}` had bytes with digest `{found}` when it was read");
    assert_eq!(outcome.log, [reported, "hit a".to_owned()]);
    assert_eq!((bench.suspects.n_reasons(), bench.suspects.take_warnings()), (1, Vec::new()));
    let corruptions = bench.store.take_corruptions();
    assert!(corruptions.len() == 1 && corruptions[0].is_blob(&blob), "{corruptions:?}");
    let outcome = bench.build(&[&gate]);
    assert_eq!(
        (&*outcome.log, &*bench.text(&outcome, &gate)),
        (&["run a", "run gate"].map(str::to_owned)[..], "Xagate")
    );
}

#[test]
fn an_action_that_fails_on_a_rotted_blob_reports_the_blob() {
    let mut bench = Bench::local();
    let a = step("a", vec![bench.source("x", "X")]);
    let blob = bench.build(&[&a]).output(&a).parts()[0];
    rot(&bench, &blob, b"_a");
    bench.reopen();
    let picky = node("picky", glue("p", Effect::Expect("X")), vec![of(&a)]);
    let log = bench.build(&[&picky]).log;
    assert!(log[0].starts_with("fail picky: The stored blob `"), "{log:?}");
    assert_eq!(bench.build(&[&picky]).log, ["run a", "run picky"]);
}

/// Number of bytes of a file that this process has mapped.
fn n_mapped(path: &Path) -> u64 {
    let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_file = maps.lines().filter(|line| line.ends_with(path.to_str().unwrap()));
    let size = |line: &str| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        address(end) - address(start)
    };
    of_file.map(size).sum()
}

#[test]
fn a_file_read_part_by_part_uses_its_own_size_of_address_space() {
    let bench = Bench::memory();
    let path = bench.path("large");
    // Enough that it is released when the action has finished.
    let size: u64 = 66 << 20;
    File::create(&path).unwrap().set_len(size).unwrap();
    let old = SystemTime::now() - Duration::from_secs(60);
    File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(old)).unwrap();
    let n_parts = 32;
    let part = |index| file(path.clone(), Some((index * size / n_parts, (index + 1) * size / n_parts)));
    let looked = Arc::new(std::sync::Mutex::new(0));
    let (seen, of) = (Arc::clone(&looked), path.clone());
    let look = Effect::Meanwhile(Arc::new(move || *seen.lock().unwrap() = n_mapped(&of)));
    let reader: Arc<ActionNode> = node("reader", glue("r", look), (0..n_parts).map(part).collect());
    assert_eq!(bench.build(&[&reader]).log, ["run reader"]);
    let n_bytes = *looked.lock().unwrap();
    assert!((size..2 * size).contains(&n_bytes), "{n_bytes}");
}
