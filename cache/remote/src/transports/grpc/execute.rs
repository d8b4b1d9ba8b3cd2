//! Remote execution of actions: one request whose response streams the state of the action.
//!
//! A broken stream does not end the action: a new stream is opened with the name of the operation.

use std::thread;
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::execution_stage::Value as Stage;
use bazel_remote_apis::build::bazel::remote::execution::v2::{ExecuteRequest, WaitExecutionRequest};
use bazel_remote_apis::google::longrunning::CancelOperationRequest;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::protobuf;
use tonic::codec::Streaming;
use tonic::{Code, Status};

use crate::error::RemoteError;
use crate::executor::{Answer, Executor, Task};
use crate::function::DigestFunction;
use crate::transports::answer::MAX_RESULT;
use crate::transports::grpc::answers::{code, field, unreadable, words};
use crate::transports::grpc::call_log::LoggedChannel;
use crate::transports::grpc::capabilities::value;
use crate::transports::grpc::connection::{Failure, silent};
use crate::transports::grpc::raw::Method;
use crate::transports::grpc::retry_delay::{delay, is_passing};
use crate::transports::grpc::transport::{Grpc, wire};

/// Interval between checks for cancellation.
const TICK: Duration = Duration::from_millis(200);
/// Limit on consecutive streams that break soon after they were opened.
const MAX_BROKEN: u32 = 5;
/// A stream that lasted this long does not count as broken.
const LASTED: Duration = Duration::from_secs(10);
/// Extra time for the server to report the end of an action after its time limit.
const SLACK: Duration = Duration::from_secs(30);

const EXECUTE: Method =
    Method { path: "/build.bazel.remote.execution.v2.Execution/Execute", limit: MAX_RESULT as usize };

const WAIT: Method = Method { path: "/build.bazel.remote.execution.v2.Execution/WaitExecution", ..EXECUTE };

/// Known state of an operation.
struct Operated {
    /// Its name; empty until the server assigns one.
    name: String,
    queued: Instant,
    /// Time at which a worker started it.
    running: Option<Instant>,
    /// True if cached results of the server must be ignored.
    is_anew: bool,
}

/// End of the wait for an action.
enum End {
    Answer(Answer),
    /// The server returned a cached failure.
    Remembered,
}

impl Executor for Grpc {
    fn name(&self) -> String {
        self.connection().name()
    }

    fn check(&self, function: DigestFunction) -> Result<(), RemoteError> {
        let (agreed, name) = (self.agreed()?, self.connection().name());
        if !agreed.executes {
            return Err(RemoteError::Unusable(format!("{name} runs no actions")));
        }
        if !agreed.executes_in.is_empty() && !agreed.executes_in.contains(&function) {
            let option = match function {
                DigestFunction::Blake3 => "sha256",
                DigestFunction::Sha256 => "blake3",
            };
            return Err(RemoteError::Unusable(format!(
                "{name} runs no actions with {}, which the cache uses; try `--remote-digest-function={option}`",
                value(function).as_str_name()
            )));
        }
        Ok(())
    }

    fn execute(
        &self,
        task: &Task,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Answer, RemoteError> {
        let mut operated = Operated::new();
        let mut n_broken = 0;
        loop {
            let began = Instant::now();
            let status = match self.follow(task, &mut operated, begins, is_cancelled) {
                Ok(End::Answer(answer)) => return Ok(answer),
                Ok(End::Remembered) => {
                    // Some servers also cache failures, although a second run may succeed.
                    operated = Operated { is_anew: true, ..Operated::new() };
                    continue;
                }
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Status(status)) => status,
            };
            if let Some(missing) = missing_of(&status) {
                return Ok(Answer::Missing(missing));
            }
            if status.code() == Code::NotFound && !operated.name.is_empty() {
                // A restarted server has lost the operation; the same action is requested again.
                operated.name.clear();
            } else if !is_passing(&status) {
                return Err(self.connection().failed("Execute", &status));
            }
            // This also applies if no stream was opened at all.
            if let Some(answer) = operated.too_long(task) {
                return Ok(answer);
            }
            n_broken = if began.elapsed() > LASTED { 1 } else { n_broken + 1 };
            if n_broken > MAX_BROKEN {
                return Err(self.connection().failed("Execute", &status));
            }
            thread::sleep(delay(n_broken, &status, self.connection().settings.idle));
        }
    }
}

impl Grpc {
    /// Reads one stream until it or the action ends.
    fn follow(
        &self,
        task: &Task,
        operated: &mut Operated,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<End, Failure> {
        let mut stream = self.open_stream(task, operated)?;
        loop {
            if is_cancelled() {
                self.cancel(&operated.name);
                return Ok(End::Answer(Answer::Cancelled));
            }
            if let Some(answer) = operated.too_long(task) {
                self.cancel(&operated.name);
                return Ok(End::Answer(answer));
            }
            let next = self
                .connection()
                .runtime
                .block_on(async { tokio::time::timeout(TICK, stream.message()).await });
            match next {
                Err(_) => {}
                Ok(message) => match message? {
                    Some(operation) => {
                        let was_running = operated.running.is_some();
                        if let Some(end) = operated.heard(&operation)? {
                            return Ok(end);
                        }
                        if !was_running && operated.running.is_some() {
                            begins();
                        }
                    }
                    None => {
                        return Err(Status::unavailable("the stream ended before the action did").into());
                    }
                },
            }
        }
    }

    fn open_stream(&self, task: &Task, operated: &Operated) -> Result<Streaming<Vec<u8>>, Failure> {
        let connection = self.connection();
        let opened = if operated.name.is_empty() {
            let request = connection.request_about(
                task.action.to_string(),
                ExecuteRequest {
                    instance_name: connection.settings.instance.clone(),
                    action_digest: Some(wire(&task.action)),
                    digest_function: value(task.function) as i32,
                    skip_cache_lookup: operated.is_anew,
                    ..ExecuteRequest::default()
                },
            )?;
            // A server may send its first message only when a worker starts the action.
            let patience = connection.settings.idle.max(task.queue);
            connection.runtime.block_on(async {
                let opened = tokio::time::timeout(patience, EXECUTE.stream(self.channel(), request)).await;
                opened.unwrap_or_else(|_| Err(silent(patience)))
            })
        } else {
            let request = connection
                .request_about(&operated.name, WaitExecutionRequest { name: operated.name.clone() })?;
            connection.wait(WAIT.stream(self.channel(), request))
        };
        Ok(opened?)
    }

    /// The caller no longer waits. A server without cancellation runs the action to its end.
    fn cancel(&self, name: &str) {
        if name.is_empty() {
            return;
        }
        let connection = self.connection();
        if let Ok(request) = connection.request_about(name, CancelOperationRequest { name: name.to_owned() })
        {
            let mut client: OperationsClient<LoggedChannel> =
                OperationsClient::new(connection.channel.clone());
            drop(
                connection
                    .wait_for(connection.settings.connect, async { client.cancel_operation(request).await }),
            );
        }
    }
}

impl Operated {
    fn new() -> Self {
        Self { name: String::new(), queued: Instant::now(), running: None, is_anew: false }
    }

    /// Processes an `Operation` message, which may report the end.
    fn heard(&mut self, operation: &[u8]) -> Result<Option<End>, Failure> {
        const NAME: u32 = 1;
        const METADATA: u32 = 2;
        const DONE: u32 = 3;
        const ERROR: u32 = 4;
        const RESPONSE: u32 = 5;
        const STAGE: u32 = 1;
        let name = field(operation, NAME)?;
        if !name.is_empty() {
            self.name = words(name);
        }
        let present = |field| protobuf::bytes(operation, field).map_err(|error| unreadable(&error));
        if number(operation, DONE)? != 0 {
            return match (present(RESPONSE)?, present(ERROR)?) {
                (Some(response), _) => self.ended(field(response, VALUE)?).map(Some),
                (None, Some(status)) => Ok(Some(End::Answer(not_run(status, b"")?))),
                (None, None) => Err(Status::data_loss("the action is done, but has no result").into()),
            };
        }
        let stage = match present(METADATA)? {
            Some(metadata) => Some(number(field(metadata, VALUE)?, STAGE)?),
            None => None,
        };
        let is_waiting =
            [Stage::Queued, Stage::CacheCheck].iter().any(|waiting| stage == Some(*waiting as u64));
        // A server that never reports a queued state has no queue.
        if !is_waiting && self.running.is_none() {
            self.running = Some(Instant::now());
        }
        Ok(None)
    }

    /// Reads the outcome of the action from an `ExecuteResponse`.
    fn ended(&self, response: &[u8]) -> Result<End, Failure> {
        const RESULT: u32 = 1;
        const CACHED: u32 = 2;
        const STATUS: u32 = 3;
        const MESSAGE: u32 = 5;
        const EXIT_CODE: u32 = 4;
        let result = protobuf::bytes(response, RESULT).map_err(|error| unreadable(&error))?;
        let status = field(response, STATUS)?;
        if code(status)? != Code::Ok {
            return Ok(End::Answer(not_run(status, field(response, MESSAGE)?)?));
        }
        let Some(result) = result else {
            return Ok(End::Answer(Answer::NotRun("the server returned no result".to_owned())));
        };
        let failed = number(result, EXIT_CODE)? != 0;
        if number(response, CACHED)? != 0 && failed && !self.is_anew {
            return Ok(End::Remembered);
        }
        Ok(End::Answer(Answer::Ran(result.to_vec())))
    }

    fn too_long(&self, task: &Task) -> Option<Answer> {
        match self.running {
            None => (self.queued.elapsed() > task.queue).then_some(Answer::Queued),
            Some(running) => (running.elapsed() > task.run + SLACK)
                .then(|| Answer::NotRun(format!("it ran for more than {} s", task.run.as_secs()))),
        }
    }
}

/// The field of an `Any` that holds the message.
const VALUE: u32 = 2;

fn number(message: &[u8], field: u32) -> Result<u64, Status> {
    protobuf::number(message, field).map_err(|error| unreadable(&error))
}

/// * `status`: a `google.rpc.Status`
fn not_run(status: &[u8], message: &[u8]) -> Result<Answer, Status> {
    const MESSAGE: u32 = 2;
    if let Some(missing) = missing_blobs(code(status)?, status) {
        return Ok(Answer::Missing(missing));
    }
    let said = [field(status, MESSAGE)?, message].map(words);
    let said: Vec<&str> = said.iter().map(String::as_str).filter(|words| !words.is_empty()).collect();
    Ok(Answer::NotRun(format!("{:?}: {}", code(status)?, said.join("; "))))
}

/// The blobs that a gRPC status reports as missing.
fn missing_of(status: &Status) -> Option<Vec<BlobDigest>> {
    missing_blobs(status.code(), status.details())
}

/// The blobs that a status reports as missing, in a `google.rpc.PreconditionFailure` among its details; `None` for any
/// other status.
fn missing_blobs(code: Code, status: &[u8]) -> Option<Vec<BlobDigest>> {
    const DETAILS: u32 = 3;
    const TYPE_URL: u32 = 1;
    const VIOLATIONS: u32 = 1;
    const KIND: u32 = 1;
    const SUBJECT: u32 = 2;
    if code != Code::FailedPrecondition {
        return None;
    }
    let failures = protobuf::repeated(status, DETAILS).filter_map(|detail| {
        let detail = detail.ok()?;
        let is_ours = field(detail, TYPE_URL).ok()?.ends_with(b"PreconditionFailure");
        field(detail, VALUE).ok().filter(|_| is_ours)
    });
    let violations = failures.flat_map(|failure| protobuf::repeated(failure, VIOLATIONS).flatten());
    let missing = violations.filter_map(|violation| {
        let is_missing = field(violation, KIND).ok()? == b"MISSING";
        let subject = field(violation, SUBJECT).ok().filter(|_| is_missing)?;
        blob_of(std::str::from_utf8(subject).ok()?)
    });
    let missing: Vec<BlobDigest> = missing.take(MAX_MISSING).collect();
    (!missing.is_empty()).then_some(missing)
}

/// Limit on the missing blobs that are recorded.
const MAX_MISSING: usize = 100_000;

/// The blob in `blobs/HASH/SIZE`, with or without a digest function in between.
fn blob_of(subject: &str) -> Option<BlobDigest> {
    let mut words = subject.rsplit('/');
    let n_bytes = words.next()?.parse().ok()?;
    let hash: Digest = words.next()?.parse().ok()?;
    Some(BlobDigest::new(hash, n_bytes))
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::build::bazel::remote::execution::v2::ExecuteOperationMetadata;
    use bazel_remote_apis::google::longrunning::Operation;
    use bazel_remote_apis::google::protobuf::Any;
    use bazel_remote_apis::google::rpc;
    use prost::Message as _;

    use super::*;

    /// `google.rpc.PreconditionFailure`, which the API's crate does not define.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    struct PreconditionFailure {
        #[prost(message, repeated, tag = "1")]
        violations: Vec<Violation>,
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    struct Violation {
        #[prost(string, tag = "1")]
        kind: String,
        #[prost(string, tag = "2")]
        subject: String,
    }

    fn precondition(subjects: &[String]) -> rpc::Status {
        let violation = |subject: &String| Violation { kind: "MISSING".to_owned(), subject: subject.clone() };
        let failure = PreconditionFailure { violations: subjects.iter().map(violation).collect() };
        let detail = Any {
            type_url: "type.googleapis.com/google.rpc.PreconditionFailure".to_owned(),
            value: failure.encode_to_vec(),
        };
        rpc::Status { code: Code::FailedPrecondition as i32, message: String::new(), details: vec![detail] }
    }

    #[test]
    fn missing_blobs_are_named_in_the_details_of_a_status() {
        let blob = BlobDigest::of(b"abc");
        let status = precondition(&[
            format!("blobs/{}/3", blob.hash),
            format!("blobs/blake3/{}/3", blob.hash),
            "blobs/what/3".to_owned(),
        ]);
        let not_run = |status: &rpc::Status, message| not_run(&status.encode_to_vec(), message).unwrap();
        assert_eq!(not_run(&status, b""), Answer::Missing(vec![blob, blob]));
        let other = rpc::Status { code: Code::DeadlineExceeded as i32, ..status.clone() };
        assert_eq!(not_run(&other, b"killed"), Answer::NotRun("DeadlineExceeded: killed".to_owned()));
        let over_the_wire = Status::with_details(Code::FailedPrecondition, "", status.encode_to_vec().into());
        assert_eq!(missing_of(&over_the_wire), Some(vec![blob, blob]));
        assert_eq!(missing_of(&Status::failed_precondition("something else")), None);
    }

    #[test]
    fn an_action_is_queued_as_long_as_the_server_reports_it() {
        let task = Task {
            action: BlobDigest::of(b""),
            function: crate::function::DigestFunction::Blake3,
            queue: Duration::ZERO,
            run: Duration::from_secs(100),
        };
        let mut operated = Operated::new();
        let mut hear = |stage: Option<Stage>| {
            let metadata = stage.map(|stage| {
                let metadata = ExecuteOperationMetadata { stage: stage as i32, ..Default::default() };
                Any { type_url: String::new(), value: metadata.encode_to_vec() }
            });
            let operation = Operation { name: "one".to_owned(), metadata, ..Operation::default() };
            assert!(matches!(operated.heard(&operation.encode_to_vec()), Ok(None)));
            thread::sleep(Duration::from_millis(1));
            operated.too_long(&task)
        };
        assert_eq!(hear(Some(Stage::CacheCheck)), Some(Answer::Queued));
        assert_eq!(hear(Some(Stage::Queued)), Some(Answer::Queued));
        assert_eq!(hear(Some(Stage::Executing)), None);
        assert_eq!(hear(Some(Stage::Queued)), None);
        assert_eq!(operated.name, "one");
    }
}
