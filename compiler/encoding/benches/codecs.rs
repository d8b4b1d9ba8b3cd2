//! Speed of the codecs: `cargo bench -p mc-encoding [-- NAME...]`.
//!
//! One thread, 1024 x 2048 weights like those of a trained model. A figure is MB of f32 input (encoding) or output
//! (decoding) per CPU second, the best of several runs, and `x` is its ratio to the scalar code in the same run.
//! Absolute figures depend on the machine and its load; ratios much less.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mc_encoding::codec::{Codec, Importance};
use mc_encoding::codecs::CODECS;
use mc_tensor::cpu_path::CpuPath;

const N_COLS: usize = 2048;
const N_ROWS: usize = 1024;
/// Duration of the measurement of one figure, after the first run.
const DURATION: Duration = Duration::from_millis(300);

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |codec: &Codec| names.is_empty() || names.iter().any(|name| name == codec.name);
    let (weights, importance) = numbers();
    let paths = CpuPath::available();
    print!("{:<8} {:<10}", "type", "");
    for path in &paths {
        print!(" {:>16}", path.name());
    }
    println!();
    for codec in CODECS.iter().filter(|codec| wanted(codec)) {
        for importance in [None, Some(importance.as_slice())] {
            let is_used = match codec.importance {
                Importance::Ignored => importance.is_none(),
                Importance::Used | Importance::Expected => true,
                Importance::Required => importance.is_some(),
            };
            if is_used {
                let label = if importance.is_some() { "imatrix" } else { "" };
                row(codec.name, label, &paths, |path, n_rows| {
                    let mut out = vec![0; n_rows * codec.row_bytes(N_COLS)];
                    measure(n_rows, || {
                        codec.encode_on(path, &weights[..n_rows * N_COLS], N_COLS, importance, &mut out);
                        black_box(&mut out);
                    })
                });
            }
        }
        let mut blocks = vec![0; N_ROWS * codec.row_bytes(N_COLS)];
        let n_coded = N_ROWS / 16;
        let coded = n_coded * codec.row_bytes(N_COLS);
        codec.encode(&weights[..n_coded * N_COLS], N_COLS, Some(&importance), &mut blocks[..coded]);
        for part in 1..16 {
            blocks.copy_within(..coded, part * coded);
        }
        let mut out = vec![0.0; N_ROWS * N_COLS];
        row(codec.name, "decode", &paths, |path, n_rows| {
            let n_bytes = n_rows * codec.row_bytes(N_COLS);
            measure(n_rows, || {
                codec.decode_on(path, &blocks[..n_bytes], &mut out[..n_rows * N_COLS]);
                black_box(&mut out);
            })
        });
    }
}

fn row(name: &str, label: &str, paths: &[CpuPath], mut run: impl FnMut(CpuPath, usize) -> f64) {
    print!("{name:<8} {label:<10}");
    let mut scalar = 0.0;
    for path in paths {
        // A few rows show how many fit into the duration.
        let few = run(*path, 16);
        let n_rows = ((few * 1e6 * DURATION.as_secs_f64() / 4.0) as usize / (4 * N_COLS)).clamp(16, N_ROWS);
        let speed = run(*path, n_rows);
        if scalar == 0.0 {
            scalar = speed;
        }
        print!(" {speed:>8.0} {:>6.1}x", speed / scalar);
    }
    println!();
}

/// MB of f32 per second, the best of the runs that fit into the duration.
fn measure(n_rows: usize, mut run: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut best = f64::INFINITY;
    let mut n_runs = 0;
    while n_runs < 3 || started.elapsed() < DURATION && n_runs < 50 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        n_runs += 1;
    }
    (4 * n_rows * N_COLS) as f64 / 1e6 / best
}

/// Approximately normally distributed weights, and importance that differs by column.
fn numbers() -> (Vec<f32>, Vec<f32>) {
    let mut state = 1_u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    };
    let mut normal = || (0..12).map(|_| unit()).sum::<f32>() - 6.0;
    let weights = (0..N_ROWS * N_COLS).map(|_| 0.02 * normal()).collect();
    let importance = (0..N_COLS).map(|_| normal().abs() + 0.05).collect();
    (weights, importance)
}
