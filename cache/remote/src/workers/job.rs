//! An action in the form that a worker runs: the action of the cache, with the program next to its inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::{
    Action, Command, Directory, FileNode, Platform, platform,
};
use mc_digest::digest::BlobDigest;
use mc_ir::action::{Content, Piece};
use mc_ir::reapi::EncodedAction;
use mc_store::traits::BlobStore;
use prost::Message;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::local_action::LocalAction;
use crate::notes::Notes;
use crate::session::naming::{encoded, theirs};
use crate::transports::grpc::transport::wire;
use crate::upload::bytes::Bytes;
use crate::workers::program::Program;

/// The program's name in the input root. It sorts after the inputs, which are numbers.
const TOOL: &str = "mc";

/// Conditions of a remote run.
pub(crate) struct Terms {
    /// Required properties of the worker.
    pub(crate) platform: Option<Platform>,
    /// Limit on the run time.
    pub(crate) run: Duration,
    /// True if the server must not cache the result.
    pub(crate) is_not_kept: bool,
}

/// An action in the form that a worker runs.
pub(crate) struct Job<'a> {
    pub(crate) action: BlobDigest,
    /// All blobs that the server needs.
    pub(crate) bytes: BTreeMap<BlobDigest, Bytes<'a>>,
    pub(crate) inputs: BTreeSet<BlobDigest>,
}

impl Job<'_> {
    /// Builds the action from the action of the cache and the program.
    ///
    /// # Errors
    /// Fails if an input or the program cannot be read.
    pub(crate) fn new(
        notes: &Notes,
        function: DigestFunction,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        program: &Program,
        terms: &Terms,
    ) -> Result<Self, RemoteError> {
        let encoded = encoded(notes, function, store, made)?;
        let tool = program.digest(notes, function, store)?;
        let (action, mut bytes) = messages(function, encoded, &tool, terms)?;
        let mut inputs = BTreeSet::new();
        for (index, input) in made.inputs.iter().enumerate() {
            for part in input.parts() {
                let theirs = theirs(notes, function, store, part, &|| (made.source)(index))?;
                inputs.insert(theirs);
                bytes.insert(theirs, origin(made, index, part));
            }
        }
        bytes.insert(tool, Bytes::Piece(program.bytes.clone()));
        Ok(Self { action, bytes, inputs })
    }
}

/// The action's messages, and the digest of the `Action` message, which names all others.
fn messages<'a>(
    function: DigestFunction,
    encoded: EncodedAction,
    tool: &BlobDigest,
    terms: &Terms,
) -> Result<(BlobDigest, BTreeMap<BlobDigest, Bytes<'a>>), RemoteError> {
    let unread =
        |error: prost::DecodeError| RemoteError::Local(format!("An action cannot be read back: {error}"));
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
    #[expect(deprecated, reason = "servers before version 2.2 of the API read only this field")]
    command.platform.clone_from(&terms.platform);
    let mut directories = encoded.directories.into_iter();
    let mut root = Directory::decode(directories.next().unwrap_or_default().as_slice()).map_err(unread)?;
    root.files.push(FileNode {
        name: TOOL.to_owned(),
        digest: Some(wire(tool)),
        is_executable: true,
        ..FileNode::default()
    });
    let mut action = Action::decode(encoded.action.as_slice()).map_err(unread)?;
    action.command_digest = Some(wire(&add(command.encode_to_vec())));
    action.input_root_digest = Some(wire(&add(root.encode_to_vec())));
    action.platform.clone_from(&terms.platform);
    // The server also caches results of its workers, unless this flag is set.
    action.do_not_cache = terms.is_not_kept;
    action.timeout = Some(bazel_remote_apis::google::protobuf::Duration {
        seconds: i64::try_from(terms.run.as_secs()).unwrap_or(i64::MAX),
        nanos: 0,
    });
    let action = add(action.encode_to_vec());
    for directory in directories {
        add(directory);
    }
    Ok((action, bytes))
}

/// Required properties of the worker: the common ones, overridden by those of this action.
pub(crate) fn platform(common: &[(String, String)], own: &[(String, String)]) -> Option<Platform> {
    let is_common = |(name, _): &&(String, String)| own.iter().all(|(known, _)| known != name);
    let property =
        |(name, value): &(String, String)| platform::Property { name: name.clone(), value: value.clone() };
    let mut properties: Vec<platform::Property> =
        common.iter().filter(is_common).chain(own).map(property).collect();
    properties.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    (!properties.is_empty()).then_some(Platform { properties })
}

/// The location of an input's bytes.
fn origin<'a>(made: &LocalAction<'_>, index: usize, part: &BlobDigest) -> Bytes<'a> {
    match (made.source)(index).map(|content| content.parts) {
        Some(mut parts) if parts.len() == 1 => Bytes::Input(*part, parts.swap_remove(0)),
        Some(parts) => {
            let all = Content { parts }.to_contiguous().into_owned();
            Bytes::Input(*part, Piece::whole(Arc::new(all)))
        }
        None => Bytes::Blob(*part),
    }
}
