//! Compares the bytes and the numbers of every vector path with those of the scalar code.
//!
//! `MC_SOAK_BLOCKS` sets the number of blocks of each kind to compare (default 10,000).

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use mc_encoding::codec::{Codec, Importance};
use mc_encoding::codecs::CODECS;
use mc_tensor::cpu_path::CpuPath;

/// A small generator, so that a failure can be reproduced from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// Uniform in `0..1`.
    fn unit(&mut self) -> f32 {
        (self.next() >> 7) as f32 / 16_777_216.0
    }

    /// Close enough to normal.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.unit()).sum::<f32>() - 3.0
    }

    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }
}

/// Weights of one kind; each kind has broken an encoder.
fn weights(random: &mut Random, n: usize) -> Vec<f32> {
    let kind = random.below(16);
    let scale = 10_f32.powi(random.below(9) as i32 - 6);
    let few = random.unit();
    let mut weights: Vec<f32> = (0..n)
        .map(|i| match kind {
            0..=5 => random.normal() * 0.02,
            6 => random.normal() * scale,
            7 => random.normal().powi(5) * scale,
            8 => random.normal().abs() * scale,
            9 => -random.normal().abs() * scale,
            10 => {
                if random.unit() < few {
                    random.normal() * scale
                } else {
                    0.0
                }
            }
            // Few different values: ties in every search.
            11 => (random.below(5) as f32 - 2.0) * scale,
            12 => [-1.0, 0.0, 1.0][random.below(3) as usize] * scale,
            13 => random.normal() * 1e-38 * few,
            14 => random.normal() * if i / 32 % 3 == 0 { 1e4 } else { 1e-12 },
            _ => f32::from_bits(random.next() << 1 | random.below(2)),
        })
        .collect();
    for weight in &mut weights {
        // All codecs require finite numbers, and very large ones are not weights of a model.
        if !weight.is_finite() || weight.abs() > 1e15 {
            *weight = 0.5;
        }
    }
    weights
}

fn importance(random: &mut Random, n: usize) -> Vec<f32> {
    let kind = random.below(6);
    (0..n)
        .map(|_| match kind {
            0..=2 => random.unit() + 0.01,
            3 => {
                if random.below(10) == 0 {
                    random.unit() * 1e3
                } else {
                    0.0
                }
            }
            4 => 1.0,
            _ => random.normal().powi(4) * 1e-6,
        })
        .collect()
}

fn n_blocks() -> usize {
    std::env::var("MC_SOAK_BLOCKS").map_or(10_000, |n| n.parse().expect("a number of blocks"))
}

fn vector_paths() -> impl Iterator<Item = CpuPath> {
    CpuPath::available().into_iter().filter(|path| *path != CpuPath::BASELINE)
}

/// Compares the scalar bytes of one batch of rows with those of every path.
fn compare(codec: &Codec, seed: u64, n_rows: usize, n_cols: usize, has_importance: bool) {
    let mut random = Random(seed);
    let rows: Vec<f32> = (0..n_rows).flat_map(|_| weights(&mut random, n_cols)).collect();
    let importance = has_importance.then(|| importance(&mut random, n_cols));
    let mut expected = vec![0; n_rows * codec.row_bytes(n_cols)];
    codec.encode_on(CpuPath::BASELINE, &rows, n_cols, importance.as_deref(), &mut expected);
    let mut numbers = vec![0.0; rows.len()];
    codec.decode_on(CpuPath::BASELINE, &expected, &mut numbers);
    for path in vector_paths() {
        let mut found = vec![0xaa; expected.len()];
        codec.encode_on(path, &rows, n_cols, importance.as_deref(), &mut found);
        let blocks = expected.chunks(codec.block_bytes).zip(found.chunks(codec.block_bytes));
        for (block_idx, (expected, found)) in blocks.enumerate() {
            assert!(
                expected == found,
                "{codec} on {}: seed {seed}, block {block_idx}, importance {has_importance}\n\
                 weights {:?}\nexpected {expected:?}\n   found {found:?}",
                path.name(),
                &rows[block_idx * codec.block_len..][..codec.block_len],
            );
        }
        let mut decoded = vec![1.0; rows.len()];
        codec.decode_on(path, &expected, &mut decoded);
        let is_equal = numbers.iter().zip(&decoded).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(is_equal, "{codec} on {}: seed {seed}, decoded numbers", path.name());
    }
}

/// Runs tasks on all cores, in any order.
fn on_all_cores(n_tasks: usize, task: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let n_threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let task_idx = next.fetch_add(1, Ordering::Relaxed);
                    if task_idx >= n_tasks {
                        return;
                    }
                    task(task_idx);
                }
            });
        }
    });
}

#[test]
fn every_path_gives_the_bytes_of_the_scalar_code() {
    const N_ROWS: usize = 8;
    // A task is a few batches of one codec, so that slow codecs keep no core waiting at the end.
    let (n_tasks_of_codec, n_blocks) = (16, n_blocks());
    on_all_cores(CODECS.len() * n_tasks_of_codec, |task_idx| {
        let codec = CODECS[task_idx / n_tasks_of_codec];
        let n_cols = if codec.block_len == 1 { 96 } else { 4 * codec.block_len };
        let n_blocks_of_row = (n_cols / codec.block_len).min(4);
        let n_batches = n_blocks.div_ceil(N_ROWS * n_blocks_of_row);
        for seed in (task_idx % n_tasks_of_codec..n_batches).step_by(n_tasks_of_codec) {
            let has_importance = codec.importance == Importance::Required || seed / n_tasks_of_codec % 2 == 1;
            compare(codec, seed as u64, N_ROWS, n_cols, has_importance);
        }
    });
}

#[test]
fn rows_of_any_number_of_blocks_are_complete() {
    for codec in CODECS {
        for n_blocks_of_row in 1..=19 {
            let has_importance = codec.importance != Importance::Ignored;
            compare(codec, 7, 3, n_blocks_of_row * codec.block_len, has_importance);
        }
    }
}

/// Any bytes are a valid block, and all paths must read it the same way.
#[test]
fn any_bytes_decode_alike_on_every_path() {
    const N_BLOCKS: usize = 1024;
    let mut random = Random(5);
    for codec in CODECS {
        let blocks: Vec<u8> = (0..N_BLOCKS * codec.block_bytes).map(|_| random.next() as u8).collect();
        let mut expected = vec![0.0_f32; N_BLOCKS * codec.block_len];
        codec.decode_on(CpuPath::BASELINE, &blocks, &mut expected);
        for path in vector_paths() {
            let mut decoded = vec![1.0_f32; expected.len()];
            codec.decode_on(path, &blocks, &mut decoded);
            for (expected, decoded) in expected.iter().zip(&decoded) {
                let is_equal =
                    expected.to_bits() == decoded.to_bits() || expected.is_nan() && decoded.is_nan();
                assert!(is_equal, "{codec} on {}: {expected} and {decoded}", path.name());
            }
        }
    }
}
