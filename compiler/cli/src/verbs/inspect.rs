//! `mc inspect`: what is in a GGUF or safetensors file, an object of the store, or the GGUF of a target.

mod gguf;
mod object;
mod safetensors;

use std::borrow::Cow;
use std::path::Path;

use clap::Args;
use mc_ir::action::Content;
use mc_rules::quantize::tensor_report::Entry;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::fidelity::Fidelity;
use crate::render::listing::{Listing, Parts};
use crate::render::printable::abbreviated;
use crate::report::Report;
use crate::verbs::Run;
use crate::wire::engine::Engine;
use crate::wire::model::{is_label, map_file, target_gguf};

/// Show what is in a GGUF or safetensors file, a store object or a target's model
#[derive(Args)]
pub(crate) struct Inspect {
    /// A .gguf or .safetensors file, the hash of a store object, or a label
    source: String,

    /// Show keys (and, without --tensors, nothing else but the totals)
    #[arg(long)]
    keys: bool,

    /// Show tensors (and, without --keys, nothing else but the totals)
    #[arg(long)]
    tensors: bool,
}

/// As much of a composite is joined to read its head; the limit of the analysis too.
const MAX_HEAD: usize = 64 << 20;

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
            Ok(Some(listing)) if invocation.is_json() => invocation.json(&listing.json(&self.source, parts)),
            Ok(Some(listing)) => invocation.streams.result(&listing.text(&self.source, parts)),
            Ok(None) if object::hash(&self.source).is_some() => self.tell_data(invocation, &head, n_bytes),
            Ok(None) => {
                let start = head.get(..4.min(head.len())).unwrap_or_default().escape_ascii();
                return Err(Report::failed(format!("Cannot tell what `{}` is", self.source))
                    .because(format!(
                        "It begins with `{start}`; expected `GGUF`, or the length of a safetensors header and `{{`"
                    ))
                    .into());
            }
            Err(reason) => {
                return Err(Report::failed(format!("Cannot read `{}`", self.source)).because(reason).into());
            }
        }
        Ok(Exit::Done)
    }
}

impl Inspect {
    /// The bytes; of a target also what was told of its tensors.
    fn content(&self, invocation: &Invocation) -> Result<(Content, Vec<Entry>), Failure> {
        if is_label(&self.source) {
            let target = target_gguf(invocation, &self.source)?;
            return Ok((target.content, target.reports));
        }
        if let Some(hash) = object::hash(&self.source).filter(|_| !Path::new(&self.source).exists()) {
            let engine = Engine::open(invocation)?;
            let content = object::content(&engine, &hash)?;
            engine.warn_of_damage(invocation);
            return Ok((content, Vec::new()));
        }
        Ok((map_file(&self.source)?, Vec::new()))
    }

    /// Objects of the store may be anything; of those that we do not know, size and beginning are shown.
    fn tell_data(&self, invocation: &Invocation, head: &[u8], n_bytes: u64) {
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

fn add_reports(listing: &mut Listing, reports: &[Entry]) {
    for tensor in &mut listing.tensors {
        let entry = reports.iter().find(|entry| entry.name == tensor.name);
        tensor.fidelity = entry.map(|Entry { report, .. }| Fidelity {
            rmse: report.rmse,
            max_error: report.max_error,
            snr_db: report.snr_db,
        });
    }
}

/// The listing by what the bytes are; the name decides only where they are too damaged to tell.
pub(crate) fn list(source: &str, head: &[u8], n_bytes: u64) -> Result<Option<Listing>, String> {
    let is_named = |extension: &str| source.ends_with(extension);
    if head.starts_with(b"GGUF") || is_named(".gguf") {
        return gguf::listing(head, n_bytes).map(Some).map_err(|error| error.to_string());
    }
    if head.get(8) == Some(&b'{') || is_named(".safetensors") {
        let listing = safetensors::listing(head, n_bytes).map(Some);
        // A stored text may have a brace there by chance.
        return match listing {
            Err(_) if object::hash(source).is_some() => Ok(None),
            other => other.map_err(|error| error.to_string()),
        };
    }
    Ok(None)
}

/// The first bytes: of a plain file all, without copying; of a composite as many pieces as a head may need.
pub(crate) fn head(content: &Content) -> Cow<'_, [u8]> {
    match content.parts.as_slice() {
        [] => Cow::Borrowed(&[]),
        [part] => Cow::Borrowed(part.as_slice()),
        parts => {
            let mut head = Vec::new();
            for part in parts {
                let rest = MAX_HEAD.saturating_sub(head.len());
                let bytes = part.as_slice();
                head.extend_from_slice(&bytes[..bytes.len().min(rest)]);
            }
            Cow::Owned(head)
        }
    }
}
