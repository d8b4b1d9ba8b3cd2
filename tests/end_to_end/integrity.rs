//! Bytes that change undetectably, in checkpoints and in the store: they are never recorded or sent, and are repaired.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mc_digest::digest::Digest;
use mc_files::folder::Folder;
use mc_store::local::verified::VerifiedMemo;
use mc_store::session::LazySession;
use mc_store::stamp::FileStamp;

use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template, files_below};
use crate::team_cache::{SEND, TARGET, clone, folder};

/// The demo's weights.
const WEIGHTS: &str = "models/base/model.safetensors";

/// A second target with the same source tensors and other actions.
const SECOND: &str = "//models:second";

/// A file mapped for writing.
#[expect(unsafe_code, reason = "a write through a mapping is what is tested")]
fn mapped(path: &Path) -> memmap2::MmapMut {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: no other code in this process accesses the file; `mc` is another process.
    unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap()
}

fn stamp(path: &Path) -> FileStamp {
    FileStamp::of(&fs::metadata(path).unwrap())
}

#[test]
fn a_checkpoint_written_through_a_mapping_poisons_no_cache() {
    let sandbox = clone();
    let text = fs::read_to_string(sandbox.path("models/package.kdl")).unwrap();
    let second = "gguf \"second\" { model \":roadtrip-base\"; quantize \"Q4_0\" }\n";
    fs::write(sandbox.path("models/package.kdl"), format!("{text}{second}")).unwrap();
    let team = folder(&sandbox);
    let weights = sandbox.path(WEIGHTS);
    let before = fs::read(&weights).unwrap();
    let mut map = mapped(&weights);
    // Every page is dirty, so the next write is undetectable; and the file has been unchanged for a while.
    (0..before.len()).step_by(4096).for_each(|at| map[at] = before[at]);
    thread::sleep(Duration::from_millis(2100));
    let quiet = stamp(&weights);
    sandbox.build(&[&team, SEND, TARGET]);

    // Training continues: one number in each tensor changes slightly and stays finite.
    let n_header = 8 + u64::from_le_bytes(before[..8].try_into().unwrap()) as usize;
    (n_header..before.len()).step_by(256).for_each(|at| map[at] ^= 1);
    let is_silent = stamp(&weights) == quiet;
    let ran = sandbox.mc(&["build", &team, SEND, SECOND]);
    if is_silent {
        let errors = ran.exits(1).errors();
        assert!(errors.len() == 1 && errors[0].contains(WEIGHTS), "{errors:?}");
        assert!(errors[0].contains("expected digest `") && errors[0].contains("uild again"), "{errors:?}");
        assert!(!sandbox.path("mc-out/models/second").exists());
    } else {
        ran.exits(0);
    }
    // The next build is right, locally and with the uploaded results.
    let built = sandbox.build(&[&team, SEND, SECOND]);
    let changed = clone();
    fs::copy(sandbox.path("models/package.kdl"), changed.path("models/package.kdl")).unwrap();
    fs::write(changed.path(WEIGHTS), &map[..]).unwrap();
    let right = changed.build(&["--remote-cache=", SECOND]);
    assert_eq!(built.digests(), right.digests());
    // A user with the old bytes gets the old result.
    let old = clone();
    fs::copy(sandbox.path("models/package.kdl"), old.path("models/package.kdl")).unwrap();
    let alone = clone();
    fs::copy(sandbox.path("models/package.kdl"), alone.path("models/package.kdl")).unwrap();
    assert_eq!(old.build(&[&team, SECOND]).digests(), alone.build(&[SECOND]).digests());
    drop(map);
}

/// Changes the middle of blobs below the store: their bytes differ, but the store's records of their files stay valid.
fn rot(sandbox: &Sandbox, blobs: &[PathBuf]) {
    let store = Arc::new(Folder::open(&sandbox.cache).unwrap());
    let session = LazySession::new(Arc::clone(&store), Path::new("tmp"));
    let memo = VerifiedMemo::open(&store, Path::new("memo/verified.log"), &session).unwrap();
    for path in blobs {
        let before = fs::metadata(path).unwrap();
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
        let times = FileTimes::new().set_modified(before.modified().unwrap());
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        fs::set_permissions(path, before.permissions()).unwrap();
        // The change time cannot be set, so the record of it is changed.
        let hash: Digest = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        memo.believe(hash, stamp(path));
        memo.note(&[(hash, stamp(path))]);
    }
}

/// The large blobs of a store, which are tensors.
fn tensors(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut blobs = files_below(&sandbox.cache.join("cas"));
    blobs.retain(|path| fs::metadata(path).unwrap().len() > 4000);
    blobs
}

#[test]
fn a_gate_that_reads_rotted_tensors_records_nothing_and_the_build_repairs_them() {
    let sandbox = Sandbox::warm_gguf();
    let rotten = tensors(&sandbox);
    assert!(rotten.len() > 20, "{}", rotten.len());
    rot(&sandbox, &rotten);
    let built = sandbox.build(&[BUNDLE]);
    let warned = built.stderr.matches("recreated when needed").count();
    assert!(warned > 20, "{}", built.stderr);
    assert_eq!(built.digests(), Template::get().bundle.digests());
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
    // No wrong result was kept.
    let again = sandbox.build(&[BUNDLE]);
    assert_eq!((again.n_ran(), again.digests()), (0, built.digests()));
}

#[test]
fn a_rotted_tensor_is_not_uploaded() {
    let sandbox = Sandbox::warm_gguf();
    let team = folder(&sandbox);
    let largest = tensors(&sandbox).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len());
    rot(&sandbox, &[largest.unwrap()]);
    let ran = sandbox.mc(&["build", "--output", "json", &team, SEND, "--remote-download-minimal", GGUF]);
    let reported = format!("{}{}", ran.stdout, ran.stderr);
    assert!(reported.contains("has other bytes than its digest says"), "{reported}");
    for path in files_below(&sandbox.dir().join("team/blake3/cas")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Digest::of(&fs::read(&path).unwrap()).to_string(), name);
    }
    // It is remade, and then uploaded.
    sandbox.build(&[&team, SEND, GGUF]);
    let built = Sandbox::new().build(&[&team, GGUF]);
    assert_eq!((built.n_ran(), built.digests()), (0, Template::get().gguf.digests()));
}
