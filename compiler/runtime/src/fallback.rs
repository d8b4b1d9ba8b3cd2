//! Computes primitive operators without a kernel by their reference evaluation on the host.

use candle_core::{DType, Result, Tensor};
use mc_graph::scope::Scope;
use mc_graph::tensor::Tensor as Plain;

use crate::backend::{Call, Input, Value};

/// Computes the outputs of an operator that neither reads nor writes state.
///
/// # Errors
/// If an input is a state, or candle fails.
pub(crate) fn run(call: &Call<'_>) -> Result<Vec<Value>> {
    let inputs: Vec<Plain> = call.inputs.iter().map(|input| plain(*input)).collect::<Result<_>>()?;
    let inputs: Vec<&Plain> = inputs.iter().collect();
    let outputs = call.operator.evaluate(&inputs, &mut Scope { lengths: call.lengths, states: &mut [] });
    let value =
        |output: Plain| Ok(Value::Tensor(Tensor::from_vec(output.values, output.shape, call.device)?));
    outputs.into_iter().map(value).collect()
}

fn plain(input: Input<'_>) -> Result<Plain> {
    let shape = input.shape()?;
    let values = match input {
        Input::Weight(weight) => weight.to_f32(),
        Input::Value(_) => input.tensor()?.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?,
    };
    Ok(Plain { shape, values })
}
