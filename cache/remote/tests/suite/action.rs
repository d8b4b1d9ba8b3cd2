//! An action with inputs and outputs of every kind, on two machines.

use mc_digest::digest::BlobDigest;
use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::proxies::Proxies;
use mc_fetch::stall_limit::StallLimit;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, ActionNode};
use mc_ir::label::{Label, PackageId};
use mc_ir::output::{Output, Outputs};
use mc_remote::download::Fetching;
use mc_remote::error::RemoteError;
use mc_remote::local_action::LocalAction;
use mc_remote::notes::Notes;
use mc_remote::notes::chunks::Chunks;
use mc_remote::notes::known::Known;
use mc_remote::notes::promised::Promised;
use mc_remote::remote::Remote;
use mc_remote::signing::Signatures;
use mc_remote::transport::Transport;
use mc_remote::transports::grpc::settings::{Place, Settings};
use mc_remote::transports::http::Http;
use mc_store::attester::Attester;
use mc_store::memory::MemoryStore;
use mc_store::traits::BlobStore;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The timeouts of clients.
const PATIENCE: Duration = Duration::from_secs(60);

/// Client settings for a test.
pub(crate) fn settings(address: SocketAddr) -> Settings {
    Settings {
        place: Place::Plain(Url::parse(&format!("http://{address}")).unwrap()),
        instance: String::new(),
        credentials: Credentials::default(),
        headers: Vec::new(),
        pem: Pem::default(),
        connect: PATIENCE,
        idle: PATIENCE,
        n_retries: 1,
        function: None,
        compress: false,
        compress_from: 1024,
        chunk: true,
        keep_alive: None,
        log: None,
        version: "0",
    }
}

struct Step;

impl Action for Step {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "step", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![("of".to_owned(), "tests".to_owned())]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["file".to_owned(), "whole".to_owned()]
    }

    fn describe(&self) -> String {
        "a step".to_owned()
    }

    fn run(&self, _: &dyn ActionContext) -> Result<Outputs, ActionError> {
        unreachable!("not run here")
    }
}

pub(crate) struct Machine {
    pub(crate) store: MemoryStore,
    pub(crate) remote: Remote,
    node: Arc<ActionNode>,
    inputs: Vec<Output>,
}

/// Bytes without repetitions.
fn bytes(seed: u8, n: usize) -> Vec<u8> {
    (0..n).map(|index| (index as u8).wrapping_mul(31) ^ seed).collect()
}

/// A client that waits for long: the servers of the suite answer at once, but a busy machine may delay them.
pub(crate) fn client(credentials: Credentials) -> Client {
    let patience = StallLimit {
        connect: PATIENCE,
        idle: PATIENCE,
        n_retries: 1,
        asks_silent: false,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(1),
    };
    Client::new(credentials, patience, &Proxies::default()).unwrap()
}

impl Machine {
    /// A machine with only the action's inputs, which uses the server at `root`.
    pub(crate) fn new(root: &str, known: &Path) -> Self {
        Self::with(root, known, Credentials::default())
    }

    /// The same with credentials.
    pub(crate) fn with(root: &str, known: &Path, credentials: Credentials) -> Self {
        let server = Http::new(client(credentials), Url::parse(root).unwrap());
        Self::of(Box::new(server), known, Fetching::AtOnce)
    }

    /// A machine that uses a server through its transport.
    pub(crate) fn of(server: Box<dyn Transport>, known: &Path, fetching: Fetching) -> Self {
        Self::signing(server, known, fetching, Signatures::default())
    }

    /// The same with signatures.
    pub(crate) fn signing(
        server: Box<dyn Transport>,
        known: &Path,
        fetching: Fetching,
        signatures: Signatures,
    ) -> Self {
        let notes = Notes {
            known: Known::open(known),
            promised: Promised::open(None),
            chunks: Chunks::open(Some(&known.with_extension("chunks"))),
        };
        Self::noting(server, notes, fetching, signatures)
    }

    /// The same with its own records about servers.
    pub(crate) fn noting(
        server: Box<dyn Transport>,
        notes: Notes,
        fetching: Fetching,
        signatures: Signatures,
    ) -> Self {
        let store = MemoryStore::new();
        let [a, b, c] = [1, 2, 3].map(|seed| store.put_bytes(&bytes(seed, 500)).unwrap());
        let label = Label::new(PackageId(String::new()), "step");
        Self {
            store,
            remote: Remote::new(server, notes, fetching, signatures),
            node: ActionNode::new(label, Box::new(Step), Vec::new()),
            inputs: vec![Output::File(a), Output::Composite(vec![b, c])],
        }
    }

    /// Runs the action and returns its outputs.
    pub(crate) fn run(&self) -> Outputs {
        let put = |seed, n| self.store.put_bytes(&bytes(seed, n)).unwrap();
        let parts = vec![put(10, 70_000), put(11, 3), put(12, 2000), put(10, 70_000)];
        Outputs::from([
            ("file".to_owned(), Output::File(put(13, 5000))),
            ("whole".to_owned(), Output::Composite(parts)),
        ])
    }

    pub(crate) fn upload(&self, outputs: &Outputs) -> Result<(), RemoteError> {
        self.remote.upload(&self.store, &self.made(), outputs)
    }

    pub(crate) fn lookup(&self) -> Result<Option<Outputs>, RemoteError> {
        Ok(self.found()?.map(|(outputs, _)| outputs))
    }

    /// Looks the action up, and returns its outputs and their attester.
    pub(crate) fn found(&self) -> Result<Option<(Outputs, Option<Attester>)>, RemoteError> {
        self.remote.lookup(&self.store, &self.made())
    }

    /// Returns true if the server lacks the outputs of the action.
    pub(crate) fn lacks(&self, outputs: &Outputs) -> bool {
        self.remote.lacks(&self.store, &self.made(), outputs).unwrap()
    }

    pub(crate) fn made(&self) -> LocalAction<'_> {
        LocalAction { node: &self.node, inputs: &self.inputs, source: &|_| None }
    }

    /// Runs the action with an output that takes several messages.
    pub(crate) fn run_large(&self) -> Outputs {
        let large: Vec<u8> =
            (0..3_000_000_u32).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        self.gives(&large)
    }

    /// Runs the action with these bytes as its file.
    pub(crate) fn gives(&self, file: &[u8]) -> Outputs {
        let mut outputs = self.run();
        outputs.insert("file".to_owned(), Output::File(self.store.put_bytes(file).unwrap()));
        outputs
    }

    /// Downloads every blob of some outputs.
    pub(crate) fn bring(&self, outputs: &Outputs) -> Result<(), RemoteError> {
        let blobs: Vec<BlobDigest> = outputs.values().flat_map(|output| output.parts().to_vec()).collect();
        self.remote.bring(&self.store, &blobs)
    }

    /// Returns true if every blob of some outputs is promised.
    pub(crate) fn is_promised(&self, outputs: &Outputs) -> bool {
        outputs.values().flat_map(Output::parts).all(|part| self.remote.promises(part))
    }

    /// Returns true if the store has every blob of the outputs with the right bytes.
    pub(crate) fn holds(&self, outputs: &Outputs) -> bool {
        let parts = outputs.values().flat_map(|output| output.parts());
        parts
            .into_iter()
            .all(|part| self.store.open(part).unwrap().is_some_and(|blob| BlobDigest::of(&blob) == *part))
    }
}
