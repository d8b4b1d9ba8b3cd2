//! The arithmetic of blends: combines the same weight of several models into one.
//!
//! All arithmetic is in f32, with models in the order of their declaration, multiply then add, never fused. Sums over
//! the whole weight (for the angle between two) are in f64: along rows in eight lanes, then over rows. So equal inputs
//! give equal bytes, however the weight is split.
//!
//! Sources: task arithmetic, Ilharco et al. 2022, arXiv:2212.04089; TIES, Yadav et al. 2023, arXiv:2306.01708; DARE, Yu
//! et al. 2023, arXiv:2311.03099; SLERP, Shoemake 1985, "Animating rotation with quaternion curves". Where the papers
//! leave a choice (signs of zero, divisors of zero, when to replace the sphere by a line), this follows mergekit.

use crate::math;

/// Two weights with a cosine of at least this are treated as parallel and interpolated linearly.
pub const COLLINEAR: f64 = 0.9995;

/// Weights of at most this length have no direction.
pub const MIN_LENGTH: f64 = 1e-8;

/// A divisor of plain sums smaller than this is replaced by 1.
const MIN_DIVISOR: f32 = 1e-8;

const LANES: usize = 8;

/// `sum += weight * values`.
pub fn add_weighted(sum: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// `values -= base`: the difference between a model and its base.
pub fn subtract(values: &mut [f32], base: &[f32]) {
    for (value, base) in values.iter_mut().zip(base) {
        *value -= base;
    }
}

/// `values /= divisor`.
pub fn divide(values: &mut [f32], divisor: f32) {
    for value in values {
        *value /= divisor;
    }
}

/// `values = base + lambda * values`.
pub fn add_to_base(values: &mut [f32], base: &[f32], lambda: f32) {
    for (value, base) in values.iter_mut().zip(base) {
        *value = base + *value * lambda;
    }
}

/// Divisor of the sum of weighted deltas: the sum of the weights, or 1 if that vanishes.
pub fn divisor(weights: &[f32]) -> f32 {
    let sum = sum_of(weights);
    if sum.abs() < MIN_DIVISOR { 1.0 } else { sum }
}

/// The sum of the weights in their order.
pub fn sum_of(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0, |sum, weight| sum + weight)
}

/// TIES's second half: each element is the sum of the deltas whose sign is the elected one, which is the sign of the
/// sum of all. With `Divide`, that sum is divided by the sum of their weights if it is not 0.
///
/// * `weighted`: `weight * delta` for each model, each as long as `sum`
/// * `weights`: the weights of the same models
///
/// A sum of 0 elects the positive sign; a delta of 0 has no sign.
///
/// Source: arXiv:2306.01708, section 3.2, steps 2 and 3.
pub fn add_elected(sum: &mut [f32], weighted: &[Vec<f32>], weights: &[f32], divide: Divide) {
    for (index, sum) in sum.iter_mut().enumerate() {
        let all = weighted.iter().fold(0.0_f32, |all, delta| all + delta[index]);
        let is_elected = |delta: f32| if all >= 0.0 { delta > 0.0 } else { delta < 0.0 };
        let (mut elected, mut divisor) = (0.0_f32, 0.0_f32);
        for (delta, weight) in weighted.iter().zip(weights) {
            if is_elected(delta[index]) {
                elected += delta[index];
                divisor += weight;
            }
        }
        let divisor = if divide == Divide::No || divisor == 0.0 { 1.0 } else { divisor };
        *sum = elected / divisor;
    }
}

/// Division of a sum by the sum of its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divide {
    /// Divide.
    Yes,
    /// Do not divide.
    No,
}

/// DARE's random choice of the elements of a delta that are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The stream of random numbers; see [`stream`].
    pub stream: u64,
    /// An element is kept if its 32-bit random number is below this: `density * 2^32`.
    pub below: u64,
    /// Factor of the kept elements: `1 / density`, or 1.
    pub factor: f32,
}

impl Draw {
    /// Zeroes the elements that are not kept and scales the others. `first` is the index of the first element in the
    /// whole weight.
    ///
    /// Element `i` uses the upper half of the `i`-th number of splitmix64 from `stream`, so any piece can be processed
    /// separately. Source: arXiv:2311.03099, section 3.2.
    pub fn keep(self, values: &mut [f32], first: u64) {
        for (index, value) in (first..).zip(values) {
            let stays = splitmix(self.stream, index) >> 32 < self.below;
            *value = if stays { *value * self.factor } else { 0.0 };
        }
    }
}

/// The stream of random numbers for one weight of one model, from the seed, the model's index and the weight's name.
///
/// FNV-1a over the bytes, then mixed. This never changes, because the bytes of blends depend on it.
pub fn stream(seed: u64, model: u64, name: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in seed.to_le_bytes().iter().chain(&model.to_le_bytes()).chain(name.as_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    splitmix(hash, 0)
}

/// The number at `index` of the splitmix64 sequence for a seed.
fn splitmix(seed: u64, index: u64) -> u64 {
    let step = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = seed.wrapping_add(step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `a . b`, `a . a` and `b . b` of two weights or of rows of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Products {
    /// `a . b`.
    pub dot: f64,
    /// `a . a`.
    pub square_a: f64,
    /// `b . b`.
    pub square_b: f64,
}

impl Products {
    /// The products of one row: eight lanes, folded in halves.
    pub fn of_row(a: &[f32], b: &[f32]) -> Self {
        let mut lanes = [[0.0_f64; LANES]; 3];
        for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
            for (lane, (a, b)) in a.iter().zip(b).enumerate() {
                let (a, b) = (f64::from(*a), f64::from(*b));
                lanes[0][lane] += a * b;
                lanes[1][lane] += a * a;
                lanes[2][lane] += b * b;
            }
        }
        let [dot, square_a, square_b] = lanes.map(|lanes| {
            let [a, b, c, d, e, f, g, h] = lanes;
            ((a + e) + (c + g)) + ((b + f) + (d + h))
        });
        Self { dot, square_a, square_b }
    }

    /// Adds the products of the next row.
    #[must_use]
    pub fn plus(self, next: Self) -> Self {
        Self {
            dot: self.dot + next.dot,
            square_a: self.square_a + next.square_a,
            square_b: self.square_b + next.square_b,
        }
    }

    /// The factors of `a` and `b` at fraction `t` of the path from `a` to `b` on the sphere:
    /// `sin((1 - t) angle) / sin angle` and `sin(t angle) / sin angle`; on a straight line if `|cos angle|` is over
    /// [`COLLINEAR`].
    pub fn slerp(self, t: f64) -> [f32; 2] {
        let length = |square: f64| {
            let length = square.sqrt();
            if length > MIN_LENGTH { length } else { 1.0 }
        };
        let cosine = self.dot / (length(self.square_a) * length(self.square_b));
        if cosine.abs() > COLLINEAR {
            return [(1.0 - t) as f32, t as f32];
        }
        let angle = math::acos(cosine);
        let (whole, _) = math::sin_cos(angle);
        let (of_b, _) = math::sin_cos(angle * t);
        let (of_a, _) = math::sin_cos(angle - angle * t);
        [(of_a / whole) as f32, (of_b / whole) as f32]
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the platform's functions are the expected values")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_draw_does_not_depend_on_pieces_and_never_changes() {
        let draw = Draw { stream: stream(7, 1, "model.norm.weight"), below: 1 << 31, factor: 2.0 };
        let mut whole = vec![1.0_f32; 1000];
        draw.keep(&mut whole, 0);
        let mut pieces = vec![1.0_f32; 1000];
        for (number, piece) in pieces.chunks_mut(17).enumerate() {
            draw.keep(piece, number as u64 * 17);
        }
        assert_eq!(whole, pieces);
        let kept: String = whole[..32].iter().map(|value| if *value == 0.0 { '.' } else { 'x' }).collect();
        assert_eq!(kept, "..x.xxxx..xx.xxx..xx.xxx...xx...");
        let n_kept = whole.iter().filter(|value| **value == 2.0).count();
        assert!((450..550).contains(&n_kept), "{n_kept}");
    }

    #[test]
    fn streams_differ_by_seed_model_and_name() {
        let streams = [stream(0, 0, "a"), stream(1, 0, "a"), stream(0, 1, "a"), stream(0, 0, "b")];
        for (index, stream) in streams.iter().enumerate() {
            assert!(!streams[..index].contains(stream));
        }
    }

    #[test]
    fn splitmix_gives_the_numbers_of_its_paper() {
        // The first two numbers of splitmix64 from 1234567.
        assert_eq!(
            [splitmix(1_234_567, 0), splitmix(1_234_567, 1)],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn a_sum_of_zero_elects_the_positive_sign() {
        let mut sum = [9.0; 3];
        let deltas = [vec![1.0, 0.0, -3.0], vec![-1.0, 0.0, 1.0]];
        add_elected(&mut sum, &deltas, &[0.5, 0.25], Divide::Yes);
        assert_eq!(sum, [2.0, 0.0, -6.0]);
        add_elected(&mut sum, &deltas, &[0.5, 0.25], Divide::No);
        assert_eq!(sum, [1.0, 0.0, -3.0]);
    }

    #[test]
    fn weights_that_cancel_divide_by_one() {
        assert_eq!(divisor(&[0.5, -0.5]), 1.0);
        assert_eq!(divisor(&[0.5, 0.25]), 0.75);
    }

    #[test]
    fn equal_and_opposite_weights_are_interpolated_linearly() {
        let ones = [1.0_f32; 12];
        assert_eq!(Products::of_row(&ones, &ones).slerp(0.25), [0.75, 0.25]);
        assert_eq!(Products::of_row(&ones, &ones.map(|one| -one)).slerp(0.25), [0.75, 0.25]);
        // Without a direction the angle is a right angle.
        let [a, b] = Products::of_row(&[0.0; 4], &[0.0; 4]).slerp(0.5);
        assert_eq!(a, b);
        assert!((a - 0.5_f32.sqrt()).abs() < 1e-7);
    }

    proptest! {
        #[test]
        fn factors_follow_the_formula(
            values in proptest::collection::vec(-1.0_f32..1.0, 40),
            t in 0.0_f64..1.0,
        ) {
            let (a, b) = values.split_at(20);
            let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
            let angle = (dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())).acos();
            let [of_a, of_b] = Products::of_row(a, b).slerp(t);
            prop_assert!((f64::from(of_a) - ((1.0 - t) * angle).sin() / angle.sin()).abs() < 1e-6);
            prop_assert!((f64::from(of_b) - (t * angle).sin() / angle.sin()).abs() < 1e-6);
        }
    }
}
