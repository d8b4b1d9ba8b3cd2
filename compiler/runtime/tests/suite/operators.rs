//! Kernels agree with the reference evaluation of their operator.

use mc_graph::builder::Builder;
use mc_graph::graph::State;
use mc_graph::operators::OPERATORS;
use mc_graph::scope::{Lengths, Scope};
use mc_graph::tensor::Tensor as Plain;
use mc_graph::value_type::Element;
use mc_runtime::backend::{Backend, Call, Input, StateRows, Value};
use mc_runtime::candle_backend::CandleBackend;
use mc_runtime::cpu_exact::CpuExact;
use mc_runtime::weight::Weight;

use candle_core::{DType, Tensor};

use crate::examples::{Example, examples, numbers};

/// Maximum difference between a kernel and the reference evaluation, relative to the largest number.
const BOUND: f32 = 3e-6;

const LENGTHS: [Lengths; 3] = [
    Lengths { first_position: 0, n_tokens: 5, n_positions_at_most: 16 },
    Lengths { first_position: 1, n_tokens: 2, n_positions_at_most: 16 },
    Lengths { first_position: 7, n_tokens: 1, n_positions_at_most: 16 },
];

fn expected(example: &Example, arguments: &[Plain], lengths: Lengths) -> Vec<Plain> {
    let entry = OPERATORS.iter().find(|entry| entry.name == example.name).unwrap();
    let operator = (entry.read)(&example.attributes).unwrap();
    let inputs: Vec<&Plain> = arguments.iter().collect();
    let before = Plain::new(vec![lengths.first_position, 6], vec![0.5; lengths.first_position * 6]);
    operator.evaluate(&inputs, &mut Scope { lengths, states: &mut [before] })
}

/// The outputs of a backend's kernel, with weights where a model's graph has weights.
fn found(backend: &dyn Backend, example: &Example, arguments: &[Plain], lengths: Lengths) -> Vec<Vec<f32>> {
    let entry = OPERATORS.iter().find(|entry| entry.name == example.name).unwrap();
    let operator = (entry.read)(&example.attributes).unwrap();
    let value = |(plain, value_type): (&Plain, &mc_graph::value_type::ValueType)| {
        let tensor = Tensor::from_vec(plain.values.clone(), plain.shape.clone(), backend.device()).unwrap();
        Value::Tensor(match value_type.element {
            Element::Real => tensor,
            Element::Index => tensor.to_dtype(DType::U32).unwrap(),
        })
    };
    let values: Vec<Value> = arguments.iter().zip(&example.inputs).map(value).collect();
    let weight = |plain: &Plain| {
        backend.load(Weight::from_f32(plain.shape.clone(), plain.values.clone()).unwrap()).unwrap()
    };
    let weights: Vec<Weight> = arguments.iter().map(weight).collect();
    let is_weight = |index: usize| {
        example.inputs[index].dims.iter().all(|dim| dim.fixed().is_some())
            && example.inputs[index].element == Element::Real
    };
    let input = |index: usize| {
        if is_weight(index) { Input::Weight(&weights[index]) } else { Input::Value(&values[index]) }
    };
    let mut states = [backend.new_state(&State { name: "rows".to_owned(), row: vec![6], window: None })];
    fill(backend, &mut states, lengths.first_position);
    let inputs = (0..arguments.len()).map(input).collect();
    let mut call =
        Call { operator: &*operator, inputs, lengths, device: backend.device(), states: &mut states };
    let outputs = backend.run(&mut call).unwrap();
    let host = |output: &Value| match output {
        Value::Tensor(tensor) => {
            tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap()
        }
        Value::State(_) => Vec::new(),
    };
    outputs.iter().map(host).collect()
}

/// Fills states with rows of 0.5 for the positions before the batch.
fn fill(backend: &dyn Backend, states: &mut [Box<dyn StateRows>], n: usize) {
    if n == 0 {
        return;
    }
    let rows = Value::Tensor(Tensor::full(0.5_f32, (n, 6), backend.device()).unwrap());
    let operator =
        mc_graph::operators::cache_update::CacheUpdate { state: Builder::new().state("rows", &[6], None) };
    let lengths = Lengths { first_position: 0, n_tokens: n, n_positions_at_most: 16 };
    let mut call = Call {
        operator: &operator,
        inputs: vec![Input::Value(&rows)],
        lengths,
        device: backend.device(),
        states,
    };
    backend.run(&mut call).unwrap();
}

fn check(backend: &dyn Backend) {
    let mut n_checked = 0;
    for example in examples() {
        let entry = OPERATORS.iter().find(|entry| entry.name == example.name).unwrap();
        if !backend.has(&*(entry.read)(&example.attributes).unwrap()) {
            continue;
        }
        n_checked += 1;
        for (seed, lengths) in LENGTHS.into_iter().enumerate() {
            let arguments = numbers(&example, seed, lengths);
            let expected = expected(&example, &arguments, lengths);
            let found = found(backend, &example, &arguments, lengths);
            assert_eq!(expected.len(), found.len(), "{}", example.name);
            for (expected, found) in expected.iter().zip(&found).filter(|(_, found)| !found.is_empty()) {
                let greatest = expected
                    .values
                    .iter()
                    .fold(1_f32, |most, x| if x.is_finite() { most.max(x.abs()) } else { most });
                assert_eq!(expected.values.len(), found.len(), "{}", example.name);
                for (a, b) in expected.values.iter().zip(found) {
                    assert!(a == b || (a - b).abs() <= BOUND * greatest, "{}: {a} {b}", example.name);
                }
            }
        }
    }
    assert!(n_checked > 15, "{n_checked} kernels");
}

#[test]
fn exact_kernels_agree_with_the_reference_evaluation() {
    check(&CpuExact::new());
}

#[test]
fn candles_operators_agree_with_the_reference_evaluation() {
    check(&CandleBackend::cpu());
}
