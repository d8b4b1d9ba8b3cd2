//! Tables of rotary cosines and sines, which `GroupQueryAttention` reads by position.

use std::sync::Arc;

use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::scope::Lengths;
use mc_tensor::math;

use crate::element_type::ElementType;

/// A table `[positions, n_dims / 2]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RotaryCache {
    /// Its name.
    pub(crate) name: String,
    /// The angles.
    pub(crate) angles: Arc<RotaryAngles>,
    /// True for the divisors of sequences longer than the original context.
    pub(crate) is_long: bool,
    /// True for sines.
    pub(crate) is_sine: bool,
    /// Number of positions.
    pub(crate) n_positions: u32,
    /// Type of its elements.
    pub(crate) element: ElementType,
}

impl RotaryCache {
    /// Its dimensions.
    pub(crate) fn dims(&self) -> Vec<u64> {
        vec![self.n_positions.into(), (self.angles.n_dims / 2).into()]
    }

    /// Its length in bytes.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.dims().iter().product::<u64>() * self.element.n_bytes()
    }

    /// Its bytes.
    ///
    /// Frequencies and angles are rounded to 32 bits before the cosine, as in Transformers, which computes the tables in
    /// that type: the logits of long sequences would differ from its logits otherwise.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        // The graph selects the divisors by the length of the sequence; the table holds one set.
        let n_positions_at_most = if self.is_long { usize::MAX } else { 1 };
        let lengths = Lengths { first_position: 0, n_tokens: 1, n_positions_at_most };
        let frequencies = self.angles.frequencies(&[], lengths);
        let value = |position: u32, frequency: f64| {
            let angle = position as f32 * frequency as f32;
            let (sine, cosine) = math::sin_cos(f64::from(angle));
            ((if self.is_sine { sine } else { cosine }) * frequencies.factor) as f32
        };
        let values = (0..self.n_positions).flat_map(|position| {
            frequencies.per_pair.iter().map(move |frequency| value(position, *frequency))
        });
        self.element.floats(&values.collect::<Vec<_>>())
    }
}
