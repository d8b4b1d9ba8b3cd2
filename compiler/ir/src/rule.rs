//! Rules: the definitions of the kinds of targets.
//!
//! A rule has a schema, an analysis from attributes to providers and actions, and, if it is a shorthand for several
//! targets, an expansion. Rules are rows of one table (`mc_rules::rules::RULES`), which the analysis gets through its
//! database.

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
    /// The schema of its node: name, attributes, documentation. The node's only argument, the target's name, is not
    /// part of it.
    fn schema(&self) -> &'static NodeSchema;

    /// The targets that this one expands into, itself last. A rule that is not a shorthand keeps the default.
    ///
    /// # Errors
    /// All errors in the declaration.
    fn expand(&self, target: Target) -> Result<Vec<Target>, Vec<RuleError>> {
        Ok(vec![target])
    }

    /// Computes the providers of the target and the actions that produce its outputs.
    ///
    /// # Errors
    /// All errors in the declaration at once.
    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>>;
}

/// Queries that a rule may make while it analyzes a target. Every answer is tracked: the target is analyzed again if
/// and only if an answer changes.
pub trait RuleContext {
    /// The target's name.
    fn label(&self) -> &Label;

    /// The target's attributes.
    fn record(&self) -> &Record;

    /// The providers of a target named in the attributes.
    ///
    /// # Errors
    /// [`DependencyFailed`] if that target has errors of its own; they are reported there and not again here.
    fn providers(&self, label: &Label) -> Result<Arc<Providers>, DependencyFailed>;

    /// The contents of a small text file (configuration, tokenizer), by path relative to the package.
    ///
    /// # Errors
    /// [`SourceError`] if it does not exist, is not a file, or is larger than the limit for such files.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, SourceError>;

    /// The head of a container, and the length of the whole file; by path relative to the package. `format` determines
    /// how many of the first bytes are the head.
    ///
    /// # Errors
    /// [`SourceError`], as for [`Self::read`].
    fn read_head(&self, path: &str, format: HeadFormat) -> Result<Head, SourceError>;

    /// The names of the files directly in a folder, sorted; folder by path relative to the package.
    ///
    /// # Errors
    /// [`SourceError`] if it does not exist or is not a folder.
    fn list(&self, folder: &str) -> Result<Arc<[String]>, SourceError>;

    /// The files that a pattern (`data/*.txt`; `*`, `?`, `**`) matches, relative to the package, sorted.
    ///
    /// # Errors
    /// [`SourceError`] if the folder before the first wildcard does not exist.
    fn glob(&self, pattern: &str) -> Result<Arc<[String]>, SourceError>;

    /// A file as an action's input; by path relative to the package.
    fn source(&self, path: &str) -> Source;

    /// The folder with the downloaded files of an origin: a path for all of the functions above, although it lies
    /// outside the package. Downloads nothing.
    ///
    /// # Errors
    /// [`SourceError`] if the files are not pinned or not downloaded.
    fn fetched(&self, origin: &Origin) -> Result<String, SourceError>;
}

/// The bytes of a container that are its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeadFormat {
    /// Eight bytes with the header's length, then the header.
    Safetensors,
    /// The first 64 MiB, or the whole file if it is shorter. For files whose head does not state its own length; keys
    /// and tensor list of any file in use fit.
    Beginning,
    /// No bytes: for files of which only the length matters.
    Nothing,
}

/// The head of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first bytes of the file.
    pub bytes: Arc<[u8]>,
    /// Length of the whole file.
    pub n_bytes: u64,
}

/// A target named in the attributes has errors of its own.
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
    /// True if the file (or folder) does not exist, or a git-lfs pointer is in the place of weights.
    pub is_missing: bool,
    /// A hint for fixing it, if there is one.
    pub help: Option<&'static str>,
}
