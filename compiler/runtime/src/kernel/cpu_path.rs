//! Compiles kernels for the widths of [`CpuPath`].
//!
//! The sixteen lanes of [`crate::lanes`] are computed sixteen, eight or four at a time; the operations on each lane and
//! their order are the same.

use mc_tensor::cpu_path::{CpuPath, Width};

/// A kernel that can be compiled for any width.
pub(crate) trait Kernel {
    /// Runs the kernel with `W` lanes at a time and, in matrix products, `N` rows at a time.
    ///
    /// Implementations are `#[inline(always)]`, because only inlined code is compiled with the caller's instructions.
    fn run<const W: usize, const N: usize>(self);
}

/// Runs a kernel compiled for a path.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calling code compiled for more than the baseline requires CPU detection")
)]
pub(crate) fn run<K: Kernel>(path: CpuPath, kernel: K) {
    match path.width() {
        Width::Baseline | Width::Portable => kernel.run::<4, 2>(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only a CPU that has AVX2 has a path of this width.
        Width::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only a CPU that has AVX-512F has a path of this width.
        Width::Avx512 => unsafe { run_avx512(kernel) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<8, 2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run::<16, 4>();
}
