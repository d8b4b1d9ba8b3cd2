//! Wrappers of intrinsics for the lanes of x86-64: one `unsafe` per operator or function; [`crate::lanes::avx2`] and
//! [`crate::lanes::avx512`] explain their soundness.

/// An operator that is one intrinsic.
macro_rules! operator {
    ($lanes:ident, $operator:ident, $method:ident, $intrinsic:ident) => {
        impl $operator for $lanes {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: the CPU has the instruction (see the module).
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}

/// Functions that are one expression of intrinsics.
macro_rules! intrinsics {
    ($(fn $name:ident$(<const $bits:ident: u32>)?($($arg:ident: $kind:ty),*) -> $result:ty { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name$(<const $bits: u32>)?($($arg: $kind),*) -> $result {
                // SAFETY: the CPU has the instructions (see the module).
                unsafe { $body }
            }
        )*
    };
}

pub(super) use {intrinsics, operator};
