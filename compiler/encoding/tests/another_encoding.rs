//! Adding a grid and a packing takes one file and one row each: these two are not in the tables and are defined outside
//! the crate. The crate itself is unchanged, and its solvers work on the new grid.

use mc_encoding::codec::Rows;
use mc_encoding::encoding::Encoding;
use mc_encoding::solvers::{absmax, least_error, nearest, weighted};
use mc_tensor::dtype::DType;

/// NF4: sixteen levels that normally distributed weights use equally often, and one F32 scale per 64 weights.
mod nf4 {
    use mc_encoding::grids::grid::{Grid, Group, Offset};
    use mc_encoding::grids::scales::{ScaleFormat, ScaleType};
    use mc_tensor::dtype::DType;

    const LEVELS: [f32; 16] = [
        -1.0,
        -0.696_192_8,
        -0.525_073_05,
        -0.394_917_5,
        -0.284_441_38,
        -0.184_773_43,
        -0.091_050_036,
        0.0,
        0.079_580_3,
        0.160_930_2,
        0.246_112_3,
        0.337_915_24,
        0.440_709_83,
        0.562_617,
        0.722_956_84,
        1.0,
    ];

    pub(crate) static GRID: Grid = Grid {
        name: "nf4-g64",
        version: 1,
        bits: 4,
        codes: (0, 15),
        group: Group::Columns(64),
        offset: Offset::None,
        scale_type: ScaleType::Fixed(ScaleFormat::Float(DType::F32)),
        levels: |codes, out| {
            for (level, code) in out.iter_mut().zip(codes) {
                *level = LEVELS[*code as usize & 15];
            }
        },
        nearest: |values, out| {
            for (code, value) in out.iter_mut().zip(values) {
                let is_above = |pair: &&[f32]| *value > 0.5 * (pair[0] + pair[1]);
                *code = LEVELS.windows(2).filter(is_above).count() as i32;
            }
        },
        solver: "absmax",
        packing: "high-nibbles",
    };
}

/// Two codes per byte, the first in the upper half; scales are named `absmax`.
mod high_nibbles {
    use mc_encoding::grids::grid::Offset;
    use mc_encoding::packings::packing::{Packing, PlaneRow};
    use mc_tensor::dtype::DType;

    pub(crate) static PACKING: Packing = Packing {
        name: "high-nibbles",
        version: 1,
        accepts: |grid| grid.codes == (0, 15) && grid.offset == Offset::None,
        planes: |grid, n_cols, scales| {
            vec![
                PlaneRow { name: "weight", dtype: DType::U8, n_cols: n_cols / 2 },
                PlaneRow { name: "absmax", dtype: scales.dtype(), n_cols: grid.n_groups(n_cols) },
            ]
        },
        pack: |_, row, scales, planes| {
            for (byte, pair) in planes[0].iter_mut().zip(row.codes.as_chunks::<2>().0) {
                *byte = (pair[0] << 4 | pair[1]) as u8;
            }
            scales.write(&row.scales, planes[1]);
        },
        unpack: |_, planes, scales, row| {
            for (pair, byte) in row.codes.as_chunks_mut::<2>().0.iter_mut().zip(planes[0]) {
                *pair = [i32::from(byte >> 4), i32::from(byte & 15)];
            }
            scales.read(planes[1], &mut row.scales);
        },
    };
}

fn error(encoding: &Encoding, x: &[f32]) -> f64 {
    let mut planes = vec![Vec::new(); 2];
    let importance = vec![1.0; x.len()];
    encoding.encode(&Rows { x, n_cols: x.len(), importance: Some(&importance) }, DType::F32, &mut planes);
    let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
    let mut decoded = vec![0.0; x.len()];
    encoding.decode(&planes, x.len(), DType::F32, &mut decoded).unwrap();
    x.iter().zip(&decoded).map(|(x, decoded)| f64::from(decoded - x).powi(2)).sum()
}

#[test]
fn an_external_grid_with_uneven_levels_works() {
    // The sum of several waves is close enough to a normal distribution.
    let x: Vec<f32> = (0..128)
        .map(|n| [37, 59, 83, 101].map(|k| ((n * k % 128) as f32 - 64.0) / 64.0).iter().sum())
        .collect();
    let power: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
    let with = |solver| Encoding::new(&nf4::GRID, solver, &high_nibbles::PACKING).unwrap();
    let plain = error(&with(&absmax::SOLVER), &x);
    assert!(power / plain > 60.0, "signal to noise {}", power / plain);
    let searched = error(&with(&least_error::SOLVER), &x);
    assert!(searched < plain, "{searched} and {plain}");
    assert_eq!(error(&with(&weighted::SOLVER), &x), searched);
    assert!(Encoding::new(&nf4::GRID, &nearest::SOLVER, &high_nibbles::PACKING).is_err());
}
