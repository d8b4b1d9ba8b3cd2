//! Sub-blocks of Q2_K, Q4_K and Q5_K with importance: scales, minima and their codes.

use crate::search::{Walk, affine, positive, weigh};

/// Scales and minima of the `N_SUBS` sub-blocks of a super-block: for each of the two a unit and codes in `0..=n_max`.
///
/// * `sigma2`: the mean square used for weighting
/// * `codes`: the codes of the weights, as in [`affine`]
pub(crate) fn weighted_affine<const SUB_LEN: usize, const N_SUBS: usize>(
    x: &[f32],
    importance: &[f32],
    sigma2: f32,
    (walk, n_max): (Walk, i32),
    codes: &mut [u8],
) -> [(f32, [u8; N_SUBS]); 2] {
    let (mut scales, mut mins) = ([0.0_f32; N_SUBS], [0.0_f32; N_SUBS]);
    let mut sub_weights = [0.0_f32; N_SUBS];
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(importance.as_chunks::<SUB_LEN>().0);
    for (sub, ((x, importance), codes)) in subs.zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate() {
        let weights = weigh(x, importance, sigma2);
        for weight in weights {
            sub_weights[sub] += weight;
        }
        (scales[sub], mins[sub]) = affine(x, &weights, walk, codes);
    }
    [scales, mins].map(|values| {
        let mut codes = [0; N_SUBS];
        (positive(&values, n_max, &sub_weights, &mut codes), codes)
    })
}
