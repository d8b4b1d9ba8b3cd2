//! Builds a toy model through the library: no process, no options, no environment.

#[expect(dead_code, reason = "the pages of the manual use more of it")]
#[path = "../../../tests/suite/toy.rs"]
mod toy;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mc_driver::build::engine::Engine;
use mc_driver::build::outputs::{Outputs, build_outputs};
use mc_driver::build::tally::ActionOutcome;
use mc_driver::build::targets::Status;
use mc_driver::declaration_error::DeclarationError;
use mc_driver::declarations::Declarations;
use mc_driver::error::Error;
use mc_driver::event::Event;
use mc_driver::interrupt::Interrupt;
use mc_driver::settings::build::BuildSettings;
use mc_driver::settings::cache::{CacheChoices, CacheSettings};
use mc_driver::settings::declared::DeclaredCache;
use mc_driver::settings::fetch::FetchSettings;
use mc_driver::settings::remote::{RemoteChoices, ServerChoice};
use mc_driver::store::Store;
use mc_driver::workspace::Workspace;
use tempfile::TempDir;

const PACKAGE: &str =
    "checkpoint \"base\" dir=\"base\"\ngguf \"app\" { model \":base\"; quantize \"Q8_0\"; }\n";

/// A workspace with a toy model, on a disk of its own.
struct TestWorkspace(TempDir);

impl TestWorkspace {
    fn new(package: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("workspace.kdl"), "workspace \"toys\"\n").unwrap();
        fs::write(folder.path().join("package.kdl"), package).unwrap();
        toy::write_checkpoint(&folder.path().join("base"));
        Self(folder)
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// Builds `//:app` with a store of the given name; returns its outputs and the events.
    fn build(
        &self,
        store: &str,
        cache: CacheSettings,
        interrupt: &Arc<Interrupt>,
    ) -> Result<(Outputs, Vec<String>), Error> {
        let reported = Mutex::new(Vec::new());
        let events = |event: Event<'_>| reported.lock().unwrap().push(event.to_string());
        let workspace = Workspace::at(self.root(), self.root())?;
        let store = Arc::new(Store::new(Some(self.root().join(store))));
        let declarations = Declarations::open(&workspace, &store);
        let targets = declarations.wanted(&["//:app".to_owned()], &FetchSettings::default(), &events)?;
        let settings = BuildSettings { n_jobs: 2, cache, ..BuildSettings::default() };
        let mut engine = Engine::open(&store, &settings, interrupt, &events)?;
        let outputs = build_outputs(&mut engine, &workspace, targets)?;
        drop(engine);
        Ok((outputs, reported.into_inner().unwrap()))
    }
}

fn n_with(reported: &[String], start: &str) -> usize {
    reported.iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn a_model_is_built_once_and_then_found() {
    let house = TestWorkspace::new(PACKAGE);
    let (outputs, reported) = house.build("store", CacheSettings::default(), &Arc::default()).unwrap();
    let finished = &outputs.finished;
    let n_actions = finished.tally.n_actions();
    assert!(finished.failures.is_empty() && outputs.warnings.is_empty());
    assert_eq!(finished.targets[0].1, Status::Built);
    assert_eq!(reported[0], format!("durations of 0 of {n_actions} actions are recorded"));
    assert_eq!(reported[1], format!("{n_actions} actions are planned"));
    assert_eq!((n_with(&reported, "started "), n_with(&reported, "ran ")), (n_actions, n_actions));
    let published = outputs.published[0].as_ref().unwrap();
    assert_eq!(published.directory, house.root().canonicalize().unwrap().join("mc-out/app"));
    for (path, output) in &published.outputs {
        assert_eq!(fs::metadata(published.directory.join(path)).unwrap().len(), output.n_bytes());
    }

    let (again, reported) = house.build("store", CacheSettings::default(), &Arc::default()).unwrap();
    assert_eq!(reported[0], format!("durations of {n_actions} of {n_actions} actions are recorded"));
    assert_eq!(again.finished.tally.count(ActionOutcome::Hit), n_actions);
    assert_eq!((n_with(&reported, "started "), n_with(&reported, "hit ")), (0, n_actions));
}

#[test]
fn a_shared_folder_provides_results_for_another_store() {
    let house = TestWorkspace::new(PACKAGE);
    let shared = tempfile::tempdir().unwrap();
    let settings = || {
        let server = ServerChoice::At(format!("file://{}", shared.path().display()));
        let remote = RemoteChoices { server, upload: Some(true), ..RemoteChoices::default() };
        let choices = CacheChoices { remote, ..CacheChoices::default() };
        CacheSettings::new(choices, &DeclaredCache::default()).unwrap()
    };
    let (first, reported) = house.build("one", settings(), &Arc::default()).unwrap();
    assert_eq!(n_with(&reported, "file://"), 1, "{reported:#?}");
    let (second, _) = house.build("two", settings(), &Arc::default()).unwrap();
    assert_eq!(
        first.finished.tally.count(ActionOutcome::Ran),
        second.finished.tally.count(ActionOutcome::Fetched)
    );
    assert!(second.published[0].is_some());
}

#[test]
fn a_wrong_declaration_is_an_error_with_its_location() {
    let house = TestWorkspace::new(
        "checkpoint \"base\" dir=\"base\"\ngguf \"app\" { model \":bse\"; quantize \"Q8_0\"; }\n",
    );
    let Err(error) = house.build("store", CacheSettings::default(), &Arc::default()) else {
        panic!("nothing is called `bse`")
    };
    let Error::Declaration(DeclarationError::Wrong(diagnostics)) = error else { panic!("{error}") };
    assert_eq!(diagnostics.shown[0].path, "package.kdl");
    assert!(!house.root().join("store").exists(), "nothing was made");
}

#[test]
fn after_an_interrupt_nothing_is_published() {
    let house = TestWorkspace::new(PACKAGE);
    let interrupt = Arc::new(Interrupt::default());
    assert!(interrupt.request() && !interrupt.request());
    let (outputs, _) = house.build("store", CacheSettings::default(), &interrupt).unwrap();
    assert!(outputs.finished.is_interrupted && !interrupt.is_building());
    assert!(outputs.published[0].is_none() && !house.root().join("mc-out").exists());
}
