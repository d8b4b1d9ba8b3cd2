//! One run of `mc`: its global options and its streams, passed to the verb.

use std::sync::Arc;

use mc_driver::build::engine::Engine;
use mc_driver::declarations::{Declarations, Wanted};
use mc_driver::event::EventSink;
use mc_driver::garbage::keep_within;
use mc_driver::settings::declared::DeclaredCache;
use mc_driver::store::Store;
use serde::Serialize;

use crate::failure::Failure;
use crate::interrupt::interrupt;
use crate::options::global::GlobalOptions;
use crate::report::{Report, warning};
use crate::streams::Streams;

/// One run of `mc`.
pub(crate) struct Invocation {
    /// The options that every verb takes.
    pub(crate) options: GlobalOptions,
    /// The output streams.
    pub(crate) streams: Arc<Streams>,
    /// Describes the whole command line, for help, man pages and completion.
    pub(crate) command: fn() -> clap::Command,
}

impl Invocation {
    /// Returns true if results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.options.is_json()
    }

    /// Writes a result as one indented JSON document.
    pub(crate) fn json(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).expect("results have text keys and finite numbers");
        self.streams.json(&text);
        self.streams.json("\n");
    }

    /// The declarations of the enclosing workspace, with the store of this machine.
    ///
    /// # Errors
    /// If there is no workspace.
    pub(crate) fn declarations(&self) -> Result<(Declarations, Arc<Store>), Failure> {
        let workspace = self.options.find_workspace()?;
        let store = self.options.store();
        Ok((Declarations::open(&workspace, &store), store))
    }

    /// The targets that match the patterns, after fetching the files that they need.
    ///
    /// # Errors
    /// If the declarations have errors, or a file cannot be fetched.
    pub(crate) fn wanted(
        &self,
        declarations: &Declarations,
        patterns: &[String],
        events: &dyn EventSink,
    ) -> Result<Vec<Wanted>, Failure> {
        Ok(declarations.wanted(patterns, &self.options.fetch.settings(), events)?)
    }

    /// The store, with the remote cache that options or the workspace select.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub(crate) fn engine<'a>(
        &self,
        store: &Store,
        declared: &DeclaredCache,
        events: &'a dyn EventSink,
    ) -> Result<Engine<'a>, Failure> {
        let settings = self.options.build_settings(declared)?;
        Ok(Engine::open(store, &settings, &interrupt(), events)?)
    }

    /// Shrinks the store to the limit of the workspace, at the end of a command that fetches.
    ///
    /// # Errors
    /// If there is no store.
    pub(crate) fn keep_within_limit(
        &self,
        declarations: &Declarations,
        store: &Store,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        if let Some(limit) = declarations.store_limit().filter(|_| store.format().is_some()) {
            keep_within(&*store.open()?, &limit, events);
        }
        Ok(())
    }

    /// Writes an error.
    pub(crate) fn error(&self, report: &Report) {
        self.streams.error_markup(&report.markup());
    }

    /// Prints a warning; also with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        self.streams.error_markup(&warning(text));
    }
}
