//! Compares the planes of every grid with those of other programs: MLX's quantizer for its grids, numpy for the others.

use mc_encoding::codec::Rows;
use mc_encoding::encoding::Encoding;
use mc_encoding::grids;
use mc_encoding::grids::grid::Grid;
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

/// The first row that MLX stores wrongly in the grids of powers of two: its scales are below 2^-127 and wrap around.
const SUBNORMAL_ROW: usize = 11;

fn encode(encoding: &Encoding, x: &[f32], n_cols: usize, dtype: DType) -> Vec<Vec<u8>> {
    let mut planes = vec![Vec::new(); encoding.plane_names(dtype).len()];
    encoding.encode(&Rows { x, n_cols, importance: None }, dtype, &mut planes);
    planes
}

/// Types of weights whose planes differ.
fn dtypes(grid: &Grid) -> &'static [DType] {
    if grid.packing == "mlx" { &[DType::F32, DType::BF16, DType::F16] } else { &[DType::F32] }
}

#[test]
fn planes_equal_those_of_the_reference() {
    let bytes = golden();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (grid, dtype) in grids::all().flat_map(|grid| dtypes(grid).iter().map(move |dtype| (grid, *dtype))) {
        let x = input(&tensors, dtype);
        let n_cols = if grid.fits(N_COLS) { N_COLS } else { 2 * N_COLS };
        let shape = [(x.len() / n_cols) as u64, n_cols as u64];
        let encoding: Encoding = grid.name.parse().unwrap();
        let planes = encoding.planes(&shape, dtype).unwrap();
        for (plane, encoded) in planes.iter().zip(encode(&encoding, &x, n_cols, dtype)) {
            let expected = tensors.tensor(&format!("{dtype}/{grid}/{}", plane.name)).unwrap();
            let shape: Vec<u64> = expected.shape().iter().map(|n| *n as u64).collect();
            assert_eq!(plane.shape, shape, "{dtype}/{grid}/{}", plane.name);
            let row_bytes = encoded.len() / shape[0] as usize;
            let rows = encoded.chunks(row_bytes).zip(expected.data().chunks(row_bytes));
            let wraps = |row| row == SUBNORMAL_ROW && ["mxfp4", "mxfp8"].contains(&grid.name);
            for (row, (found, expected)) in rows.enumerate().filter(|(row, _)| !wraps(*row)) {
                assert_eq!(found, expected, "{dtype}/{grid}/{}, row {row}", plane.name);
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
        ("int4-g32", 60.0),
        ("int4-channel", 30.0),
        ("uint4-g32", 60.0),
        ("int8-channel", 1e4),
        ("int8-g32", 1e4),
        ("uint8-g32", 1e4),
        ("mxfp4", 30.0),
        ("mxfp8", 500.0),
        ("nvfp4", 60.0),
    ];
    for (name, bound) in bounds {
        let encoding: Encoding = name.parse().unwrap();
        let planes = encode(&encoding, x, N_COLS, DType::F32);
        let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        let mut decoded = [0.0; N_COLS];
        encoding.decode(&planes, N_COLS, DType::F32, &mut decoded).unwrap();
        let noise: f64 = x.iter().zip(&decoded).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        assert!(power / noise >= bound, "{name}: signal to noise {}", power / noise);
    }
}
