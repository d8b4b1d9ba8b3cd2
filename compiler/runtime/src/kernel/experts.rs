//! Products with the experts chosen for each token.
//!
//! The rows of one expert are gathered and multiplied together, so an expert's matrix is decoded once for all of its
//! tokens. Every element is one dot product, independent of the order of rows, so the bits do not depend on the choices
//! of other tokens.

use crate::kernel::matmul;
use crate::weight::Weight;
use mc_tensor::cpu_path::CpuPath;

/// `x W[chosen]^T`.
///
/// * `rows`: `[n_tokens, k]`, or `[n_tokens * n_used, k]`
/// * `weights`: a stack of `[m, k]`
/// * `chosen`: `[n_tokens * n_used]`; below the number of matrices
/// * returns `[n_tokens * n_used, m]`; `None` if the weight is not a stack
pub(crate) fn gather_matmul(
    path: CpuPath,
    rows: &[f32],
    weights: &Weight,
    chosen: &[u32],
) -> Option<Vec<f32>> {
    let [n_experts, n_out, n_columns] = *weights.shape() else { return None };
    let n_per_row = (chosen.len() * n_columns / rows.len()).max(1);
    let mut places: Vec<Vec<usize>> = vec![Vec::new(); n_experts];
    for (place, expert) in chosen.iter().enumerate() {
        places.get_mut(*expert as usize)?.push(place);
    }
    let mut out = vec![0_f32; chosen.len() * n_out];
    for (expert, places) in places.iter().enumerate().filter(|(_, places)| !places.is_empty()) {
        let row = |place: &usize| &rows[place / n_per_row * n_columns..][..n_columns];
        let gathered: Vec<f32> = places.iter().flat_map(row).copied().collect();
        let products = matmul::matmul(path, &gathered, weights.part(expert)?);
        for (place, products) in places.iter().zip(products.chunks_exact(n_out)) {
            out[place * n_out..][..n_out].copy_from_slice(products);
        }
    }
    Some(out)
}
