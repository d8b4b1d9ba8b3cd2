//! Tests of every operator: its decomposition agrees with its reference evaluation, and its attributes read back.

mod examples;

use mc_graph::builder::Builder;
use mc_graph::decompose::decompose;
use mc_graph::evaluate::evaluate;
use mc_graph::graph::{Graph, Origin};
use mc_graph::ids::ValueId;
use mc_graph::json;
use mc_graph::operator::Fragment;
use mc_graph::operators::OPERATORS;
use mc_graph::scope::Lengths;
use mc_graph::tensor::Tensor;
use proptest::prelude::*;
use serde_json::Value;

use examples::{Example, examples, numbers};

/// Maximum difference between a decomposition and the reference evaluation, relative to the largest number.
const BOUND: f32 = 2e-6;

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
fn json_that_is_not_a_graph_is_refused_and_never_panics() {
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
