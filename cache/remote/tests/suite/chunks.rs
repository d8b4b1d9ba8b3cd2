//! Large blobs transferred as chunks that the other side lacks.

use mc_digest::digest::Digest;
use mc_ir::output::Outputs;
use mc_remote::transports::grpc::settings::Settings;
use tempfile::{TempDir, tempdir};

use crate::action::Machine;
use crate::grpc::{machine, settings};
use crate::grpc_server::{Abilities, GrpcServer};

/// Average chunk size, and a file of about three hundred chunks.
const CHUNK: u64 = 4096;

fn noise() -> Vec<u8> {
    (0..40_000_u64).flat_map(|seed| *Digest::of(&seed.to_le_bytes()).as_bytes()).collect()
}

/// A server that joins and lists chunks, and a machine that fetched a first version of a file before the second one was
/// uploaded.
struct Scene {
    server: GrpcServer,
    folder: TempDir,
    user: Machine,
    second: Outputs,
}

impl Scene {
    /// * `early`, `late`: change the server before the user requests each version
    fn new(minor: i32, early: impl Fn(&GrpcServer), late: impl Fn(&GrpcServer)) -> Self {
        let server =
            GrpcServer::new(Abilities { chunks: Some(CHUNK), splits: true, minor, ..Abilities::default() });
        let folder = tempdir().unwrap();
        let of = |name: &str| machine(settings(server.address), &folder.path().join(name));
        let (maker, user) = (of("maker"), of("user"));
        let first = maker.gives(&noise());
        maker.upload(&first).unwrap();
        early(&server);
        assert_eq!(user.lookup().unwrap(), Some(first));
        let second = maker.gives(&[b"a longer head".to_vec(), noise()].concat());
        maker.upload(&second).unwrap();
        late(&server);
        Self { server, folder, user, second }
    }

    /// Bytes downloaded for the second version, which must be correct in any case, without reports of corruption.
    fn fetched(&self) -> usize {
        fetched(&self.user, &self.second)
    }
}

fn fetched(user: &Machine, expected: &Outputs) -> usize {
    let (before, _) = user.remote.traffic();
    assert_eq!(user.lookup().unwrap().as_ref(), Some(expected));
    assert!(user.holds(expected));
    assert_eq!((user.remote.invalid_response(), user.remote.failure()), (None, None));
    usize::try_from(user.remote.traffic().0 - before).unwrap()
}

fn whole() -> usize {
    noise().len()
}

#[test]
fn only_new_chunks_of_a_file_are_uploaded() {
    for (minor, method) in [(12, "SpliceBlob"), (13, "RegisterChunkMapping")] {
        let server = GrpcServer::new(Abilities { chunks: Some(CHUNK), minor, ..Abilities::default() });
        let folder = tempdir().unwrap();
        let maker = machine(settings(server.address), &folder.path().join("a"));
        maker.upload(&maker.gives(&noise())).unwrap();
        let before = server.seen();
        assert!(before.n_bytes >= whole());
        assert_eq!(before.calls[method], 1);
        let outputs = maker.gives(&[b"a longer head".to_vec(), noise()].concat());
        maker.upload(&outputs).unwrap();
        let sent = server.seen().n_bytes - before.n_bytes;
        assert!(sent < whole() / 20, "{sent} of {}", whole());
        let user = machine(settings(server.address), &folder.path().join("b"));
        assert!(fetched(&user, &outputs) >= whole());
        assert_eq!(server.seen().calls.get("SplitBlob"), None);
    }
}

#[test]
fn only_new_chunks_of_a_file_are_downloaded() {
    for (minor, method) in [(12, "SplitBlob"), (13, "GetChunkMapping")] {
        let scene = Scene::new(minor, |_| {}, |_| {});
        let came = scene.fetched();
        assert!(came < whole() / 20, "{came} of {}", whole());
        assert_eq!(scene.server.seen().calls[method], 2);
    }
}

#[test]
fn without_an_earlier_version_the_whole_blob_is_downloaded() {
    let scene = Scene::new(12, |_| {}, |_| {});
    let again = |name: &str| machine(settings(scene.server.address), &scene.folder.path().join(name));
    // The first machine's records still exist, its store does not.
    for name in ["user", "another user"] {
        assert!(fetched(&again(name), &scene.second) >= whole());
    }
}

#[test]
fn corrupt_or_missing_chunks_only_cost_bytes() {
    let swap = |server: &GrpcServer| {
        server.mislead(|chunks| {
            let last = chunks.len() - 1;
            chunks.swap(0, last);
        });
    };
    let nothing = |_: &GrpcServer| {};
    let cases: [(&str, Scene); 6] = [
        ("other chunks", Scene::new(12, nothing, swap)),
        ("other chunks of the first", Scene::new(12, swap, nothing)),
        ("one too few", Scene::new(12, nothing, |server| server.mislead(|chunks| drop(chunks.pop())))),
        ("none", Scene::new(13, nothing, |server| server.mislead(Vec::clear))),
        ("no size", Scene::new(12, nothing, |server| server.mislead(|chunks| chunks[0].size_bytes = -1))),
        (
            "no digest",
            Scene::new(13, nothing, |server| server.mislead(|chunks| chunks[0].hash = "abc".to_owned())),
        ),
    ];
    for (case, scene) in cases {
        let came = scene.fetched();
        assert!(came >= whole(), "{case}: {came} of {}", whole());
    }
}

#[test]
fn a_lost_chunk_is_not_a_lost_blob() {
    let scene = Scene::new(12, |_| {}, |_| {});
    scene.server.lose_chunks();
    assert!(scene.fetched() >= whole());
}

#[test]
fn blobs_are_transferred_whole_without_chunking() {
    let server = GrpcServer::new(Abilities { chunks: Some(CHUNK), splits: true, ..Abilities::default() });
    let folder = tempdir().unwrap();
    let of = |name: &str, chunk| {
        machine(Settings { chunk, ..settings(server.address) }, &folder.path().join(name))
    };
    let maker = of("maker", false);
    let outputs = maker.gives(&noise());
    maker.upload(&outputs).unwrap();
    assert!(fetched(&of("user", false), &outputs) >= whole());
    let calls = server.seen().calls;
    assert!(!calls.contains_key("SpliceBlob") && !calls.contains_key("SplitBlob"), "{calls:?}");
    fetched(&of("another", true), &outputs);
    assert_eq!(server.seen().calls["SplitBlob"], 1);
}
