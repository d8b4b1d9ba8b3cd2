//! Properties of every codec, for any numbers.

use mc_encoding::codec::Importance;
use mc_encoding::codecs::CODECS;
use proptest::prelude::*;

const N_COLS: usize = 512;

/// Finite numbers of every size: zeros of both signs, subnormals, huge ones, and runs of equal ones.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0_f32..1.0,
        1 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
        1 => Just(0.0_f32),
        1 => prop_oneof![Just(f32::MAX), Just(f32::MIN_POSITIVE), Just(-f32::MAX), Just(65504.0), Just(1e-8)],
    ]
}

fn rows(n: usize) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(number(), n * N_COLS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_row_is_encoded_independently_of_others(
        values in rows(3),
        importance in proptest::collection::vec(0.0_f32..10.0, N_COLS),
        is_weighed: bool,
    ) {
        for codec in CODECS {
            let is_weighed = is_weighed || codec.importance == Importance::Required;
            let importance = is_weighed.then_some(importance.as_slice());
            let row_bytes = codec.row_bytes(N_COLS);
            let mut together = vec![0; 3 * row_bytes];
            codec.encode(&values, N_COLS, importance, &mut together);
            for (row, expected) in values.chunks_exact(N_COLS).zip(together.chunks_exact(row_bytes)) {
                // The previous contents of the buffer do not matter.
                let mut alone = vec![0xa5; row_bytes];
                codec.encode(row, N_COLS, importance, &mut alone);
                prop_assert_eq!(&alone, expected, "{}", codec);
            }
        }
    }

    #[test]
    fn importance_changes_bytes_only_of_codecs_that_use_it(
        values in rows(1),
        importance in proptest::collection::vec(0.01_f32..10.0, N_COLS),
    ) {
        for codec in CODECS.iter().filter(|codec| codec.importance == Importance::Ignored) {
            let mut plain = vec![0; codec.row_bytes(N_COLS)];
            let mut weighed = plain.clone();
            codec.encode(&values, N_COLS, None, &mut plain);
            codec.encode(&values, N_COLS, Some(&importance), &mut weighed);
            prop_assert_eq!(&plain, &weighed, "{}", codec);
        }
    }

    #[test]
    fn any_bytes_decode_without_panic(seed in proptest::collection::vec(any::<u8>(), 64)) {
        for codec in CODECS {
            let bytes: Vec<u8> = seed.iter().copied().cycle().take(codec.row_bytes(N_COLS)).collect();
            let mut values = vec![0.0; N_COLS];
            codec.decode(&bytes, &mut values);
        }
    }

    #[test]
    fn plain_codecs_read_back(values in rows(1)) {
        for codec in CODECS.iter().filter(|codec| codec.block_len == 1) {
            let mut bytes = vec![0; codec.row_bytes(N_COLS)];
            codec.encode(&values, N_COLS, None, &mut bytes);
            let mut decoded = vec![0.0; N_COLS];
            codec.decode(&bytes, &mut decoded);
            let mut again = vec![0; bytes.len()];
            codec.encode(&decoded, N_COLS, None, &mut again);
            prop_assert_eq!(&bytes, &again, "{}", codec);
        }
    }
}
