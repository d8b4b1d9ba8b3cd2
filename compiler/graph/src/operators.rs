//! All operators: one file and one row each.

pub mod add;
pub mod attention;
pub mod batch_matmul;
mod broadcast;
pub mod cache_update;
pub mod causal_mask;
pub mod concat;
pub mod conv1d;
pub mod div;
pub mod exp;
pub mod gather;
pub mod gather_matmul;
pub mod gelu_tanh;
pub mod matmul;
pub mod mul;
pub mod offset;
pub mod recent_rows;
pub mod reduce_max;
pub mod reduce_mean;
pub mod reduce_sum;
pub mod reshape;
pub mod rms_norm;
pub mod rope;
pub mod rotary_angles;
pub mod rsqrt;
mod rule;
pub mod scale;
pub mod silu;
pub mod slice;
pub mod soft_cap;
pub mod softmax;
pub mod sub;
pub mod tanh;
pub mod top_k;
pub mod transpose;
pub mod weighted_sum;

use crate::operator::{OperatorEntry, read};

/// Every operator, by name.
pub const OPERATORS: &[OperatorEntry] = &[
    OperatorEntry { name: add::NAME, read: read::<add::Add> },
    OperatorEntry { name: attention::NAME, read: read::<attention::Attention> },
    OperatorEntry { name: batch_matmul::NAME, read: read::<batch_matmul::BatchMatmul> },
    OperatorEntry { name: cache_update::NAME, read: read::<cache_update::CacheUpdate> },
    OperatorEntry { name: causal_mask::NAME, read: read::<causal_mask::CausalMask> },
    OperatorEntry { name: concat::NAME, read: read::<concat::Concat> },
    OperatorEntry { name: conv1d::NAME, read: read::<conv1d::Conv1d> },
    OperatorEntry { name: div::NAME, read: read::<div::Div> },
    OperatorEntry { name: exp::NAME, read: read::<exp::Exp> },
    OperatorEntry { name: gather::NAME, read: read::<gather::Gather> },
    OperatorEntry { name: gather_matmul::NAME, read: read::<gather_matmul::GatherMatmul> },
    OperatorEntry { name: gelu_tanh::NAME, read: read::<gelu_tanh::GeluTanh> },
    OperatorEntry { name: matmul::NAME, read: read::<matmul::Matmul> },
    OperatorEntry { name: mul::NAME, read: read::<mul::Mul> },
    OperatorEntry { name: offset::NAME, read: read::<offset::Offset> },
    OperatorEntry { name: recent_rows::NAME, read: read::<recent_rows::RecentRows> },
    OperatorEntry { name: reduce_max::NAME, read: read::<reduce_max::ReduceMax> },
    OperatorEntry { name: reduce_mean::NAME, read: read::<reduce_mean::ReduceMean> },
    OperatorEntry { name: reduce_sum::NAME, read: read::<reduce_sum::ReduceSum> },
    OperatorEntry { name: reshape::NAME, read: read::<reshape::Reshape> },
    OperatorEntry { name: rms_norm::NAME, read: read::<rms_norm::RmsNorm> },
    OperatorEntry { name: rope::NAME, read: read::<rope::Rope> },
    OperatorEntry { name: rotary_angles::NAME, read: read::<rotary_angles::RotaryAngles> },
    OperatorEntry { name: rsqrt::NAME, read: read::<rsqrt::Rsqrt> },
    OperatorEntry { name: scale::NAME, read: read::<scale::Scale> },
    OperatorEntry { name: silu::NAME, read: read::<silu::Silu> },
    OperatorEntry { name: slice::NAME, read: read::<slice::Slice> },
    OperatorEntry { name: soft_cap::NAME, read: read::<soft_cap::SoftCap> },
    OperatorEntry { name: softmax::NAME, read: read::<softmax::Softmax> },
    OperatorEntry { name: sub::NAME, read: read::<sub::Sub> },
    OperatorEntry { name: tanh::NAME, read: read::<tanh::Tanh> },
    OperatorEntry { name: top_k::NAME, read: read::<top_k::TopK> },
    OperatorEntry { name: transpose::NAME, read: read::<transpose::Transpose> },
    OperatorEntry { name: weighted_sum::NAME, read: read::<weighted_sum::WeightedSum> },
];

/// The operator with this name.
pub fn by_name(name: &str) -> Option<&'static OperatorEntry> {
    OPERATORS.iter().find(|operator| operator.name == name)
}
