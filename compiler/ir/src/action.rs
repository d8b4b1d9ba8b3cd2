//! Actions: the steps of a build, and what makes two of them the same.
//!
//! | what | in the digest | why |
//! |---|---|---|
//! | the kind and its algorithm version | yes | another algorithm may give other bytes |
//! | every parameter | yes | a parameter is there because it can change a byte |
//! | the bytes of each input, in order | yes | of a tensor: its own bytes, not the file around it |
//! | the names of the outputs | yes | they are part of the result |
//! | names and paths of inputs | no | a renamed folder holds the same bytes |
//! | times, the host, the number of threads, the version of `mc` | no | none of them changes a byte |
//! | the label and the progress text | no | two targets may share a step |
//! | what a worker must have, tags | no | they change where a step is done and who has its result, not what it gives |
//!
//! One test stands behind each row ([`crate::reapi`] computes the digest, `tests` below hold it to the table).
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

/// What an action does, and the version of how it does it. A change that may change a byte raises the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionKind {
    /// A word such as `tensor`.
    pub name: &'static str,
    /// Raised when the same inputs may give other bytes.
    pub version: u32,
}

/// Reads an output; a sentence says why it cannot be read.
pub type OutputReader = fn(&[u8]) -> Result<(), String>;

/// One step of a build.
pub trait Action: Send + Sync {
    /// What the step does.
    fn kind(&self) -> ActionKind;
    /// Everything besides the inputs' bytes that can change the outputs' bytes, in canonical text.
    fn parameters(&self) -> Vec<(String, String)>;
    /// The names of the outputs that a run gives, all of them.
    fn outputs(&self) -> Vec<String>;
    /// The bytes of an output, where the parameters say how many there are. A result that has others is a miss, whoever
    /// made it.
    fn output_size(&self, _output: &str) -> Option<u64> {
        None
    }
    /// How an output is read outside of actions, for those that are: whoever builds looks at it as an action at its inputs.
    fn reader(&self, _output: &str) -> Option<OutputReader> {
        None
    }
    /// A few words for progress lines.
    fn describe(&self) -> String;
    /// Estimates the work. No byte depends on it.
    ///
    /// * `sizes`: bytes of each input, as far as they are known before anything runs, else as they are guessed
    fn work(&self, _sizes: &[u64]) -> Work {
        Work::small(self.kind().name)
    }
    /// What a worker must have that does the step: names and values, as servers know them. No byte depends on it.
    fn exec_properties(&self) -> &[(String, String)] {
        &[]
    }
    /// What the step is kept from. No byte depends on it.
    fn tags(&self) -> Tags {
        Tags::default()
    }
    /// Does the step.
    ///
    /// # Errors
    /// [`ActionError`]; nothing of a failed run is kept.
    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError>;
}

/// An action with its inputs: a node of the action graph.
pub struct ActionNode {
    /// The target that asked for it first; for progress and reports only.
    pub label: Label,
    /// What to do.
    pub action: Box<dyn Action>,
    /// What it reads, by position.
    pub inputs: Vec<Input>,
    structure: Digest,
}

/// Something that an action reads.
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
    /// Where it is.
    pub path: Arc<Path>,
    /// Which bytes; `None` is the whole file.
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
    /// Who makes it.
    pub node: Arc<ActionNode>,
    /// Which of its outputs.
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

    /// What tells this node from others before any byte was read: kind, parameters, paths and the nodes it reads.
    /// Nodes of equal structure are one node of the graph. It is no cache key.
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
    /// The pieces in order.
    pub parts: Vec<Piece>,
}

/// A stretch of shared bytes.
#[derive(Clone)]
pub struct Piece {
    /// The bytes around it.
    pub bytes: Bytes,
    /// Which of them.
    pub range: Range<usize>,
}

impl Piece {
    /// All of some shared bytes.
    pub fn whole(bytes: Bytes) -> Self {
        let range = 0..(*bytes).as_ref().len();
        Self { bytes, range }
    }

    /// The bytes themselves.
    pub fn as_slice(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.range.clone()]
    }
}

/// Bytes of a piece of a file's head.
const HEAD_PIECE: usize = 1 << 20;

/// A file's head in the pieces in which it is kept: a long one has a vocabulary in it, which does not change when
/// something at its end does. All but the last have [`HEAD_PIECE`] bytes, and the last has fewer, if only none.
pub fn head_pieces(head: &[u8]) -> Vec<&[u8]> {
    let mut pieces: Vec<&[u8]> = head.chunks(HEAD_PIECE).collect();
    if !head.is_empty() && head.len().is_multiple_of(HEAD_PIECE) {
        pieces.push(&[]);
    }
    pieces
}

impl Content {
    /// The bytes of a composite. A head that was cut by [`head_pieces`] is one piece again.
    pub fn of_parts(mut parts: Vec<Piece>) -> Self {
        let n_full = parts.iter().take_while(|part| part.range.len() == HEAD_PIECE).count();
        if n_full > 0 && n_full < parts.len() {
            let head: Vec<u8> = parts[..=n_full].iter().map(Piece::as_slice).collect::<Vec<_>>().concat();
            parts.splice(..=n_full, [Piece::whole(Arc::new(head))]);
        }
        Self { parts }
    }

    /// Length of all pieces.
    pub fn n_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.range.len() as u64).sum()
    }

    /// All bytes in one slice: borrowed when there is one piece, copied when there are more.
    pub fn to_contiguous(&self) -> std::borrow::Cow<'_, [u8]> {
        match self.parts.as_slice() {
            [part] => part.as_slice().into(),
            parts => parts.iter().map(Piece::as_slice).collect::<Vec<_>>().concat().into(),
        }
    }

    /// A stretch that lies within one piece; `None` when it crosses pieces or leaves the content.
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

/// What a running action can do: read its inputs and write blobs.
pub trait ActionContext: Sync {
    /// The bytes of an input.
    ///
    /// # Errors
    /// When the input cannot be read.
    fn input(&self, index: usize) -> Result<Content, ActionError>;

    /// The digests of an input, without reading it.
    fn input_digest(&self, index: usize) -> Output;

    /// Lets go of the memory of the inputs that were read so far, for whoever reads large ones once, from front to back.
    /// They can be read as before: then they come from their files again. A few may stay.
    fn release_inputs(&self) {}

    /// Stores what `write` writes; the blob appears whole or not at all.
    ///
    /// # Errors
    /// When `write` fails or the store cannot take the blob.
    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn io::Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError>;

    /// Takes note of how far the run is, for those who watch. It may be called often.
    fn progress(&self, _progress: Progress) {}

    /// Whether nobody wants the outputs any more: the build was interrupted, or cannot succeed. Long actions ask now and
    /// then and return [`ActionError::Cancelled`].
    fn is_cancelled(&self) -> bool;

    /// The question of [`Self::is_cancelled`], for `?`.
    ///
    /// # Errors
    /// [`ActionError::Cancelled`], when nobody wants the outputs any more.
    fn go_on(&self) -> Result<(), ActionError> {
        if self.is_cancelled() { Err(ActionError::Cancelled) } else { Ok(()) }
    }
}

/// Stores some bytes that are already in memory.
///
/// # Errors
/// As [`ActionContext::write_blob`].
pub fn write_bytes(ctx: &dyn ActionContext, bytes: &[u8]) -> Result<BlobDigest, ActionError> {
    ctx.write_blob(&mut |writer| Ok(writer.write_all(bytes)?))
}

/// Writes to several blobs at once, each by its writer.
pub type WriteAll<'a> = dyn FnMut(&mut [&mut dyn io::Write]) -> Result<(), ActionError> + 'a;

/// Stores several blobs that are written side by side, so that none of them has to wait in memory for another.
///
/// * `write`: writes to all of them, in any order
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
    // The last to be opened is the first to be complete.
    blobs.reverse();
    Ok(blobs)
}

/// Opens blobs within each other until all are open.
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

/// Why an action gave no outputs.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// An input is wrong, or the step cannot be done with it.
    #[error("{message}")]
    Failed {
        /// What was expected and what was found, and where.
        message: String,
        /// What to do about it.
        help: Option<String>,
        /// What failures of several actions have in common, such as a digest: a build reports the first of them.
        cause: Option<String>,
    },
    /// A source file has other bytes than those whose digest is in the key.
    #[error("`{}` {message}", path.display())]
    Changed {
        /// The file.
        path: Arc<Path>,
        /// Text that says what was expected and what was found.
        message: String,
    },
    /// A quality gate was missed; nothing that depends on it is published.
    #[error("{0}")]
    GateMissed(String),
    /// The file system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nobody wants the outputs any more.
    #[error("Interrupted")]
    Cancelled,
}

impl ActionError {
    /// A failure without advice.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::Failed { message: message.to_string(), help: None, cause: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, cause, .. } => Self::Failed { message, help: Some(advice.into()), cause },
            other => other,
        }
    }

    /// Names the cause that failures of other actions have, too.
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
    fn nodes_of_equal_structure_are_equal_whoever_asked() {
        assert_eq!(node("a", fake(), vec![source("x")]), node("b", fake(), vec![source("x")]));
        assert_ne!(node("a", fake(), vec![source("x")]), node("a", fake(), vec![source("y")]));
    }

    #[test]
    fn a_head_that_was_cut_is_one_piece_again() {
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

    /// Keeps what is written.
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
    fn a_stretch_of_a_composite_lies_in_one_piece() {
        let piece = |text: &str| Piece::whole(Arc::new(text.as_bytes().to_vec()));
        let content = Content { parts: vec![piece("abc"), piece("defg")] };
        assert_eq!(content.piece(3..5).unwrap().as_slice(), b"de");
        assert!(content.piece(2..4).is_none());
        assert!(content.piece(6..8).is_none());
        assert_eq!(&*content.to_contiguous(), b"abcdefg");
    }
}
