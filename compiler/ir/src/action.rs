//! Actions of a build, and the definition of when two of them are the same.
//!
//! | what | in the digest | why |
//! |---|---|---|
//! | the kind and its algorithm version | yes | another algorithm may give other bytes |
//! | every parameter | yes | a parameter is there because it can change a byte |
//! | the bytes of each input, in order | yes | of a tensor: its own bytes, not the file around it |
//! | the names of the outputs | yes | they are part of the result |
//! | names and paths of inputs | no | a renamed folder holds the same bytes |
//! | times, the host, the number of threads, the version of `mc` | no | none of them changes a byte |
//! | the label and the progress text | no | two targets may share an action |
//! | execution properties, tags | no | they change where an action runs and who gets its result, not the result |
//!
//! Each row has a test ([`crate::reapi`] computes the digest; `tests` below check it against the table).
//!
//! This module runs nothing: `execute` does, through [`ActionContext`].

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mc_digest::content_hash::{Bytes as RawBytes, ContentHasher};
use mc_digest::digest::{BlobDigest, Digest};

use crate::label::Label;
use crate::output::{Output, Outputs};
use crate::tags::Tags;
use crate::work::{Progress, Work};

/// The operation that an action performs, and the version of its algorithm. A change that can change an output byte
/// raises the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionKind {
    /// A word such as `tensor`.
    pub name: &'static str,
    /// Raised when the same inputs may give other bytes.
    pub version: u32,
}

/// Parses an output; the error is a sentence that says why the output is unreadable.
pub type OutputReader = fn(&[u8]) -> Result<(), String>;

/// One unit of work of a build.
pub trait Action: Send + Sync {
    /// The operation and its algorithm version.
    fn kind(&self) -> ActionKind;
    /// Everything besides the inputs' bytes that can change the outputs' bytes, in canonical text.
    fn parameters(&self) -> Vec<(String, String)>;
    /// The names of all outputs of a run.
    fn outputs(&self) -> Vec<String>;
    /// Number of bytes of an output, if the parameters determine it. A cached result with another number is a miss,
    /// regardless of its producer.
    fn output_size(&self, _output: &str) -> Option<u64> {
        None
    }
    /// The parser of an output that is read outside of actions. The build runs it as it runs the parsers of action
    /// inputs.
    fn reader(&self, _output: &str) -> Option<OutputReader> {
        None
    }
    /// Short text for progress lines.
    fn describe(&self) -> String;
    /// Estimates the work. No byte depends on it.
    ///
    /// * `sizes`: bytes of each input: exact if known before the build, otherwise a guess
    fn work(&self, _sizes: &[u64]) -> Work {
        Work::small(self.kind().name)
    }
    /// Properties that a worker must have to run the action: names and values, as servers define them. No output byte
    /// depends on them.
    fn exec_properties(&self) -> &[(String, String)] {
        &[]
    }
    /// The restrictions on the action, such as "never on a worker". No output byte depends on them.
    fn tags(&self) -> Tags {
        Tags::default()
    }
    /// Runs the action.
    ///
    /// # Errors
    /// [`ActionError`]; a failed run stores no outputs.
    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError>;
}

/// An action with its inputs: a node of the action graph.
pub struct ActionNode {
    /// The first target that requested it; for progress and reports only.
    pub label: Label,
    /// The action itself.
    pub action: Box<dyn Action>,
    /// Its inputs, by position.
    pub inputs: Vec<Input>,
    structure: Digest,
}

/// An input of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file of the workspace, or a part of one.
    Source(Source),
    /// An output of another action.
    Artifact(Artifact),
}

/// A file of the workspace, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Location of the file.
    pub path: Arc<Path>,
    /// Range of bytes within the file; `None` is the whole file.
    pub range: Option<Range64>,
}

/// A half-open range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range64 {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// One output of one action.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The action that produces it.
    pub node: Arc<ActionNode>,
    /// Name of the output within that action.
    pub output: String,
}

impl ActionNode {
    /// Joins an action with its inputs.
    pub fn new(label: Label, action: Box<dyn Action>, inputs: Vec<Input>) -> Arc<Self> {
        let mut hasher = ContentHasher::new();
        let kind = action.kind();
        hasher.field(kind.name).field(&kind.version);
        for (name, value) in action.parameters() {
            hasher.field(name.as_str()).field(value.as_str());
        }
        for output in action.outputs() {
            hasher.field("output").field(output.as_str());
        }
        for input in &inputs {
            match input {
                Input::Source(source) => {
                    hasher.field("source").field(&RawBytes(source.path.as_os_str().as_encoded_bytes()));
                    hasher.field(&source.range.map(|range| (range.start, range.end)));
                }
                Input::Artifact(artifact) => {
                    hasher.field("artifact").field(&artifact.node.structure).field(artifact.output.as_str());
                }
            }
        }
        let structure = hasher.finish();
        Arc::new(Self { label, action, inputs, structure })
    }

    /// Digest that identifies this node before any input byte is read: kind, parameters, paths and the nodes that it
    /// reads. Nodes of equal structure are one node of the graph. It is not a cache key.
    pub fn structure(&self) -> Digest {
        self.structure
    }

    /// One of the node's outputs.
    ///
    /// # Panics
    /// If the action does not declare the output: a bug in the rule.
    pub fn artifact(self: &Arc<Self>, output: &str) -> Artifact {
        assert!(
            self.action.outputs().iter().any(|name| name == output),
            "`{output}` is not a declared output"
        );
        Artifact { node: Arc::clone(self), output: output.to_owned() }
    }
}

impl PartialEq for ActionNode {
    fn eq(&self, other: &Self) -> bool {
        self.structure == other.structure
    }
}

impl Eq for ActionNode {}

impl fmt::Debug for ActionNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.action.kind().name, self.structure)
    }
}

impl fmt::Debug for Artifact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}/{}", self.node, self.output)
    }
}

/// Shared read-only bytes, usually a mapped file.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The bytes of an input: one piece, or several that follow each other.
#[derive(Clone)]
pub struct Content {
    /// The pieces, in order.
    pub parts: Vec<Piece>,
}

/// A range of shared bytes.
#[derive(Clone)]
pub struct Piece {
    /// The shared bytes.
    pub bytes: Bytes,
    /// The range within `bytes`.
    pub range: Range<usize>,
}

impl Piece {
    /// All of the shared bytes.
    pub fn whole(bytes: Bytes) -> Self {
        let range = 0..(*bytes).as_ref().len();
        Self { bytes, range }
    }

    /// The bytes of the piece.
    pub fn as_slice(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.range.clone()]
    }
}

/// Number of bytes of each piece of a file's head.
const HEAD_PIECE: usize = 1 << 20;

/// Splits a file's head into the pieces in which it is stored: a long head contains a vocabulary, which stays the same
/// when something at the end of the head changes. All pieces but the last have `HEAD_PIECE` bytes; the last has
/// fewer, possibly none.
pub fn head_pieces(head: &[u8]) -> Vec<&[u8]> {
    let mut pieces: Vec<&[u8]> = head.chunks(HEAD_PIECE).collect();
    if !head.is_empty() && head.len().is_multiple_of(HEAD_PIECE) {
        pieces.push(&[]);
    }
    pieces
}

impl Content {
    /// The bytes of a composite. Rejoins a head that [`head_pieces`] split.
    pub fn of_parts(mut parts: Vec<Piece>) -> Self {
        let n_full = parts.iter().take_while(|part| part.range.len() == HEAD_PIECE).count();
        if n_full > 0 && n_full < parts.len() {
            let head: Vec<u8> = parts[..=n_full].iter().map(Piece::as_slice).collect::<Vec<_>>().concat();
            parts.splice(..=n_full, [Piece::whole(Arc::new(head))]);
        }
        Self { parts }
    }

    /// Total length of all pieces.
    pub fn n_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.range.len() as u64).sum()
    }

    /// All bytes in one slice: borrowed if there is one piece, copied otherwise.
    pub fn to_contiguous(&self) -> std::borrow::Cow<'_, [u8]> {
        match self.parts.as_slice() {
            [part] => part.as_slice().into(),
            parts => parts.iter().map(Piece::as_slice).collect::<Vec<_>>().concat().into(),
        }
    }

    /// The range as one piece; `None` if it crosses pieces or exceeds the content.
    pub fn piece(&self, range: Range<u64>) -> Option<Piece> {
        let mut offset = 0;
        for part in &self.parts {
            let end = offset + part.range.len() as u64;
            if range.start >= offset && range.end <= end {
                let start = part.range.start + usize::try_from(range.start - offset).ok()?;
                let len = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
                return Some(Piece { bytes: Bytes::clone(&part.bytes), range: start..start + len });
            }
            offset = end;
        }
        None
    }
}

/// Operations available to a running action: read inputs and write blobs.
pub trait ActionContext: Sync {
    /// The bytes of an input.
    ///
    /// # Errors
    /// If the input cannot be read.
    fn input(&self, index: usize) -> Result<Content, ActionError>;

    /// The digests of an input; does not read its bytes.
    fn input_digest(&self, index: usize) -> Output;

    /// Releases the memory of the inputs read so far; for actions that read large inputs once, front to back. The
    /// inputs stay readable: a later read fetches them from their files again. Some memory may stay allocated.
    fn release_inputs(&self) {}

    /// Stores the bytes that `write` writes. The blob appears whole or not at all.
    ///
    /// # Errors
    /// If `write` fails or the store cannot accept the blob.
    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn io::Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError>;

    /// Reports the progress of the run to observers. May be called often.
    fn progress(&self, _progress: Progress) {}

    /// Returns true if the outputs are no longer needed: the build was interrupted, or cannot succeed. Long actions
    /// call this regularly and return [`ActionError::Cancelled`].
    fn is_cancelled(&self) -> bool;

    /// [`Self::is_cancelled`] as a `Result`, for use with `?`.
    ///
    /// # Errors
    /// [`ActionError::Cancelled`] if the outputs are no longer needed.
    fn go_on(&self) -> Result<(), ActionError> {
        if self.is_cancelled() { Err(ActionError::Cancelled) } else { Ok(()) }
    }
}

/// Stores bytes that are already in memory.
///
/// # Errors
/// As [`ActionContext::write_blob`].
pub fn write_bytes(ctx: &dyn ActionContext, bytes: &[u8]) -> Result<BlobDigest, ActionError> {
    ctx.write_blob(&mut |writer| Ok(writer.write_all(bytes)?))
}

/// Writes to several blobs at once, each through its own writer.
pub type WriteAll<'a> = dyn FnMut(&mut [&mut dyn io::Write]) -> Result<(), ActionError> + 'a;

/// Stores several blobs that are written side by side, so that none of them has to be buffered in memory.
///
/// * `write`: writes to all blobs, in any order
///
/// # Errors
/// As [`ActionContext::write_blob`].
pub fn write_blobs(
    ctx: &dyn ActionContext,
    n_blobs: usize,
    write: &mut WriteAll<'_>,
) -> Result<Vec<BlobDigest>, ActionError> {
    let mut blobs = Vec::new();
    write_within(ctx, n_blobs, &mut [], write, &mut blobs)?;
    // Blobs are opened recursively, so the last one opened is completed first.
    blobs.reverse();
    Ok(blobs)
}

/// Opens one blob inside the callback of another until all are open.
fn write_within(
    ctx: &dyn ActionContext,
    n_left: usize,
    opened: &mut [&mut dyn io::Write],
    write: &mut WriteAll<'_>,
    blobs: &mut Vec<BlobDigest>,
) -> Result<(), ActionError> {
    if n_left == 0 {
        return write(opened);
    }
    let blob = ctx.write_blob(&mut |writer| {
        let mut all: Vec<&mut dyn io::Write> = Vec::with_capacity(opened.len() + 1);
        for writer in opened.iter_mut() {
            all.push(&mut **writer);
        }
        all.push(writer);
        write_within(ctx, n_left - 1, &mut all, write, blobs)
    })?;
    blobs.push(blob);
    Ok(())
}

/// The reasons for which an action produced no outputs.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// An input is wrong, or the action cannot process it.
    #[error("{message}")]
    Failed {
        /// The expected and the found value, and the location.
        message: String,
        /// A hint for fixing it.
        help: Option<String>,
        /// A key shared by failures of several actions with one cause, such as a digest; a build reports the first of
        /// them.
        cause: Option<String>,
    },
    /// A source file's bytes no longer match the digest in the action's key.
    #[error("`{}` {message}", path.display())]
    Changed {
        /// The file.
        path: Arc<Path>,
        /// The expected and the found value.
        message: String,
    },
    /// A quality gate failed; nothing that depends on it is published.
    #[error("{0}")]
    GateMissed(String),
    /// The file system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The outputs are no longer needed.
    #[error("Interrupted")]
    Cancelled,
}

impl ActionError {
    /// A failure without help text.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::Failed { message: message.to_string(), help: None, cause: None }
    }

    /// Adds help text.
    #[must_use]
    pub fn with_help(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, cause, .. } => Self::Failed { message, help: Some(advice.into()), cause },
            other => other,
        }
    }

    /// Sets the cause that this failure shares with others.
    #[must_use]
    pub fn with_cause(self, shared: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, help, .. } => Self::Failed { message, help, cause: Some(shared.into()) },
            other => other,
        }
    }
}

/// Fakes for the tests of this crate.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::label::PackageId;

    pub(crate) struct Fake {
        pub(crate) kind: ActionKind,
        pub(crate) parameter: &'static str,
        pub(crate) output: &'static str,
        pub(crate) words: &'static str,
        pub(crate) exec_properties: Vec<(String, String)>,
        pub(crate) tags: Tags,
    }

    impl Action for Fake {
        fn kind(&self) -> ActionKind {
            self.kind
        }
        fn parameters(&self) -> Vec<(String, String)> {
            vec![("parameter".to_owned(), self.parameter.to_owned())]
        }
        fn outputs(&self) -> Vec<String> {
            vec![self.output.to_owned()]
        }
        fn describe(&self) -> String {
            self.words.to_owned()
        }
        fn exec_properties(&self) -> &[(String, String)] {
            &self.exec_properties
        }
        fn tags(&self) -> Tags {
            self.tags
        }
        fn run(&self, _ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
            Err(ActionError::failed("a fake does not run"))
        }
    }

    pub(crate) fn fake() -> Fake {
        Fake {
            kind: ActionKind { name: "tensor", version: 1 },
            parameter: "a",
            output: "out",
            words: "doing",
            exec_properties: Vec::new(),
            tags: Tags::default(),
        }
    }

    pub(crate) fn source(path: &str) -> Input {
        Input::Source(Source { path: Path::new(path).into(), range: None })
    }

    pub(crate) fn node(name: &str, action: Fake, inputs: Vec<Input>) -> Arc<ActionNode> {
        let label = Label::new(PackageId(String::new()), name);
        ActionNode::new(label, Box::new(action), inputs)
    }

    #[test]
    fn nodes_of_equal_structure_are_equal_under_any_label() {
        assert_eq!(node("a", fake(), vec![source("x")]), node("b", fake(), vec![source("x")]));
        assert_ne!(node("a", fake(), vec![source("x")]), node("a", fake(), vec![source("y")]));
    }

    #[test]
    fn the_pieces_of_a_head_are_joined_again() {
        for n_bytes in [0, 1, HEAD_PIECE - 1, HEAD_PIECE, HEAD_PIECE + 1, 2 * HEAD_PIECE, 3 * HEAD_PIECE - 1]
        {
            let head: Vec<u8> = (0..n_bytes).map(|index| (index / 1000) as u8).collect();
            let pieces = head_pieces(&head);
            assert_eq!(pieces.concat(), head);
            let whole = |bytes: &[u8]| Piece::whole(Arc::new(bytes.to_vec()));
            let tensors = [vec![1; 5], vec![2; HEAD_PIECE]];
            let parts =
                pieces.iter().map(|piece| whole(piece)).chain(tensors.iter().map(|bytes| whole(bytes)));
            let content = Content::of_parts(parts.collect());
            assert_eq!(content.to_contiguous(), [&head[..], &tensors[0], &tensors[1]].concat());
            let n_parts = if head.is_empty() { 2 } else { 3 };
            assert_eq!(content.parts.len(), n_parts);
            assert!(head.is_empty() || content.parts[0].as_slice() == head);
            assert_eq!(content.parts.last().unwrap().as_slice(), tensors[1]);
        }
    }

    /// Records the bytes that are written.
    #[derive(Default)]
    struct Kept(std::sync::Mutex<Vec<Vec<u8>>>);

    impl ActionContext for Kept {
        fn input(&self, _: usize) -> Result<Content, ActionError> {
            Err(ActionError::failed("there are no inputs"))
        }

        fn input_digest(&self, _: usize) -> Output {
            unreachable!("there are no inputs")
        }

        fn write_blob(
            &self,
            write: &mut dyn FnMut(&mut dyn io::Write) -> Result<(), ActionError>,
        ) -> Result<BlobDigest, ActionError> {
            let mut bytes = Vec::new();
            write(&mut bytes)?;
            let digest = BlobDigest::of(&bytes);
            self.0.lock().unwrap().push(bytes);
            Ok(digest)
        }

        fn is_cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn blobs_are_written_side_by_side() {
        let kept = Kept::default();
        let blobs = write_blobs(&kept, 3, &mut |writers| {
            for round in 0..2 {
                for (index, writer) in writers.iter_mut().enumerate() {
                    write!(writer, "{index}{round} ")?;
                }
            }
            Ok(())
        });
        let expected = ["00 01 ", "10 11 ", "20 21 "].map(|text| BlobDigest::of(text.as_bytes()));
        assert_eq!(blobs.unwrap(), expected);
        assert_eq!(
            write_blobs(&kept, 0, &mut |writers| {
                assert!(writers.is_empty());
                Ok(())
            })
            .unwrap(),
            []
        );
        assert!(write_blobs(&kept, 2, &mut |_| Err(ActionError::Cancelled)).is_err());
        assert_eq!(kept.0.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_range_must_lie_within_one_piece() {
        let piece = |text: &str| Piece::whole(Arc::new(text.as_bytes().to_vec()));
        let content = Content { parts: vec![piece("abc"), piece("defg")] };
        assert_eq!(content.piece(3..5).unwrap().as_slice(), b"de");
        assert!(content.piece(2..4).is_none());
        assert!(content.piece(6..8).is_none());
        assert_eq!(&*content.to_contiguous(), b"abcdefg");
    }
}
