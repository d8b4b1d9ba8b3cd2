//! Context that all completion functions share.

use std::sync::Arc;

use clap_complete::engine::CompletionCandidate;
use mc_driver::declarations::Declarations;

use crate::options::global::GlobalOptions;

/// The workspace and the store of the command line.
#[derive(Clone)]
pub(crate) struct Context {
    /// The options that select them.
    pub(crate) options: Arc<GlobalOptions>,
    /// Names of the verbs.
    pub(crate) verbs: Arc<[String]>,
}

impl Context {
    /// The declarations of the workspace, if there is one.
    pub(crate) fn declarations(&self) -> Option<Declarations> {
        let workspace = self.options.find_workspace().ok()?;
        Some(Declarations::open(&workspace, &self.options.store()))
    }
}

/// The words that begin with the current one.
pub(crate) fn starting_with<'a>(
    current: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Vec<CompletionCandidate> {
    words.into_iter().filter(|word| word.starts_with(current)).map(CompletionCandidate::new).collect()
}
