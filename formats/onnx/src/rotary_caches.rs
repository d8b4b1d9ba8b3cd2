//! Tables of rotary cosines and sines, which `GroupQueryAttention` reads by position.

use std::sync::Arc;

use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::scope::Lengths;

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
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let n_positions = self.n_positions as usize;
        // The graph selects the divisors by the length of the sequence; the table holds one set.
        let n_positions_at_most = if self.is_long { usize::MAX } else { 1 };
        let lengths = Lengths { first_position: 0, n_tokens: 1, n_positions_at_most };
        let (cosines, sines) = self.angles.frequencies(&[], lengths).angles(0, n_positions);
        self.element.floats(if self.is_sine { &sines } else { &cosines })
    }
}
