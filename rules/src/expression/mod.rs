//! Tensor expressions, evaluated.

pub(crate) mod blend_evaluate;
pub(crate) mod evaluate;
pub(crate) mod evaluate_adapter;
pub(crate) mod factor;
