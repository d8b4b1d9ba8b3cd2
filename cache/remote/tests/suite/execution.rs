//! A service that runs actions, and all ways in which its response can break off.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_server::{
    Capabilities, CapabilitiesServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::execution_server::{Execution, ExecutionServer};
use bazel_remote_apis::build::bazel::remote::execution::v2::execution_stage::Value as Stage;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ActionResult, ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, ExecutionCapabilities,
    GetCapabilitiesRequest, ServerCapabilities, WaitExecutionRequest,
};
use bazel_remote_apis::google::longrunning::operations_server::{Operations, OperationsServer};
use bazel_remote_apis::google::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, Operation, WaitOperationRequest, operation,
};
use bazel_remote_apis::google::protobuf::{Any, Empty};
use bazel_remote_apis::google::rpc;
use mc_digest::digest::BlobDigest;
use mc_fetch::credentials::Credentials;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;
use mc_remote::error::RemoteError;
use mc_remote::executor::{Answer, Executor, Task};
use mc_remote::function::DigestFunction;
use mc_remote::transports::grpc::settings::{Place, Settings};
use mc_remote::transports::grpc::transport::Grpc;
use prost::Message;
use tonic::{Request, Response, Status};

/// The next event on a stream.
#[derive(Clone, Debug)]
enum Next {
    Say(Stage),
    Done(i32),
    Remembered(i32),
    Refuse(tonic::Code),
    Break,
    End,
    Silence,
}

#[derive(Default)]
struct State {
    streams: VecDeque<Vec<Next>>,
    heard: Vec<String>,
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

type Stream = Pin<Box<dyn tokio_stream::Stream<Item = Result<Operation, Status>> + Send>>;

fn any(message: &impl Message) -> Any {
    Any { type_url: String::new(), value: message.encode_to_vec() }
}

fn operation() -> Operation {
    Operation { name: "operations/1".to_owned(), ..Operation::default() }
}

fn done(exit_code: i32, cached_result: bool) -> Operation {
    let result = ActionResult { exit_code, ..ActionResult::default() };
    let response = ExecuteResponse { result: Some(result), cached_result, ..ExecuteResponse::default() };
    Operation { done: true, result: Some(operation::Result::Response(any(&response))), ..operation() }
}

impl Service {
    fn begin(&self, asked: String) -> Response<Stream> {
        let mut state = self.0.lock().unwrap();
        state.heard.push(asked);
        let mut events: VecDeque<Next> = state.streams.pop_front().unwrap_or_default().into();
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(event) = events.pop_front() {
                let item = match event {
                    Next::Say(stage) => {
                        let metadata = ExecuteOperationMetadata { stage: stage as i32, ..Default::default() };
                        Ok(Operation { metadata: Some(any(&metadata)), ..operation() })
                    }
                    Next::Done(exit_code) => Ok(done(exit_code, false)),
                    Next::Remembered(exit_code) => Ok(done(exit_code, true)),
                    Next::Refuse(code) => {
                        let status = rpc::Status {
                            code: code as i32,
                            message: "refused".to_owned(),
                            details: Vec::new(),
                        };
                        let response = ExecuteResponse { status: Some(status), ..ExecuteResponse::default() };
                        let result = Some(operation::Result::Response(any(&response)));
                        Ok(Operation { done: true, result, ..operation() })
                    }
                    Next::Break => Err(Status::unavailable("gone")),
                    Next::End => return,
                    Next::Silence => {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        return;
                    }
                };
                drop(sender.send(item).await);
            }
        });
        Response::new(Box::pin(Receiving(receiver)))
    }
}

struct Receiving(tokio::sync::mpsc::Receiver<Result<Operation, Status>>);

impl tokio_stream::Stream for Receiving {
    type Item = Result<Operation, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

#[tonic::async_trait]
impl Execution for Service {
    type ExecuteStream = Stream;
    type WaitExecutionStream = Stream;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Stream>, Status> {
        let how = if request.into_inner().skip_cache_lookup { "execute again" } else { "execute" };
        Ok(self.begin(how.to_owned()))
    }

    async fn wait_execution(
        &self,
        request: Request<WaitExecutionRequest>,
    ) -> Result<Response<Stream>, Status> {
        let name = request.into_inner().name;
        if self.0.lock().unwrap().streams.front().is_some_and(Vec::is_empty) {
            self.0.lock().unwrap().streams.pop_front();
            self.0.lock().unwrap().heard.push("forgotten".to_owned());
            return Err(Status::not_found(name));
        }
        Ok(self.begin(format!("wait {name}")))
    }
}

#[tonic::async_trait]
impl Operations for Service {
    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_operation(&self, _: Request<GetOperationRequest>) -> Result<Response<Operation>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_operation(&self, _: Request<DeleteOperationRequest>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<Empty>, Status> {
        self.0.lock().unwrap().heard.push(format!("cancel {}", request.into_inner().name));
        Ok(Response::new(Empty {}))
    }

    async fn wait_operation(&self, _: Request<WaitOperationRequest>) -> Result<Response<Operation>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// An execution service that states whether it runs actions.
struct Saying {
    executes: bool,
}

#[tonic::async_trait]
impl Capabilities for Saying {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let execution =
            ExecutionCapabilities { exec_enabled: self.executes, ..ExecutionCapabilities::default() };
        Ok(Response::new(ServerCapabilities {
            execution_capabilities: Some(execution),
            ..ServerCapabilities::default()
        }))
    }
}

fn client(service: &Service, executes: bool) -> Grpc {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let service = service.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tonic::transport::Server::builder()
                .add_service(CapabilitiesServer::new(Saying { executes }))
                .add_service(ExecutionServer::new(service.clone()))
                .add_service(OperationsServer::new(service))
                .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener))
                .await
                .unwrap();
        });
    });
    Grpc::new(Settings {
        place: Place::Plain(Url::parse(&format!("http://127.0.0.1:{port}")).unwrap()),
        instance: String::new(),
        credentials: Credentials::default(),
        headers: Vec::new(),
        pem: Pem::default(),
        connect: Duration::from_secs(3),
        idle: Duration::from_secs(3),
        n_retries: 2,
        function: None,
        compress: false,
        compress_from: 1024,
        chunk: true,
        keep_alive: None,
        log: None,
        version: "0",
    })
    .unwrap()
}

/// Runs an action on a service that responds with these streams; also returns the requests that the service received.
fn execute(streams: &[&[Next]]) -> (Result<Answer, RemoteError>, Vec<String>) {
    execute_while(streams, &|| false)
}

fn execute_while(
    streams: &[&[Next]],
    is_cancelled: &dyn Fn() -> bool,
) -> (Result<Answer, RemoteError>, Vec<String>) {
    execute_telling(streams, &|| {}, is_cancelled)
}

/// * `begins`: told when a worker takes the action
fn execute_telling(
    streams: &[&[Next]],
    begins: &dyn Fn(),
    is_cancelled: &dyn Fn() -> bool,
) -> (Result<Answer, RemoteError>, Vec<String>) {
    let service = Service::default();
    service.0.lock().unwrap().streams = streams.iter().map(|events| events.to_vec()).collect();
    let task = Task {
        action: BlobDigest::of(b"action"),
        function: DigestFunction::Sha256,
        queue: Duration::from_millis(600),
        run: Duration::from_secs(20),
    };
    let answer = client(&service, true).execute(&task, begins, is_cancelled);
    let heard = service.0.lock().unwrap().heard.clone();
    (answer, heard)
}

fn ran(exit_code: i32) -> Answer {
    Answer::Ran(ActionResult { exit_code, ..ActionResult::default() }.encode_to_vec())
}

#[test]
fn an_action_passes_its_stages_up_to_its_result() {
    use Next::{Done, Say};
    let (answer, heard) =
        execute(&[&[Say(Stage::CacheCheck), Say(Stage::Queued), Say(Stage::Executing), Done(0)]]);
    assert_eq!(answer.unwrap(), ran(0));
    assert_eq!(heard, ["execute"]);
    assert_eq!(execute(&[&[Done(7)]]).0.unwrap(), ran(7));
}

#[test]
fn an_action_begins_when_a_worker_takes_it_and_not_while_it_is_queued() {
    use Next::{Done, Say};
    let n_begun = |stages: &[Next]| {
        let n_begun = Cell::new(0);
        let (answer, _) = execute_telling(&[stages], &|| n_begun.set(n_begun.get() + 1), &|| false);
        assert_eq!(answer.unwrap(), ran(0));
        n_begun.get()
    };
    assert_eq!(n_begun(&[Say(Stage::CacheCheck), Say(Stage::Queued), Done(0)]), 0);
    let stages = [Say(Stage::Queued), Say(Stage::Executing), Say(Stage::Executing), Done(0)];
    assert_eq!(n_begun(&stages), 1);
}

#[test]
fn a_stream_that_breaks_is_waited_for_by_the_name_of_the_operation() {
    use Next::{Break, Done, End, Say};
    let (answer, heard) =
        execute(&[&[Say(Stage::Executing), Break], &[End], &[Say(Stage::Executing), End], &[Done(0)]]);
    assert_eq!(answer.unwrap(), ran(0));
    assert_eq!(heard, ["execute", "wait operations/1", "wait operations/1", "wait operations/1"]);
    // Without a name the request is sent again.
    let (answer, heard) = execute(&[&[Break], &[Done(0)]]);
    assert_eq!(answer.unwrap(), ran(0));
    assert_eq!(heard, ["execute", "execute"]);
}

#[test]
fn an_operation_that_the_server_lost_is_restarted() {
    use Next::{Break, Done, Say};
    let (answer, heard) = execute(&[&[Say(Stage::Executing), Break], &[], &[Done(0)]]);
    assert_eq!(answer.unwrap(), ran(0));
    assert_eq!(heard, ["execute", "forgotten", "execute"]);
}

#[test]
fn a_cached_failure_is_retried_once() {
    use Next::{Done, Remembered};
    let (answer, heard) = execute(&[&[Remembered(1)], &[Done(0)]]);
    assert_eq!(answer.unwrap(), ran(0));
    assert_eq!(heard, ["execute", "execute again"]);
    let (answer, heard) = execute(&[&[Remembered(1)], &[Remembered(1)]]);
    assert_eq!((answer.unwrap(), heard.len()), (ran(1), 2));
    assert_eq!(execute(&[&[Remembered(0)]]).0.unwrap(), ran(0));
}

#[test]
fn repeatedly_broken_streams_are_a_failure() {
    use Next::{End, Say};
    let (answer, heard) = execute(&vec![&[Say(Stage::Executing), End][..]; 20]);
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("Execute: Unavailable: the stream ended before the action did"), "{error}");
    assert!(heard.len() < 12, "{heard:?}");
}

#[test]
fn the_wait_in_the_queue_is_limited() {
    use Next::{Done, Say, Silence};
    let (answer, heard) = execute(&[&[Say(Stage::Queued), Silence]]);
    assert_eq!(answer.unwrap(), Answer::Queued);
    assert_eq!(heard, ["execute", "cancel operations/1"]);
    // A server that never reports a queued state has no queue.
    let (answer, _) = execute(&[&[Say(Stage::Unknown), Say(Stage::Executing), Done(0)]]);
    assert_eq!(answer.unwrap(), ran(0));
}

#[test]
fn an_interrupt_ends_the_wait() {
    use Next::{Say, Silence};
    let (answer, heard) = execute_while(&[&[Say(Stage::Executing), Silence]], &|| true);
    assert_eq!(answer.unwrap(), Answer::Cancelled);
    // The interrupt may come before the operation has a name.
    assert_eq!(heard[0], "execute");
}

#[test]
fn an_action_that_was_not_run_has_a_reason() {
    let (answer, _) = execute(&[&[Next::Refuse(tonic::Code::DeadlineExceeded)]]);
    assert_eq!(answer.unwrap(), Answer::NotRun("DeadlineExceeded: refused".to_owned()));
}

#[test]
fn a_server_without_execution_is_an_error() {
    let service = Service::default();
    let grpc = client(&service, false);
    let error = grpc.check(DigestFunction::Sha256).unwrap_err().to_string();
    assert!(error.ends_with(" runs no actions"), "{error}");
    assert!(service.0.lock().unwrap().heard.is_empty());
}
