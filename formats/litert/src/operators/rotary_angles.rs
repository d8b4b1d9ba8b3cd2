//! Cosines and sines of the rotary angles of a batch's positions.
//!
//! LongRoPE has two sets of frequencies. As in Transformers, a batch uses those for long contexts if its last position
//! is beyond the original context; keys in the cache are not rotated again.

use mc_graph::graph::Node;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::rotary::{Frequencies, RotaryScaling};

use crate::lowering::Lowering;
use crate::operators::operator;
use crate::tflite::code::Code;
use crate::tflite::subgraph::Tensor;

/// `cos(position * frequency)` and `sin(position * frequency)`, times the factor of the scaling.
pub(crate) fn lower(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let angles = operator::<RotaryAngles>(node)?;
    let divisors: Vec<Tensor> = node.inputs.iter().map(|input| to.value(*input)).collect::<Result<_, _>>()?;
    let frequencies = match angles.scaling {
        RotaryScaling::LongRope { original_context, .. } => {
            let short = frequencies(to, angles, divisors.last(), false);
            // Within the original context, no batch is long.
            if to.n_positions <= original_context {
                short
            } else {
                let long = frequencies(to, angles, divisors.first(), true);
                select(to, original_context, &long, &short)
            }
        }
        _ => frequencies(to, angles, divisors.first(), false),
    };
    let positions = to.position_numbers();
    let products = to.binary(Code::Mul, &positions, &frequencies);
    let factor = Frequencies::new(angles.n_dims, angles.base, &angles.scaling, None, false).factor as f32;
    for (code, output) in [Code::Cos, Code::Sin].into_iter().zip(&node.outputs) {
        let waves = to.unary(code, &products);
        let waves = to.scale(&waves, factor);
        to.set(*output, waves);
    }
    Ok(())
}

/// Radians per position, `[n_dims / 2]`.
///
/// * `divisors`: divisors that are weights of the model
fn frequencies(
    to: &mut Lowering<'_>,
    angles: &RotaryAngles,
    divisors: Option<&Tensor>,
    is_long: bool,
) -> Tensor {
    let RotaryAngles { n_dims, base, scaling } = angles;
    let numbers = Frequencies::new(*n_dims, *base, scaling, None, is_long).per_pair;
    let numbers: Vec<f32> = numbers.into_iter().map(|frequency| frequency as f32).collect();
    let numbers = to.subgraph.numbers(&numbers);
    match divisors {
        Some(divisors) => to.binary(Code::Div, &numbers, divisors),
        None => numbers,
    }
}

/// The frequencies for long contexts if the last position is beyond the original one, otherwise those for short ones.
fn select(to: &mut Lowering<'_>, original_context: u32, long: &Tensor, short: &Tensor) -> Tensor {
    let last = to.last_position();
    let bound = to.subgraph.integers(&[original_context as i32 - 1]);
    let is_long = to.compare(Code::Greater, &last, &bound);
    to.select(&is_long, long, short)
}
