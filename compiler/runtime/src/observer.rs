//! Observation of the inputs of matrix products.

use std::borrow::Cow;

use mc_tensor::model_tensor::ModelTensor;

/// Rows that are about to be multiplied.
#[derive(Clone, Copy, Debug)]
pub struct ProductInputs<'a> {
    /// The matrices that share the rows, for example q, k and v.
    pub tensors: &'a [ModelTensor],
    /// `[n_rows, n_columns]`, row-major, tokens in ascending position.
    pub rows: &'a [f32],
    /// Length of a row.
    pub n_columns: usize,
    /// For stacks of experts: the experts chosen for each row, `[n_rows, n_used]`.
    pub chosen: Option<Chosen<'a>>,
}

impl<'a> ProductInputs<'a> {
    /// The input rows of each matrix, in ascending position: of a single matrix, or of the chosen ones of a stack.
    pub fn by_matrix(&self) -> Vec<(usize, Cow<'a, [f32]>)> {
        let Some(Chosen { experts, n_experts }) = self.chosen else {
            return vec![(0, Cow::Borrowed(self.rows))];
        };
        let rows = self.rows.chunks_exact(self.n_columns);
        let n_used = (experts.len() / rows.len().max(1)).max(1);
        let mut of_each: Vec<Vec<f32>> = vec![Vec::new(); n_experts];
        for (row, experts) in rows.zip(experts.chunks_exact(n_used)) {
            for expert in experts {
                of_each[*expert as usize].extend_from_slice(row);
            }
        }
        let is_used = |(_, rows): &(usize, Vec<f32>)| !rows.is_empty();
        of_each
            .into_iter()
            .enumerate()
            .filter(is_used)
            .map(|(expert, rows)| (expert, Cow::Owned(rows)))
            .collect()
    }
}

/// The experts chosen for rows.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// Indices of experts, equally many per row.
    pub experts: &'a [u32],
    /// Number of experts in the stack.
    pub n_experts: usize,
}

/// Receives the inputs of every matrix product of a forward pass, in program order.
pub trait ActivationObserver {
    /// Called with rows that are about to be multiplied.
    fn observe(&mut self, inputs: &ProductInputs<'_>);
}

/// Reborrows an observer for a shorter lifetime.
pub(crate) fn lend<'a>(
    observer: &'a mut Option<&mut dyn ActivationObserver>,
) -> Option<&'a mut dyn ActivationObserver> {
    match observer {
        Some(observer) => Some(&mut **observer),
        None => None,
    }
}
