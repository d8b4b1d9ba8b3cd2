//! The vector instructions that kernels use, chosen at run time.
//!
//! A path changes only the speed: every kernel gives the same bytes on all paths. This file detects the paths of the
//! CPU; the crates with kernels compile them for a [`Width`].

use std::sync::OnceLock;

/// A vector width that this CPU supports; a value for an unsupported width cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuPath(Width);

/// The widths that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// The instructions that every CPU of the architecture has, and the code that defines the bytes.
    Baseline,
    /// Four lanes in portable code, which every CPU can run; the compiler emits NEON for it on 64-bit Arm.
    Portable,
    /// Eight lanes: AVX2, F16C and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Sixteen lanes: AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

static CHOSEN: OnceLock<CpuPath> = OnceLock::new();

impl CpuPath {
    /// The instructions that every CPU of the architecture has.
    pub const BASELINE: Self = Self(Width::Baseline);

    /// The path chosen with [`Self::choose`], or else the widest one of this CPU.
    pub fn detect() -> Self {
        *CHOSEN.get_or_init(|| Self::available().pop().expect("the baseline is always available"))
    }

    /// Chooses the path for the whole process; returns false if a path is already in use.
    pub fn choose(self) -> bool {
        CHOSEN.set(self).is_ok()
    }

    /// All paths of this CPU, narrowest first.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86 has more paths"))]
        let mut paths = vec![Self::BASELINE, Self(Width::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("f16c") && has!("popcnt") {
                paths.push(Self(Width::Avx2));
                if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                    paths.push(Self(Width::Avx512));
                }
            }
        }
        paths
    }

    /// The path with this name, if this CPU supports it.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|path| path.name() == name)
    }

    /// The width that kernels are compiled for.
    pub fn width(self) -> Width {
        self.0
    }

    /// The path's name (`baseline`, `portable`, `avx2`, `avx512`).
    pub fn name(self) -> &'static str {
        match self.0 {
            Width::Baseline => "baseline",
            Width::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => "avx512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_path_is_found_by_its_name() {
        for path in CpuPath::available() {
            assert_eq!(CpuPath::by_name(path.name()), Some(path));
        }
        assert_eq!(CpuPath::by_name("avx1024"), None);
    }
}
