//! `imatrix`: the importance of each input column of each matrix, computed on a calibration set or read from
//! a file of llama.cpp.
//!
//! Besides the file, the action writes the weights of each matrix to a separate output, so that a quantized
//! tensor depends on its own weights and not on the whole file.

use std::collections::BTreeMap;

use mc_gguf::imatrix::{ImatrixEntry, ImatrixFile};
use mc_gguf::names::wire_name;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Artifact, Input, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};
use mc_ir::work::Work;
use mc_runtime::statistics::diagonal::DIAGONAL;
use mc_tensor::model_tensor::ModelTensor;

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::remote_kind::{RemoteKind, last};
use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::{label, place_of, provider, shown_path, text};
use crate::calibrate::calibration::{Calibration, context_of, text_of};
use crate::calibrate::matrices::{Matrix, matrices, row_output, rows};
use crate::calibrate::statistic_info::StatisticInfo;
use crate::inference::model_work;
use crate::source::dataset::DatasetInfo;
use crate::source::model_info::ModelInfo;

/// The rule's name.
pub const NAME: &str = "imatrix";

/// The output that holds the whole matrix.
const FILE: &str = "imatrix.gguf";

/// The `imatrix` rule.
pub struct Imatrix;

/// Provider of an imatrix, read by a quantization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImatrixInfo {
    /// Its name.
    pub name: String,
    /// One f32 per column of each matrix, or of each of its experts; empty if nothing was measured.
    pub rows: BTreeMap<ModelTensor, Artifact>,
    /// The text on which it was computed; unknown for a matrix that was read from a file.
    pub calibration: Option<DatasetInfo>,
}

static MODEL: NodeSchema =
    NodeSchema::leaf("model", "The checkpoint or merge whose matrices are measured.", ValueKind::Label);
static DATASET: NodeSchema = NodeSchema::leaf("dataset", "The text to use.", ValueKind::Label);
static CONTEXT: NodeSchema = NodeSchema::leaf(
    "context",
    "Tokens per chunk; 512, or the model's context when that is shorter.",
    ValueKind::Integer,
);
static FROM_FILE: NodeSchema =
    NodeSchema::leaf("file", "A file of `llama-imatrix` to read instead of computing one.", ValueKind::Path);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "The importance of each input column of each matrix.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &MODEL, occurs: Occurs::Once },
        ChildSchema { node: &DATASET, occurs: Occurs::Optional },
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &FROM_FILE, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Imatrix {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let model = label(record, "model").ok_or_else(Vec::new)?;
        let model: ModelInfo = provider(ctx, &model, "a `checkpoint` or a `merge`")?;
        let matrices = matrices(&model);
        let (node, calibration) = match (label(record, "dataset"), text(record, "file")) {
            (Some(dataset), None) => {
                let data = text_of(ctx, &dataset, "imatrix::dataset")?;
                let n_ctx = context_of(record, &model, "imatrix::context")?;
                let (calibration, inputs) = Calibration::new(&model, &matrices, n_ctx, &data);
                (target_action(ctx.label(), record, Compute { calibration }, inputs), Some(data))
            }
            (None, Some(file)) => {
                let place = place_of(record, "file");
                // Checked now, so that a wrong path is an error of the declaration.
                let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
                let name = file.rsplit('/').next().unwrap_or(file);
                let is_there = ctx.list(folder).is_ok_and(|names| names.iter().any(|found| found == name));
                if !is_there {
                    return Err(vec![RuleError::new(
                        place,
                        "imatrix::file",
                        format!("There is no file `{}`", shown_path(ctx, file)),
                    )]);
                }
                let action = Import { matrices: matrices.clone(), shown: shown_path(ctx, file) };
                let inputs = vec![Input::Source(ctx.source(file))];
                (target_action(ctx.label(), record, action, inputs), None)
            }
            (dataset, _) => {
                let found = if dataset.is_some() { "both" } else { "neither" };
                return Err(vec![
                    RuleError::new(
                        record.place,
                        "imatrix::source",
                        format!("An imatrix comes from a `dataset` or from a `file`; found {found}"),
                    )
                    .help("Write `dataset \":calibration\"` to compute it, or `file \"imatrix.gguf\"` to read it"),
                ]);
            }
        };
        let rows = rows(&node, &matrices);
        let mut providers = provided(ctx.label().name.clone(), rows, calibration);
        providers.outputs.push((FILE.to_owned(), node.artifact(FILE)));
        Ok(providers)
    }
}

/// Returns the provider of a target that measured mean squares: an imatrix, which is the statistic
/// `diagonal`.
pub(crate) fn provided(
    name: String,
    rows: BTreeMap<ModelTensor, Artifact>,
    calibration: Option<DatasetInfo>,
) -> Providers {
    let info = ImatrixInfo { name: name.clone(), rows: rows.clone(), calibration: calibration.clone() };
    let statistic = StatisticInfo { name, statistic: &DIAGONAL, rows, calibration };
    Providers::default().with(info).with(statistic)
}

/// Checks that an entry of a file belongs to a matrix; expands one count for all experts to one for each.
fn check(matrix: &Matrix, entry: &mut ImatrixEntry, shown: &str) -> Result<(), ActionError> {
    let n_parts = usize::try_from(matrix.n_parts).map_err(ActionError::failed)?;
    if let [count] = entry.counts[..] {
        entry.counts = vec![count; n_parts];
    }
    let n_sums = entry.in_sum2.len() as u64;
    if entry.counts.len() == n_parts && Some(n_sums) == matrix.n_cols.checked_mul(matrix.n_parts) {
        return Ok(());
    }
    let of_each = if n_parts == 1 { String::new() } else { format!(" in each of {n_parts} experts") };
    let message = format!(
        "`{shown}` has {n_sums} columns for `{}`; the model has {}{of_each}",
        wire_name(matrix.tensor),
        matrix.n_cols
    );
    Err(ActionError::failed(message).with_help("It belongs to another model; compute one for this model"))
}

fn output_names(tensors: impl Iterator<Item = ModelTensor>) -> Vec<String> {
    std::iter::once(FILE.to_owned()).chain(tensors.map(row_output)).collect()
}

/// Writes the file and the weights of each matrix.
fn write(
    ctx: &dyn ActionContext,
    file: &ImatrixFile,
    tensors: impl Iterator<Item = ModelTensor>,
) -> Result<Outputs, ActionError> {
    let mut outputs = Outputs::from([(FILE.to_owned(), Output::File(write_bytes(ctx, &file.to_bytes())?))]);
    for tensor in tensors {
        let importance = file.entries.get(&tensor).map(ImatrixEntry::importance).unwrap_or_default();
        let bytes: Vec<u8> = importance.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        outputs.insert(row_output(tensor), Output::File(write_bytes(ctx, &bytes)?));
    }
    Ok(outputs)
}

/// Runs the model over the calibration text.
struct Compute {
    calibration: Calibration,
}

const CALIBRATION: &str = "dataset";

/// Lets a worker create the action from its parameters.
pub(crate) const REMOTE: RemoteKind = RemoteKind {
    kind: ActionKind { name: "imatrix", version: mc_runtime::imatrix::VERSION },
    make: |parameters| {
        let (rest, data) = last(parameters, CALIBRATION)?;
        Ok(Box::new(Compute { calibration: Calibration::of_parameters(rest, data)? }))
    },
};

impl Action for Compute {
    fn kind(&self) -> ActionKind {
        REMOTE.kind
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = self.calibration.parameters();
        // The file contains this name.
        parameters.push((CALIBRATION.to_owned(), self.calibration.data.clone()));
        parameters
    }

    fn outputs(&self) -> Vec<String> {
        output_names(self.calibration.measured.iter().copied())
    }

    fn describe(&self) -> String {
        format!("on {}", self.calibration.data)
    }

    fn work(&self, sizes: &[u64]) -> Work {
        model_work::reading(REMOTE.kind.name, sizes)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let found = self.calibration.compute(ctx, "Imatrix", mc_runtime::imatrix::imatrix)?;
        let entry = |entry: mc_runtime::imatrix::ImatrixEntry| ImatrixEntry {
            in_sum2: entry.in_sum2,
            counts: entry.counts.iter().map(|count| *count as f32).collect(),
        };
        let file = ImatrixFile {
            datasets: vec![self.calibration.data.clone()],
            n_chunks: u32::try_from(found.n_chunks).unwrap_or(u32::MAX),
            chunk_len: u32::try_from(found.n_ctx).unwrap_or(u32::MAX),
            entries: found.entries.into_iter().map(|(tensor, sums)| (tensor, entry(sums))).collect(),
        };
        write(ctx, &file, self.calibration.measured.iter().copied())
    }
}

/// Reads a file of llama.cpp.
struct Import {
    matrices: Vec<Matrix>,
    shown: String,
}

impl Action for Import {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "imatrix-import", version: 2 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let shape = |matrix: &Matrix| format!("{} {}", matrix.n_parts, matrix.n_cols);
        self.matrices.iter().map(|matrix| (row_output(matrix.tensor), shape(matrix))).collect()
    }

    fn outputs(&self) -> Vec<String> {
        output_names(self.matrices.iter().map(|matrix| matrix.tensor))
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let content = ctx.input(0)?;
        let mut file = ImatrixFile::parse(&content.to_contiguous())
            .map_err(|error| ActionError::failed(format!("`{}`: {error}", self.shown)))?;
        for matrix in &self.matrices {
            let Some(entry) = file.entries.get_mut(&matrix.tensor) else { continue };
            check(matrix, entry, &self.shown)?;
        }
        if !self.matrices.iter().any(|matrix| file.entries.contains_key(&matrix.tensor)) {
            let message = format!("`{}` has no matrix of this model", self.shown);
            return Err(ActionError::failed(message));
        }
        write(ctx, &file, self.matrices.iter().map(|matrix| matrix.tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_stack_has_sums_and_a_count_for_each_expert() {
        let matrix = Matrix { tensor: ModelTensor::FfnUpExps { block: 0 }, n_cols: 2, n_parts: 3 };
        let check = |n_sums: usize, counts: &[f32]| {
            let mut entry = ImatrixEntry { in_sum2: vec![1.0; n_sums], counts: counts.to_vec() };
            super::check(&matrix, &mut entry, "a.gguf").map(|()| entry.counts)
        };
        assert_eq!(check(6, &[1.0, 2.0, 3.0]).unwrap(), [1.0, 2.0, 3.0]);
        // The older layout has one count for all experts.
        assert_eq!(check(6, &[4.0]).unwrap(), [4.0; 3]);
        assert!(check(6, &[1.0, 2.0]).is_err());
        let message = check(2, &[1.0]).unwrap_err().to_string();
        let expected =
            "`a.gguf` has 2 columns for `blk.0.ffn_up_exps.weight`; the model has 2 in each of 3 experts";
        assert!(message.contains(expected), "{message}");
    }
}
