//! From a calibration text to planes: the weighted solver uses the statistic `diagonal` of the demo model
//! when it encodes a tensor of that model.

mod memory;
mod workspace;

use mc_encoding::encoding::Encoding;
use mc_ir::attribute::Value;
use mc_rules::calibrate::statistic_file::StatisticFile;
use mc_rules::calibrate::statistic_info::StatisticInfo;
use mc_rules::remote_kinds::make;
use mc_rules::source::model_info::ModelInfo;
use mc_runtime::statistics::STATISTICS;
use mc_tensor::convert;
use mc_tensor::model_tensor::ModelTensor;
use memory::run;
use workspace::{Workspace, bytes, label, outputs, text};

const TENSOR: ModelTensor = ModelTensor::FfnDown { block: 0 };

/// Returns the demo's checkpoint, and a statistic of it on the demo's calibration text.
fn calibrated(statistic: &str) -> (ModelInfo, StatisticInfo) {
    let mut demo = Workspace::default();
    let base = demo.declare("checkpoint", "base", &[("dir", text("base"))]);
    demo.declare("dataset", "text", &[("files", text("data/calibration/requests.txt"))]);
    let attributes = [
        ("model", Value::Label(label("base"))),
        ("calibration", Value::Label(label("text"))),
        ("statistic", text(statistic)),
        ("context", Value::Integer(64)),
    ];
    let providers = demo.declare("calibrate", "statistic", &attributes);
    (base.get::<ModelInfo>().unwrap().clone(), providers.get::<StatisticInfo>().unwrap().clone())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

#[test]
fn every_statistic_is_a_file_and_a_blob_for_each_matrix() {
    for statistic in STATISTICS {
        let (_, info) = calibrated(statistic.name);
        let node = &info.rows[&TENSOR].node;
        let outputs = outputs(node);
        let file = StatisticFile::parse(&outputs["statistic.safetensors"]).unwrap();
        assert_eq!((file.statistic, file.chunk_len), (*statistic, 64));
        assert!(file.n_chunks > 1 && file.matrices.keys().eq(info.rows.keys()), "{statistic}");
        for (tensor, measured) in &file.matrices {
            assert_eq!(measured.n_rows, [file.n_chunks * file.chunk_len], "{statistic}, {tensor}");
            assert_eq!(floats(&outputs[&info.rows[tensor].output]), measured.values, "{statistic}, {tensor}");
        }
        // A worker creates the same action from its parameters alone.
        let kind = node.action.kind();
        let again = make(&format!("{}@{}", kind.name, kind.version), &node.action.parameters()).unwrap();
        assert_eq!((again.outputs(), again.parameters()), (node.action.outputs(), node.action.parameters()));
    }
}

#[test]
fn a_tensor_is_encoded_in_planes_by_its_importance() {
    let (model, info) = calibrated("diagonal");
    let row = workspace::made(&info.rows[&TENSOR]);
    let importance = floats(&row);
    let weight = model.weights.iter().find(|weight| weight.tensor == TENSOR).unwrap();
    let [source] = weight.inputs.as_slice() else { panic!("a weight of a checkpoint has one source") };
    let (stored, shape) = (bytes(source), weight.shape());
    assert_eq!(importance.len() as u64, shape[1]);
    let mut weights = vec![0.0; (shape[0] * shape[1]) as usize];
    convert::to_f32(weight.dtype, &stored, &mut weights);
    let inputs = [stored, row];
    for (grid, plain, packing) in [
        ("affine-4-g64", "nearest", "mlx"),
        ("int4-g32", "absmax", "offset-nibbles"),
        ("int8-channel", "absmax", "signed-bytes"),
    ] {
        let error = |solver: &str, importance_input: &str| {
            let parts = format!("{grid}@1, {solver}@1, {packing}@1, {importance_input}");
            let expression = format!("encode({parts}{})", weight.expression);
            let action = make("tensor@2", &[("expression".to_owned(), expression)]).unwrap();
            let outputs = run(&*action, &inputs, 2);
            let encoding: Encoding = format!("{grid}:{solver}:{packing}").parse().unwrap();
            let planes = encoding.planes(&shape, weight.dtype).unwrap();
            let planes: Vec<&[u8]> = planes.iter().map(|plane| outputs[plane.name].as_slice()).collect();
            let mut decoded = vec![0.0; weights.len()];
            encoding.decode(&planes, importance.len(), weight.dtype, &mut decoded).unwrap();
            weighted_error(&weights, &decoded, &importance)
        };
        let (weighted, plain, alike) =
            (error("weighted", "$1, "), error(plain, ""), error("least-error", ""));
        assert!(weighted < plain && weighted < alike, "{grid}: {weighted}, {plain}, {alike}");
    }
}

fn weighted_error(weights: &[f32], decoded: &[f32], importance: &[f32]) -> f64 {
    let differences = weights.iter().zip(decoded).map(|(weight, decoded)| f64::from(decoded - weight));
    let weighted = differences.zip(importance.iter().cycle());
    weighted.map(|(difference, weight)| difference * difference * f64::from(*weight)).sum()
}
