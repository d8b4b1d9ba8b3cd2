//! Tensors stored in planes: one output for each plane, by an action that is created from its parameters
//! alone, as a worker does it.

mod memory;

use mc_encoding::codec::Rows;
use mc_encoding::encoding::Encoding;
use mc_rules::remote_kinds::make;
use mc_tensor::convert;
use mc_tensor::dtype::DType;
use memory::run;

/// Three tiles.
const SHAPE: [usize; 2] = [600, 1024];

fn weights() -> Vec<f32> {
    let mut weights: Vec<f32> = (0..SHAPE[0] * SHAPE[1])
        .map(|index| ((index as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
        .collect();
    convert::round_through(DType::BF16, &mut weights);
    weights
}

fn bytes(dtype: DType, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * dtype.n_bytes()];
    convert::from_f32(dtype, values, &mut bytes);
    bytes
}

fn importance(n_cols: usize) -> Vec<f32> {
    (0..n_cols).map(|column| (column % 7) as f32).collect()
}

/// Returns the planes that the library computes from the whole tensor at once.
fn expected(encoding: &str, x: &[f32], importance: &[f32]) -> Vec<Vec<u8>> {
    let encoding: Encoding = encoding.parse().unwrap();
    let mut planes = vec![Vec::new(); encoding.plane_names(DType::BF16).len()];
    encoding.encode(
        &Rows { x, n_cols: importance.len(), importance: Some(importance) },
        DType::BF16,
        &mut planes,
    );
    planes
}

fn parameters(expression: &str) -> Vec<(String, String)> {
    vec![("expression".to_owned(), expression.to_owned())]
}

#[test]
fn every_plane_is_an_output_whatever_the_number_of_threads() {
    let (weights, importance) = (weights(), importance(SHAPE[1]));
    let inputs = [bytes(DType::BF16, &weights), bytes(DType::F32, &importance)];
    for (text, encoding, names) in [
        ("affine-4-g64@1, nearest@1, mlx@1", "affine-4-g64", &["weight", "scales", "biases"][..]),
        ("affine-3-g128@1, weighted@1, mlx@1, $1", "affine-3-g128:weighted", &["weight", "scales", "biases"]),
        ("int4-g32@1, absmax@1, offset-nibbles@1", "int4-g32", &["weight", "scales"]),
        ("int8-channel@1, absmax@1, signed-bytes@1", "int8-channel", &["weight", "scales"]),
    ] {
        let expression = format!("encode({text}, load($0, BF16, [600, 1024]))");
        let action = make("tensor@2", &parameters(&expression)).unwrap();
        assert_eq!(action.outputs(), [names, &["report.json"]].concat());
        let expected = expected(encoding, &weights, &importance);
        for n_threads in [1, 3] {
            let outputs = run(&*action, &inputs, n_threads);
            for (name, expected) in names.iter().zip(&expected) {
                assert_eq!(action.output_size(name), Some(expected.len() as u64), "{encoding} {name}");
                assert!(outputs[*name] == *expected, "{encoding} {name}, {n_threads} threads");
            }
            let report: serde_json::Value = serde_json::from_slice(&outputs["report.json"]).unwrap();
            assert_eq!(report["type"], encoding);
            assert_eq!(report["bytes"], expected.iter().map(Vec::len).sum::<usize>());
            assert!(report["rmse"].as_f64().unwrap() > 0.0 && report["overflowed_blocks"] == 0);
        }
    }
}

#[test]
fn blocks_are_one_plane() {
    let inputs = [bytes(DType::BF16, &weights())];
    let action = make("tensor@2", &parameters("quantize(Q8_0@1, load($0, BF16, [600, 1024]))")).unwrap();
    assert_eq!(action.outputs(), ["tensor", "report.json"]);
    let blocks = &run(&*action, &inputs, 2)["tensor"];
    assert_eq!(action.output_size("tensor"), Some(blocks.len() as u64));
    assert_eq!(blocks.len(), 600 * 1024 / 32 * 34);
}

#[test]
fn each_expert_of_a_stack_has_its_own_importance() {
    let n = 3 * 5 * 64;
    let weights: Vec<f32> = weights()[..n].to_vec();
    let importance: Vec<f32> = (0..3 * 64).map(|column| (column * column % 11) as f32).collect();
    let inputs = [bytes(DType::BF16, &weights), bytes(DType::F32, &importance)];
    let expression = "encode(affine-2-g32@1, weighted@1, mlx@1, $1, load($0, BF16, [3, 5, 64]))";
    let outputs = run(&*make("tensor@2", &parameters(expression)).unwrap(), &inputs, 2);
    let experts = weights.chunks(5 * 64).zip(importance.chunks(64));
    let experts: Vec<Vec<Vec<u8>>> =
        experts.map(|(weights, importance)| expected("affine-2-g32:weighted", weights, importance)).collect();
    for (index, name) in ["weight", "scales", "biases"].into_iter().enumerate() {
        let stacked: Vec<u8> = experts.iter().flat_map(|planes| planes[index].clone()).collect();
        assert_eq!(outputs[name], stacked, "{name}");
    }
}

#[test]
fn an_unsupported_encoding_is_refused_before_it_runs() {
    let refusal = |expression: &str| make("tensor@2", &parameters(expression)).err().unwrap().to_string();
    let load = "load($0, BF16, [4, 96])";
    let misfit = refusal(&format!("encode(affine-4-g64@1, nearest@1, mlx@1, {load})"));
    assert!(misfit.contains("these fit: `affine-4-g32`"), "{misfit}");
    let unweighted = refusal(&format!("encode(int4-g32@1, weighted@1, offset-nibbles@1, {load})"));
    assert!(unweighted.contains("int4-g32:weighted requires importance"), "{unweighted}");
    let other_version = refusal(&format!("encode(int4-g32@1, absmax@9, offset-nibbles@1, {load})"));
    assert!(other_version.contains("another version"), "{other_version}");
}
