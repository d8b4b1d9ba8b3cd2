//! Encodes actions and results as messages of the Remote Execution API (version 2).
//!
//! An action's digest is the digest of a REAPI `Action`: a `Command`, an input root in which the inputs are files named
//! by position, and a salt for our own format. So a standard cache or executor can serve us without a second kind of
//! key. A composite is an output directory whose `Tree` lists the parts in order.
//!
//! The few messages are encoded by hand because the API requires one canonical encoding (fields in order, defaults
//! omitted) and because five messages do not justify a code generator here; `cache/remote` communicates with servers.
//! Field numbers: build/bazel/remote/execution/v2/remote_execution.proto.

use mc_digest::digest::{ActionDigest, BlobDigest, Digest};

use crate::action::ActionNode;
use crate::output::{Output, Outputs};
use crate::protobuf::{Fields, Wire};

/// Raised when the layout of our own blobs changes, so that old entries are never misread.
const SALT: &[u8] = b"mc-1";

/// An action with all messages that its digest covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAction {
    /// The digest of `action`: the key in the action cache.
    pub digest: ActionDigest,
    /// The `Action` message.
    pub action: Vec<u8>,
    /// The `Command` message.
    pub command: Vec<u8>,
    /// The `Directory` messages of the input root, the root first.
    pub directories: Vec<Vec<u8>>,
}

/// Name of the node property that holds the BLAKE3 hash of the node's bytes.
pub(crate) const BLAKE3: &str = "blake3";

/// Hashes bytes with one of the API's digest functions.
pub type HashBytes<'a> = &'a dyn Fn(&[u8]) -> BlobDigest;

/// Encodes a node, given the digests of its inputs.
pub fn encode_action(node: &ActionNode, inputs: &[Output]) -> EncodedAction {
    encode_action_with(&BlobDigest::of, node, inputs)
}

/// Same as [`encode_action`], for a server with another digest function; `inputs` has digests of that function.
pub fn encode_action_with(hash: HashBytes<'_>, node: &ActionNode, inputs: &[Output]) -> EncodedAction {
    let command = encode_command(node);
    let mut root = Message::default();
    let mut folders = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        if let Output::File(blob) = input {
            root.message(1, &encode_file_node(index, blob, None));
        }
    }
    for (index, input) in inputs.iter().enumerate() {
        if let Output::Composite(parts) = input {
            let folder = encode_parts(parts, &|_| None);
            let mut folder_node = Message::default();
            folder_node.text(1, &position_name(index));
            folder_node.message(2, &encode_digest(&hash(&folder)));
            root.message(2, &folder_node.bytes);
            folders.push(folder);
        }
    }
    let mut action = Message::default();
    action.message(1, &encode_digest(&hash(&command)));
    action.message(2, &encode_digest(&hash(&root.bytes)));
    action.raw(9, SALT);
    let mut directories = vec![root.bytes];
    directories.append(&mut folders);
    let BlobDigest { hash, n_bytes } = hash(&action.bytes);
    EncodedAction { digest: ActionDigest { hash, n_bytes }, action: action.bytes, command, directories }
}

fn encode_command(node: &ActionNode) -> Vec<u8> {
    let kind = node.action.kind();
    let mut command = Message::default();
    for argument in ["mc", "action", &format!("{}@{}", kind.name, kind.version)] {
        command.text(1, argument);
    }
    for (name, value) in node.action.parameters() {
        command.text(1, &format!("--{name}={value}"));
    }
    let mut outputs = node.action.outputs();
    outputs.sort();
    for output in outputs {
        command.text(7, &output);
    }
    command.bytes
}

/// Encodes a result as an `ActionResult`, and for each composite a `Tree` to be stored as a blob.
pub fn encode_result(outputs: &Outputs) -> (Vec<u8>, Vec<Vec<u8>>) {
    encode_result_with(&BlobDigest::of, outputs, &|_| None)
}

/// Same as [`encode_result`], for a server with another digest function; `outputs` has digests of that function.
///
/// * `blake3`: returns the BLAKE3 hash of a blob if it is to be stored beside the blob's digest, as a property of its
///   node. A reader of the result can then continue without the blob.
pub fn encode_result_with(
    hash: HashBytes<'_>,
    outputs: &Outputs,
    blake3: &dyn Fn(&BlobDigest) -> Option<Digest>,
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut result = Message::default();
    let mut trees = Vec::new();
    for (path, output) in outputs {
        if let Output::File(blob) = output {
            let mut file = Message::default();
            file.text(1, path);
            file.message(2, &encode_digest(blob));
            file.property(7, blake3(blob));
            result.message(2, &file.bytes);
        }
    }
    for (path, output) in outputs {
        if let Output::Composite(parts) = output {
            let mut tree = Message::default();
            tree.message(1, &encode_parts(parts, blake3));
            let mut folder = Message::default();
            folder.text(1, path);
            folder.message(3, &encode_digest(&hash(&tree.bytes)));
            result.message(3, &folder.bytes);
            trees.push(tree.bytes);
        }
    }
    (result.bytes, trees)
}

/// Attaches a note to a result as auxiliary metadata, which every server preserves. The note does not change the
/// result.
pub fn annotate(result: &mut Vec<u8>, name: &str, note: &[u8]) {
    let mut any = Message::default();
    any.text(1, name);
    any.message(2, note);
    let mut metadata = Message::default();
    metadata.message(11, &any.bytes);
    let mut message = Message::default();
    message.message(9, &metadata.bytes);
    result.extend_from_slice(&message.bytes);
}

/// The note with the name; `None` if there is none.
pub fn annotation<'a>(result: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let inner = |bytes: &'a [u8], wanted: u32| {
        Fields::new(bytes).filter_map(move |field| match field {
            Ok((number, Wire::Bytes(bytes))) if number == wanted => Some(bytes),
            _ => None,
        })
    };
    let mut notes = inner(result, 9).flat_map(|metadata| inner(metadata, 11));
    let note = notes.find(|any| inner(any, 1).next() == Some(name.as_bytes()))?;
    inner(note, 2).next()
}

fn encode_parts(parts: &[BlobDigest], blake3: &dyn Fn(&BlobDigest) -> Option<Digest>) -> Vec<u8> {
    let mut folder = Message::default();
    for (index, part) in parts.iter().enumerate() {
        folder.message(1, &encode_file_node(index, part, blake3(part)));
    }
    folder.bytes
}

pub(crate) fn encode_file_node(index: usize, blob: &BlobDigest, blake3: Option<Digest>) -> Vec<u8> {
    let mut file = Message::default();
    file.text(1, &position_name(index));
    file.message(2, &encode_digest(blob));
    file.property(6, blake3);
    file.bytes
}

/// Name of an input in the input root, and of a part in a composite.
///
/// Zero-padded, because a directory lists its files in the order of their names.
pub fn position_name(index: usize) -> String {
    format!("{index:06}")
}

pub(crate) fn encode_digest(blob: &BlobDigest) -> Vec<u8> {
    let mut digest = Message::default();
    digest.text(1, &blob.hash.to_string());
    digest.number(2, blob.n_bytes);
    digest.bytes
}

/// A protocol buffer message under construction.
#[derive(Default)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(number);
        }
    }

    pub(crate) fn raw(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u32, text: &str) {
        self.raw(field, text.as_bytes());
    }

    fn message(&mut self, field: u32, message: &[u8]) {
        self.raw(field, message);
    }

    /// `NodeProperties` with the BLAKE3 hash, if there is one.
    fn property(&mut self, field: u32, blake3: Option<Digest>) {
        if let Some(hash) = blake3 {
            let mut property = Self::default();
            property.text(1, BLAKE3);
            property.text(2, &hash.to_string());
            let mut properties = Self::default();
            properties.message(1, &property.bytes);
            self.message(field, &properties.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::{Fake, fake, node, source};
    use crate::action::{ActionKind, Input};

    fn blob(text: &str) -> Output {
        Output::File(BlobDigest::of(text.as_bytes()))
    }

    fn key(action: Fake, paths: &[&str], contents: &[Output]) -> ActionDigest {
        let inputs: Vec<Input> = paths.iter().map(|path| source(path)).collect();
        encode_action(&node("a", action, inputs), contents).digest
    }

    fn plain() -> ActionDigest {
        key(fake(), &["x", "y"], &[blob("1"), blob("2")])
    }

    #[test]
    fn the_kind_is_in_the_digest() {
        let kind = ActionKind { name: "other", version: 1 };
        assert_ne!(key(Fake { kind, ..fake() }, &["x", "y"], &[blob("1"), blob("2")]), plain());
    }

    #[test]
    fn the_algorithm_version_is_in_the_digest() {
        let kind = ActionKind { name: "tensor", version: 2 };
        assert_ne!(key(Fake { kind, ..fake() }, &["x", "y"], &[blob("1"), blob("2")]), plain());
    }

    #[test]
    fn every_parameter_is_in_the_digest() {
        assert_ne!(key(Fake { parameter: "b", ..fake() }, &["x", "y"], &[blob("1"), blob("2")]), plain());
    }

    #[test]
    fn the_bytes_and_the_order_of_inputs_are_in_the_digest() {
        assert_ne!(key(fake(), &["x", "y"], &[blob("1"), blob("3")]), plain());
        assert_ne!(key(fake(), &["x", "y"], &[blob("2"), blob("1")]), plain());
        let parts = |texts: &[&str]| {
            Output::Composite(texts.iter().map(|text| BlobDigest::of(text.as_bytes())).collect())
        };
        let composite = |texts| key(fake(), &["x"], &[parts(texts)]);
        assert_ne!(composite(&["1", "2"]), composite(&["2", "1"]));
        assert_ne!(composite(&["1"]), key(fake(), &["x"], &[blob("1")]));
    }

    #[test]
    fn the_names_of_outputs_are_in_the_digest() {
        assert_ne!(key(Fake { output: "other", ..fake() }, &["x", "y"], &[blob("1"), blob("2")]), plain());
    }

    #[test]
    fn names_and_paths_of_inputs_are_not_in_the_digest() {
        assert_eq!(key(fake(), &["renamed", "moved/y"], &[blob("1"), blob("2")]), plain());
    }

    #[test]
    fn the_label_and_the_progress_text_are_not_in_the_digest() {
        let inputs = vec![source("x"), source("y")];
        let other = node("other", Fake { words: "other words", ..fake() }, inputs);
        assert_eq!(encode_action(&other, &[blob("1"), blob("2")]).digest, plain());
    }

    #[test]
    fn exec_properties_are_not_in_the_digest() {
        let inputs = vec![source("x"), source("y")];
        let wanting = node(
            "a",
            Fake { exec_properties: vec![("gpu".to_owned(), "a100".to_owned())], ..fake() },
            inputs,
        );
        assert_eq!(encode_action(&wanting, &[blob("1"), blob("2")]).digest, plain());
    }

    #[test]
    fn tags_are_not_in_the_digest() {
        let tags = crate::tags::Tags::named("no-remote").unwrap();
        let tagged = node("a", Fake { tags, ..fake() }, vec![source("x"), source("y")]);
        assert_eq!(encode_action(&tagged, &[blob("1"), blob("2")]).digest, plain());
    }

    #[test]
    fn times_threads_and_versions_are_not_in_the_digest() {
        // `encode_action` takes none of these as arguments, so its digest is a constant of its inputs.
        assert_eq!(plain().to_string(), PLAIN);
    }

    // Computed once. A change invalidates every existing cache, so it must be intended.
    const PLAIN: &str = "77834bf07077fbaeb9a3d547480cefe4d190fdbc676727ef438d90fa02c8d4b9/147";
}
