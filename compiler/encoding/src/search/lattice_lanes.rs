//! The search of [`crate::search::lattice`] in lanes.
//!
//! Codes, sums and scales have one sub-block per lane. Groups between points are then processed one by one, with one
//! neighbor per lane; groups with one, two and more chunks of neighbors are processed separately, so that branches are
//! predictable.

use crate::codebook::lanes::{COUNT_BITS, N_SHARES, Near, Shares, n_codes, odd_numbers, places, spread};
use crate::lanes::{MAX_LANES, Simd};
use crate::search::lattice::{Refine, Tries};

/// Maximum number of scales tried.
const MAX_TRIES: usize = 32;

/// Number of bits of an item for its destination, lane and try; its list is above them.
const PLACE_BITS: u32 = 9;
const N_PLACES: usize = MAX_TRIES * MAX_LANES;
const _: () = assert!(N_PLACES == 1 << PLACE_BITS);

/// One number per lane, in memory.
type Lanes<T> = [T; MAX_LANES];

/// [`crate::search::lattice::Fit`] for every lane.
pub(crate) struct Fits<const N: usize> {
    pub(crate) scales: Lanes<f32>,
    pub(crate) points: [Lanes<u16>; N],
}

/// Sub-blocks of `N` groups of `DIM` numbers, `LEN` in all.
pub(crate) struct Groups<'a, S: Simd, const LEN: usize> {
    /// Magnitudes.
    pub(crate) x: &'a [S::F; LEN],
    pub(crate) weights: &'a [S::F; LEN],
}

/// [`crate::search::lattice::fit`].
#[inline(always)]
pub(crate) fn fit<S: Simd, const DIM: usize, const N: usize, const LEN: usize>(
    near: &Near<DIM>,
    groups: &Groups<'_, S, LEN>,
    start: S::F,
    range: S::F,
    tries: &Tries,
) -> Fits<N> {
    const { assert!(DIM * N == LEN) };
    let zero = S::splat(0.0);
    let n_tries = (2 * tries.n + 1) as usize;
    let top = (2 * n_codes(DIM) - 1) as f32;
    let mut numbers = Numbers::<DIM, N, LEN>::of::<S>(groups);
    let mut scales =
        Scales { inverses: [[0.0; MAX_LANES]; MAX_TRIES], scales: [[0.0; MAX_LANES]; MAX_TRIES] };
    for try_idx in 0..n_tries {
        let inverse = S::splat(top + (try_idx as i32 - tries.n) as f32 * tries.step) / range;
        S::store(inverse, &mut scales.inverses[try_idx]);
        S::store(S::splat(1.0) / inverse, &mut scales.scales[try_idx]);
    }
    let mut found = [[[0; MAX_LANES]; MAX_TRIES]; N];
    let mut is_between = [[0; MAX_TRIES]; N];
    let mut sums = [(zero, zero); MAX_TRIES];
    for group in 0..N {
        numbers.expand::<S>(group);
        place::<S, DIM, N, LEN>(
            near,
            &numbers,
            group,
            &scales,
            n_tries,
            &mut found[group],
            &mut is_between[group],
        );
        for try_idx in 0..n_tries {
            sums[try_idx] = add::<S, DIM, N, LEN>(sums[try_idx], &numbers, group, &found[group][try_idx]);
        }
    }
    let mut scale = start;
    let mut best = zero;
    let mut best_try = S::splat_i(-1);
    for (try_idx, (sum_qx, sum_q2)) in sums[..n_tries].iter().copied().enumerate() {
        let is_better = S::lt(zero, sum_q2) & S::lt(best * sum_q2, sum_qx * sum_qx);
        scale = S::select(is_better, sum_qx / sum_q2, scale);
        best = S::select(is_better, scale * sum_qx, best);
        best_try = S::select_i(is_better, S::splat_i(try_idx as i32), best_try);
    }
    let mut of_lanes = [0; MAX_LANES];
    S::store_i(best_try, &mut of_lanes);
    let mut best_points = [[places(DIM); MAX_LANES]; N];
    let mut best_between = [0_u32; N];
    let mut is_any_between = 0_u32;
    for lane in 0..S::N {
        for group in 0..N {
            let is_between = match usize::try_from(of_lanes[lane]) {
                Ok(try_idx) => {
                    best_points[group][lane] = found[group][try_idx][lane];
                    is_between[group][try_idx] >> lane & 1
                }
                Err(_) => u32::from(tries.refine != Refine::Between),
            };
            best_between[group] |= is_between << lane;
        }
    }
    for is_between in best_between {
        is_any_between |= is_between;
    }
    if tries.refine == Refine::All {
        is_any_between = u32::MAX;
    }
    let refined = is_any_between & S::mask_bits(S::lt(zero, scale));
    if refined != 0 {
        S::store(S::splat(1.0) / scale, &mut scales.inverses[0]);
        S::store(scale, &mut scales.scales[0]);
        let mut sums = (zero, zero);
        for group in 0..N {
            let wanted = if tries.refine == Refine::Between { best_between[group] } else { u32::MAX };
            if refined & wanted != 0 {
                numbers.expand::<S>(group);
                place::<S, DIM, N, LEN>(
                    near,
                    &numbers,
                    group,
                    &scales,
                    1,
                    &mut found[group],
                    &mut is_between[group],
                );
                for lane in 0..S::N {
                    if refined & wanted & 1 << lane != 0 {
                        best_points[group][lane] = found[group][0][lane];
                    }
                }
            }
            sums = add::<S, DIM, N, LEN>(sums, &numbers, group, &best_points[group]);
        }
        let (sum_qx, sum_q2) = sums;
        let ratio = sum_qx / sum_q2;
        let mut flags = [0; MAX_LANES];
        for (lane, flag) in flags.iter_mut().enumerate() {
            *flag = (refined >> lane & 1) as i32;
        }
        let is_refined = S::eq_i(S::load_i(&flags), S::splat_i(1));
        let is_good = is_refined & S::lt(zero, sum_q2) & S::eq(ratio, ratio);
        scale = S::select(is_good, ratio, scale);
    }
    let mut fits = Fits { scales: [0.0; MAX_LANES], points: [[0; MAX_LANES]; N] };
    S::store(scale, &mut fits.scales);
    for (points, packed) in fits.points.iter_mut().zip(&best_points) {
        for (point_idx, packed) in points[..S::N].iter_mut().zip(packed) {
            *point_idx = near.point_idx(*packed);
        }
    }
    fits
}

/// The lanes.
const LANES: [i32; MAX_LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The scales to try, and their inverses.
struct Scales {
    inverses: [Lanes<f32>; MAX_TRIES],
    scales: [Lanes<f32>; MAX_TRIES],
}

/// The numbers of sub-blocks in memory: by group and position in it, then by lane.
struct Numbers<const DIM: usize, const N: usize, const LEN: usize> {
    x: [[Lanes<f32>; DIM]; N],
    weights: [[Lanes<f32>; DIM]; N],
    /// The numbers by lane.
    rows: Lanes<[f32; LEN]>,
    /// Square roots of the weights, by lane, which weight the distance among neighbors.
    roots: Lanes<[f32; LEN]>,
    /// One group, by lane: every number, repeated for each code at its position.
    group_x: Lanes<[f32; N_SHARES]>,
    group_roots: Lanes<[f32; N_SHARES]>,
}

impl<const DIM: usize, const N: usize, const LEN: usize> Numbers<DIM, N, LEN> {
    #[inline(always)]
    fn of<S: Simd>(groups: &Groups<'_, S, LEN>) -> Self {
        let zeros = [[[0.0; MAX_LANES]; DIM]; N];
        let (rows, shares) = ([[0.0; LEN]; MAX_LANES], [[0.0; N_SHARES]; MAX_LANES]);
        let mut numbers =
            Self { x: zeros, weights: zeros, rows, roots: rows, group_x: shares, group_roots: shares };
        let mut roots = *groups.weights;
        for root in &mut roots {
            *root = S::sqrt(*root);
        }
        S::store_rows::<LEN>(groups.x, &mut numbers.rows);
        S::store_rows::<LEN>(&roots, &mut numbers.roots);
        for group in 0..N {
            for i in 0..DIM {
                S::store(groups.x[group * DIM + i], &mut numbers.x[group][i]);
                S::store(groups.weights[group * DIM + i], &mut numbers.weights[group][i]);
            }
        }
        numbers
    }

    #[inline(always)]
    fn expand<S: Simd>(&mut self, group: usize) {
        for part in 0..N_SHARES / S::N {
            for lane in 0..S::N {
                let x = spread::<S, DIM>(&self.rows[lane], group, part);
                S::store(x, &mut self.group_x[lane][part * S::N..]);
                let roots = spread::<S, DIM>(&self.roots[lane], group, part);
                S::store(roots, &mut self.group_roots[lane][part * S::N..]);
            }
        }
    }

    /// The contributions of codes to distances, under a scale.
    #[inline(always)]
    fn shares<S: Simd>(&self, lane: usize, scale: f32) -> Shares<S> {
        let odd = const { odd_numbers(DIM) };
        let (x, roots) = (&self.group_x[lane], &self.group_roots[lane]);
        let mut shares = Shares::<S>::zero();
        for part in 0..N_SHARES / S::N {
            let at = part * S::N;
            let difference = S::splat(scale) * S::load(&odd[at..]) - S::load(&x[at..]);
            shares.0[part] = S::load(&roots[at..]) * difference * difference;
        }
        shares
    }
}

/// Groups between points: the list of neighbors and the destination of the point.
struct Items {
    items: [i32; N_PLACES + MAX_LANES],
    n: usize,
}

impl Items {
    const NONE: Self = Self { items: [0; N_PLACES + MAX_LANES], n: 0 };

    /// Appends the items of the wanted lanes.
    #[inline(always)]
    fn push<S: Simd>(&mut self, items: S::I, wanted: S::M) {
        self.n += S::compress(items, wanted, &mut self.items[self.n.min(N_PLACES)..]);
    }

    #[inline(always)]
    fn all(&self) -> &[i32] {
        &self.items[..self.n.min(N_PLACES)]
    }
}

/// `place` of [`crate::search::lattice`] for one group of every lane, under several scales.
///
/// * `found`: the packed points
/// * `is_between`: a bit for every lane whose point was chosen among neighbors
#[inline(always)]
fn place<S: Simd, const DIM: usize, const N: usize, const LEN: usize>(
    near: &Near<DIM>,
    numbers: &Numbers<DIM, N, LEN>,
    group: usize,
    scales: &Scales,
    n_tries: usize,
    found: &mut [Lanes<i32>; MAX_TRIES],
    is_between: &mut [u32; MAX_TRIES],
) {
    let (mut one, mut two, mut more) = (Items::NONE, Items::NONE, Items::NONE);
    let lanes = S::load_i(&LANES);
    for try_idx in 0..n_tries {
        let inverse = S::load(&scales.inverses[try_idx]);
        let (mut packed, mut vector_idx) = (S::splat_i(0), S::splat_i(0));
        for i in (0..DIM).rev() {
            let x = S::load(&numbers.x[group][i]);
            let code = S::nearest_int(S::splat(0.5) * (inverse * x - S::splat(1.0)));
            let code = S::clamp_i(code, 0, n_codes(DIM) - 1);
            packed = S::shl::<4>(packed) | code;
            vector_idx = if n_codes(DIM) == 3 {
                S::shl::<1>(vector_idx) + vector_idx + code
            } else {
                S::shl::<3>(vector_idx) | code
            };
        }
        S::store_i(packed | S::splat_i(places(DIM)), &mut found[try_idx]);
        let lists = near.lists::<S>(vector_idx);
        let n_chunks = lists & S::splat_i((1 << COUNT_BITS) - 1);
        let items = S::shl::<PLACE_BITS>(lists) | S::splat_i((try_idx * MAX_LANES) as i32) | lanes;
        one.push::<S>(items, S::eq_i(n_chunks, S::splat_i(1)));
        two.push::<S>(items, S::eq_i(n_chunks, S::splat_i(2)));
        more.push::<S>(items, S::gt_i(n_chunks, S::splat_i(2)));
        is_between[try_idx] = S::mask_bits(S::gt_i(n_chunks, S::splat_i(0)));
    }
    choose::<S, DIM, N, LEN, 1>(near, numbers, scales, &one, found);
    choose::<S, DIM, N, LEN, 2>(near, numbers, scales, &two, found);
    choose::<S, DIM, N, LEN, 0>(near, numbers, scales, &more, found);
}

/// The nearest neighbors of groups with `CHUNKS` chunks of them, or with any number of chunks.
#[inline(always)]
fn choose<S: Simd, const DIM: usize, const N: usize, const LEN: usize, const CHUNKS: usize>(
    near: &Near<DIM>,
    numbers: &Numbers<DIM, N, LEN>,
    scales: &Scales,
    items: &Items,
    found: &mut [Lanes<i32>; MAX_TRIES],
) {
    let found = found.as_flattened_mut();
    let scales = scales.scales.as_flattened();
    for item in items.all() {
        let place = *item as usize % N_PLACES;
        let shares = numbers.shares::<S>(place % MAX_LANES, scales[place]);
        found[place] = near.nearest::<S, CHUNKS>(item >> PLACE_BITS, &shares);
    }
}

/// Adds a group to the weighted sums of `q x` and `q^2`, in order.
#[inline(always)]
fn add<S: Simd, const DIM: usize, const N: usize, const LEN: usize>(
    sums: (S::F, S::F),
    numbers: &Numbers<DIM, N, LEN>,
    group: usize,
    packed: &Lanes<i32>,
) -> (S::F, S::F) {
    let odd = S::load(const { &odd_numbers(DIM) });
    let (mut sum_qx, mut sum_q2) = sums;
    let mut codes = S::load_i(packed);
    for i in 0..DIM {
        let (x, w) = (S::load(&numbers.x[group][i]), S::load(&numbers.weights[group][i]));
        let q = if n_codes(DIM) as usize > S::N {
            S::lookup::<N_SHARES>(const { &odd_numbers(DIM) }, codes & S::splat_i(7))
        } else {
            S::permute(odd, codes)
        };
        sum_qx = sum_qx + w * x * q;
        sum_q2 = sum_q2 + w * q * q;
        codes = S::shr::<4>(codes);
    }
    (sum_qx, sum_q2)
}
