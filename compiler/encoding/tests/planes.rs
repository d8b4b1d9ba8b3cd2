//! Compares the planes of every grid with those of other programs: MLX's quantizer for affine grids, numpy for
//! symmetric ones.

use mc_encoding::codec::Rows;
use mc_encoding::encoding::Encoding;
use mc_encoding::grids;
use mc_tensor::dtype::DType;
use safetensors::SafeTensors;

const N_COLS: usize = 128;

fn golden() -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/golden/planes.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn input(tensors: &SafeTensors<'_>, dtype: DType) -> Vec<f32> {
    let data = tensors.tensor(&format!("input/{dtype}")).unwrap();
    data.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

fn encode(encoding: &Encoding, x: &[f32], dtype: DType) -> Vec<Vec<u8>> {
    let mut planes = vec![Vec::new(); encoding.plane_names(dtype).len()];
    encoding.encode(&Rows { x, n_cols: N_COLS, importance: None }, dtype, &mut planes);
    planes
}

#[test]
fn planes_equal_those_of_the_reference() {
    let bytes = golden();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for dtype in [DType::F32, DType::BF16, DType::F16] {
        let x = input(&tensors, dtype);
        let shape = [(x.len() / N_COLS) as u64, N_COLS as u64];
        for grid in grids::all() {
            let encoding: Encoding = grid.name.parse().unwrap();
            let planes = encoding.planes(&shape, dtype).unwrap();
            for (plane, encoded) in planes.iter().zip(encode(&encoding, &x, dtype)) {
                let expected = tensors.tensor(&format!("{dtype}/{grid}/{}", plane.name)).unwrap();
                let shape: Vec<u64> = expected.shape().iter().map(|n| *n as u64).collect();
                assert_eq!(plane.shape, shape, "{dtype}/{grid}/{}", plane.name);
                let row_bytes = encoded.len() / shape[0] as usize;
                let rows = encoded.chunks(row_bytes).zip(expected.data().chunks(row_bytes));
                for (row, (found, expected)) in rows.enumerate() {
                    assert_eq!(found, expected, "{dtype}/{grid}/{}, row {row}", plane.name);
                }
            }
        }
    }
}

#[test]
fn decoded_planes_are_as_near_as_the_bits_allow() {
    let bytes = golden();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    // The first row is normally distributed. Signal-to-noise ratio of powers: about 6 dB per bit.
    let x = &input(&tensors, DType::F32)[..N_COLS];
    let power: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
    let bounds = [
        ("affine-2-g32", 6.0),
        ("affine-3-g32", 30.0),
        ("affine-4-g32", 120.0),
        ("affine-4-g128", 80.0),
        ("affine-5-g32", 500.0),
        ("affine-6-g32", 2e3),
        ("affine-8-g64", 2e4),
        ("int4-b32", 60.0),
        ("int8-channel", 1e4),
    ];
    for (name, bound) in bounds {
        let encoding: Encoding = name.parse().unwrap();
        let planes = encode(&encoding, x, DType::F32);
        let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        let mut decoded = [0.0; N_COLS];
        encoding.decode(&planes, N_COLS, DType::F32, &mut decoded).unwrap();
        let noise: f64 = x.iter().zip(&decoded).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        assert!(power / noise >= bound, "{name}: signal to noise {}", power / noise);
    }
}
