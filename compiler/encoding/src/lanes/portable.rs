//! Lanes as arrays: correct on every CPU; the compiler turns them into NEON on 64-bit Arm.

use std::array::from_fn;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::lanes::{MAX_LANES, Simd};
use crate::rounding::truncate;

/// `W` lanes.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const W: usize>;

/// Lanes of f32.
#[derive(Clone, Copy)]
pub(crate) struct Floats<const W: usize>([f32; W]);

/// Lanes of i32.
#[derive(Clone, Copy)]
pub(crate) struct Ints<const W: usize>([i32; W]);

/// Lanes of Booleans.
#[derive(Clone, Copy)]
pub(crate) struct Mask<const W: usize>([bool; W]);

/// An operator, lane by lane.
macro_rules! operator {
    ($lanes:ident, $operator:ident, $method:ident, $of_lane:expr) => {
        impl<const W: usize> $operator for $lanes<W> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(from_fn(|lane| $of_lane(self.0[lane], other.0[lane])))
            }
        }
    };
}

operator!(Floats, Add, add, |a: f32, b: f32| a + b);
operator!(Floats, Sub, sub, |a: f32, b: f32| a - b);
operator!(Floats, Mul, mul, |a: f32, b: f32| a * b);
operator!(Floats, Div, div, |a: f32, b: f32| a / b);
operator!(Ints, Add, add, i32::wrapping_add);
operator!(Ints, Sub, sub, i32::wrapping_sub);
operator!(Ints, BitAnd, bitand, |a: i32, b: i32| a & b);
operator!(Ints, BitOr, bitor, |a: i32, b: i32| a | b);
operator!(Ints, BitXor, bitxor, |a: i32, b: i32| a ^ b);
operator!(Mask, BitAnd, bitand, |a: bool, b: bool| a && b);
operator!(Mask, BitOr, bitor, |a: bool, b: bool| a || b);

impl<const W: usize> Not for Mask<W> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|lane| !lane))
    }
}

impl<const W: usize> Simd for Portable<W> {
    const N: usize = W;
    type F = Floats<W>;
    type I = Ints<W>;
    type M = Mask<W>;

    #[inline(always)]
    fn splat(x: f32) -> Floats<W> {
        Floats([x; W])
    }

    #[inline(always)]
    fn splat_i(x: i32) -> Ints<W> {
        Ints([x; W])
    }

    #[inline(always)]
    fn load(x: &[f32]) -> Floats<W> {
        Floats(from_fn(|lane| x[lane]))
    }

    #[inline(always)]
    fn store(x: Floats<W>, out: &mut [f32]) {
        out[..W].copy_from_slice(&x.0);
    }

    #[inline(always)]
    fn load_i(x: &[i32]) -> Ints<W> {
        Ints(from_fn(|lane| x[lane]))
    }

    #[inline(always)]
    fn store_i(x: Ints<W>, out: &mut [i32]) {
        out[..W].copy_from_slice(&x.0);
    }

    #[inline(always)]
    fn load_bytes(x: &[u8]) -> Ints<W> {
        Ints(from_fn(|lane| i32::from(x[lane])))
    }

    #[inline(always)]
    fn store_bytes(x: Ints<W>, out: &mut [u8]) {
        out[..W].copy_from_slice(&x.0.map(|lane| lane as u8));
    }

    #[inline(always)]
    fn load_halves(x: &[u8]) -> Ints<W> {
        let halves = x.as_chunks::<2>().0;
        Ints(from_fn(|lane| i32::from(u16::from_le_bytes(halves[lane]))))
    }

    #[inline(always)]
    fn store_halves(x: Ints<W>, out: &mut [u8]) {
        for (half, lane) in out[..2 * W].as_chunks_mut::<2>().0.iter_mut().zip(x.0) {
            *half = (lane as u16).to_le_bytes();
        }
    }

    #[inline(always)]
    fn groups<const K: usize>(x: &[f32]) -> [Floats<W>; K] {
        from_fn(|i| Floats(from_fn(|lane| x[K * lane + i])))
    }

    #[inline(always)]
    fn columns<const K: usize>(x: &[f32], starts: &[usize; MAX_LANES]) -> [Floats<W>; K] {
        from_fn(|i| Floats(from_fn(|lane| x[starts[lane] + i])))
    }

    #[inline(always)]
    fn store_rows<const K: usize>(x: &[Floats<W>; K], rows: &mut [[f32; K]; MAX_LANES]) {
        for (lane, row) in rows[..W].iter_mut().enumerate() {
            *row = from_fn(|i| x[i].0[lane]);
        }
    }

    #[inline(always)]
    fn lookup<const LEN: usize>(table: &[f32; LEN], index: Ints<W>) -> Floats<W> {
        Floats(index.0.map(|index| table[index as usize & (LEN - 1)]))
    }

    #[inline(always)]
    fn lookup_i<const LEN: usize>(table: &[i32; LEN], index: Ints<W>) -> Ints<W> {
        Ints(index.0.map(|index| table[index as usize & (LEN - 1)]))
    }

    #[inline(always)]
    fn permute(x: Floats<W>, index: Ints<W>) -> Floats<W> {
        Floats(index.0.map(|index| x.0[index as usize % W]))
    }

    #[inline(always)]
    fn compress(x: Ints<W>, mask: Mask<W>, out: &mut [i32]) -> usize {
        let mut n = 0;
        for lane in 0..W {
            out[n] = x.0[lane];
            n += usize::from(mask.0[lane]);
        }
        n
    }

    #[inline(always)]
    fn least(x: Floats<W>) -> Floats<W> {
        let least = x.0.iter().fold(f32::INFINITY, |least, lane| if *lane < least { *lane } else { least });
        Floats([least; W])
    }

    #[inline(always)]
    fn pick_of_two(table: [Floats<W>; 2], index: Ints<W>) -> Floats<W> {
        Floats(index.0.map(|index| table[index as usize / W % 2].0[index as usize % W]))
    }

    #[inline(always)]
    fn min(a: Floats<W>, b: Floats<W>) -> Floats<W> {
        Floats(from_fn(|lane| if a.0[lane] < b.0[lane] { a.0[lane] } else { b.0[lane] }))
    }

    #[inline(always)]
    fn max(a: Floats<W>, b: Floats<W>) -> Floats<W> {
        Floats(from_fn(|lane| if a.0[lane] > b.0[lane] { a.0[lane] } else { b.0[lane] }))
    }

    #[inline(always)]
    fn reduce_max(x: Floats<W>) -> f32 {
        let [first, rest @ ..] = x.0.as_slice() else { return 0.0 };
        rest.iter().fold(*first, |max, lane| if *lane > max { *lane } else { max })
    }

    #[inline(always)]
    fn sqrt(x: Floats<W>) -> Floats<W> {
        Floats(x.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn lt(a: Floats<W>, b: Floats<W>) -> Mask<W> {
        Mask(from_fn(|lane| a.0[lane] < b.0[lane]))
    }

    #[inline(always)]
    fn le(a: Floats<W>, b: Floats<W>) -> Mask<W> {
        Mask(from_fn(|lane| a.0[lane] <= b.0[lane]))
    }

    #[inline(always)]
    fn eq(a: Floats<W>, b: Floats<W>) -> Mask<W> {
        Mask(from_fn(|lane| a.0[lane] == b.0[lane]))
    }

    #[inline(always)]
    fn select(mask: Mask<W>, a: Floats<W>, b: Floats<W>) -> Floats<W> {
        Floats(from_fn(|lane| if mask.0[lane] { a.0[lane] } else { b.0[lane] }))
    }

    #[inline(always)]
    fn select_i(mask: Mask<W>, a: Ints<W>, b: Ints<W>) -> Ints<W> {
        Ints(from_fn(|lane| if mask.0[lane] { a.0[lane] } else { b.0[lane] }))
    }

    #[inline(always)]
    fn any(mask: Mask<W>) -> bool {
        mask.0.contains(&true)
    }

    #[inline(always)]
    fn mask_bits(mask: Mask<W>) -> u32 {
        mask.0.iter().rev().fold(0, |bits, lane| bits << 1 | u32::from(*lane))
    }

    #[inline(always)]
    fn from_mask_bits(bits: u32) -> Mask<W> {
        Mask(from_fn(|lane| bits >> lane & 1 == 1))
    }

    #[inline(always)]
    fn bits(x: Floats<W>) -> Ints<W> {
        Ints(x.0.map(|lane| lane.to_bits().cast_signed()))
    }

    #[inline(always)]
    fn from_bits(x: Ints<W>) -> Floats<W> {
        Floats(x.0.map(|lane| f32::from_bits(lane.cast_unsigned())))
    }

    #[inline(always)]
    fn to_f(x: Ints<W>) -> Floats<W> {
        Floats(x.0.map(|lane| lane as f32))
    }

    #[inline(always)]
    fn truncate(x: Floats<W>) -> Ints<W> {
        Ints(x.0.map(truncate))
    }

    #[inline(always)]
    fn min_i(a: Ints<W>, b: Ints<W>) -> Ints<W> {
        Ints(from_fn(|lane| a.0[lane].min(b.0[lane])))
    }

    #[inline(always)]
    fn max_i(a: Ints<W>, b: Ints<W>) -> Ints<W> {
        Ints(from_fn(|lane| a.0[lane].max(b.0[lane])))
    }

    #[inline(always)]
    fn eq_i(a: Ints<W>, b: Ints<W>) -> Mask<W> {
        Mask(from_fn(|lane| a.0[lane] == b.0[lane]))
    }

    #[inline(always)]
    fn gt_i(a: Ints<W>, b: Ints<W>) -> Mask<W> {
        Mask(from_fn(|lane| a.0[lane] > b.0[lane]))
    }

    #[inline(always)]
    fn shl<const BITS: u32>(x: Ints<W>) -> Ints<W> {
        Ints(x.0.map(|lane| lane << BITS))
    }

    #[inline(always)]
    fn shr<const BITS: u32>(x: Ints<W>) -> Ints<W> {
        Ints(x.0.map(|lane| (lane.cast_unsigned() >> BITS).cast_signed()))
    }

    #[inline(always)]
    fn shr_each(x: Ints<W>, n_bits: Ints<W>) -> Ints<W> {
        Ints(from_fn(|lane| (x.0[lane].cast_unsigned() >> (n_bits.0[lane] & 31)).cast_signed()))
    }

    #[inline(always)]
    fn from_f16(x: Ints<W>) -> Floats<W> {
        Floats(x.0.map(|lane| f16_to_f32(lane as u16)))
    }

    #[inline(always)]
    fn to_f16(x: Floats<W>) -> Ints<W> {
        Ints(x.0.map(|lane| i32::from(f32_to_f16(lane))))
    }
}
