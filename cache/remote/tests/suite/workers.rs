//! Actions on workers: uploads, verification, and failures.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::{
    Action, ActionResult, Command, Digest as WireDigest, Directory, OutputFile,
};
use mc_digest::digest::BlobDigest;
use mc_ir::action::{
    Action as Step, ActionContext, ActionError, ActionKind, ActionNode, Content, Input, Piece, Source,
};
use mc_ir::label::{Label, PackageId};
use mc_ir::output::{Output, Outputs};
use mc_ir::tags::Tags;
use mc_remote::download::Fetching;
use mc_remote::error::RemoteError;
use mc_remote::executor::{Answer, Executor, Task};
use mc_remote::function::DigestFunction;
use mc_remote::local_action::LocalAction;
use mc_remote::notes::Notes;
use mc_remote::notes::chunks::Chunks;
use mc_remote::notes::known::Known;
use mc_remote::notes::promised::Promised;
use mc_remote::remote::Remote;
use mc_remote::signing::Signatures;
use mc_remote::transport::Transport;
use mc_remote::transports::folder::Folder;
use mc_remote::workers::{Outcome, WorkerRequirements, Workers};
use mc_store::memory::MemoryStore;
use mc_store::traits::BlobStore;
use prost::Message;

const PROGRAM: &[u8] = b"the program";

struct Joined(Vec<(String, String)>);

impl Step for Joined {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "join", version: 3 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![("how".to_owned(), "in order".to_owned())]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["out/joined".to_owned()]
    }

    fn describe(&self) -> String {
        "joining".to_owned()
    }

    fn exec_properties(&self) -> &[(String, String)] {
        &self.0
    }

    fn run(&self, _: &dyn ActionContext) -> Result<Outputs, ActionError> {
        unreachable!("not run here")
    }
}

/// A worker's behavior instead of running the action.
#[derive(Clone, Debug)]
enum Instead {
    Fail(&'static str),
    Forget,
    Queue,
    Refuse,
    InvalidResponse,
}

/// The worker's future behavior, in reverse order, and the requests that it received.
#[derive(Clone, Default)]
struct Shared {
    instead: Arc<Mutex<Vec<Instead>>>,
    asked: Arc<Mutex<Vec<Action>>>,
}

/// A worker that reads from a folder, as a real one reads from its server.
struct Worker {
    folder: PathBuf,
    shared: Shared,
}

impl Worker {
    fn blob(&self, digest: &WireDigest) -> Vec<u8> {
        let digest = BlobDigest::new(digest.hash.parse().unwrap(), digest.size_bytes as u64);
        let mut bytes = Vec::new();
        let reader = Folder::open(&self.folder).unwrap().read(&digest, 0).unwrap();
        std::io::copy(&mut reader.expect("everything that an action names is there"), &mut bytes).unwrap();
        bytes
    }

    /// Concatenates the action's inputs, and checks that there are no other files.
    fn join(&self, action: &Action) -> Vec<u8> {
        let command = Command::decode(self.blob(action.command_digest.as_ref().unwrap()).as_slice()).unwrap();
        assert_eq!(command.arguments, ["./mc", "action", "join@3", "--how=in order"]);
        assert_eq!(command.output_paths, ["out/joined"]);
        assert!(command.environment_variables.is_empty());
        let root =
            Directory::decode(self.blob(action.input_root_digest.as_ref().unwrap()).as_slice()).unwrap();
        let (program, inputs) = root.files.split_last().unwrap();
        assert_eq!((program.name.as_str(), program.is_executable), ("mc", true));
        assert_eq!(self.blob(program.digest.as_ref().unwrap()), PROGRAM);
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for file in inputs {
            assert!(!file.is_executable);
            files.push((file.name.clone(), self.blob(file.digest.as_ref().unwrap())));
        }
        for folder in &root.directories {
            let parts = Directory::decode(self.blob(folder.digest.as_ref().unwrap()).as_slice()).unwrap();
            for part in parts.files {
                let name = format!("{}/{}", folder.name, part.name);
                files.push((name, self.blob(part.digest.as_ref().unwrap())));
            }
        }
        files.sort();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["000000", "000001/000000", "000001/000001", "000002"]);
        files.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }
}

impl Executor for Worker {
    fn name(&self) -> String {
        "the workers".to_owned()
    }

    fn check(&self, _: DigestFunction) -> Result<(), RemoteError> {
        Ok(())
    }

    fn execute(&self, task: &Task, _: &dyn Fn(), _: &dyn Fn() -> bool) -> Result<Answer, RemoteError> {
        let digest =
            WireDigest { hash: task.action.hash.to_string(), size_bytes: task.action.n_bytes as i64 };
        let action = Action::decode(self.blob(&digest).as_slice()).unwrap();
        self.shared.asked.lock().unwrap().push(action.clone());
        let instead = self.shared.instead.lock().unwrap().pop();
        let failed = |stderr: &str| {
            let stderr_raw = stderr.as_bytes().to_vec();
            ActionResult { exit_code: 1, stderr_raw, ..ActionResult::default() }.encode_to_vec()
        };
        match instead {
            Some(Instead::Fail(stderr)) => return Ok(Answer::Ran(failed(stderr))),
            Some(Instead::Queue) => return Ok(Answer::Queued),
            Some(Instead::Refuse) => return Ok(Answer::NotRun("DeadlineExceeded: too long".to_owned())),
            Some(Instead::Forget) => {
                let inputs = [BlobDigest::of(b"first"), BlobDigest::of(PROGRAM), BlobDigest::of(b"unknown")];
                for blob in &inputs {
                    let name = blob.hash.to_string();
                    let path = self.folder.join("blake3/cas").join(&name[..2]).join(&name);
                    drop(std::fs::remove_file(path));
                }
                return Ok(Answer::Missing(inputs.to_vec()));
            }
            Some(Instead::InvalidResponse) | None => {}
        }
        let joined = self.join(&action);
        let blob = BlobDigest::of(&joined);
        Folder::open(&self.folder).unwrap().write(&blob, &joined).unwrap();
        let said =
            if matches!(instead, Some(Instead::InvalidResponse)) { BlobDigest::of(b"?") } else { blob };
        let file = OutputFile {
            path: "out/joined".to_owned(),
            digest: Some(WireDigest { hash: said.hash.to_string(), size_bytes: blob.n_bytes as i64 }),
            ..OutputFile::default()
        };
        let stdout_raw = format!("{blob} out/joined\n").into_bytes();
        let result = ActionResult { output_files: vec![file], stdout_raw, ..ActionResult::default() };
        Ok(Answer::Ran(result.encode_to_vec()))
    }
}

/// A machine with an action to run, and workers.
struct Machine {
    store: MemoryStore,
    remote: Remote,
    workers: Workers,
    shared: Shared,
    folder: tempfile::TempDir,
    last: Vec<u8>,
}

impl Machine {
    fn new() -> Self {
        Self::with(b"last".to_vec(), false)
    }

    /// * `last`: the bytes of the last input, a source file
    fn with(last: Vec<u8>, all: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::default();
        let worker = Worker { folder: folder.path().to_owned(), shared: shared.clone() };
        let transport = Box::new(Folder::open(folder.path()).unwrap());
        let requirements = WorkerRequirements {
            properties: vec![
                ("gpu".to_owned(), "a100".to_owned()),
                ("OSFamily".to_owned(), "linux".to_owned()),
            ],
            queue: Duration::from_secs(7),
            run: Duration::from_secs(90),
            all,
            kinds: |kind| kind.name == "join",
        };
        let program = Piece::whole(Arc::new(PROGRAM.to_vec()));
        Self {
            store: MemoryStore::new(),
            remote: Remote::new(
                transport,
                Notes { known: Known::nothing(), promised: Promised::open(None), chunks: Chunks::open(None) },
                Fetching::AtOnce,
                Signatures::default(),
            ),
            workers: Workers::new(Box::new(worker), program, requirements),
            shared,
            folder,
            last,
        }
    }

    fn execute(&self) -> Outcome {
        self.execute_with(Tags::default())
    }

    fn execute_with(&self, tags: Tags) -> Outcome {
        let [first, b, c] = [&b"first"[..], b"se", b"cond"].map(|bytes| self.store.put_bytes(bytes).unwrap());
        let label = Label::new(PackageId(String::new()), "step");
        let last = Source { path: Path::new("last").into(), range: None };
        let node = ActionNode::new(
            label,
            Box::new(Joined(vec![("gpu".to_owned(), "b200".to_owned())])),
            vec![Input::Source(last)],
        );
        let inputs =
            [Output::File(first), Output::Composite(vec![b, c]), Output::File(BlobDigest::of(&self.last))];
        let piece = || Piece::whole(Arc::new(self.last.clone()));
        let source = |index: usize| (index == 2).then(|| Content { parts: vec![piece()] });
        let made = LocalAction { node: &node, inputs: &inputs, source: &source };
        self.workers.execute(&self.remote, &self.store, &made, tags, &|_| {}, &|| false).unwrap()
    }

    fn will(&self, instead: &[Instead]) {
        *self.shared.instead.lock().unwrap() = instead.iter().rev().cloned().collect();
    }

    fn n_asked(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }
}

#[test]
fn workers_run_even_if_only_they_may_write_results() {
    let machine = Machine::new();
    let results = machine.folder.path().join("blake3/ac");
    std::fs::create_dir_all(results.parent().unwrap()).unwrap();
    std::fs::write(&results, "no folder").unwrap();
    let outputs =
        Outputs::from([("out/joined".to_owned(), Output::File(machine.store.put_bytes(b"x").unwrap()))]);
    let label = Label::new(PackageId(String::new()), "step");
    let node = ActionNode::new(label, Box::new(Joined(Vec::new())), Vec::new());
    let made = LocalAction { node: &node, inputs: &[], source: &|_| None };
    assert!(machine.remote.upload(&machine.store, &made, &outputs).is_err());
    assert!(machine.remote.send_failure().is_some());
    assert!(matches!(machine.execute(), Outcome::Done(_)));
}

fn failure(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_receives_program_and_inputs_and_its_result_is_adopted() {
    let machine = Machine::new();
    let joined = BlobDigest::of(b"firstsecondlast");
    let outputs = Outputs::from([("out/joined".to_owned(), Output::File(joined))]);
    assert_eq!(machine.execute(), Outcome::Done(outputs));
    assert_eq!(&*machine.store.open(&joined).unwrap().unwrap(), b"firstsecondlast");
    let action = machine.shared.asked.lock().unwrap()[0].clone();
    assert_eq!(action.timeout.unwrap().seconds, 90);
    let properties = action.platform.unwrap().properties;
    let properties: Vec<(&str, &str)> =
        properties.iter().map(|property| (property.name.as_str(), property.value.as_str())).collect();
    assert_eq!(properties, [("OSFamily", "linux"), ("gpu", "b200")]);
    assert_eq!(action.salt, b"mc-1");
}

#[test]
fn the_server_does_not_cache_results_tagged_against_upload() {
    let machine = Machine::new();
    for word in ["no-remote-exec", "no-remote-cache-upload", "no-remote-cache"] {
        assert!(matches!(machine.execute_with(Tags::named(word).unwrap()), Outcome::Done(_)));
    }
    let asked = machine.shared.asked.lock().unwrap();
    let kept: Vec<bool> = asked.iter().map(|action| !action.do_not_cache).collect();
    assert_eq!(kept, [true, false, false]);
}

#[test]
fn blobs_that_the_server_lost_are_uploaded_again() {
    let machine = Machine::new();
    machine.will(&[Instead::Forget]);
    assert!(matches!(machine.execute(), Outcome::Done(_)));
    assert_eq!(machine.n_asked(), 2);
    machine.will(&[Instead::Forget, Instead::Forget]);
    assert!(failure(machine.execute()).starts_with("it lacks 3 uploaded blobs, such as "));
}

#[test]
fn after_an_action_that_no_worker_starts_no_other_is_sent() {
    let machine = Machine::new();
    machine.will(&[Instead::Queue]);
    for _ in 0..2 {
        assert_eq!(failure(machine.execute()), "no worker started an action within 7 s");
    }
    assert_eq!(machine.n_asked(), 1);
}

#[test]
fn failures_are_reported_and_three_in_a_row_disable_workers() {
    let machine = Machine::new();
    let fail = Instead::Fail("error: no such input\n  hint: none\n");
    let reported = "a `join` ended with exit code 1: error: no such input | hint: none";
    machine.will(&[fail.clone(), Instead::Refuse]);
    assert_eq!(failure(machine.execute()), reported);
    assert_eq!(failure(machine.execute()), "DeadlineExceeded: too long");
    assert!(matches!(machine.execute(), Outcome::Done(_)));
    machine.will(&[fail.clone(), fail.clone(), fail]);
    for _ in 0..5 {
        assert_eq!(failure(machine.execute()), reported);
    }
    assert_eq!(machine.n_asked(), 6);
}

#[test]
fn a_result_with_a_missing_blob_does_not_count() {
    let machine = Machine::new();
    machine.will(&[Instead::InvalidResponse]);
    assert!(failure(machine.execute()).starts_with("a blob of its result is missing; if its workers use"));
}

#[test]
fn large_inputs_are_uploaded_only_on_request() {
    let large = vec![7; 10 << 20];
    let machine = Machine::with(large.clone(), false);
    assert_eq!(machine.execute(), Outcome::Stays);
    let files = |machine: &Machine| {
        let cas = machine.folder.path().join("blake3/cas");
        std::fs::read_dir(cas).map_or(0, |entries| entries.count())
    };
    assert_eq!((machine.n_asked(), files(&machine)), (0, 0));
    let insisting = Machine::with(large.clone(), true);
    assert!(matches!(insisting.execute(), Outcome::Done(_)));
    // Once the server has them, the action runs remotely without `all`.
    let transport = Folder::open(machine.folder.path()).unwrap();
    transport.write(&BlobDigest::of(&large), &large).unwrap();
    assert!(matches!(machine.execute(), Outcome::Done(_)));
}

#[test]
fn unsupported_actions_run_locally() {
    let mut machine = Machine::new();
    let requirements = WorkerRequirements {
        properties: Vec::new(),
        queue: Duration::ZERO,
        run: Duration::ZERO,
        all: true,
        kinds: |kind| kind.version == 4,
    };
    let worker = Worker { folder: machine.folder.path().to_owned(), shared: machine.shared.clone() };
    let program = Piece::whole(Arc::new(PROGRAM.to_vec()));
    machine.workers = Workers::new(Box::new(worker), program, requirements);
    assert_eq!(machine.execute(), Outcome::Stays);
    assert_eq!(machine.n_asked(), 0);
}
