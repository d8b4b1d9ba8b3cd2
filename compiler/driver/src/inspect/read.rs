//! Reads the contents of a model file of any known format.

use std::borrow::Cow;

use mc_exporter::container::Container;
use mc_ir::action::Content;
use mc_rules::exporters;
use mc_rules::quantize::tensor_report::Entry;

use crate::inspect::fidelity::Fidelity;
use crate::inspect::listing::Listing;
use crate::inspect::object::digits;
use crate::inspect::safetensors;

/// Maximum number of bytes of a composite that are joined to read its head; equal to the limit of the analysis.
const MAX_HEAD: usize = 64 << 20;

/// Lists a file by its first bytes. The name decides only if they are too damaged to identify the format. Returns
/// `None` if the format is unknown.
///
/// # Errors
/// The reason for which a file of a known format cannot be read.
pub fn list(source: &str, head: &[u8], n_bytes: u64) -> Result<Option<Listing>, String> {
    let is_named = |extension: &str| source.ends_with(extension);
    let is_of = |container: &&dyn Container| {
        container.recognizes(head) || is_named(&format!(".{}", container.extension()))
    };
    if let Some(container) = exporters::containers().find(is_of) {
        let listing = container.list(head, n_bytes);
        return listing.map(|listing| Some(listing.into())).map_err(|error| error.message);
    }
    if head.get(8) == Some(&b'{') || is_named(".safetensors") {
        let listing = safetensors::listing(head, n_bytes).map(Some);
        // A stored text may have a brace there by chance.
        return match listing {
            Err(_) if digits(source).is_some() => Ok(None),
            other => other.map_err(|error| error.to_string()),
        };
    }
    Ok(None)
}

/// Returns true if a model file of this format can be read without the target that wrote it.
pub fn is_self_described(content: &Content) -> bool {
    exporters::recognized(&head(content)).is_some()
}

/// The first bytes: all bytes of a plain file, without a copy; of a composite, as many pieces as a head may need.
pub fn head(content: &Content) -> Cow<'_, [u8]> {
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

/// Adds the reported errors to the tensors of a listing.
pub fn add_reports(listing: &mut Listing, reports: &[Entry]) {
    for tensor in &mut listing.tensors {
        let entry = reports.iter().find(|entry| entry.name == tensor.name);
        tensor.fidelity = entry.map(|Entry { report, .. }| Fidelity {
            rmse: report.rmse,
            max_error: report.max_error,
            snr_db: report.snr_db,
        });
    }
}
