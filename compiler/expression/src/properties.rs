//! Properties of all operators, on random expressions.

use proptest::prelude::*;

use crate::draw::Draw;
use crate::expression::TensorExpr;
use crate::memory::{Memory, in_tiles};
use crate::operators::{OPERATORS, load};
use crate::parser::OperatorRow;

const SHAPES: [&[u64]; 9] =
    [&[1], &[6], &[256], &[1, 1], &[4, 3], &[12, 32], &[5, 5], &[2, 4, 3], &[3, 2, 32]];

fn wild(seed: u64) -> Draw {
    Draw::wild(seed, load::tests::draw, OPERATORS.iter().map(|row| row.draw).collect())
}

fn fitting(seed: u64) -> Draw {
    Draw::fitting(seed, load::tests::draw, OPERATORS.iter().map(|row| row.draw).collect())
}

/// An expression with the row's operator at its root, and the inputs that it reads.
fn drawn(row: &OperatorRow, mut draw: Draw) -> Option<(TensorExpr, Memory)> {
    let shape = draw.one_of(&SHAPES);
    let expression = (row.draw)(&mut draw, shape)?;
    Some((expression, Memory(draw.inputs)))
}

/// The bits of values, with all NaNs equal, because which of two NaNs results depends on how a loop was compiled.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

proptest! {
    #[test]
    fn an_expression_prints_as_its_text(seed in any::<u64>()) {
        for row in OPERATORS {
            for draw in [wild(seed), fitting(seed)] {
                let Some((expression, _)) = drawn(row, draw) else { continue };
                let text = expression.to_string();
                prop_assert!(text.starts_with(&format!("{}(", row.name)), "{text}");
                let read = TensorExpr::parse(&text).unwrap();
                prop_assert_eq!(&read.to_string(), &text);
                prop_assert_eq!(read.shape(), expression.shape());
                prop_assert_eq!(read.element_type(), expression.element_type());
                prop_assert_eq!(read, expression);
            }
        }
    }

    #[test]
    fn all_inputs_are_renumbered(seed in any::<u64>(), more in 1_usize..1000) {
        for row in OPERATORS {
            let Some((expression, _)) = drawn(row, wild(seed)) else { continue };
            let moved = expression.map_inputs(&|input| input + more);
            let renumbered = |text: &str| {
                let mut parts = text.split('$');
                let first = parts.next().unwrap().to_owned();
                parts.fold(first, |text, part| {
                    let end = part.find(|c: char| !c.is_ascii_digit()).unwrap();
                    format!("{text}${}{}", part[..end].parse::<usize>().unwrap() + more, &part[end..])
                })
            };
            prop_assert_eq!(moved.to_string(), renumbered(&expression.to_string()));
            let highest = |text: &str| text.split('$').skip(1).map(|part| {
                let end = part.find(|c: char| !c.is_ascii_digit()).unwrap();
                part[..end].parse::<usize>().unwrap() + 1
            }).max().unwrap_or(0);
            prop_assert_eq!(expression.n_inputs(), highest(&expression.to_string()));
        }
    }

    #[test]
    fn tiles_of_any_height_give_the_same_rows(seed in any::<u64>(), n_rows in 1_usize..7) {
        for row in OPERATORS {
            let Some((expression, inputs)) = drawn(row, fitting(seed)) else { continue };
            let whole = in_tiles(&expression, &inputs, 1 << 20);
            prop_assert!(whole.is_ok(), "{expression}: {}", whole.unwrap_err());
            let whole = whole.unwrap();
            let n_elements = expression.shape().iter().product::<u64>();
            prop_assert_eq!(whole.len() as u64, n_elements, "{}", &expression);
            let in_tiles = in_tiles(&expression, &inputs, n_rows).unwrap();
            prop_assert_eq!(bits(&in_tiles), bits(&whole), "{}", expression);
        }
    }

    #[test]
    fn operands_that_do_not_fit_give_an_error_and_never_a_panic(seed in any::<u64>(), n_rows in 1_usize..7) {
        for row in OPERATORS {
            let Some((expression, inputs)) = drawn(row, wild(seed)) else { continue };
            drop(in_tiles(&expression, &inputs, n_rows));
        }
    }

    #[test]
    fn changed_text_never_panics(
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
        with in "[a-z0-9@$(),\\[\\] é]{0,3}",
        n_cut in 0_usize..4,
    ) {
        let expression = wild(seed).expression(&[4, 3]);
        let text: Vec<char> = expression.to_string().chars().collect();
        let at = at.index(text.len());
        let end = (at + n_cut).min(text.len());
        let changed: String =
            text[..at].iter().copied().chain(with.chars()).chain(text[end..].iter().copied()).collect();
        if let Ok(read) = TensorExpr::parse(&changed) {
            prop_assert_eq!(read.to_string(), changed);
        }
    }

    #[test]
    fn any_text_is_refused_or_read_but_never_panics(text in "\\PC{0,60}") {
        prop_assert!(TensorExpr::parse(&text).is_ok() || TensorExpr::parse(&text).is_err());
    }
}
