//! Properties of every encoding, for any weights.

use mc_encoding::codec::{Importance, Rows};
use mc_encoding::encoding::Encoding;
use mc_encoding::grids::scales::ScaleFormat;
use mc_encoding::packings::PACKINGS;
use mc_encoding::solvers::SOLVERS;
use mc_encoding::solvers::solver::Solved;
use mc_encoding::{grids, packings, solvers};
use mc_tensor::dtype::DType;
use proptest::prelude::*;

const N_COLS: usize = 256;

/// Every grid with every solver and every packing that support it.
fn encodings() -> Vec<Encoding> {
    let with_solver = |grid| SOLVERS.iter().map(move |solver| (grid, *solver));
    let with_packing =
        |(grid, solver)| PACKINGS.iter().filter_map(move |packing| Encoding::new(grid, solver, packing).ok());
    grids::all().flat_map(with_solver).flat_map(with_packing).collect()
}

fn encode(encoding: &Encoding, x: &[f32], importance: Option<&[f32]>, dtype: DType) -> Vec<Vec<u8>> {
    let mut planes = vec![Vec::new(); encoding.plane_names(dtype).len()];
    encoding.encode(&Rows { x, n_cols: N_COLS, importance }, dtype, &mut planes);
    planes
}

fn decode(encoding: &Encoding, planes: &[Vec<u8>], dtype: DType, n_elements: usize) -> Vec<f32> {
    let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
    let mut decoded = vec![0.0; n_elements];
    encoding.decode(&planes, N_COLS, dtype, &mut decoded).unwrap();
    decoded
}

fn weighted_error(x: &[f32], decoded: &[f32], importance: &[f32]) -> f64 {
    let squares = x.iter().zip(decoded).map(|(x, decoded)| (f64::from(*decoded) - f64::from(*x)).powi(2));
    squares.zip(importance.iter().cycle()).map(|(square, weight)| square * f64::from(*weight)).sum()
}

/// Rows whose magnitudes differ widely between columns and rows.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    let weight = (-1.0_f32..1.0, -12_i32..6).prop_map(|(x, exponent)| x * 2.0_f32.powi(exponent));
    (prop::collection::vec(weight, 2 * N_COLS), -20_i32..4)
        .prop_map(|(x, exponent)| x.into_iter().map(|x| x * 2.0_f32.powi(exponent)).collect())
}

fn dtypes() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![DType::F32, DType::BF16, DType::F16])
}

fn importance() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![Just(0.0), 0.0_f32..10.0], N_COLS)
}

#[test]
fn there_is_an_encoding_for_every_compatible_combination() {
    // Every grid has three solvers. Packings: MLX's grids have one, int4 three, int8 two, those with zero points one.
    assert_eq!(encodings().len(), 3 * ((18 + 3) + 12 * 3 + 11 * 2 + 20));
    for encoding in encodings() {
        assert_eq!(encoding.to_string().parse(), Ok(encoding));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_are_encoded_independently(x in rows(), importance in importance(), dtype in dtypes()) {
        for encoding in encodings() {
            let whole = encode(&encoding, &x, Some(&importance), dtype);
            let mut joined = encode(&encoding, &x[..N_COLS], Some(&importance), dtype);
            encoding.encode(
                &Rows { x: &x[N_COLS..], n_cols: N_COLS, importance: Some(&importance) },
                dtype,
                &mut joined,
            );
            prop_assert_eq!(whole, joined, "{}", encoding);
        }
    }

    #[test]
    fn the_size_of_planes_matches_their_shapes(x in rows(), dtype in dtypes()) {
        for encoding in encodings() {
            let planes = encoding.planes(&[2, N_COLS as u64], dtype).unwrap();
            let encoded = encode(&encoding, &x, Some(&[1.0; N_COLS]), dtype);
            for (plane, encoded) in planes.iter().zip(&encoded) {
                prop_assert_eq!(plane.n_bytes(), encoded.len() as u64, "{}, {}", encoding, plane.name);
            }
        }
    }

    #[test]
    fn a_search_is_never_worse_than_its_start(x in rows(), importance in importance(), dtype in dtypes()) {
        let all_alike = [1.0; N_COLS];
        for grid in grids::all() {
            let packing = packings::by_name(grid.packing).unwrap();
            let error = |solver: &str, importance: &[f32]| {
                let encoding = Encoding::new(grid, solvers::by_name(solver).unwrap(), packing).unwrap();
                let planes = encode(&encoding, &x, Some(importance), dtype);
                weighted_error(&x, &decode(&encoding, &planes, dtype, x.len()), importance)
            };
            prop_assert!(error("least-error", &all_alike) <= error(grid.solver, &all_alike), "{}", grid);
            prop_assert!(error("weighted", &importance) <= error(grid.solver, &importance), "{}", grid);
        }
    }

    #[test]
    fn equal_importance_has_no_effect(x in rows(), dtype in dtypes()) {
        for grid in grids::all() {
            let packing = packings::by_name(grid.packing).unwrap();
            let planes = |solver: &str| {
                let encoding = Encoding::new(grid, solvers::by_name(solver).unwrap(), packing).unwrap();
                encode(&encoding, &x, Some(&[1.0; N_COLS]), dtype)
            };
            prop_assert_eq!(planes("least-error"), planes("weighted"), "{}", grid);
        }
    }

    #[test]
    fn any_bytes_are_decoded(bytes in prop::collection::vec(any::<u8>(), 4 * N_COLS), dtype in dtypes()) {
        for encoding in encodings() {
            let planes = encoding.planes(&[1, N_COLS as u64], dtype).unwrap();
            let planes: Vec<Vec<u8>> =
                planes.iter().map(|plane| bytes[..plane.n_bytes() as usize].to_vec()).collect();
            prop_assert_eq!(decode(&encoding, &planes, dtype, N_COLS).len(), N_COLS);
        }
    }

    #[test]
    fn codes_and_scales_read_back(seed in prop::collection::vec(any::<u16>(), N_COLS)) {
        for encoding in encodings() {
            let (grid, packing) = (encoding.grid, encoding.packing);
            let (low, high) = grid.codes;
            let mut solved = Solved::new(grid, N_COLS);
            for (code, seed) in solved.codes.iter_mut().zip(&seed) {
                *code = low + i32::from(*seed) % (high - low + 1);
            }
            for (number, seed) in solved.scales.iter_mut().chain(&mut solved.biases).zip(&seed) {
                *number = f32::from(*seed % 64) / 4.0 - 5.0;
            }
            for (point, seed) in solved.zero_points.iter_mut().zip(&seed) {
                *point = i32::from(*seed) % (high + 1);
            }
            let scales = ScaleFormat::Float(DType::F16);
            let rows = (packing.planes)(grid, N_COLS, scales);
            let mut planes: Vec<Vec<u8>> = rows.iter().map(|row| vec![0xaa; row.n_bytes()]).collect();
            (packing.pack)(grid, &solved, scales, &mut planes.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
            let mut read = Solved::new(grid, N_COLS);
            (packing.unpack)(grid, &planes.iter().map(Vec::as_slice).collect::<Vec<_>>(), scales, &mut read);
            prop_assert_eq!(read, solved, "{}", encoding);
        }
    }
}

#[test]
fn importance_changes_the_choice_of_the_weighted_solver() {
    assert_eq!(solvers::weighted::SOLVER.importance, Importance::Required);
    let x: Vec<f32> = (0..N_COLS).map(|column| ((column * 37 % 101) as f32 - 50.0) / 7.0).collect();
    let importance: Vec<f32> =
        (0..N_COLS).map(|column| if column % 16 == 3 { 100.0 } else { 0.01 }).collect();
    for name in ["affine-2-g64:weighted", "affine-4-g128:weighted", "int4-g32:weighted"] {
        let encoding: Encoding = name.parse().unwrap();
        let error = |given: &[f32]| {
            let planes = encode(&encoding, &x, Some(given), DType::F32);
            weighted_error(&x, &decode(&encoding, &planes, DType::F32, N_COLS), &importance)
        };
        let (weighted, alike) = (error(&importance), error(&[1.0; N_COLS]));
        assert!(weighted < 0.9 * alike, "{name}: {weighted} and {alike}");
    }
}
