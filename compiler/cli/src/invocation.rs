//! One call of `mc`: its global options and its streams, handed to the verb.

use std::sync::Arc;

use serde::Serialize;

use crate::options::GlobalOptions;
use crate::report::{Report, warning};
use crate::streams::Streams;

/// One call of `mc`.
pub(crate) struct Invocation {
    /// The options that every verb takes.
    pub(crate) options: GlobalOptions,
    /// The way out.
    pub(crate) streams: Arc<Streams>,
}

impl Invocation {
    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.options.is_json()
    }

    /// Writes a result as one indented JSON document.
    pub(crate) fn json(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).expect("results have text keys and finite numbers");
        self.streams.json(&text);
        self.streams.json("\n");
    }

    /// Writes an error.
    pub(crate) fn error(&self, report: &Report) {
        self.streams.error_markup(&report.markup());
    }

    /// Writes a warning; also with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        self.streams.error_markup(&warning(text));
    }
}
