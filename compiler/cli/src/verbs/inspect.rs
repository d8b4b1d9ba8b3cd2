//! `mc inspect`: what is in a GGUF or safetensors file, an object of the store, or the model of a target.

use std::path::Path;

use clap::Args;
use mc_driver::build::engine::warn_of_damage;
use mc_driver::inspect::error::InspectError;
use mc_driver::inspect::file::map_file;
use mc_driver::inspect::object;
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
use crate::render::progress::Progress;
use crate::verb::Run;
use crate::verbs::model::target_model;

/// Show what is in a model file, a store object or a target
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc inspect //models:app --tensors   types, sizes and quantization errors\n  mc inspect model.safetensors        keys and tensors of a file"
)]
pub(crate) struct Inspect {
    /// File (.gguf, .safetensors), label of a target, or hash of an object in the store
    source: String,

    /// Show the keys; leave out the tensors, unless --tensors is given, too
    #[arg(long)]
    keys: bool,

    /// Show the tensors; leave out the keys, unless --keys is given, too
    #[arg(long)]
    tensors: bool,
}

/// Bytes of an object of unknown format that are shown.
const PREVIEW: usize = 200;

impl Run for Inspect {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let (content, reports) = self.content(invocation)?;
        let head = head(&content);
        let n_bytes = content.n_bytes();
        let parts = match (self.keys, self.tensors) {
            (false, false) => Parts { keys: true, tensors: true },
            (keys, tensors) => Parts { keys, tensors },
        };
        let listing = list(&self.source, &head, n_bytes).map(|listing| {
            listing.map(|mut listing| {
                add_reports(&mut listing, &reports);
                listing
            })
        });
        match listing {
            Ok(Some(listing)) if invocation.is_json() => {
                invocation.json(&listing::json(&listing, &self.source, parts));
            }
            Ok(Some(listing)) => invocation.streams.result(&listing::text(&listing, &self.source, parts)),
            Ok(None) if object::hash(&self.source).is_some() => self.report_data(invocation, &head, n_bytes),
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

impl Inspect {
    /// The bytes; of a target also what was told of its tensors.
    fn content(&self, invocation: &Invocation) -> Result<(Content, Vec<Entry>), Failure> {
        if is_label(&self.source) {
            let target = target_model(invocation, &self.source)?;
            return Ok((target.content, target.reports));
        }
        if let Some(hash) = object::hash(&self.source).filter(|_| !Path::new(&self.source).exists()) {
            let progress = Progress::new(&invocation.streams);
            let store = invocation.options.store().open()?;
            let content = object::content(&store, &hash)?;
            warn_of_damage(&store, &progress);
            return Ok((content, Vec::new()));
        }
        Ok((map_file(&self.source)?, Vec::new()))
    }

    /// Objects of the store may be anything; of those that we do not know, size and beginning are shown.
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
