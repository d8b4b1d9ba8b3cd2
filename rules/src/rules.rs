//! The table of rules. To add a rule, write its file and a row here.

use mc_ir::rule::Rule;

use crate::calibrate::calibrate::Calibrate;
use crate::calibrate::imatrix::Imatrix;
use crate::evaluate::gate::Gate;
use crate::export::adapter_gguf::AdapterGguf;
use crate::export::gguf::Gguf;
use crate::export::litert::Litert;
use crate::export::mlx::Mlx;
use crate::export::onnx::Onnx;
use crate::ship::bundle::Bundle;
use crate::ship::device::Device;
use crate::ship::export::Export;
use crate::ship::group::Group;
use crate::ship::model::Model;
use crate::source::adapter::Adapter;
use crate::source::checkpoint::Checkpoint;
use crate::source::dataset::Dataset;
use crate::transform::blend::Blend;
use crate::transform::merge::Merge;

/// Every rule, in the order of the manual.
pub static RULES: &[&dyn Rule] = &[
    &Checkpoint,
    &Adapter,
    &Dataset,
    &Merge,
    &Blend,
    &Calibrate,
    &Imatrix,
    &Gguf,
    &AdapterGguf,
    &Mlx,
    &Onnx,
    &Litert,
    &Gate,
    &Device,
    &Export,
    &Bundle,
    &Model,
    &Group,
];
