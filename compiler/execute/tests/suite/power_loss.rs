//! Builds on the state in which a power loss left a store and outputs.
//!
//! A recorder logs every file operation of a few builds. Then a power loss is simulated after each operation, several
//! times, each time losing another choice of what was not synced (`power_loss/disk.rs`). The remaining state is written
//! to a disk, on which the next build must be right.

mod disk;
mod random;
mod recorder;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mc_execute::build::build;
use mc_execute::built::Built;
use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_execute::services::Services;
use mc_execute::suspect_results::SuspectResults;
use mc_files::file_observer::{FileObserver, Operation};
use mc_files::folder::Folder;
use mc_ir::action::ActionNode;
use mc_ir::graph::ActionGraph;
use mc_store::attester::Trust;
use mc_store::local::store::LocalStore;
use mc_store::local::verified::VerifiedMemo;
use mc_store::materialize::tree::{Destination, Tree, TreeFile};
use mc_store::session::LazySession;
use mc_store::traits::BlobStore;

use crate::glue::{Effect, file, glue, node, of, step};
use crate::power_loss::disk::Disk;
use crate::power_loss::random::Random;
use crate::power_loss::recorder::{Recorder, Recording};

/// Number of simulated power losses after each operation; set `MC_POWER_LOSSES` to change it.
const N_LOSSES: usize = 12;

/// One of this many states is also verified after the next build.
const N_VERIFIED: usize = 4;

/// Output folders, one of them inside another, each with the targets whose outputs it contains.
const FOLDERS: [(&str, &[&str]); 3] =
    [("app", &["c"]), ("app/below", &["d", "e"]), ("other", &["b", "f", "g"])];

/// The files of all folders, by path.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Sources, and a disk with a store and an output folder.
struct Place {
    dir: tempfile::TempDir,
}

/// One build.
struct Session {
    store: Arc<LocalStore>,
    /// Called while the last action runs.
    meanwhile: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Place {
    fn new() -> Self {
        // Syncing costs nothing there.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = Self { dir: dir.unwrap() };
        fs::create_dir_all(place.disk().join("store")).unwrap();
        fs::create_dir_all(place.disk().join("workspace")).unwrap();
        place.source("one");
        place
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Edits a source.
    fn source(&self, text: &str) {
        fs::write(self.dir.path().join("x"), text).unwrap();
        fs::write(self.dir.path().join("y"), "always the same").unwrap();
    }

    fn open(&self, observer: Option<Arc<dyn FileObserver>>) -> Session {
        let store = LocalStore::open_watched(&self.disk().join("store"), observer).unwrap();
        Session { store: Arc::new(store), meanwhile: None }
    }

    /// Seven actions; three of them read a source that is edited.
    fn steps(&self, session: &Session) -> BTreeMap<&'static str, Arc<ActionNode>> {
        let source = |name| file(self.dir.path().join(name), None);
        let a = step("a", vec![source("x")]);
        let b = node("b", glue("b", Effect::Composite), vec![of(&a), source("y")]);
        let c = step("c", vec![of(&b), source("x")]);
        let d = step("d", vec![source("y")]);
        let e = node("e", glue("e", Effect::Composite), vec![of(&d), source("y")]);
        let f = step("f", vec![of(&d)]);
        let work = session.meanwhile.clone().unwrap_or_else(|| Arc::new(|| {}));
        let g = node("g", glue("g", Effect::Meanwhile(work)), vec![of(&c), of(&e), of(&f)]);
        [("a", a), ("b", b), ("c", c), ("d", d), ("e", e), ("f", f), ("g", g)].into()
    }

    /// Builds everything and publishes the outputs.
    fn build(&self, session: &Session) -> Built {
        let steps = self.steps(session);
        let graph = ActionGraph::new(&[steps["g"].artifact("out")]);
        let store = &*session.store;
        let services = Services {
            store,
            actions: store,
            trust: &Trust::Anyone,
            suspects: &SuspectResults::default(),
            memo: store.input_memo(),
            remote: None,
            cancelled: &AtomicBool::new(false),
        };
        let options = Options { n_jobs: 1, on_failure: OnFailure::Stop, on_miss: OnMiss::Run };
        let built = build(&graph, &services, options, &|_| {}).unwrap();
        assert!(built.failures.is_empty(), "{:?}", built.failures);
        let file = |name: &&str| {
            let output = built.output(&graph, &steps[*name].artifact("out")).unwrap();
            TreeFile { path: format!("deep/{name}"), parts: output.parts().to_vec() }
        };
        let trees = FOLDERS.map(|(folder, names)| (folder, names.iter().map(file).collect::<Vec<_>>()));
        let trees =
            trees.each_ref().map(|(folder, files)| Tree { folder: Path::new(folder), files, results: &[] });
        let destination = Destination { base: &self.disk().join("workspace"), root: Path::new("mc-out") };
        for result in store.materialize(destination, &trees) {
            result.unwrap();
        }
        built
    }

    /// The files of each output folder.
    fn outputs(&self) -> [Contents; 3] {
        FOLDERS.map(|(folder, _)| {
            let mut contents = Contents::new();
            read_files(&self.disk().join("workspace/mc-out").join(folder).join("deep"), &mut contents);
            contents
        })
    }
}

fn read_files(folder: &Path, contents: &mut Contents) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        contents.insert(path.clone(), fs::read(&path).unwrap());
    }
}

/// Recorded builds.
struct RecordedBuilds {
    place: Place,
    recording: Recording,
    /// The contents of each output folder after one of the builds.
    versions: Vec<[Contents; 3]>,
}

impl RecordedBuilds {
    /// A first build in three groups, and one after an edit, once everything is on disk.
    fn of_an_edit(seen_by: impl FnOnce(Arc<Recorder>) -> Arc<dyn FileObserver>) -> Self {
        Self::tell(seen_by, |place, observer, recorder| {
            let mut versions = Vec::new();
            for text in ["one", "two, and longer"] {
                place.source(text);
                let mut session = place.open(Some(Arc::clone(observer)));
                let store = Arc::clone(&session.store);
                session.meanwhile = Some(Arc::new(move || store.sync().unwrap()));
                place.build(&session);
                versions.push(place.outputs());
                drop(session);
                recorder.sync_all();
            }
            versions
        })
    }

    /// A build, and another process that runs the same build before the results of the first are durable.
    fn of_two_processes() -> Self {
        Self::tell(
            |recorder| recorder,
            |place, observer, _| {
                let mut session = place.open(Some(Arc::clone(observer)));
                let (inner, watched) = (place.dir.path().to_owned(), Arc::clone(observer));
                session.meanwhile = Some(Arc::new(move || {
                    let other =
                        LocalStore::open_watched(&inner.join("disk/store"), Some(Arc::clone(&watched)));
                    let other = other.unwrap();
                    // It trusts what it finds there, and makes that durable.
                    assert!(other.verify().unwrap().blobs.n_files > 5);
                    other.sync().unwrap();
                }));
                place.build(&session);
                vec![place.outputs()]
            },
        )
    }

    fn tell(
        seen_by: impl FnOnce(Arc<Recorder>) -> Arc<dyn FileObserver>,
        happen: impl FnOnce(&Place, &Arc<dyn FileObserver>, &Recorder) -> Vec<[Contents; 3]>,
    ) -> Self {
        let place = Place::new();
        let recorder = Arc::new(Recorder::new(&place.disk()));
        let observer = seen_by(Arc::clone(&recorder));
        let versions = happen(&place, &observer, &recorder);
        Self { recording: recorder.finish(), place, versions }
    }
}

/// Counts over many states of a disk.
#[derive(Debug, Default)]
struct Tally {
    n_states: usize,
    /// States with a torn blob under its final name.
    n_torn: usize,
    /// Blobs that were trusted without a check.
    n_assumed: usize,
    /// Actions that were hits and that ran in the next builds.
    n_hits: usize,
    n_ran: usize,
    /// Blobs that were trusted wrongly, and incomplete output folders.
    n_wrong: usize,
}

impl Tally {
    /// Checks one state as written to the disk. Returns true if it is right.
    fn look(&mut self, story: &RecordedBuilds, n_ops: usize, random: &mut Random) -> bool {
        let place = &story.place;
        let mut disk = Disk::after(&story.recording, n_ops, random);
        disk.write(&place.disk());
        self.n_states += 1;
        let n_wrong = self.n_wrong;
        self.look_at_blobs(&disk, &place.disk());
        for (index, folder) in place.outputs().iter().enumerate() {
            let is_whole =
                folder.is_empty() || story.versions.iter().any(|version| version[index] == *folder);
            self.n_wrong += usize::from(!is_whole);
        }
        self.n_wrong == n_wrong
    }

    fn look_at_blobs(&mut self, disk: &Disk<'_>, root: &Path) {
        let base =
            Arc::new(Folder::open(&root.join("store")).unwrap_or_else(|_| Folder::open(root).unwrap()));
        let session = LazySession::new(Arc::clone(&base), Path::new("tmp"));
        let memo = VerifiedMemo::open(&base, Path::new("memo/verified.log"), &session).unwrap();
        let mut is_torn = false;
        for (hash, stamp, found) in disk.blobs(root) {
            is_torn |= found.hash != hash;
            if memo.trusts(&hash, &stamp) && stamp.n_bytes == found.n_bytes {
                self.n_assumed += 1;
                self.n_wrong += usize::from(found.hash != hash);
            }
        }
        self.n_torn += usize::from(is_torn);
    }

    /// Builds on the current state of the disk.
    fn build_on(&mut self, story: &RecordedBuilds) {
        let place = &story.place;
        fs::create_dir_all(place.disk().join("workspace")).unwrap();
        let session = place.open(None);
        let built = place.build(&session);
        (self.n_hits, self.n_ran) = (self.n_hits + built.n_hits, self.n_ran + built.n_ran);
        assert_eq!(place.outputs(), *story.versions.last().unwrap());
        if !self.n_states.is_multiple_of(N_VERIFIED) {
            return;
        }
        // Torn blobs that were not needed are found when everything is read. None of them is needed later.
        session.store.verify().unwrap();
        assert_eq!(place.build(&session).n_ran, 0);
        session.store.take_corruptions();
        session.store.verify().unwrap();
        assert_eq!(session.store.take_corruptions(), []);
    }
}

/// Simulates several power losses after each operation.
fn lose_power(story: &RecordedBuilds, seed: u64, n_losses: usize) -> Tally {
    let (mut tally, mut random) = (Tally::default(), Random(seed));
    for n_ops in 0..=story.recording.ops.len() {
        for _ in 0..n_losses {
            if tally.look(story, n_ops, &mut random) {
                tally.build_on(story);
            }
        }
    }
    tally
}

fn n_losses() -> usize {
    std::env::var("MC_POWER_LOSSES").map_or(N_LOSSES, |text| text.parse().unwrap())
}

/// Passes everything but syncs to a recorder: a disk that reports a sync without doing it.
#[derive(Debug)]
struct FaultyDisk(Arc<Recorder>);

impl FileObserver for FaultyDisk {
    fn saw(&self, operation: &Operation<'_>) {
        if !matches!(operation, Operation::Synced { .. }) {
            self.0.saw(operation);
        }
    }
}

#[test]
fn after_a_power_loss_nothing_torn_is_trusted_and_the_next_build_is_right() {
    let tally = lose_power(&RecordedBuilds::of_an_edit(|recorder| recorder), 1, n_losses());
    assert_eq!(tally.n_wrong, 0, "{tally:?}");
    assert!(tally.n_torn > 100 && tally.n_assumed > 1000, "{tally:?}");
    assert!(tally.n_hits > 1000 && tally.n_ran > 1000, "{tally:?}");
}

#[test]
fn results_of_another_process_found_before_they_are_durable_are_not_trusted_after_a_power_loss() {
    let tally = lose_power(&RecordedBuilds::of_two_processes(), 2, n_losses());
    assert_eq!(tally.n_wrong, 0, "{tally:?}");
    assert!(tally.n_torn > 100 && tally.n_assumed > 100, "{tally:?}");
}

#[test]
fn a_disk_that_does_not_sync_is_detected_by_these_tests() {
    let story = RecordedBuilds::of_an_edit(|recorder| Arc::new(FaultyDisk(recorder)));
    let (mut tally, mut random) = (Tally::default(), Random(3));
    for n_ops in 0..=story.recording.ops.len() {
        tally.look(&story, n_ops, &mut random);
    }
    assert!(tally.n_wrong > 10, "{tally:?}");
}
