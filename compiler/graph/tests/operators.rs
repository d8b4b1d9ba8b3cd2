//! Every operator: its decomposition computes what its reference evaluation computes, and its attributes are read back.

use mc_graph::builder::Builder;
use mc_graph::decompose::decompose;
use mc_graph::evaluate::evaluate;
use mc_graph::graph::{Graph, Origin, ValueId};
use mc_graph::json;
use mc_graph::operators::OPERATORS;
use mc_graph::scope::Lengths;
use mc_graph::tensor::Tensor;
use mc_graph::value_type::{Dim, TOKENS, ValueType};
use proptest::prelude::*;
use serde_json::{Value, json};

/// How far a decomposition may be from the reference evaluation, relative to the greatest number.
const BOUND: f32 = 2e-6;

/// An operator with attributes and inputs that fit it.
struct Example {
    name: &'static str,
    attributes: Value,
    inputs: Vec<ValueType>,
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

fn examples() -> Vec<Example> {
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

fn graph(example: &Example) -> Graph {
    let entry = OPERATORS.iter().find(|entry| entry.name == example.name).expect("a known operator");
    let operator = (entry.read)(&example.attributes).expect("attributes of the operator");
    let mut builder = Builder::new();
    builder.state("rows", &[6], None);
    let inputs: Vec<ValueId> = example.inputs.iter().map(|input| builder.argument(input.clone())).collect();
    for (number, output) in builder.node(operator, &inputs).unwrap().into_iter().enumerate() {
        builder.output(number.to_string(), output);
    }
    builder.finish()
}

/// Numbers from 0.1 to 2, of both signs unless the operator wants positive ones; whole numbers below 7.
fn numbers(example: &Example, seed: usize, lengths: Lengths) -> Vec<Tensor> {
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
            if input.element == mc_graph::value_type::Element::Index { (x * 7.0).floor() } else { real(x) }
        };
        let n = shape.iter().product();
        Tensor::new(shape, (0..n).map(|_| number(next())).collect())
    };
    example.inputs.iter().map(tensor).collect()
}

fn run(graph: &Graph, arguments: &[Tensor], lengths: Lengths) -> Vec<Tensor> {
    let before = Tensor::new(vec![lengths.first_position, 6], vec![0.5; lengths.first_position * 6]);
    let given = |origin: Origin, _: &[usize]| match origin {
        Origin::Argument(number) => Ok(arguments[number as usize].clone()),
        other => panic!("{other:?}"),
    };
    evaluate(graph, given, lengths, &mut [before]).unwrap()
}

#[test]
fn every_operator_has_an_example() {
    let examples = examples();
    for operator in OPERATORS {
        assert!(examples.iter().any(|example| example.name == operator.name), "{operator:?}");
    }
}

#[test]
fn a_graph_is_read_back_from_its_json() {
    for example in examples() {
        let graph = graph(&example);
        let text = json::write(&graph);
        let again = json::read(&text).unwrap();
        assert_eq!(json::write(&again), text, "{}", example.name);
    }
}

#[test]
fn json_that_is_no_graph_is_refused_and_never_panics() {
    let example = &examples()[0];
    let text = json::write(&graph(example)).to_string();
    for (from, to) in [
        ("\"add\"", "\"subtract\""),
        ("[0,1]", "[0,9]"),
        ("[0,1]", "[0,2]"),
        ("{\"fixed\":6}", "{\"fixed\":5}"),
        ("\"outputs\":[2]", "\"outputs\":[1]"),
        ("[\"0\",2]", "[\"0\",7]"),
        ("\"node\":0", "\"node\":1"),
    ] {
        assert!(text.contains(from), "{text}");
        let changed: Value = serde_json::from_str(&text.replacen(from, to, 1)).unwrap();
        assert!(json::read(&changed).is_err(), "{from} {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_decomposition_computes_what_the_reference_computes(
        seed in 0_usize..1 << 30, n_tokens in 1_usize..6, first_position in 0_usize..7,
    ) {
        let lengths = Lengths { first_position, n_tokens, n_positions_at_most: 16 };
        for example in examples() {
            let whole = graph(&example);
            let simple = decompose(&whole, |_| false).unwrap();
            let is_primitive = |name: &str| simple.nodes().iter().any(|node| node.operator.name() == name);
            let arguments = numbers(&example, seed, lengths);
            let (expected, found) = (run(&whole, &arguments, lengths), run(&simple, &arguments, lengths));
            prop_assert!(simple.nodes().len() > 1 || is_primitive(example.name), "{}", example.name);
            for (expected, found) in expected.iter().zip(&found) {
                prop_assert_eq!(&expected.shape, &found.shape, "{}", example.name);
                let greatest = expected.values.iter().fold(1_f32, |most, x| if x.is_finite() { most.max(x.abs()) } else { most });
                for (a, b) in expected.values.iter().zip(&found.values) {
                    prop_assert!(a == b || (a - b).abs() <= BOUND * greatest, "{}: {} {}", example.name, a, b);
                }
            }
        }
    }
}
