//! The table of rules. Adding a rule is a file of its own and a row here.

use mc_ir::rule::Rule;

use crate::adapter::Adapter;
use crate::adapter_gguf::AdapterGguf;
use crate::blend::Blend;
use crate::bundle::Bundle;
use crate::checkpoint::Checkpoint;
use crate::dataset::Dataset;
use crate::device::Device;
use crate::gate::Gate;
use crate::gguf::Gguf;
use crate::imatrix::Imatrix;
use crate::merge::Merge;
use crate::model::Model;

/// Every rule, in the order of the manual.
pub static RULES: &[&dyn Rule] = &[
    &Checkpoint,
    &Adapter,
    &Dataset,
    &Merge,
    &Blend,
    &Imatrix,
    &Gguf,
    &AdapterGguf,
    &Gate,
    &Device,
    &Bundle,
    &Model,
];
