//! Steps that are done by workers of the team, where that pays: the action of the cache as one that can be run.
//!
//! The program that a worker runs is `mc` itself, a file of the input root beside the step's inputs. What comes back is
//! taken over like any result of the team's cache.
//!
//! Nobody signs what workers make. Whoever asks for signatures, or signs, has to trust them as this machine before their
//! results count ([`Workers::voucher`]).
//!
//! A step goes to a worker if at least half of its inputs' bytes are there already, or all of them are few: otherwise
//! sending them costs more than the step. Everything that goes wrong is a reason to do the step here.

mod ran;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::{
    Action, Command, Directory, FileNode, Platform, platform,
};
use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::action::{ActionKind, ActionNode, Content, Piece};
use mc_ir::output::Outputs;
use mc_ir::tags::Tags;
use mc_store::traits::BlobStore;
use mc_store::voucher::Voucher;
use prost::Message;

use crate::error::RemoteError;
use crate::executor::{Answer, Executor, Task};
use crate::function::DigestFunction;
use crate::remote::{Claims, Made, Remote};
use crate::session::breaker::Breaker;
use crate::transports::grpc::transport::wire;
use crate::upload::Bytes;
use crate::workers::ran::{Ran, Written, in_one_line};

/// The program's name in the input root; after it in the order of names come no inputs, which are numbers.
const TOOL: &str = "mc";
/// Inputs that are sent in any case.
const FEW_BYTES: u64 = 4 << 20;
/// After so many failures, one after the other, workers are asked no more.
const MAX_FAILURES: u32 = 3;
/// The longest output of a worker's program that is looked at.
const MAX_TEXT: u64 = 1 << 20;

/// What is asked of workers.
pub struct Wishes {
    /// What a worker must have, such as `OSFamily` and `linux`.
    pub properties: Vec<(String, String)>,
    /// How long a step may wait until a worker takes it.
    pub queue: Duration,
    /// How long it may run there.
    pub run: Duration,
    /// Whether every step that can be done there is, wherever its inputs are.
    pub all: bool,
    /// Which steps can be done there.
    pub kinds: fn(ActionKind) -> bool,
}

/// Workers of the team.
pub struct Workers {
    executor: Box<dyn Executor>,
    tool: Piece,
    tool_digest: OnceLock<Result<BlobDigest, String>>,
    wishes: Wishes,
    /// Whether the service runs such steps at all.
    checked: OnceLock<Result<(), String>>,
    breaker: Breaker,
    n_failures: AtomicU32,
}

/// The likely reason, and what to do.
const OTHER_STORE: &str =
    "if its workers read another store than the remote cache, name that one, or no cache";

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; its blobs are in the store, or promised.
    Done(Outputs),
    /// It is none for workers, or sending its inputs does not pay.
    Stays,
    /// It could not be done there, and why.
    Failed(String),
}

/// An action as a worker runs it.
struct Job<'a> {
    action: BlobDigest,
    /// Everything that must be there.
    bytes: BTreeMap<BlobDigest, Bytes<'a>>,
    inputs: BTreeSet<BlobDigest>,
}

impl Workers {
    /// The workers behind a service; `tool` is the program that they run.
    pub fn new(executor: Box<dyn Executor>, tool: Piece, wishes: Wishes) -> Self {
        Self {
            executor,
            tool,
            tool_digest: OnceLock::new(),
            wishes,
            checked: OnceLock::new(),
            breaker: Breaker::default(),
            n_failures: AtomicU32::new(0),
        }
    }

    /// The voucher for results of an executor's workers: they answer for them, as far as they are trusted.
    ///
    /// * `address`: of the executor, as people write it
    pub fn voucher(address: &str) -> Voucher {
        Voucher::Workers(Digest::of(address.as_bytes()))
    }

    /// What they are called in messages.
    pub fn name(&self) -> String {
        self.executor.name()
    }

    /// Has a step done, where that pays.
    ///
    /// * `remote`: the store that workers read from
    /// * `tags`: what its result is kept from
    /// * `begins`: told when the step is on its way
    /// * `is_cancelled`: asked a few times a second whether the step is still wanted
    ///
    /// # Errors
    /// When this machine fails. What fails there is an [`Outcome::Failed`].
    pub fn execute(
        &self,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &Made<'_>,
        tags: Tags,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Outcome, RemoteError> {
        if !(self.wishes.kinds)(made.node.action.kind()) {
            return Ok(Outcome::Stays);
        }
        let answer = self.breaker.ask(|| self.ask(remote, store, made, tags, begins, is_cancelled));
        match answer {
            Ok(outcome) => {
                self.count(&outcome);
                Ok(outcome)
            }
            Err(RemoteError::Store(error)) => Err(RemoteError::Store(error)),
            Err(error) => {
                let of_cache = || remote.failure().or_else(|| remote.blob_failure());
                let reason = self.breaker.reason().or_else(of_cache).unwrap_or_else(|| error.to_string());
                Ok(Outcome::Failed(reason))
            }
        }
    }

    fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => self.n_failures.store(0, Ordering::Relaxed),
            Outcome::Stays => {}
            Outcome::Failed(reason) => {
                if self.n_failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAILURES {
                    self.breaker.open(reason.clone());
                }
            }
        }
    }

    fn ask(
        &self,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &Made<'_>,
        tags: Tags,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Outcome, RemoteError> {
        let function = remote.transport.function()?;
        self.check(function)?;
        let job = self.job(function, remote, store, made, tags)?;
        let missing = remote.missing(job.bytes.keys().copied().collect())?;
        if !self.wishes.all && !pays(&job.inputs, &missing.blobs) {
            return Ok(Outcome::Stays);
        }
        begins();
        remote.send_missing(store, &job.bytes, missing)?;
        let task = Task { action: job.action, function, queue: self.wishes.queue, run: self.wishes.run };
        let mut is_sent_again = false;
        loop {
            let failed = match self.executor.execute(&task, is_cancelled)? {
                Answer::Ran(result) => return self.take_over(function, remote, store, made, &result),
                Answer::Missing(missing) if !is_sent_again => {
                    // Whatever it said before: it has lost them since.
                    is_sent_again = true;
                    let known = missing.into_iter().filter(|blob| job.bytes.contains_key(blob)).collect();
                    remote.send_missing(store, &job.bytes, remote.missed(known))?;
                    continue;
                }
                Answer::Missing(missing) => {
                    let first = missing.first().map(ToString::to_string).unwrap_or_default();
                    format!(
                        "it lacks {} blobs that it was sent, such as {first}; {OTHER_STORE}",
                        missing.len()
                    )
                }
                Answer::Queued => {
                    let seconds = self.wishes.queue.as_secs();
                    let reason = format!("no worker took a step within {seconds} s");
                    // The next would wait as long.
                    self.breaker.open(reason.clone());
                    reason
                }
                Answer::NotRun(reason) => reason,
                Answer::Cancelled => return Ok(Outcome::Stays),
            };
            return Ok(Outcome::Failed(failed));
        }
    }

    /// Whether the service can do anything with what would be sent.
    fn check(&self, function: DigestFunction) -> Result<(), RemoteError> {
        let checked =
            self.checked.get_or_init(|| self.executor.check(function).map_err(|error| error.to_string()));
        checked.clone().map_err(RemoteError::Unusable)
    }

    /// The action of the cache with the program beside its inputs.
    fn job<'a>(
        &self,
        function: DigestFunction,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &Made<'_>,
        tags: Tags,
    ) -> Result<Job<'a>, RemoteError> {
        let unread =
            |error: prost::DecodeError| RemoteError::Local(format!("An action cannot be read back: {error}"));
        let encoded = remote.encoded(function, store, made)?;
        let mut bytes = BTreeMap::new();
        let mut add = |message: Vec<u8>| {
            let digest = function.digest(&message);
            bytes.insert(digest, Bytes::Owned(message));
            digest
        };
        let mut command = Command::decode(encoded.command.as_slice()).map_err(unread)?;
        if let Some(program) = command.arguments.first_mut() {
            *program = format!("./{TOOL}");
        }
        let platform = self.platform(made.node);
        #[expect(deprecated, reason = "servers before version 2.2 of the interface look here only")]
        command.platform.clone_from(&platform);
        let tool = self.tool_digest(function, remote, store)?;
        let mut directories = encoded.directories.into_iter();
        let mut root =
            Directory::decode(directories.next().unwrap_or_default().as_slice()).map_err(unread)?;
        root.files.push(FileNode {
            name: TOOL.to_owned(),
            digest: Some(wire(&tool)),
            is_executable: true,
            ..FileNode::default()
        });
        let mut action = Action::decode(encoded.action.as_slice()).map_err(unread)?;
        action.command_digest = Some(wire(&add(command.encode_to_vec())));
        action.input_root_digest = Some(wire(&add(root.encode_to_vec())));
        action.platform = platform;
        // The server keeps results of its workers, too; this tells it not to.
        action.do_not_cache = tags.not_sent;
        action.timeout = Some(bazel_remote_apis::google::protobuf::Duration {
            seconds: i64::try_from(self.wishes.run.as_secs()).unwrap_or(i64::MAX),
            nanos: 0,
        });
        let action = add(action.encode_to_vec());
        for directory in directories {
            add(directory);
        }
        let mut inputs = BTreeSet::new();
        for (index, input) in made.inputs.iter().enumerate() {
            for part in input.parts() {
                let theirs = remote.theirs(function, store, part, &|| (made.source)(index))?;
                inputs.insert(theirs);
                bytes.insert(theirs, origin(made, index, part));
            }
        }
        bytes.insert(tool, Bytes::Piece(self.tool.clone()));
        Ok(Job { action, bytes, inputs })
    }

    /// What the worker must have: as for all steps, but for what this one wants otherwise.
    fn platform(&self, node: &ActionNode) -> Option<Platform> {
        let own = node.action.exec_properties();
        let is_common = |(name, _): &&(String, String)| own.iter().all(|(known, _)| known != name);
        let property = |(name, value): &(String, String)| platform::Property {
            name: name.clone(),
            value: value.clone(),
        };
        let common = self.wishes.properties.iter().filter(is_common);
        let mut properties: Vec<platform::Property> = common.chain(own).map(property).collect();
        properties.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
        (!properties.is_empty()).then_some(Platform { properties })
    }

    /// What the server calls the program; computed once.
    fn tool_digest(
        &self,
        function: DigestFunction,
        remote: &Remote,
        store: &dyn BlobStore,
    ) -> Result<BlobDigest, RemoteError> {
        let digest = self.tool_digest.get_or_init(|| {
            let ours = BlobDigest::of(self.tool.as_slice());
            let content = || Some(Content { parts: vec![self.tool.clone()] });
            remote.theirs(function, store, &ours, &content).map_err(|error| error.to_string())
        });
        digest.clone().map_err(RemoteError::Local)
    }

    fn take_over(
        &self,
        function: DigestFunction,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &Made<'_>,
        result: &[u8],
    ) -> Result<Outcome, RemoteError> {
        let ran = match Ran::read(result) {
            Ok(ran) => ran,
            Err(error) => return Ok(Outcome::Failed(format!("its result cannot be read: {error}"))),
        };
        let text = |written: Written<'_>| -> Result<String, RemoteError> {
            let blob = written.blob.filter(|blob| written.raw.is_empty() && blob.n_bytes <= MAX_TEXT);
            let bytes = match blob {
                Some(blob) => remote.small(function, &blob)?.unwrap_or_default(),
                None => written.raw.to_vec(),
            };
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        if ran.exit_code != 0 {
            let (kind, code, said) = (made.node.action.kind().name, ran.exit_code, text(ran.stderr)?);
            return Ok(Outcome::Failed(format!(
                "a `{kind}` ended with exit code {code}: {}",
                in_one_line(&said)
            )));
        }
        let _alone = remote.alone_with(result);
        let Some((theirs, mut claims)) = remote.decoded(function, result)? else {
            return Ok(Outcome::Failed("a tree of its result is not there".to_owned()));
        };
        let said = text(ran.stdout)?;
        claims.extend(claims_in(&said, &theirs));
        Ok(match remote.adopt(function, store, &theirs, &claims)? {
            Some(outputs) => Outcome::Done(outputs),
            None => Outcome::Failed(format!("a blob of its result is not there; {OTHER_STORE}")),
        })
    }
}

/// Whether workers are near enough to the inputs.
fn pays(inputs: &BTreeSet<BlobDigest>, missing: &BTreeSet<BlobDigest>) -> bool {
    let n_bytes: u64 = inputs.iter().map(|blob| blob.n_bytes).sum();
    let n_missing: u64 = inputs.intersection(missing).map(|blob| blob.n_bytes).sum();
    n_bytes <= FEW_BYTES || n_missing <= n_bytes / 2
}

/// Where the bytes of an input are.
fn origin<'a>(made: &Made<'_>, index: usize, part: &BlobDigest) -> Bytes<'a> {
    match (made.source)(index).map(|content| content.parts) {
        Some(mut parts) if parts.len() == 1 => Bytes::Input(*part, parts.swap_remove(0)),
        Some(parts) => {
            let all = Content { parts }.to_contiguous().into_owned();
            Bytes::Input(*part, Piece::whole(Arc::new(all)))
        }
        None => Bytes::Blob(*part),
    }
}

/// What the program says of its outputs: `HASH/SIZE NAME` in our own digest function, a line for each blob.
///
/// A claim, checked when the blob comes; it lets the build go on without.
fn claims_in(said: &str, theirs: &Outputs) -> Claims {
    let mut lines: BTreeMap<&str, Vec<BlobDigest>> = BTreeMap::new();
    for line in said.lines() {
        if let Some((digest, name)) = line.split_once(' ')
            && let Some((hash, n_bytes)) = digest.split_once('/')
            && let (Ok(hash), Ok(n_bytes)) = (hash.parse::<Digest>(), n_bytes.parse())
        {
            lines.entry(name).or_default().push(BlobDigest::new(hash, n_bytes));
        }
    }
    let mut claims = Claims::new();
    for (name, output) in theirs {
        let said = lines.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let sizes = |blobs: &[BlobDigest]| blobs.iter().map(|blob| blob.n_bytes).collect::<Vec<_>>();
        if sizes(said) == sizes(output.parts()) {
            claims.extend(output.parts().iter().copied().zip(said.iter().map(|blob| blob.hash)));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use mc_ir::output::Output;

    use super::*;

    #[test]
    fn steps_go_where_their_inputs_are() {
        let blob = |seed: u8, n_bytes| BlobDigest::new(BlobDigest::of(&[seed]).hash, n_bytes);
        let (small, large, larger) = (blob(1, FEW_BYTES / 2), blob(2, 10 << 20), blob(3, 20 << 20));
        let set = |blobs: &[BlobDigest]| blobs.iter().copied().collect::<BTreeSet<_>>();
        assert!(pays(&set(&[small]), &set(&[small])));
        assert!(!pays(&set(&[large]), &set(&[large])));
        assert!(pays(&set(&[large]), &set(&[small])));
        assert!(pays(&set(&[large, larger]), &set(&[large])));
        assert!(!pays(&set(&[large, larger]), &set(&[larger])));
    }

    #[test]
    fn a_worker_says_what_its_outputs_are_called_here() {
        let (ours, theirs) = (BlobDigest::of(b"abc"), BlobDigest::new(BlobDigest::of(b"x").hash, 3));
        let said = |text: &str| {
            let outputs = Outputs::from([
                ("tensor".to_owned(), Output::File(theirs)),
                ("two words".to_owned(), Output::Composite(vec![theirs])),
            ]);
            claims_in(text, &outputs).get(&theirs).copied()
        };
        assert_eq!(said(&format!("{ours} tensor\nsomething else\n")), Some(ours.hash));
        assert_eq!(said(&format!("{ours} two words\n")), Some(ours.hash));
        assert_eq!(said(&format!("{ours} other\n")), None);
        assert_eq!(said(&format!("{} tensor\n", BlobDigest::of(b"abcd"))), None);
        assert_eq!(said("tensor\n\nx/y tensor\n"), None);
    }
}
