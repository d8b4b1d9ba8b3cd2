//! Compares the bytes of every codec with those of ggml's reference encoder, on every case, with and without
//! importance.

use mc_encoding::codec::{Codec, Importance};
use mc_encoding::codecs::CODECS;
use safetensors::SafeTensors;

const N_COLS: usize = 1024;

fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn golden() -> Vec<u8> {
    read("quant-blocks.safetensors")
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = tensors.tensor(name).unwrap();
    data.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

fn compare(tensors: &SafeTensors<'_>, name: &str, codec: &Codec) {
    let [_, imatrix, case] = name.split('/').collect::<Vec<_>>().try_into().unwrap();
    let input = floats(tensors, &format!("input/{case}"));
    let importance = (imatrix != "none").then(|| floats(tensors, &format!("imatrix/{imatrix}")));
    let expected = tensors.tensor(name).unwrap().data().to_vec();
    let mut encoded = vec![0xaa; expected.len()];
    codec.encode(&input, N_COLS, importance.as_deref(), &mut encoded);
    let n_wrong = encoded
        .chunks(codec.block_bytes)
        .zip(expected.chunks(codec.block_bytes))
        .filter(|(encoded, expected)| encoded != expected)
        .count();
    assert_eq!(n_wrong, 0, "{name}: blocks that differ, of {}", expected.len() / codec.block_bytes);
}

#[test]
fn bytes_equal_those_of_the_reference() {
    let bytes = golden();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for codec in CODECS.iter().filter(|codec| codec.name != "F32") {
        let mut n_compared = 0;
        let prefix = format!("{}/", codec.name);
        for name in tensors.names() {
            if name.starts_with(&prefix) {
                compare(&tensors, name, codec);
                n_compared += 1;
            }
        }
        // Fifteen cases: with one importance, with another that has zeros, and without.
        let n_importances = if codec.importance == Importance::Required { 2 } else { 3 };
        assert_eq!(n_compared, 15 * n_importances, "arrays of {codec} in the golden file");
    }
}

#[test]
fn scales_out_of_range_are_packed_as_in_the_reference() {
    let bytes = read("quant-sparse-importance.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["Q2_K", "Q4_K", "Q5_K"] {
        let codec = mc_encoding::codecs::by_name(name).unwrap();
        let input = floats(&tensors, &format!("{name}/input"));
        let importance = floats(&tensors, &format!("{name}/imatrix"));
        let expected = tensors.tensor(&format!("{name}/blocks")).unwrap().data().to_vec();
        let rows = input.chunks(256).zip(importance.chunks(256)).zip(expected.chunks(codec.block_bytes));
        for (row_idx, ((row, importance), expected)) in rows.enumerate() {
            let mut encoded = vec![0; expected.len()];
            codec.encode(row, 256, Some(importance), &mut encoded);
            assert_eq!(encoded, expected, "{name}, row {row_idx}");
        }
    }
}

#[test]
fn decoded_blocks_are_near_the_weights() {
    let bytes = golden();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let input = floats(&tensors, "input/normal");
    let power: f64 = input.iter().map(|x| f64::from(*x).powi(2)).sum();
    // Signal-to-noise ratio of powers; about 6 dB per bit, less the cost of the shared scales.
    let bounds = [
        ("F32", f64::INFINITY),
        ("F16", 1e6),
        ("BF16", 1e4),
        ("Q8_0", 1e4),
        ("Q6_K", 2e3),
        ("Q5_K", 600.0),
        ("Q5_1", 500.0),
        ("Q5_0", 400.0),
        ("Q4_K", 150.0),
        ("IQ4_NL", 150.0),
        ("IQ4_XS", 150.0),
        ("IQ3_S", 30.0),
        ("IQ3_XXS", 20.0),
        ("IQ2_S", 12.0),
        ("IQ2_XS", 10.0),
        ("IQ2_XXS", 8.0),
        ("IQ1_M", 3.0),
        ("IQ1_S", 3.0),
        ("Q4_1", 120.0),
        ("Q4_0", 80.0),
        ("NVFP4", 60.0),
        ("MXFP4", 50.0),
        ("Q3_K", 35.0),
        ("Q2_K", 9.0),
        ("Q2_0", 1.5),
        ("Q1_0", 2.0),
        // For weights that are already ternary.
        ("TQ1_0", 1.2),
        ("TQ2_0", 1.2),
    ];
    for (name, bound) in bounds {
        let codec = mc_encoding::codecs::by_name(name).unwrap();
        let mut encoded = vec![0; 3 * codec.row_bytes(N_COLS)];
        let importance = (codec.importance == Importance::Required).then_some([1.0; N_COLS]);
        codec.encode(&input, N_COLS, importance.as_ref().map(<[f32; N_COLS]>::as_slice), &mut encoded);
        let mut decoded = vec![0.0; input.len()];
        codec.decode(&encoded, &mut decoded);
        let noise: f64 = input.iter().zip(&decoded).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        assert!(power / noise >= bound, "{name}: signal to noise {}", power / noise);
    }
}
