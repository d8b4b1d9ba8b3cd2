//! Which vector instructions kernels are compiled for, chosen when the program runs.
//!
//! A path changes speed and nothing else: every kernel gives the same bytes on all of them. This file knows which ones
//! the CPU has; the crates with kernels compile them for a [`Width`].

use std::sync::OnceLock;

/// A vector width that this CPU has; it cannot be made for one that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuPath(Width);

/// The widths that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// What every CPU of the architecture has, and the code that defines the bytes.
    Baseline,
    /// Four lanes in portable code, which every CPU can run: the compiler makes NEON of it on 64-bit Arm.
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

    /// The path that was chosen with [`Self::choose`], or else the widest of this CPU.
    pub fn detect() -> Self {
        *CHOSEN.get_or_init(|| Self::available().pop().expect("the baseline is always available"))
    }

    /// Chooses the path of the whole process; `false` if one is in use already.
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

    /// The path of a name, if this CPU has it.
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
