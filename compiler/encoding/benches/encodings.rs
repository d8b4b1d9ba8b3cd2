//! Speed of the encodings in planes: `cargo bench -p mc-encoding --bench encodings [-- NAME...]`.
//!
//! One thread, rows of 2048 weights like those of a trained model. A figure is MB of f32 input (encoding) or output
//! (decoding) per second, the best of several runs.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mc_encoding::codec::Rows;
use mc_encoding::encoding::Encoding;
use mc_encoding::packings::packing::Packing;
use mc_encoding::solvers::solver::Solver;
use mc_encoding::{grids, packings, solvers};
use mc_tensor::dtype::DType;

const N_COLS: usize = 2048;
/// Duration of the measurement of one figure.
const DURATION: Duration = Duration::from_millis(200);

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |grid: &&grids::grid::Grid| names.is_empty() || names.iter().any(|name| name == grid.name);
    println!("{:<16} {:>8} {:>12} {:>8}", "grid", "encode", "least-error", "decode");
    for grid in grids::all().filter(wanted) {
        let packing = packings::by_name(grid.packing).expect("the packing of a grid");
        let encoding = |solver: &'static Solver| encoding(grid, solver, packing);
        let plain = encoding(solvers::by_name(grid.solver).expect("the solver of a grid"));
        let (encode, decode) = (encode(&plain, 64), decode(&plain, 64));
        let search = self::encode(&encoding(&solvers::least_error::SOLVER), 4);
        println!("{:<16} {encode:>8.0} {search:>12.0} {decode:>8.0}", grid.name);
    }
}

fn encoding(
    grid: &'static grids::grid::Grid,
    solver: &'static Solver,
    packing: &'static Packing,
) -> Encoding {
    Encoding::new(grid, solver, packing).expect("every grid can be searched")
}

fn encode(encoding: &Encoding, n_rows: usize) -> f64 {
    let weights = weights(n_rows);
    let n_planes = encoding.plane_names(DType::BF16).len();
    measure(n_rows, || {
        let mut planes = vec![Vec::new(); n_planes];
        let rows = Rows { x: &weights, n_cols: N_COLS, importance: None };
        encoding.encode(&rows, DType::BF16, &mut planes);
        black_box(&mut planes);
    })
}

fn decode(encoding: &Encoding, n_rows: usize) -> f64 {
    let weights = weights(n_rows);
    let mut planes = vec![Vec::new(); encoding.plane_names(DType::BF16).len()];
    encoding.encode(&Rows { x: &weights, n_cols: N_COLS, importance: None }, DType::BF16, &mut planes);
    let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
    let mut out = vec![0.0; weights.len()];
    measure(n_rows, || {
        encoding.decode(&planes, N_COLS, DType::BF16, &mut out).expect("planes of the encoding");
        black_box(&mut out);
    })
}

/// MB of f32 per second, the best of the runs that fit into the duration.
fn measure(n_rows: usize, mut run: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut best = f64::INFINITY;
    while best.is_infinite() || started.elapsed() < DURATION {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    (4 * n_rows * N_COLS) as f64 / 1e6 / best
}

/// Approximately normally distributed weights.
fn weights(n_rows: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    };
    (0..n_rows * N_COLS).map(|_| 0.02 * ((0..12).map(|_| unit()).sum::<f32>() - 6.0)).collect()
}
