//! A worker of remote execution: it takes an action from a shared folder, lays out its input root in a folder of its
//! own, runs the command there without environment variables, and puts the outputs into the shared folder.
//!
//! It has no sandbox; `tests/conformance/execution.py` runs the same builds on a worker that has one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::mem;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_server::{
    Capabilities, CapabilitiesServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::execution_server::{Execution, ExecutionServer};
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    Action, ActionResult, CacheCapabilities, Command as ToRun, Digest, Directory, ExecuteRequest,
    ExecuteResponse, ExecutionCapabilities, FileNode, GetCapabilitiesRequest, OutputDirectory, OutputFile,
    ServerCapabilities, Tree, WaitExecutionRequest, compressor,
};
use bazel_remote_apis::google::longrunning::{Operation, operation};
use bazel_remote_apis::google::protobuf::Any;
use mc_digest::digest::BlobDigest;
use prost::Message;
use tonic::{Request, Response, Status};

/// A service with one worker.
#[derive(Clone)]
pub(crate) struct Worker {
    /// The shared folder.
    team: PathBuf,
    port: u16,
    /// The last argument before the parameters of each action that it ran, such as `tensor@2`.
    did: Arc<Mutex<Vec<String>>>,
    /// The user headers that it received (`x-…`).
    headers: Arc<Mutex<BTreeSet<String>>>,
    /// The name of an input that it omits.
    withheld: Arc<Mutex<Option<String>>>,
    /// The required `authorization` of a request.
    let_in: Arc<Mutex<Option<String>>>,
}

impl Worker {
    /// Starts a worker that reads from and writes to a folder in the layout of a shared cache.
    pub(crate) fn start(team: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let worker = Self {
            team: team.to_owned(),
            port,
            did: Arc::default(),
            headers: Arc::default(),
            withheld: Arc::default(),
            let_in: Arc::default(),
        };
        let service = worker.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tonic::transport::Server::builder()
                    .add_service(CapabilitiesServer::new(service.clone()))
                    .add_service(ExecutionServer::new(service))
                    .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener))
                    .await
                    .unwrap();
            });
        });
        worker
    }

    /// The option that uses this worker.
    pub(crate) fn option(&self) -> String {
        format!("--remote-executor=grpc://127.0.0.1:{}", self.port)
    }

    /// From now on, omits an input with this name.
    pub(crate) fn withhold(&self, name: &str) {
        *self.withheld.lock().unwrap() = Some(name.to_owned());
    }

    /// The user headers received since the last call, such as `x-a=1`.
    pub(crate) fn headers(&self) -> Vec<String> {
        mem::take(&mut *self.headers.lock().unwrap()).into_iter().collect()
    }

    fn hear<T>(&self, request: &Request<T>) {
        let all = request.metadata().clone().into_headers();
        let own = all.iter().filter(|(name, _)| name.as_str().starts_with("x-"));
        let own = own.map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
        self.headers.lock().unwrap().extend(own);
    }

    /// From now on, runs actions only for requests with this `authorization`.
    pub(crate) fn let_in(&self, who: &str) {
        *self.let_in.lock().unwrap() = Some(who.to_owned());
    }

    /// Number of actions of each kind that it ran, such as `imatrix 1, tensor 38`.
    pub(crate) fn did(&self) -> String {
        let mut kinds: Vec<String> = self.did.lock().unwrap().clone();
        kinds.sort();
        let chunks = kinds.chunk_by(|a, b| a == b);
        let words: Vec<String> =
            chunks.map(|chunk| format!("{} {}", chunk[0].split('@').next().unwrap(), chunk.len())).collect();
        words.join(", ")
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.team.join("blake3/cas").join(&hash[..2]).join(hash)
    }

    fn blob(&self, digest: Option<&Digest>) -> Vec<u8> {
        fs::read(self.path(&digest.unwrap().hash)).unwrap()
    }

    fn put(&self, bytes: &[u8]) -> Digest {
        let blob = BlobDigest::of(bytes);
        let digest = Digest { hash: blob.hash.to_string(), size_bytes: blob.n_bytes as i64 };
        let path = self.path(&digest.hash);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Two actions may produce the same bytes, and another process may read the file while it is written.
        let mut file = tempfile::NamedTempFile::new_in(&self.team).unwrap();
        file.write_all(bytes).unwrap();
        file.persist(path).unwrap();
        digest
    }

    /// Stores the files of a folder and the tree that lists them; `None` if it is not a folder.
    fn put_folder(&self, folder: &Path) -> Option<Digest> {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let file = |path: &PathBuf| FileNode {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            digest: Some(self.put(&fs::read(path).unwrap())),
            ..FileNode::default()
        };
        let root = Directory { files: paths.iter().map(file).collect(), ..Directory::default() };
        Some(self.put(&Tree { root: Some(root), children: Vec::new() }.encode_to_vec()))
    }

    fn lay_out(&self, directory: &Directory, folder: &Path) {
        let withheld = self.withheld.lock().unwrap().clone();
        for file in directory.files.iter().filter(|file| Some(&file.name) != withheld.as_ref()) {
            let (path, blob) = (folder.join(&file.name), self.path(&file.digest.as_ref().unwrap().hash));
            // Not a copy: a file that another thread still has open for writing during a fork cannot be executed.
            if file.is_executable {
                fs::set_permissions(&blob, fs::Permissions::from_mode(0o555)).unwrap();
            }
            symlink(blob, path).unwrap();
        }
        for node in &directory.directories {
            let path = folder.join(&node.name);
            fs::create_dir(&path).unwrap();
            self.lay_out(&Directory::decode(self.blob(node.digest.as_ref()).as_slice()).unwrap(), &path);
        }
    }

    fn run(&self, action: &Digest) -> ActionResult {
        let action = Action::decode(self.blob(Some(action)).as_slice()).unwrap();
        let command = ToRun::decode(self.blob(action.command_digest.as_ref()).as_slice()).unwrap();
        let root = Directory::decode(self.blob(action.input_root_digest.as_ref()).as_slice()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        self.lay_out(&root, folder.path());
        for output in &command.output_paths {
            fs::create_dir_all(folder.path().join(output).parent().unwrap()).unwrap();
        }
        self.did.lock().unwrap().push(command.arguments[2].clone());
        let ended = Command::new(folder.path().join(&command.arguments[0]))
            .args(&command.arguments[1..])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let output = |path: &String| {
            let bytes = fs::read(folder.path().join(path)).ok()?;
            Some(OutputFile { path: path.clone(), digest: Some(self.put(&bytes)), ..OutputFile::default() })
        };
        let parts = |path: &String| {
            let tree_digest = Some(self.put_folder(&folder.path().join(path))?);
            Some(OutputDirectory { path: path.clone(), tree_digest, ..OutputDirectory::default() })
        };
        ActionResult {
            output_files: command.output_paths.iter().filter_map(output).collect(),
            output_directories: command.output_paths.iter().filter_map(parts).collect(),
            exit_code: ended.status.code().unwrap(),
            stdout_digest: Some(self.put(&ended.stdout)),
            stderr_raw: ended.stderr,
            ..ActionResult::default()
        }
    }
}

type Stream = Pin<Box<dyn tokio_stream::Stream<Item = Result<Operation, Status>> + Send>>;

#[tonic::async_trait]
impl Execution for Worker {
    type ExecuteStream = Stream;
    type WaitExecutionStream = Stream;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Stream>, Status> {
        self.hear(&request);
        let who = request.metadata().get("authorization").and_then(|who| who.to_str().ok());
        if self.let_in.lock().unwrap().as_deref().is_some_and(|wanted| who != Some(wanted)) {
            return Err(Status::unauthenticated("who are you?"));
        }
        let worker = self.clone();
        let action = request.into_inner().action_digest.unwrap();
        let result = tokio::task::spawn_blocking(move || worker.run(&action)).await.unwrap();
        let response = ExecuteResponse { result: Some(result), ..ExecuteResponse::default() };
        let response = Any { type_url: String::new(), value: response.encode_to_vec() };
        let result = Some(operation::Result::Response(response));
        let operation = Operation { name: "1".to_owned(), done: true, result, ..Operation::default() };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(operation)))))
    }

    async fn wait_execution(&self, _: Request<WaitExecutionRequest>) -> Result<Response<Stream>, Status> {
        Err(Status::not_found(""))
    }
}

#[tonic::async_trait]
impl Capabilities for Worker {
    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        self.hear(&request);
        let execution = ExecutionCapabilities { exec_enabled: true, ..ExecutionCapabilities::default() };
        // Advertised, but never used: blobs are in the shared folder.
        let cache = CacheCapabilities {
            supported_compressors: vec![compressor::Value::Zstd as i32],
            split_blob_support: true,
            ..CacheCapabilities::default()
        };
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(cache),
            execution_capabilities: Some(execution),
            ..ServerCapabilities::default()
        }))
    }
}
