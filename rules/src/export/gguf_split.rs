//! The action that splits a GGUF into files of limited size, or checks that it fits into one.
//!
//! No tensor is copied: each file consists of its own head and the blobs of the whole file's tensors.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use mc_digest::digest::BlobDigest;
use mc_exporter::plane::Plane;
use mc_gguf::exporter::{MODEL_FILE, plans};
use mc_gguf::file_name::of_series;
use mc_gguf::layout::{ALIGNMENT, Layout, TensorPlan};
use mc_gguf::reader::Gguf;
use mc_gguf::split::{file_name, partition, place_keys};
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Artifact, Input, write_bytes};
use mc_ir::attribute::{Placed, Record, Value};
use mc_ir::label::Label;
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::Parameters;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};

use crate::action::target_action::target_action;
use crate::export::container::with_plane;
use crate::source::file_head::first_piece;

/// Maximum size of a file; for `gguf` and `model`.
pub(crate) static MAX_FILE_SIZE: NodeSchema = NodeSchema {
    name: "max-file-size",
    doc: "Maximum size of one file; a larger model is split into several, in the format of llama.cpp.",
    arguments: Arguments::One(ValueKind::Bytes),
    properties: &[],
    children: &[],
};

/// Estimated bytes for each token (text, type, score and its share of the merges), and for all other keys, in
/// a file without tensors. The actual size is known, and checked, when the tokenizer is read.
const KEY_BYTES_PER_TOKEN: u64 = 64;
const OTHER_KEY_BYTES: u64 = 1 << 20;

/// The action.
struct Split {
    name: String,
    max_bytes: u64,
    planes: Arc<[Plane]>,
    plans: Arc<[TensorPlan]>,
    /// The tensors of each file after the first; empty if there is only one file.
    ranges: Vec<Range<usize>>,
}

/// Returns the files of a GGUF with the maximum size `max`: one, or several, which are named by
/// [`mc_gguf::split::file_name`] in this order.
///
/// # Errors
/// An error at `max` if a single tensor is too large.
pub(crate) fn files(
    owner: &Label,
    record: &Record,
    max: &Placed<Value>,
    name: &str,
    whole: &Artifact,
    planes: Arc<[Plane]>,
    n_vocab: u32,
) -> Result<Vec<Artifact>, Vec<RuleError>> {
    let max_bytes = max.value.as_bytes().ok_or_else(Vec::new)?;
    let rule_error = |message: String| vec![RuleError::new(max.place, "gguf::split", message)];
    let plans: Arc<[TensorPlan]> = plans(&planes).map_err(|error| rule_error(error.message))?.into();
    let n_tensor_bytes: u64 = planes.iter().map(|plane| plane.n_bytes).sum();
    let n_keys_bytes = KEY_BYTES_PER_TOKEN * u64::from(n_vocab) + OTHER_KEY_BYTES;
    let ranges = if n_tensor_bytes + n_keys_bytes <= max_bytes {
        Vec::new()
    } else {
        partition(&plans, max_bytes, ALIGNMENT).map_err(|error| rule_error(error.to_string()))?
    };
    let split = Split { name: name.to_owned(), max_bytes, planes, plans, ranges };
    let names = split.outputs();
    let node = target_action(owner, record, split, vec![Input::Artifact(whole.clone())]);
    Ok(names.iter().map(|name| node.artifact(name)).collect())
}

impl Split {
    /// Returns the first file, with every key and no tensor.
    fn first(&self, ctx: &dyn ActionContext) -> Result<Output, ActionError> {
        let whole = ctx.input(0)?;
        let gguf = Gguf::parse(first_piece(&whole), whole.n_bytes()).map_err(ActionError::failed)?;
        let mut keys = gguf.to_keys();
        keys.extend(place_keys(0, self.ranges.len() + 1, self.plans.len()));
        let head = Layout::new(&keys, &[], ALIGNMENT).head;
        self.check(head.len() as u64, "its keys alone make")?;
        Ok(Output::File(write_bytes(ctx, &head)?))
    }

    fn check(&self, n_bytes: u64, what: &str) -> Result<(), ActionError> {
        if n_bytes <= self.max_bytes {
            return Ok(());
        }
        let message = format!(
            "`{}`: {what} a file of {n_bytes} bytes; `max-file-size` is {} bytes",
            self.name, self.max_bytes
        );
        Err(ActionError::failed(message).with_help("Declare a larger `max-file-size`"))
    }
}

impl Action for Split {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "gguf-split", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let starts: Vec<usize> = self.ranges.iter().map(|range| range.start).collect();
        let ends: Vec<usize> = self.ranges.iter().map(|range| range.end).collect();
        let parameters = Parameters::new()
            .text("max-bytes", self.max_bytes)
            .numbers("starts", &starts)
            .numbers("ends", &ends);
        self.planes.iter().fold(parameters, with_plane).into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        if self.ranges.is_empty() {
            return vec![MODEL_FILE.to_owned()];
        }
        let count = self.ranges.len() + 1;
        (1..=count).map(|number| file_name("model", number, count)).collect()
    }

    fn describe(&self) -> String {
        format!("files of {}", self.name)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let whole = ctx.input_digest(0);
        if self.ranges.is_empty() {
            self.check(whole.n_bytes(), "it makes")?;
            return Ok(Outputs::from([(MODEL_FILE.to_owned(), whole)]));
        }
        let count = self.ranges.len() + 1;
        let mut outputs = Outputs::from([(file_name("model", 1, count), self.first(ctx)?)]);
        // The first blob is the head of the whole file.
        let mut blobs = whole.parts().iter().skip(1).copied();
        for (range, number) in self.ranges.iter().zip(1..) {
            let keys = place_keys(number, count, self.plans.len());
            let layout = Layout::new(&keys, &self.plans[range.clone()], ALIGNMENT);
            let mut parts = vec![write_bytes(ctx, &layout.head)?];
            for (plan, stretch) in self.plans[range.clone()].iter().zip(&layout.tensors) {
                let n_bytes = stretch.n_bytes + stretch.padding;
                parts.extend(take(&mut blobs, n_bytes).ok_or_else(|| {
                    ActionError::failed(format!("Tensor `{}` shares a blob with another one", plan.name))
                })?);
            }
            outputs.insert(file_name("model", number + 1, count), Output::Composite(parts));
        }
        Ok(outputs)
    }
}

/// Takes the next blobs that together have `n_bytes` bytes.
fn take(blobs: &mut impl Iterator<Item = BlobDigest>, n_bytes: u64) -> Option<Vec<BlobDigest>> {
    let mut taken = Vec::new();
    let mut left = n_bytes;
    while left > 0 {
        let blob = blobs.next()?;
        left = left.checked_sub(blob.n_bytes)?;
        taken.push(blob);
    }
    Some(taken)
}

/// Returns the files of a GGUF by name.
pub(crate) fn named(name: &str, files: &[Artifact]) -> BTreeMap<String, Artifact> {
    of_series(name, files.len()).into_iter().zip(files.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_taken_whole() {
        let blobs = [b"abcd".as_slice(), b"ef", b"ghi"].map(BlobDigest::of);
        let mut left = blobs.iter().copied();
        assert_eq!(take(&mut left, 6).unwrap(), blobs[..2]);
        assert_eq!(take(&mut left, 2), None);
    }
}
