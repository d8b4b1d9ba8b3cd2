//! Actions that the server has run: one request that answers with a stream of what becomes of the action.
//!
//! A stream that breaks is no end of the action: it is asked for again by the name of the operation.

use std::thread;
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::execution_client::ExecutionClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::execution_stage::Value as Stage;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, WaitExecutionRequest,
};
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use bazel_remote_apis::google::longrunning::{CancelOperationRequest, Operation, operation};
use bazel_remote_apis::google::rpc;
use mc_digest::digest::{BlobDigest, Digest};
use prost::Message;
use tonic::codec::Streaming;
use tonic::{Code, Status};

use crate::error::RemoteError;
use crate::executor::{Answer, Executor, Task};
use crate::function::DigestFunction;
use crate::grpc::call_log::LoggedChannel;
use crate::grpc::capabilities::value;
use crate::grpc::connection::{Failure, silent};
use crate::grpc::patience::{delay, is_passing};
use crate::grpc::transport::{Grpc, wire};

/// How often it is looked whether anybody still waits.
const TICK: Duration = Duration::from_millis(200);
/// Streams that break one soon after the other are enough at some point.
const MAX_BROKEN: u32 = 5;
/// A stream that lasted so long broke for reasons of its own.
const LASTED: Duration = Duration::from_secs(10);
/// What a server may need beyond the time of an action to say how it ended.
const SLACK: Duration = Duration::from_secs(30);

/// What is known of an operation.
struct Operated {
    /// Its name; empty until the server gives it one.
    name: String,
    queued: Instant,
    /// Since when a worker has it.
    running: Option<Instant>,
    /// Whether it is run whatever the server remembers of it.
    is_anew: bool,
}

/// How the wait for an action ended.
enum End {
    Answer(Answer),
    /// A failure that the server remembered.
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

    fn execute(&self, task: &Task, is_cancelled: &dyn Fn() -> bool) -> Result<Answer, RemoteError> {
        let mut operated = Operated::new();
        let mut n_broken = 0;
        loop {
            let began = Instant::now();
            let status = match self.follow(task, &mut operated, is_cancelled) {
                Ok(End::Answer(answer)) => return Ok(answer),
                Ok(End::Remembered) => {
                    // Some servers remember failures, too, and what failed there once may not fail again.
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
                // A server that was started anew knows nothing of it; the same action is asked for again.
                operated.name.clear();
            } else if !is_passing(&status) {
                return Err(self.connection().failed("Execute", &status));
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
    /// Reads one stream up to its end or that of the action.
    fn follow(
        &self,
        task: &Task,
        operated: &mut Operated,
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
                        if let Some(end) = operated.heard(operation)? {
                            return Ok(end);
                        }
                    }
                    None => {
                        return Err(Status::unavailable("the stream ended before the action did").into());
                    }
                },
            }
        }
    }

    fn open_stream(&self, task: &Task, operated: &Operated) -> Result<Streaming<Operation>, Failure> {
        let connection = self.connection();
        let mut client = ExecutionClient::new(connection.channel.clone());
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
            // A server may keep its first word until a worker takes the action.
            let patience = connection.settings.idle.max(task.queue);
            connection.runtime.block_on(async {
                let opened = tokio::time::timeout(patience, client.execute(request)).await;
                opened.unwrap_or_else(|_| Err(silent(patience)))
            })
        } else {
            let request = connection
                .request_about(&operated.name, WaitExecutionRequest { name: operated.name.clone() })?;
            connection.wait(async { client.wait_execution(request).await })
        };
        Ok(opened?.into_inner())
    }

    /// Nobody waits any more. A server that cannot cancel goes on in vain.
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

    /// Takes note of what the server says, which may be the end.
    fn heard(&mut self, operation: Operation) -> Result<Option<End>, Failure> {
        if !operation.name.is_empty() {
            self.name = operation.name;
        }
        if operation.done {
            return match operation.result {
                Some(operation::Result::Response(response)) => {
                    let response = ExecuteResponse::decode(response.value.as_slice())
                        .map_err(|error| Status::data_loss(format!("its answer cannot be read: {error}")))?;
                    let failed = response.result.as_ref().is_some_and(|result| result.exit_code != 0);
                    if response.cached_result && failed && !self.is_anew {
                        return Ok(Some(End::Remembered));
                    }
                    Ok(Some(End::Answer(ended(response))))
                }
                Some(operation::Result::Error(status)) => Ok(Some(End::Answer(not_run(&status, "")))),
                None => Err(Status::data_loss("the action is done, and there is no result").into()),
            };
        }
        let stage = operation.metadata.map(|metadata| {
            ExecuteOperationMetadata::decode(metadata.value.as_slice())
                .map_or(Stage::Unknown, |it| it.stage())
        });
        let is_waiting = matches!(stage, Some(Stage::Queued | Stage::CacheCheck));
        // Who says nothing of a queue has none.
        if !is_waiting && self.running.is_none() {
            self.running = Some(Instant::now());
        }
        Ok(None)
    }

    fn too_long(&self, task: &Task) -> Option<Answer> {
        match self.running {
            None => (self.queued.elapsed() > task.queue).then_some(Answer::Queued),
            Some(running) => (running.elapsed() > task.run + SLACK)
                .then(|| Answer::NotRun(format!("it ran for more than {} s", task.run.as_secs()))),
        }
    }
}

fn ended(response: ExecuteResponse) -> Answer {
    match (response.status, response.result) {
        (Some(status), _) if status.code != 0 => not_run(&status, &response.message),
        (_, Some(result)) => Answer::Ran(result.encode_to_vec()),
        (_, None) => Answer::NotRun("the server gives no result".to_owned()),
    }
}

fn not_run(status: &rpc::Status, message: &str) -> Answer {
    match missing_blobs(status) {
        Some(missing) => Answer::Missing(missing),
        None => {
            let code = Code::from_i32(status.code);
            let words = [status.message.as_str(), message];
            let words: Vec<&str> = words.into_iter().filter(|words| !words.is_empty()).collect();
            Answer::NotRun(format!("{code:?}: {}", words.join("; ")))
        }
    }
}

/// `google.rpc.PreconditionFailure`, of which the interface's crate has no type.
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

/// The blobs that a status of gRPC says are not there.
fn missing_of(status: &Status) -> Option<Vec<BlobDigest>> {
    let details = rpc::Status::decode(status.details()).unwrap_or_default();
    missing_blobs(&rpc::Status { code: status.code() as i32, ..details })
}

/// The blobs that a status says are not there; none for any other status.
fn missing_blobs(status: &rpc::Status) -> Option<Vec<BlobDigest>> {
    if status.code != Code::FailedPrecondition as i32 {
        return None;
    }
    let failures = status.details.iter().filter(|detail| detail.type_url.ends_with("PreconditionFailure"));
    let failures = failures.filter_map(|detail| PreconditionFailure::decode(detail.value.as_slice()).ok());
    let violations = failures.flat_map(|failure| failure.violations);
    let missing = violations.filter(|violation| violation.kind == "MISSING");
    let missing: Vec<BlobDigest> = missing.filter_map(|violation| blob_of(&violation.subject)).collect();
    (!missing.is_empty()).then_some(missing)
}

/// The blob in `blobs/HASH/SIZE`, with or without the digest function in between.
fn blob_of(subject: &str) -> Option<BlobDigest> {
    let mut words = subject.rsplit('/');
    let n_bytes = words.next()?.parse().ok()?;
    let hash: Digest = words.next()?.parse().ok()?;
    Some(BlobDigest::new(hash, n_bytes))
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::google::protobuf::Any;

    use super::*;

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
        assert_eq!(missing_blobs(&status), Some(vec![blob, blob]));
        assert_eq!(not_run(&status, ""), Answer::Missing(vec![blob, blob]));
        let other = rpc::Status { code: Code::DeadlineExceeded as i32, ..status.clone() };
        assert_eq!(missing_blobs(&other), None);
        assert_eq!(not_run(&other, "killed"), Answer::NotRun("DeadlineExceeded: killed".to_owned()));
        let over_the_wire = Status::with_details(Code::FailedPrecondition, "", status.encode_to_vec().into());
        assert_eq!(missing_of(&over_the_wire), Some(vec![blob, blob]));
        assert_eq!(missing_of(&Status::failed_precondition("something else")), None);
    }

    #[test]
    fn an_action_waits_for_a_worker_as_long_as_the_server_says_so() {
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
            assert!(matches!(operated.heard(operation), Ok(None)));
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
