//! The `k` largest magnitudes of a sequence, exactly, without storing or sorting it.
//!
//! The bits of non-negative f32 values have the order of the values. So the first pass counts the upper sixteen bits of
//! every magnitude, and the second counts the lower fifteen bits of those that share the upper bits of the `k`-th; this
//! determines the `k`-th magnitude. Among equal magnitudes the first are kept, so a third pass finds the last of them
//! that is kept.
//!
//! Counts are integers: they may be taken over pieces, in parallel, and joined in any order.

const LOW_BITS: u32 = 15;
const N_COUNTS: usize = 1 << 16;

/// Number of occurrences of each value of some bits of the magnitude.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The upper bits shared by the magnitudes whose lower bits are counted; `None` if the upper bits are counted.
    high: Option<u32>,
    counts: Vec<u64>,
}

/// Position of the `k`-th largest among the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value of the counted bits.
    pub bits: u32,
    /// Number of elements with this value among the `k` largest; at least one.
    pub n_wanted: u64,
    /// Number of all elements with this value.
    pub n_there: u64,
}

/// The elements to keep: those of a larger magnitude, and those of an equal one up to an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Largest {
    /// The bits of the `k`-th largest magnitude.
    pub magnitude: u32,
    /// Index of the last element of this magnitude that is kept.
    pub last: u64,
}

impl Counts {
    /// Creates counts of the upper bits of every magnitude.
    pub fn of_high_bits() -> Self {
        Self { high: None, counts: vec![0; N_COUNTS] }
    }

    /// Creates counts of the lower bits of the magnitudes with these upper bits.
    pub fn of_low_bits(high: u32) -> Self {
        Self { high: Some(high), counts: vec![0; 1 << LOW_BITS] }
    }

    /// Counts the magnitudes of some elements.
    pub fn add(&mut self, values: &[f32]) {
        match self.high {
            None => {
                for value in values {
                    self.counts[(magnitude(*value) >> LOW_BITS) as usize] += 1;
                }
            }
            Some(high) => {
                for value in values {
                    let magnitude = magnitude(*value);
                    if magnitude >> LOW_BITS == high {
                        self.counts[(magnitude & ((1 << LOW_BITS) - 1)) as usize] += 1;
                    }
                }
            }
        }
    }

    /// Adds the counts of another piece.
    pub fn join(mut self, other: &Self) -> Self {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self
    }

    /// Finds the `k`-th largest; `None` if there are fewer than `k`, or `k` is 0.
    pub fn find(&self, k: u64) -> Option<Found> {
        let mut n_wanted = k;
        for (bits, count) in self.counts.iter().enumerate().rev() {
            if n_wanted > 0 && n_wanted <= *count {
                let low = bits as u32;
                let bits = self.high.map_or(low, |high| high << LOW_BITS | low);
                return Some(Found { bits, n_wanted, n_there: *count });
            }
            n_wanted = n_wanted.checked_sub(*count)?;
        }
        None
    }
}

impl Largest {
    /// Zeroes the elements that are not kept. `first` is the index of the first element in the whole sequence.
    pub fn keep(self, values: &mut [f32], first: u64) {
        for (index, value) in (first..).zip(values) {
            let magnitude = magnitude(*value);
            let is_kept = magnitude > self.magnitude || magnitude == self.magnitude && index <= self.last;
            *value = if is_kept { *value } else { 0.0 };
        }
    }
}

/// Number of elements of a magnitude.
pub fn n_equal(values: &[f32], bits: u32) -> u64 {
    values.iter().filter(|value| magnitude(**value) == bits).count() as u64
}

/// Index of the `n`-th element (from 1) of a magnitude.
pub fn nth_equal(values: &[f32], bits: u32, n: u64) -> Option<usize> {
    let nth = usize::try_from(n.checked_sub(1)?).ok()?;
    values.iter().enumerate().filter(|(_, value)| magnitude(**value) == bits).nth(nth).map(|(index, _)| index)
}

fn magnitude(value: f32) -> u32 {
    value.to_bits() & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification: sort by magnitude; among equal ones, the first come first.
    fn by_sorting(values: &[f32], k: usize) -> Vec<f32> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()).then(a.cmp(b)));
        let mut kept = vec![0.0; values.len()];
        for index in &order[..k] {
            kept[*index] = values[*index];
        }
        kept
    }

    fn in_pieces(values: &[f32], k: u64, piece: usize) -> Vec<f32> {
        let count = |counts: Counts| {
            let one = |values: &[f32]| {
                let mut counts = counts.clone();
                counts.add(values);
                counts
            };
            values.chunks(piece).map(one).reduce(|joined, counts| joined.join(&counts)).unwrap()
        };
        let high = count(Counts::of_high_bits()).find(k).unwrap();
        let low = count(Counts::of_low_bits(high.bits)).find(high.n_wanted).unwrap();
        assert_eq!(low.n_there, n_equal(values, low.bits));
        let last = nth_equal(values, low.bits, low.n_wanted).unwrap() as u64;
        let largest = Largest { magnitude: low.bits, last };
        let mut kept = values.to_vec();
        for (number, values) in kept.chunks_mut(piece).enumerate() {
            largest.keep(values, (number * piece) as u64);
        }
        kept
    }

    proptest! {
        #[test]
        fn counting_and_sorting_keep_the_same_elements(
            // Few different numbers, so that many are equal.
            values in proptest::collection::vec(prop_oneof![-1.0_f32..1.0, (-3_i8..4).prop_map(f32::from)], 1..200),
            share in 0.0_f64..1.0,
            piece in 1_usize..50,
        ) {
            let k = ((values.len() as f64 * share) as usize).max(1);
            prop_assert_eq!(in_pieces(&values, k as u64, piece), by_sorting(&values, k));
        }
    }

    #[test]
    fn none_and_too_many_are_not_found() {
        let mut counts = Counts::of_high_bits();
        counts.add(&[1.0, -2.0]);
        assert_eq!(counts.find(0), None);
        assert_eq!(counts.find(3), None);
        assert!(counts.find(2).is_some());
    }
}
