//! The weights in the files of a model, one by one; used to compare models.
//!
//! The files are opened as `inference::written` does it. This module runs no model.

use mc_encoding::stored_form::StoredForm;
use mc_ir::action::{ActionContext, ActionError, Artifact, Content};
use mc_runtime::weight_bytes::WeightBytes;

use crate::inference::expected_tensor::ExpectedTensor;
use crate::inference::source_inputs::{ReadSource, SourceInputs};
use crate::inference::written::Written;
use crate::inference::written_model::WrittenModel;
use crate::source::model_info::ModelInfo;

/// A weight in the files of a model.
pub struct WrittenWeight {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape, slowest dimension first.
    pub shape: Vec<u64>,
    /// Its grid or codec.
    pub kind: &'static str,
    /// Bytes of its planes.
    pub n_bytes: u64,
    form: StoredForm,
    add: f32,
    planes: Vec<WeightBytes>,
}

impl WrittenWeight {
    /// Number of columns.
    fn n_cols(&self) -> usize {
        self.shape.last().map_or(1, |n_cols| *n_cols as usize)
    }

    /// Number of weights that share a scale.
    pub fn group_len(&self) -> usize {
        self.form.group_len(self.n_cols())
    }

    /// Decodes the rows from `first` on until `out` is full, as the model uses them.
    ///
    /// # Errors
    /// Fails if the planes have fewer rows.
    pub fn rows(&self, first: u64, out: &mut [f32]) -> Result<(), ActionError> {
        let n_cols = self.n_cols();
        let n_rows: u64 = self.shape.iter().rev().skip(1).product();
        let (first, n) = (first as usize, out.len() / n_cols.max(1));
        let rows_of = |bytes: &'_ [u8]| {
            let row_bytes = bytes.len() / (n_rows as usize).max(1);
            first * row_bytes..(first + n) * row_bytes
        };
        let planes = self.planes.iter().map(WeightBytes::as_slice).map(|bytes| bytes.get(rows_of(bytes)));
        let planes: Option<Vec<&[u8]>> = planes.collect();
        let planes =
            planes.ok_or_else(|| ActionError::failed(format!("`{}` has too few rows", self.name)))?;
        self.form.decode(&planes, n_cols, out).map_err(ActionError::failed)?;
        out.iter_mut().for_each(|number| *number += self.add);
        Ok(())
    }
}

/// Opens the weights in the files of a model.
///
/// # Errors
/// Fails if the files are corrupt or not those that were planned.
pub fn written_weights(
    format: &'static str,
    info: &ModelInfo,
    written: &WrittenModel,
    built: &[(Artifact, Content)],
    read: ReadSource<'_>,
) -> Result<Vec<WrittenWeight>, ActionError> {
    let (model, inputs) = Written::of(format, info, written);
    let inputs = SourceInputs { inputs: &inputs, built, read };
    let planes = model.open_planes(&|index| inputs.input(index))?;
    let weight = |(tensor, planes): (&ExpectedTensor, Vec<WeightBytes>)| {
        let kind = match &tensor.form {
            StoredForm::Planes { encoding, .. } => encoding.grid.name,
            StoredForm::Blocks(codec) => codec.name,
        };
        WrittenWeight {
            name: info.name_of(tensor.tensor),
            shape: tensor.shape.clone(),
            kind,
            n_bytes: planes.iter().map(|plane| plane.as_slice().len() as u64).sum(),
            form: tensor.form,
            add: tensor.add,
            planes,
        }
    };
    Ok(model.tensors().iter().zip(planes).map(weight).collect())
}
