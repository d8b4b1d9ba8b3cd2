//! The tensor step: load, add low-rank, permute, quantize, hash and store, in one pass over tiles of rows; what was
//! lost is measured on the way.
//!
//! Tiles are computed side by side and written in order, so the bytes do not depend on the number of threads and
//! memory holds a few tiles a thread, never a tensor.

use std::io::Write;

use mc_encoding::codec::{Codec, Importance};
use mc_encoding::loss::Loss;
use mc_expression::evaluator::Evaluator;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::quantize::Quantize;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, write_bytes};
use mc_ir::output::{Output, Outputs};
use rayon::prelude::*;

use crate::action::evaluation::{action_error, evaluator};
use crate::action::remote_kind::{Parameters, RemoteKind, last};
use crate::quantize::tensor_report::TensorReport;

/// The output that holds the encoded rows.
pub(crate) const TENSOR: &str = "tensor";

/// The output that holds the [`TensorReport`].
pub(crate) const REPORT: &str = "report.json";

/// The one parameter.
const EXPRESSION: &str = "expression";

/// What a worker makes of the parameters.
pub(crate) const REMOTE: RemoteKind =
    RemoteKind { kind: ActionKind { name: "tensor", version: 2 }, make: of_parameters };

/// Elements in one tile: 1 MiB of f32, small enough for a core's cache, large enough to hide the scheduling.
const TILE_ELEMENTS: usize = 1 << 18;

/// Tiles after which the memory of what they were made of is let go of: some MiB of an embedding of half a GiB.
const TILES_TO_HOLD: usize = 8;

/// One tensor of an artifact.
pub(crate) struct TensorAction {
    /// The expression; its top is a `quantize`, or it is what is stored and stays as it is.
    pub(crate) expression: TensorExpr,
    /// The codec that the top names.
    pub(crate) codec: &'static Codec,
    /// The tensor's name, for messages.
    pub(crate) name: String,
}

impl Action for TensorAction {
    fn kind(&self) -> ActionKind {
        REMOTE.kind
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![(EXPRESSION.to_owned(), self.expression.to_string())]
    }

    fn outputs(&self) -> Vec<String> {
        vec![TENSOR.to_owned(), REPORT.to_owned()]
    }

    fn output_size(&self, output: &str) -> Option<u64> {
        self.codec.tensor_bytes(&self.expression.shape()).filter(|_| output == TENSOR)
    }

    fn describe(&self) -> String {
        format!("{} {}", self.name, self.codec.name)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let evaluator = evaluator(self.rows(), ctx)?;
        let importance = self.importance(ctx, &evaluator)?;
        let rows_per_tile = (TILE_ELEMENTS / evaluator.n_cols().max(1)).max(1) as u64;
        let starts: Vec<u64> = (0..evaluator.n_rows()).step_by(rows_per_tile as usize).collect();
        let tiles_at_once = 2 * rayon::current_num_threads();
        let mut loss = Loss::default();
        let encode = |batch: &[u64]| -> Vec<Tile> {
            let tile = |&start: &u64| {
                let n_rows = rows_per_tile.min(evaluator.n_rows() - start);
                self.tile(&evaluator, importance.as_ref(), start, n_rows)
            };
            batch.par_iter().map(tile).collect()
        };
        let blob = ctx.write_blob(&mut |writer| {
            let mut batches = starts.chunks(tiles_at_once);
            let mut tiles = batches.next().map(encode).unwrap_or_default();
            let mut n_read = 0;
            while !tiles.is_empty() {
                ctx.go_on()?;
                // While one batch is hashed and written, the next is encoded.
                let mut next = Vec::new();
                rayon::in_place_scope(|scope| {
                    if let Some(batch) = batches.next() {
                        scope.spawn(|_| next = encode(batch));
                    }
                    write_tiles(tiles, &mut loss, writer)
                })?;
                tiles = next;
                n_read += tiles_at_once;
                if n_read >= TILES_TO_HOLD {
                    ctx.release_inputs();
                    n_read = 0;
                }
            }
            Ok(())
        })?;
        let weights = importance.as_ref().map(|importance| importance.weights.as_slice());
        let report = TensorReport::new(self.codec, blob.n_bytes, &loss, weights);
        let report = serde_json::to_vec(&report).map_err(ActionError::failed)?;
        let report = write_bytes(ctx, &report)?;
        Ok(Outputs::from([
            (TENSOR.to_owned(), Output::File(blob)),
            (REPORT.to_owned(), Output::File(report)),
        ]))
    }
}

fn of_parameters(parameters: &Parameters) -> Result<Box<dyn Action>, String> {
    let ([], text) = last(parameters, EXPRESSION)? else {
        return Err(format!("Expected no parameter besides `{EXPRESSION}`"));
    };
    let expression = TensorExpr::parse(text).map_err(|error| error.to_string())?;
    let codec = match expression.get::<Quantize>() {
        Some(quantize) => Some(quantize.codec).filter(|codec| codec.version == quantize.version),
        None => expression.stored_codec(),
    };
    let codec =
        codec.ok_or("Its last step is no codec, or another version of it, and it is not as stored")?;
    // Rows of whole blocks, as the rules check before they ask for a step.
    let mut dims = expression.shape();
    if codec.tensor_bytes(&dims).is_none() {
        dims.reverse();
        return Err(format!("Dimensions {dims:?} cannot be stored as {codec}"));
    }
    // Its sender knows its name.
    let name = "of this step".to_owned();
    Ok(Box::new(TensorAction { expression, codec, name }))
}

/// A tile's bytes and what they lost.
type Tile = Result<(Vec<u8>, Loss), ActionError>;

fn write_tiles(tiles: Vec<Tile>, loss: &mut Loss, writer: &mut dyn Write) -> Result<(), ActionError> {
    for tile in tiles {
        let (encoded, of_tile) = tile?;
        loss.add(&of_tile);
        writer.write_all(&encoded)?;
    }
    Ok(())
}

impl TensorAction {
    /// The rows before they are encoded.
    fn rows(&self) -> &TensorExpr {
        self.expression.get::<Quantize>().map_or(&self.expression, |quantize| &quantize.of)
    }

    fn tile(
        &self,
        evaluator: &Evaluator,
        importance: Option<&RowWeights>,
        first_row: u64,
        n_rows: u64,
    ) -> Tile {
        let n_cols = evaluator.n_cols();
        let n_rows = usize::try_from(n_rows).map_err(ActionError::failed)?;
        let mut values = vec![0.0_f32; n_rows * n_cols];
        evaluator.rows(first_row, &mut values).map_err(action_error)?;
        self.check_finite(&values, n_cols, first_row)?;
        if self.expression.get::<Quantize>().is_none() {
            let loss = Loss::of(&values, &values, self.codec.block_len);
            let stored = evaluator.stored_rows(first_row, n_rows as u64).map_err(action_error)?;
            return Ok((stored, loss));
        }
        let encoded = self.encode(&values, n_cols, importance, first_row);
        let mut decoded = vec![0.0; values.len()];
        self.codec.decode(&encoded, &mut decoded);
        let loss = Loss::of(&values, &decoded, self.codec.block_len);
        Ok((encoded, loss))
    }

    /// The rows from `first_row` on, each with its own weights.
    fn encode(
        &self,
        values: &[f32],
        n_cols: usize,
        importance: Option<&RowWeights>,
        first_row: u64,
    ) -> Vec<u8> {
        let (n_rows, row_bytes) = (values.len() / n_cols.max(1), self.codec.row_bytes(n_cols));
        let mut encoded = vec![0; n_rows * row_bytes];
        let mut row = 0;
        while row < n_rows {
            let (weights, n_alike) = match importance {
                None => (None, n_rows - row),
                Some(importance) => {
                    let (weights, n_left) = importance.at(first_row + row as u64);
                    (Some(weights), usize::try_from(n_left).unwrap_or(usize::MAX).min(n_rows - row))
                }
            };
            let end = row + n_alike;
            let (from, to) =
                (&values[row * n_cols..end * n_cols], &mut encoded[row * row_bytes..end * row_bytes]);
            self.codec.encode(from, n_cols, weights, to);
            row = end;
        }
        encoded
    }

    fn check_finite(&self, values: &[f32], n_cols: usize, first_row: u64) -> Result<(), ActionError> {
        mc_encoding::health::check_finite(values, n_cols).map_err(|found| {
            ActionError::failed(format!(
                "Tensor `{}` has {} at row {}, column {}; every weight must be a finite number",
                self.name,
                found.value,
                first_row + found.row as u64,
                found.col
            ))
            .with_help(
                "The checkpoint or the adapter is damaged, or its training diverged; fetch or train it again",
            )
        })
    }

    fn importance(
        &self,
        ctx: &dyn ActionContext,
        evaluator: &Evaluator,
    ) -> Result<Option<RowWeights>, ActionError> {
        let Some(Quantize { importance: Some(input), of, .. }) = self.expression.get() else {
            return Ok(None);
        };
        let n_parts = match of.shape().as_slice() {
            [n_parts, _, _] => *n_parts,
            _ => 1,
        };
        let content = ctx.input(*input)?;
        let weights =
            importance(&content.to_contiguous(), n_parts, evaluator.n_cols(), self.codec, &self.name)?;
        let rows_per_part = evaluator.n_rows() / n_parts.max(1);
        Ok(weights.map(|weights| RowWeights { weights, n_cols: evaluator.n_cols(), rows_per_part }))
    }
}

/// What the columns of a tensor weigh; in a stack of experts, those of each expert.
struct RowWeights {
    weights: Vec<f32>,
    n_cols: usize,
    rows_per_part: u64,
}

impl RowWeights {
    /// The weights of a row, and for how many rows from it they hold.
    fn at(&self, row: u64) -> (&[f32], u64) {
        let rows_per_part = self.rows_per_part.max(1);
        let part = (row / rows_per_part) as usize;
        (&self.weights[part * self.n_cols..(part + 1) * self.n_cols], rows_per_part - row % rows_per_part)
    }
}

/// Reads the weights of a tensor's columns, part after part; `None` where nothing was measured and the codec does
/// without.
fn importance(
    bytes: &[u8],
    n_parts: u64,
    n_cols: usize,
    codec: &Codec,
    name: &str,
) -> Result<Option<Vec<f32>>, ActionError> {
    if bytes.is_empty() {
        if matches!(codec.importance, Importance::Expected | Importance::Required) {
            let message = format!(
                "The imatrix has nothing for tensor `{name}`, which is not stored as {codec} without"
            );
            let help = "Measure on text that reaches it, or give it another type with `tensor-type`";
            return Err(ActionError::failed(message).with_help(help));
        }
        return Ok(None);
    }
    let weights: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    if Some(weights.len() as u64) != n_parts.checked_mul(n_cols as u64) {
        let of_each = if n_parts == 1 { String::new() } else { format!(" in each of {n_parts} experts") };
        return Err(ActionError::failed(format!(
            "The imatrix has {} columns for tensor `{name}`, which has {n_cols}{of_each}",
            weights.len(),
        ))
        .with_help("It was measured on another model; measure it on this one"));
    }
    Ok(Some(weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_that_was_not_measured_is_refused_by_codecs_that_ask() {
        let read = |codec| importance(&[], 1, 256, codec, "blk.0.attn_q.weight");
        assert_eq!(read(&mc_encoding::blocks::q4_k::CODEC).unwrap(), None);
        assert!(read(&mc_encoding::blocks::iq2_xxs::CODEC).is_err());
        assert!(read(&mc_encoding::blocks::iq2_s::CODEC).is_err());
    }

    #[test]
    fn there_is_one_weight_for_each_column() {
        let bytes: Vec<u8> = [1.0_f32, 2.0].iter().flat_map(|weight| weight.to_le_bytes()).collect();
        let read = |n_parts, n_cols| {
            importance(&bytes, n_parts, n_cols, &mc_encoding::blocks::q4_k::CODEC, "blk.0.attn_q.weight")
        };
        assert_eq!(read(1, 2).unwrap(), Some(vec![1.0, 2.0]));
        assert_eq!(read(2, 1).unwrap(), Some(vec![1.0, 2.0]));
        assert!(read(1, 3).is_err());
        let message = read(3, 1).unwrap_err().to_string();
        assert!(message.contains("has 2 columns") && message.contains("1 in each of 3 experts"), "{message}");
    }

    #[test]
    fn each_expert_has_weights_of_its_own() {
        let weights = RowWeights { weights: vec![1.0, 2.0, 3.0, 4.0], n_cols: 2, rows_per_part: 3 };
        assert_eq!(weights.at(0), (&[1.0, 2.0][..], 3));
        assert_eq!(weights.at(2), (&[1.0, 2.0][..], 1));
        assert_eq!(weights.at(3), (&[3.0, 4.0][..], 3));
        assert_eq!(weights.at(5), (&[3.0, 4.0][..], 1));
    }
}
