//! The provider of the rules of calibration: the statistic of each matrix.

use std::collections::BTreeMap;

use mc_ir::action::Artifact;
use mc_runtime::statistics::statistic::Statistic;
use mc_tensor::model_tensor::ModelTensor;

use crate::source::dataset::DatasetInfo;

/// A statistic of the matrices of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticInfo {
    /// The target's name.
    pub name: String,
    /// The kind.
    pub statistic: &'static Statistic,
    /// The numbers of each matrix, F32 in the shape of the statistic; empty if nothing was measured.
    pub rows: BTreeMap<ModelTensor, Artifact>,
    /// The text on which it was computed; unknown for a statistic that was read from a file.
    pub calibration: Option<DatasetInfo>,
}
