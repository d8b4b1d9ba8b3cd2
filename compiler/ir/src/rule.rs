//! Rules: what a kind of target means.
//!
//! A rule is a schema, an analysis from attributes to providers and actions, and for a short way of writing several
//! targets, an expansion. Rules are rows of one table (`mc_rules::rules::RULES`), which enters the analysis through
//! its database.

use std::sync::Arc;

use crate::action::Source;
use crate::attribute::Record;
use crate::label::Label;
use crate::origin::Origin;
use crate::provider::Providers;
use crate::rule_error::RuleError;
use crate::schema::NodeSchema;
use crate::target::Target;

/// A kind of target.
pub trait Rule: Send + Sync {
    /// Its node: name, attributes, documentation. The node's only argument is the target's name, and is not in it.
    fn schema(&self) -> &'static NodeSchema;

    /// The targets that this one stands for, itself the last; a rule that is no short way keeps the default.
    ///
    /// # Errors
    /// Everything that is wrong with the declaration.
    fn expand(&self, target: Target) -> Result<Vec<Target>, Vec<RuleError>> {
        Ok(vec![target])
    }

    /// Works out what the target provides and which actions make it.
    ///
    /// # Errors
    /// Everything that is wrong with the declaration, all at once.
    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>>;
}

/// What a rule may ask while it analyses a target. Every answer is tracked: when it changes, the target is analysed
/// again, and not otherwise.
pub trait RuleContext {
    /// The target's name.
    fn label(&self) -> &Label;

    /// The target's attributes.
    fn record(&self) -> &Record;

    /// What a target named in the attributes provides.
    ///
    /// # Errors
    /// [`DependencyFailed`] when it has faults of its own, which are reported for it and not again here.
    fn providers(&self, label: &Label) -> Result<Arc<Providers>, DependencyFailed>;

    /// The whole of a small text file (configuration, tokenizer), by path relative to the package.
    ///
    /// # Errors
    /// [`SourceError`] when it is not there, is no file, or is larger than the limit for such files.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, SourceError>;

    /// The head of a container: its first bytes, as many as `needed` asks for when shown the first eight, and the
    /// length of the whole file. By path relative to the package.
    ///
    /// # Errors
    /// [`SourceError`], as for [`Self::read`].
    fn read_head(&self, path: &str, format: HeadFormat) -> Result<Head, SourceError>;

    /// The names of the files directly in a folder, sorted; folder by path relative to the package.
    ///
    /// # Errors
    /// [`SourceError`] when it is not there or is no folder.
    fn list(&self, folder: &str) -> Result<Arc<[String]>, SourceError>;

    /// The files that a pattern (`data/*.txt`; `*`, `?`, `**`) matches, relative to the package, sorted.
    ///
    /// # Errors
    /// [`SourceError`] when the folder before the first wildcard is not there.
    fn glob(&self, pattern: &str) -> Result<Arc<[String]>, SourceError>;

    /// A file as an action's input; by path relative to the package.
    fn source(&self, path: &str) -> Source;

    /// The folder that the files of an origin were fetched to: a path for all of the above, although it lies outside
    /// the package. Nothing is fetched here.
    ///
    /// # Errors
    /// [`SourceError`] when they are not pinned or not here.
    fn fetched(&self, origin: &Origin) -> Result<String, SourceError>;
}

/// Which bytes of a container are its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeadFormat {
    /// Eight bytes with the header's length, then the header.
    Safetensors,
    /// The first 64 MiB, or the whole file when it is shorter: keys and the tensor list of any file in use whose head
    /// does not tell its length.
    Beginning,
    /// No byte: of other files only the length is of interest.
    Nothing,
}

/// The head of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its first bytes.
    pub bytes: Arc<[u8]>,
    /// Length of the whole file.
    pub n_bytes: u64,
}

/// A target named in the attributes has faults of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A dependency failed")]
pub struct DependencyFailed;

/// A source file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// The file, relative to the workspace.
    pub path: String,
    /// The expected and the found value.
    pub message: String,
    /// Whether the file (or folder) is simply not there.
    pub is_missing: bool,
    /// The way to mend it, if there is one.
    pub help: Option<&'static str>,
}
