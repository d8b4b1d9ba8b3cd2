//! Which vector instructions a kernel is compiled for, chosen when the program runs.
//!
//! A path changes speed and nothing else: the sixteen lanes of [`crate::kernel::lanes`] are computed sixteen,
//! eight or four at a time, each lane by the same operations in the same order.

/// A vector width that this CPU has; it cannot be made for one that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuPath(Width);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A kernel whose body can be compiled for any width.
pub(crate) trait Kernel {
    /// Runs it; `W` lanes at a time and, in matrix products, `N` rows at a time.
    ///
    /// Implementations are `#[inline(always)]`, because only inlined code gets the caller's instructions.
    fn run<const W: usize, const N: usize>(self);
}

impl CpuPath {
    /// The instructions that every CPU of the architecture has.
    pub const BASELINE: Self = Self(Width::Baseline);

    /// The widest path of this CPU.
    pub fn detect() -> Self {
        Self::available().pop().expect("the baseline is always available")
    }

    /// All paths of this CPU, narrowest first.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86 has more paths"))]
        let mut paths = vec![Self::BASELINE];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") {
                paths.push(Self(Width::Avx2));
            }
            if std::arch::is_x86_feature_detected!("avx512f") {
                paths.push(Self(Width::Avx512));
            }
        }
        paths
    }

    /// The path's name (`baseline`, `avx2`, `avx512`).
    pub fn name(self) -> &'static str {
        match self.0 {
            Width::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => "avx512",
        }
    }

    /// Runs a kernel compiled for this path.
    #[cfg_attr(
        target_arch = "x86_64",
        expect(
            unsafe_code,
            reason = "calling code compiled for more than the baseline needs a detected CPU"
        )
    )]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            Width::Baseline => kernel.run::<4, 2>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the field is private, and `available` makes this value only where the CPU has AVX2.
            Width::Avx2 => unsafe { run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the field is private, and `available` makes this value only where the CPU has AVX-512F.
            Width::Avx512 => unsafe { run_avx512(kernel) },
        }
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
