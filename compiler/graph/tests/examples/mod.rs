//! Examples of operators with valid inputs, shared by the tests of the graph and of backends.

use mc_graph::scope::Lengths;
use mc_graph::tensor::Tensor;
use mc_graph::value_type::{Dim, Element, TOKENS, ValueType};
use serde_json::{Value, json};

/// An operator with attributes and valid inputs.
pub(crate) struct Example {
    /// The operator's name.
    pub(crate) name: &'static str,
    /// Its attributes.
    pub(crate) attributes: Value,
    /// Types that its shape rule accepts.
    pub(crate) inputs: Vec<ValueType>,
}

fn example(name: &'static str, attributes: Value, inputs: &[ValueType]) -> Example {
    Example { name, attributes, inputs: inputs.to_vec() }
}

fn tokens(dims: &[u32]) -> ValueType {
    ValueType::real(std::iter::once(TOKENS).chain(dims.iter().copied().map(Dim::Fixed)).collect::<Vec<_>>())
}

fn positions(dims: &[u32]) -> ValueType {
    ValueType::real(
        std::iter::once(Dim::Positions).chain(dims.iter().copied().map(Dim::Fixed)).collect::<Vec<_>>(),
    )
}

/// At least one example of each operator.
pub(crate) fn examples() -> Vec<Example> {
    let yarn = json!({"Yarn": {"factor": 4.0, "original_context": 8}});
    let rotary = |scaling: Value| json!({"n_dims": 6, "base": 100.0, "scaling": scaling});
    let heads = [tokens(&[4, 6]), positions(&[2, 6]), positions(&[2, 5])];
    let row = tokens(&[6]);
    let turned = [tokens(&[3, 8]), tokens(&[3]), tokens(&[3])];
    vec![
        example("add", json!({}), &[row.clone(), ValueType::fixed(&[6])]),
        example("sub", json!({}), &[tokens(&[2, 3]), tokens(&[1, 3])]),
        example("mul", json!({}), &[tokens(&[2, 3]), tokens(&[2, 1])]),
        example("div", json!({}), &[row.clone(), row.clone()]),
        example("exp", json!({}), std::slice::from_ref(&row)),
        example("tanh", json!({}), std::slice::from_ref(&row)),
        example("rsqrt", json!({}), std::slice::from_ref(&row)),
        example("scale", json!({"factor": -1.5}), std::slice::from_ref(&row)),
        example("offset", json!({"term": 0.25}), std::slice::from_ref(&row)),
        example("silu", json!({}), std::slice::from_ref(&row)),
        example("gelu_tanh", json!({}), std::slice::from_ref(&row)),
        example("soft_cap", json!({"cap": 2.5}), std::slice::from_ref(&row)),
        example("reduce_sum", json!({}), std::slice::from_ref(&row)),
        example("reduce_mean", json!({}), std::slice::from_ref(&row)),
        example("reduce_max", json!({}), std::slice::from_ref(&row)),
        example("softmax", json!({}), std::slice::from_ref(&row)),
        example("rms_norm", json!({"epsilon": 1e-5}), &[tokens(&[3, 6]), ValueType::fixed(&[6])]),
        example("gather", json!({}), &[ValueType::fixed(&[7, 5]), ValueType::index([TOKENS])]),
        example("matmul", json!({}), &[row.clone(), ValueType::fixed(&[9, 6])]),
        example("batch_matmul", json!({}), &[tokens(&[4, 6]), tokens(&[3, 6])]),
        example(
            "gather_matmul",
            json!({}),
            &[row.clone(), ValueType::fixed(&[7, 4, 6]), ValueType::index([TOKENS, Dim::Fixed(2)])],
        ),
        example("weighted_sum", json!({}), &[tokens(&[3, 5]), tokens(&[3])]),
        example("top_k", json!({"k": 3}), std::slice::from_ref(&row)),
        example("slice", json!({"start": 2, "len": 3}), std::slice::from_ref(&row)),
        example("concat", json!({}), &[row.clone(), tokens(&[2]), row.clone()]),
        example(
            "reshape",
            json!({"dims": [{"tokens": 0}, {"fixed": 3}, {"fixed": 2}]}),
            std::slice::from_ref(&row),
        ),
        example("transpose", json!({"order": [2, 0, 1]}), &[tokens(&[2, 3])]),
        example("causal_mask", json!({"window": 3}), &[]),
        example("causal_mask", json!({}), &[]),
        example("cache_update", json!({"state": 0}), std::slice::from_ref(&row)),
        example("recent_rows", json!({"state": 0, "n_before": 2}), std::slice::from_ref(&row)),
        example(
            "conv1d",
            json!({}),
            &[ValueType::real([Dim::Tokens(2), Dim::Fixed(4)]), ValueType::fixed(&[4, 3])],
        ),
        example("rotary_angles", rotary(json!("None")), &[]),
        example("rotary_angles", rotary(yarn), &[ValueType::fixed(&[3])]),
        example("rope", json!({"pairing": "HalfSplit"}), &turned),
        example("rope", json!({"pairing": "Interleaved"}), &turned),
        example("attention", json!({"scale": 0.5}), &heads),
        example("attention", json!({"scale": 0.5, "window": 3, "soft_cap": 2.0}), &heads),
    ]
}

/// Numbers from 0.1 to 2, of both signs unless the operator requires positive ones; integers below 7.
pub(crate) fn numbers(example: &Example, seed: usize, lengths: Lengths) -> Vec<Tensor> {
    let mut state = seed as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let is_positive = example.name == "rsqrt" || example.name == "rotary_angles";
    let tensor = |input: &ValueType| {
        let shape = input.shape(lengths);
        let real = |x: f32| if is_positive || x > 0.5 { 0.1 + 1.9 * x } else { -0.1 - 1.9 * x };
        let number = |x: f32| {
            if input.element == Element::Index { (x * 7.0).floor() } else { real(x) }
        };
        let n = shape.iter().product();
        Tensor::new(shape, (0..n).map(|_| number(next())).collect())
    };
    example.inputs.iter().map(tensor).collect()
}
