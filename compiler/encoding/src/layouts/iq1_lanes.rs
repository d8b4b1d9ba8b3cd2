//! The common part of IQ1_S and IQ1_M in lanes, with one sub-block per lane: see [`crate::layouts::iq1`].

use crate::codebook::lanes::{self, N_SHARES, Shares};
use crate::lanes::{MAX_LANES, Simd};
use crate::layouts::iq1::{self, DOWN, GROUP, UP, Values};

/// Weights in ascending order, equal ones by index.
pub(crate) struct Sorted<S: Simd, const LEN: usize> {
    pub(crate) x: [S::F; LEN],
    pub(crate) weights: [S::F; LEN],
    /// Their original positions.
    pub(crate) order: [S::I; LEN],
}

/// [`crate::layouts::iq1::ascending`] as an odd-even merge network.
#[inline(always)]
fn sort<S: Simd, const LEN: usize>(x: &[S::F; LEN], weights: &[S::F; LEN]) -> Sorted<S, LEN> {
    let mut sorted = Sorted::<S, LEN> { x: *x, weights: *weights, order: [S::splat_i(0); LEN] };
    for (i, index) in sorted.order.iter_mut().enumerate() {
        *index = S::splat_i(i as i32);
    }
    let mut run = 1;
    while run < LEN {
        let mut distance = run;
        while distance > 0 {
            let mut start = distance % run;
            while start + distance < LEN {
                for lower in start..(start + distance).min(LEN - distance) {
                    if lower / (2 * run) == (lower + distance) / (2 * run) {
                        sorted.put_in_order(lower, lower + distance);
                    }
                }
                start += 2 * distance;
            }
            distance /= 2;
        }
        run *= 2;
    }
    sorted
}

impl<S: Simd, const LEN: usize> Sorted<S, LEN> {
    #[inline(always)]
    fn put_in_order(&mut self, i: usize, j: usize) {
        let is_after = S::gt_i(self.order[i], self.order[j]);
        let is_swapped = S::lt(self.x[j], self.x[i]) | (S::eq(self.x[i], self.x[j]) & is_after);
        let (a, b) = (self.x[i], self.x[j]);
        self.x[i] = S::select(is_swapped, b, a);
        self.x[j] = S::select(is_swapped, a, b);
        let (a, b) = (self.weights[i], self.weights[j]);
        self.weights[i] = S::select(is_swapped, b, a);
        self.weights[j] = S::select(is_swapped, a, b);
        let (a, b) = (self.order[i], self.order[j]);
        self.order[i] = S::select_i(is_swapped, b, a);
        self.order[j] = S::select_i(is_swapped, a, b);
    }

    /// The order of every lane.
    #[inline(always)]
    fn orders(&self) -> [[u8; LEN]; MAX_LANES] {
        let mut orders = [[0; LEN]; MAX_LANES];
        let mut bytes = [0; MAX_LANES];
        for (rank, index) in self.order.iter().enumerate() {
            S::store_bytes(*index, &mut bytes);
            for (order, index) in orders.iter_mut().zip(bytes) {
                order[rank] = index;
            }
        }
        orders
    }
}

/// The best scales so far: [`crate::layouts::iq1::Best`].
pub(crate) struct Best<S: Simd> {
    /// The scale.
    pub(crate) scale: S::F,
    /// The choice with that scale; negative before the first valid try.
    pub(crate) choice: S::I,
    score: S::F,
}

impl<S: Simd> Best<S> {
    /// The state before the first try.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { scale: S::splat(0.0), choice: S::splat_i(-1), score: S::splat(f32::MIN) }
    }

    /// The lanes in which a try is better.
    #[inline(always)]
    pub(crate) fn is_better(&self, sum_qx: S::F, sum_q2: S::F) -> S::M {
        S::lt(S::splat(0.0), sum_q2) & S::lt(self.score * sum_q2, sum_qx * sum_qx)
    }

    /// Takes a try in the lanes in which it is better.
    #[inline(always)]
    pub(crate) fn offer(&mut self, sum_qx: S::F, sum_q2: S::F, choice: i32) {
        let scale = sum_qx / sum_q2;
        let is_taken = self.is_better(sum_qx, sum_q2) & S::eq(scale, scale);
        self.scale = S::select(is_taken, scale, self.scale);
        self.choice = S::select_i(is_taken, S::splat_i(choice), self.choice);
        self.score = S::select(is_taken, scale * sum_qx, self.score);
    }
}

/// The result for the groups of a sub-block without the grid.
#[derive(Clone, Copy)]
struct Plan<const N: usize> {
    codes: [[u8; GROUP]; N],
    is_down: [bool; N],
    /// The scale; not negative.
    scale: f32,
}

/// A codec's search for its sub-blocks, `N` groups of eight weights each; fully `#[inline(always)]`.
pub(crate) trait SearchSubs<const N: usize, const SUB_LEN: usize> {
    /// A group whose numbers are all below this counts as zero.
    const GROUP_MAX_EPS: f32;

    /// Returns the best borders and shifts of every lane, as one number.
    fn search<S: Simd>(sorted: &Sorted<S, SUB_LEN>) -> Best<S>;

    /// Decodes the borders and shifts.
    fn choice(choice: i32) -> ((usize, usize), [bool; N]);
}

/// Result of a search for a sub-block.
#[derive(Clone, Copy)]
pub(crate) struct Found<const N: usize> {
    pub(crate) points: [u16; N],
    pub(crate) scale: f32,
    pub(crate) is_down: [bool; N],
}

/// Searches the sub-blocks of all lanes; a zero sub-block has no result.
#[inline(always)]
pub(crate) fn find<S: Simd, C: SearchSubs<N, SUB_LEN>, const N: usize, const SUB_LEN: usize>(
    x: &[S::F; SUB_LEN],
    weights: &[S::F; SUB_LEN],
) -> [Option<Found<N>>; MAX_LANES] {
    let mut max = S::splat(0.0);
    for value in x {
        max = S::max(max, S::abs(*value));
    }
    let is_zero = S::mask_bits(S::lt(max, S::splat(C::GROUP_MAX_EPS)));
    let sorted = sort::<S, SUB_LEN>(x, weights);
    let best = C::search::<S>(&sorted);
    let orders = sorted.orders();
    let (mut scales, mut choices) = ([0.0; MAX_LANES], [-1; MAX_LANES]);
    S::store(best.scale, &mut scales);
    S::store_i(best.choice, &mut choices);
    let mut plans = [None; MAX_LANES];
    for lane in 0..S::N {
        if is_zero >> lane & 1 == 1 || choices[lane] < 0 {
            continue;
        }
        let is_flipped = scales[lane] < 0.0;
        let (borders, is_down) = C::choice(choices[lane]);
        let codes = iq1::codes(&orders[lane], borders, is_flipped);
        let codes = *codes.as_chunks::<GROUP>().0.first_chunk::<N>().expect("groups of eight");
        let is_down = is_down.map(|is_down| is_down != is_flipped);
        plans[lane] = Some(Plan { codes, is_down, scale: scales[lane].abs() });
    }
    let placed = to_grid::<S, N, SUB_LEN>(x, weights, &plans);
    let mut found = [None; MAX_LANES];
    for lane in 0..S::N {
        let (points, scale) = placed[lane];
        found[lane] = plans[lane].map(|plan| Found { points, scale, is_down: plan.is_down });
    }
    found
}

/// [`crate::layouts::iq1::to_grid`] for all lanes with a plan: points and scales.
#[inline(always)]
fn to_grid<S: Simd, const N: usize, const LEN: usize>(
    x: &[S::F; LEN],
    weights: &[S::F; LEN],
    plans: &[Option<Plan<N>>; MAX_LANES],
) -> [([u16; N], f32); MAX_LANES] {
    const { assert!(GROUP * N == LEN) };
    let near = &*lanes::IQ1;
    let (mut x_rows, mut weight_rows) = ([[0.0; LEN]; MAX_LANES], [[0.0; LEN]; MAX_LANES]);
    S::store_rows::<LEN>(x, &mut x_rows);
    S::store_rows::<LEN>(weights, &mut weight_rows);
    let mut packed = [[0; MAX_LANES]; N];
    let mut is_down = [[0; MAX_LANES]; N];
    let mut is_any_between = [0; MAX_LANES];
    let mut scales = [0.0; MAX_LANES];
    for lane in 0..S::N {
        let Some(plan) = &plans[lane] else {
            continue;
        };
        scales[lane] = plan.scale;
        for group in 0..N {
            is_down[group][lane] = i32::from(plan.is_down[group]);
            let list = near.list(&plan.codes[group]);
            if lanes::n_chunks(list) == 0 {
                packed[group][lane] = lanes::pack(&plan.codes[group]);
                continue;
            }
            is_any_between[lane] = 1;
            let values = const { [shared_values(&UP), shared_values(&DOWN)] };
            let values = &values[usize::from(plan.is_down[group])];
            let mut shares = Shares::<S>::zero();
            for part in 0..N_SHARES / S::N {
                let x = lanes::spread::<S, GROUP>(&x_rows[lane], group, part);
                let weights = lanes::spread::<S, GROUP>(&weight_rows[lane], group, part);
                let difference = S::splat(plan.scale) * S::load(&values[part * S::N..]) - x;
                shares.0[part] = weights * difference * difference;
            }
            packed[group][lane] = near.nearest::<S, 0>(list, &shares);
        }
    }
    let (mut sum_qx, mut sum_q2) = (S::splat(0.0), S::splat(0.0));
    for group in 0..N {
        let is_down = S::eq_i(S::load_i(&is_down[group]), S::splat_i(1));
        let (up, down) = (const { &shared_values(&UP) }, const { &shared_values(&DOWN) });
        let values = (S::load(up), S::load(down));
        let mut codes = S::load_i(&packed[group]);
        for i in 0..GROUP {
            let q = S::select(is_down, S::permute(values.1, codes), S::permute(values.0, codes));
            let wq = weights[group * GROUP + i] * q;
            sum_qx = sum_qx + wq * x[group * GROUP + i];
            sum_q2 = sum_q2 + wq * q;
            codes = S::shr::<4>(codes);
        }
    }
    let (zero, ratio) = (S::splat(0.0), sum_qx / sum_q2);
    let is_moved = S::eq_i(S::load_i(&is_any_between), S::splat_i(1))
        & S::lt(zero, sum_qx)
        & S::lt(zero, sum_q2)
        & S::eq(ratio, ratio);
    let scale = S::select(is_moved, ratio, S::load(&scales));
    S::store(scale, &mut scales);
    let mut found = [([0; N], 0.0); MAX_LANES];
    for (lane, (points, scale)) in found[..S::N].iter_mut().enumerate() {
        *scale = scales[lane];
        for (point_idx, packed) in points.iter_mut().zip(&packed) {
            *point_idx = near.point_idx(packed[lane]);
        }
    }
    found
}

/// The values of codes, once per contribution.
const fn shared_values(values: &Values) -> [f32; N_SHARES] {
    let mut shared = [0.0; N_SHARES];
    let mut i = 0;
    while i < N_SHARES {
        // There is no fourth code.
        shared[i] = if i % 4 < 3 { values[i % 4] } else { 0.0 };
        i += 1;
    }
    shared
}
