//! `mc inspect`: shows a model file of any format, a folder with a model, an object of the store, or the model of a
//! target.

use std::path::Path;

use clap::Args;
use mc_driver::inspect::error::InspectError;
use mc_driver::inspect::file::map_file;
use mc_driver::inspect::folder;
use mc_driver::inspect::listing::Listing;
use mc_driver::inspect::planes;
use mc_driver::inspect::read::{add_reports, head, list};
use mc_driver::inspect::target::is_label;
use mc_ir::action::Content;
use mc_rules::quantize::tensor_report::Entry;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::listing::{self, Parts};
use crate::render::printable::abbreviated;
use crate::verb::Run;
use crate::verbs::model::{stored, target_model};

/// Show what is in a model file, a store object or a target
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc inspect //models:app --tensors   types, sizes and quantization errors\n  mc inspect model.safetensors        keys and tensors of a file"
)]
pub(crate) struct Inspect {
    /// File (.gguf, .safetensors, .onnx, .tflite, .litertlm), folder (checkpoint, adapter or bundle), label of a target, or hash of an object in
    /// the store (its first digits are enough)
    source: String,

    /// Show the keys; leave out the tensors, unless --tensors is given, too
    #[arg(long)]
    keys: bool,

    /// Show the tensors; leave out the keys, unless --keys is given, too
    #[arg(long)]
    tensors: bool,
}

/// Bytes shown of an object of unknown format.
const PREVIEW: usize = 200;

impl Run for Inspect {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let parts = match (self.keys, self.tensors) {
            (false, false) => Parts { keys: true, tensors: true },
            (keys, tensors) => Parts { keys, tensors },
        };
        if Path::new(&self.source).is_dir() {
            self.report(invocation, &folder::open(&self.source)?.listing, parts);
            return Ok(Exit::Done);
        }
        if let Some(found) = planes::list_at(Path::new(&self.source)) {
            self.report(invocation, &found?.listing, parts);
            return Ok(Exit::Done);
        }
        let Found { content, reports, is_object, listing } = self.content(invocation)?;
        if let Some(mut listing) = listing {
            add_reports(&mut listing, &reports);
            self.report(invocation, &listing, parts);
            return Ok(Exit::Done);
        }
        let head = head(&content);
        let n_bytes = content.n_bytes();
        match list(&self.source, &head, n_bytes) {
            Ok(Some(mut listing)) => {
                add_reports(&mut listing, &reports);
                self.report(invocation, &listing, parts);
            }
            Ok(None) if is_object => self.report_data(invocation, &head, n_bytes),
            Ok(None) => {
                let start = head.get(..4.min(head.len())).unwrap_or_default().escape_ascii();
                let source_name = self.source.clone();
                return Err(
                    InspectError::UnknownFormat { source_name, start: Some(start.to_string()) }.into()
                );
            }
            Err(reason) => {
                let what = format!("`{}`", self.source);
                return Err(InspectError::Unreadable { what, reason }.into());
            }
        }
        Ok(Exit::Done)
    }
}

/// The resolved source.
struct Found {
    content: Content,
    /// Known reports about the tensors, if the source is a target.
    reports: Vec<Entry>,
    is_object: bool,
    /// The contents, if the format does not describe itself.
    listing: Option<Listing>,
}

impl Inspect {
    fn report(&self, invocation: &Invocation, listing: &Listing, parts: Parts) {
        if invocation.is_json() {
            invocation.json(&listing::json(listing, &self.source, parts));
        } else {
            invocation.streams.result(&listing::text(listing, &self.source, parts));
        }
    }

    /// The content of the source.
    fn content(&self, invocation: &Invocation) -> Result<Found, Failure> {
        if is_label(&self.source) {
            let (target, listing) = target_model(invocation, &self.source)?;
            return Ok(Found { content: target.content, reports: target.reports, is_object: false, listing });
        }
        let stored = stored(invocation, &self.source)?;
        let is_object = stored.is_some();
        let content = match stored {
            Some(content) => content,
            None => map_file(&self.source)?,
        };
        Ok(Found { content, reports: Vec::new(), is_object, listing: None })
    }

    /// Shows size and beginning of an object of unknown format, because the store may hold any data.
    fn report_data(&self, invocation: &Invocation, head: &[u8], n_bytes: u64) {
        let text = String::from_utf8_lossy(&head[..head.len().min(PREVIEW)]);
        if invocation.is_json() {
            invocation
                .json(&json!({ "source": self.source, "format": "data", "bytes": { "file": n_bytes } }));
        } else {
            let begins = abbreviated(&text, PREVIEW);
            invocation
                .streams
                .result(&format!("{}: data\nbegins: {begins}\nfile: {n_bytes} bytes\n", self.source));
        }
    }
}
