//! Compiles a kernel once per vector width and runs the one for the CPU.

use mc_tensor::cpu_path::{CpuPath, Width};

use crate::lanes::Kernel;
#[cfg(target_arch = "x86_64")]
use crate::lanes::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::lanes::avx512::Avx512;
use crate::lanes::portable::Portable;

/// Runs a kernel compiled for the path. Returns false if the path has no vector code.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calling code compiled for more than the baseline requires CPU detection")
)]
pub(crate) fn run<K: Kernel>(path: CpuPath, kernel: K) -> bool {
    match path.width() {
        Width::Baseline => return false,
        Width::Portable => kernel.run::<Portable<4>>(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only a CPU that has AVX2, F16C and POPCNT has a path of this width.
        Width::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only a CPU that has these parts of AVX-512 has a path of this width.
        Width::Avx512 => unsafe { run_avx512(kernel) },
    }
    true
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c,popcnt")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<Avx2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run::<Avx512>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{MAX_LANES, Simd};

    /// Compares operations that move numbers between lanes with their specification.
    struct Moves;

    impl Kernel for Moves {
        #[inline(always)]
        fn run<S: Simd>(self) {
            let numbers: [f32; 1024] = std::array::from_fn(|i| ((i * 37) % 1024) as f32 - 500.0);
            let words = numbers.map(|number| number as i32);
            let index: [i32; MAX_LANES] = std::array::from_fn(|i| (i * 29) as i32 - 77);
            let starts: [usize; MAX_LANES] = std::array::from_fn(|i| (i * 53) % 960);
            let modulo = |i: i32, len: usize| i as usize % len;

            let columns = S::columns::<48>(&numbers, &starts);
            let mut rows = [[0.0; 48]; MAX_LANES];
            S::store_rows::<48>(&columns, &mut rows);
            for lane in 0..S::N {
                assert_eq!(rows[lane], numbers[starts[lane]..][..48]);
            }
            let indices = S::load_i(&index);
            same::<S>(lookup_of::<S, 8>(&numbers, indices), |lane| numbers[modulo(index[lane], 8)]);
            same::<S>(lookup_of::<S, 16>(&numbers, indices), |lane| numbers[modulo(index[lane], 16)]);
            same::<S>(lookup_of::<S, 32>(&numbers, indices), |lane| numbers[modulo(index[lane], 32)]);
            same::<S>(lookup_of::<S, 64>(&numbers, indices), |lane| numbers[modulo(index[lane], 64)]);
            let table = words.first_chunk::<32>().expect("as many numbers");
            let found = S::to_f(S::lookup_i::<32>(table, indices));
            same::<S>(found, |lane| numbers[modulo(index[lane], 32)]);
            let found = S::permute(S::load(&numbers), indices);
            same::<S>(found, |lane| numbers[modulo(index[lane], S::N)]);
            let least = numbers[..S::N].iter().copied().fold(f32::INFINITY, f32::min);
            same::<S>(S::least(S::load(&numbers)), |_| least);

            let x = S::load_i(&words);
            for bits in 0..1_u32 << S::N.min(12) {
                let flags: [i32; MAX_LANES] = std::array::from_fn(|lane| (bits >> lane & 1) as i32);
                let mask = S::eq_i(S::load_i(&flags), S::splat_i(1));
                let mut out = [0; MAX_LANES];
                let n = S::compress(x, mask, &mut out);
                let expected: Vec<i32> =
                    (0..S::N).filter(|lane| flags[*lane] == 1).map(|lane| words[lane]).collect();
                assert_eq!(out[..n], expected);
            }
        }
    }

    #[inline(always)]
    fn lookup_of<S: Simd, const LEN: usize>(numbers: &[f32; 1024], index: S::I) -> S::F {
        S::lookup::<LEN>(numbers.first_chunk().expect("as many numbers"), index)
    }

    #[inline(always)]
    fn same<S: Simd>(x: S::F, expected: impl Fn(usize) -> f32) {
        let mut found = [0.0; MAX_LANES];
        S::store(x, &mut found);
        for (lane, found) in found[..S::N].iter().enumerate() {
            assert_eq!(*found, expected(lane), "lane {lane}");
        }
    }

    #[test]
    fn numbers_move_between_lanes_equally_on_every_path() {
        for path in CpuPath::available() {
            assert_eq!(run(path, Moves), path != CpuPath::BASELINE);
        }
    }
}
