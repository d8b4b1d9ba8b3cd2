//! The tensor action: load, add low-rank, permute, quantize, hash and store, in one pass over tiles of rows;
//! the quantization error is measured in the same pass.
//!
//! Its outputs are one file per plane of the form in which the tensor is stored (a single one for blocks),
//! and a report.
//!
//! Tiles are computed in parallel and written in order, so the bytes do not depend on the number of threads,
//! and memory holds a few tiles per thread, never a tensor.

use std::io::Write;

use mc_encoding::codec::{Importance, Rows};
use mc_encoding::plane::Plane;
use mc_encoding::quantization_error::QuantizationError;
use mc_encoding::stored_form::{self, StoredForm};
use mc_expression::evaluator::Evaluator;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::encode::Encode;
use mc_expression::operators::quantize::Quantize;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, write_blobs, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::work::{Progress, ProgressUnit, Work};
use rayon::prelude::*;

use crate::action::evaluation::{action_error, evaluator};
use crate::action::remote_kind::{Parameters, RemoteKind, last};
use crate::quantize::row_weights::{self, RowWeights};
use crate::quantize::tensor_report::TensorReport;

/// The output that holds the blocks of a tensor; a tensor that is stored in planes has one output per plane,
/// with the plane's name.
pub(crate) const TENSOR: &str = stored_form::BLOCKS;

/// The output that holds the [`TensorReport`].
pub(crate) const REPORT: &str = "report.json";

/// Name of the only parameter.
const EXPRESSION: &str = "expression";

/// Lets a worker create the action from its parameters.
pub(crate) const REMOTE: RemoteKind =
    RemoteKind { kind: ActionKind { name: "tensor", version: 2 }, make: of_parameters };

/// Elements in one tile: 1 MiB of f32, small enough for a core's cache, large enough to hide the scheduling.
const TILE_ELEMENTS: usize = 1 << 18;

/// Number of tiles after which the memory of their inputs is released: some MiB of an embedding of half a
/// GiB.
const TILES_TO_HOLD: usize = 8;

/// Seconds per encoded byte if none is recorded. Picked by gut feeling.
const SECONDS_PER_BYTE: f64 = 1e-7;

/// One tensor of an artifact.
pub(crate) struct TensorAction {
    /// The expression; its top is a `quantize` or an `encode`, or the expression reads stored data that stays
    /// unchanged.
    pub(crate) expression: TensorExpr,
    /// The form that the top of the expression names.
    pub(crate) form: StoredForm,
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
        self.form.plane_names().into_iter().chain([REPORT]).map(str::to_owned).collect()
    }

    fn output_size(&self, output: &str) -> Option<u64> {
        let planes = self.form.planes(&self.expression.shape()).ok()?;
        planes.iter().find(|plane| plane.name == output).map(Plane::n_bytes)
    }

    fn describe(&self) -> String {
        format!("{} {}", self.name, self.form)
    }

    fn work(&self, _: &[u64]) -> Work {
        let class = format!("{} {}", REMOTE.kind.name, self.form);
        Work { class, n_units: self.n_bytes().max(1), assumed: SECONDS_PER_BYTE }
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let evaluator = evaluator(self.rows(), ctx)?;
        let importance = self.importance(ctx, &evaluator)?;
        let rows_per_tile = (TILE_ELEMENTS / evaluator.n_cols().max(1)).max(1) as u64;
        let starts: Vec<u64> = (0..evaluator.n_rows()).step_by(rows_per_tile as usize).collect();
        let tiles_at_once = 2 * rayon::current_num_threads();
        let mut loss = QuantizationError::default();
        let encode = |batch: &[u64]| -> Vec<Tile> {
            let tile = |&start: &u64| {
                let n_rows = rows_per_tile.min(evaluator.n_rows() - start);
                self.tile(&evaluator, importance.as_ref(), start, n_rows)
            };
            batch.par_iter().map(tile).collect()
        };
        let names = self.form.plane_names();
        let n_tiles = starts.len() as u64;
        let n_total = self.n_bytes();
        let blobs = write_blobs(ctx, names.len(), &mut |writers| {
            let mut batches = starts.chunks(tiles_at_once);
            let mut tiles = batches.next().map(encode).unwrap_or_default();
            let (mut n_read, mut n_written) = (0, 0);
            while !tiles.is_empty() {
                ctx.go_on()?;
                n_written += tiles.len() as u64;
                // While one batch is hashed and written, the next is encoded.
                let mut next = Vec::new();
                rayon::in_place_scope(|scope| {
                    if let Some(batch) = batches.next() {
                        scope.spawn(|_| next = encode(batch));
                    }
                    write_tiles(tiles, &mut loss, writers)
                })?;
                tiles = next;
                // Every tile but the last has as many bytes.
                let n_done = (n_total * n_written).checked_div(n_tiles).unwrap_or(n_total);
                ctx.progress(Progress { n_done, n_total, unit: ProgressUnit::Bytes });
                n_read += tiles_at_once;
                if n_read >= TILES_TO_HOLD {
                    ctx.release_inputs();
                    n_read = 0;
                }
            }
            Ok(())
        })?;
        let weights = importance.as_ref().map(|importance| importance.weights.as_slice());
        let n_bytes = blobs.iter().map(|blob| blob.n_bytes).sum();
        let report = TensorReport::new(&self.form, n_bytes, &loss, weights);
        let report = serde_json::to_vec(&report).map_err(ActionError::failed)?;
        let report = write_bytes(ctx, &report)?;
        let planes = names.into_iter().zip(blobs);
        let mut outputs: Outputs = planes.map(|(name, blob)| (name.to_owned(), Output::File(blob))).collect();
        outputs.insert(REPORT.to_owned(), Output::File(report));
        Ok(outputs)
    }
}

impl TensorAction {
    /// Number of bytes of all planes.
    fn n_bytes(&self) -> u64 {
        let planes = self.form.planes(&self.expression.shape()).unwrap_or_default();
        planes.iter().map(Plane::n_bytes).sum()
    }
}

fn of_parameters(parameters: &Parameters) -> Result<Box<dyn Action>, String> {
    let ([], text) = last(parameters, EXPRESSION)? else {
        return Err(format!("Expected no parameter besides `{EXPRESSION}`"));
    };
    let expression = TensorExpr::parse(text).map_err(|error| error.to_string())?;
    let form = form_of(&expression)
        .ok_or("Its last operation does not store, or stores another version of its form, and it is not a plain copy")?;
    // The rules check that rows consist of whole blocks or groups before they create an action.
    form.planes(&expression.shape()).map_err(|error| error.to_string())?;
    if form.importance() == Importance::Required && matches!(encoded(&expression), Some((_, None))) {
        return Err(format!("{form} requires importance"));
    }
    // Only the machine that sent the action knows the tensor's name.
    let name = "of this action".to_owned();
    Ok(Box::new(TensorAction { expression, form, name }))
}

/// Returns the form in which the last operation stores the tensor, if this `mc` has it.
fn form_of(expression: &TensorExpr) -> Option<StoredForm> {
    if let Some(quantize) = expression.get::<Quantize>() {
        return Some(StoredForm::Blocks(quantize.codec))
            .filter(|_| quantize.codec.version == quantize.version);
    }
    if let Some(encode) = expression.get::<Encode>() {
        let form = StoredForm::Planes { encoding: encode.encoding, weights: encode.of.element_type() };
        return Some(form).filter(|_| encode.is_current());
    }
    expression.stored_codec().map(StoredForm::Blocks)
}

/// Returns the tensor before it is encoded and the input with its importance; `None` if it stays as stored.
fn encoded(expression: &TensorExpr) -> Option<(&TensorExpr, Option<usize>)> {
    let quantize = expression.get::<Quantize>().map(|quantize| (&quantize.of, quantize.importance));
    quantize.or_else(|| expression.get::<Encode>().map(|encode| (&encode.of, encode.importance)))
}

/// A tile's bytes in each plane and their quantization error.
type Tile = Result<(Vec<Vec<u8>>, QuantizationError), ActionError>;

fn write_tiles(
    tiles: Vec<Tile>,
    loss: &mut QuantizationError,
    writers: &mut [&mut dyn Write],
) -> Result<(), ActionError> {
    for tile in tiles {
        let (planes, of_tile) = tile?;
        loss.add(&of_tile);
        for (plane, writer) in planes.iter().zip(writers.iter_mut()) {
            writer.write_all(plane)?;
        }
    }
    Ok(())
}

impl TensorAction {
    /// Returns the rows before they are encoded.
    fn rows(&self) -> &TensorExpr {
        encoded(&self.expression).map_or(&self.expression, |(of, _)| of)
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
        let group_len = self.form.group_len(n_cols);
        if encoded(&self.expression).is_none() {
            let loss = QuantizationError::of(&values, &values, group_len);
            let stored = evaluator.stored_rows(first_row, n_rows as u64).map_err(action_error)?;
            return Ok((vec![stored], loss));
        }
        let planes = self.encode(&values, n_cols, importance, first_row);
        let mut decoded = vec![0.0; values.len()];
        let read: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        self.form.decode(&read, n_cols, &mut decoded).map_err(ActionError::failed)?;
        let loss = QuantizationError::of(&values, &decoded, group_len);
        Ok((planes, loss))
    }

    /// Returns the planes of the rows from `first_row` on; each row has its own weights.
    fn encode(
        &self,
        values: &[f32],
        n_cols: usize,
        importance: Option<&RowWeights>,
        first_row: u64,
    ) -> Vec<Vec<u8>> {
        let n_rows = values.len() / n_cols.max(1);
        let mut planes = vec![Vec::new(); self.form.plane_names().len()];
        let mut row = 0;
        while row < n_rows {
            let (importance, n_alike) = match importance {
                None => (None, n_rows - row),
                Some(importance) => {
                    let (weights, n_left) = importance.at(first_row + row as u64);
                    (Some(weights), usize::try_from(n_left).unwrap_or(usize::MAX).min(n_rows - row))
                }
            };
            let end = row + n_alike;
            let rows = Rows { x: &values[row * n_cols..end * n_cols], n_cols, importance };
            self.form.encode(&rows, &mut planes);
            row = end;
        }
        planes
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
        let Some((of, Some(input))) = encoded(&self.expression) else {
            return Ok(None);
        };
        let n_parts = match of.shape().as_slice() {
            [n_parts, _, _] => *n_parts,
            _ => 1,
        };
        let (n_cols, content) = (evaluator.n_cols(), ctx.input(input)?);
        let weights = row_weights::read(&content.to_contiguous(), n_parts, n_cols, &self.form, &self.name)?;
        let rows_per_part = evaluator.n_rows() / n_parts.max(1);
        Ok(weights.map(|weights| RowWeights::new(weights, n_cols, rows_per_part)))
    }
}
