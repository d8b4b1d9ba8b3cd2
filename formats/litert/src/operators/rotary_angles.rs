//! Cosines and sines of the rotary angles of a batch's positions, from tables over all positions.
//!
//! Tables have the numbers of Transformers on every device: an angle is the product of two 32-bit numbers, and its
//! cosine is exact. Kernels that compute cosines of large angles are not, and on GPUs, angles have 16 bits.
//!
//! LongRoPE has two sets of frequencies. As in Transformers, a batch uses those for long contexts if it goes beyond the
//! original context; keys in the cache are not rotated again. LiteRT-LM leaves the last token of a prompt to `decode`,
//! so a prompt has at least one token more than its batches.
//!
//! Divisors that are weights are not known when a file is written; then the cosines are computed.

use mc_graph::graph::Node;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::rotary::{Frequencies, RotaryScaling};
use mc_tensor::math;

use crate::lowering::{Lowering, operator};
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;
use crate::tflite::subgraph::Tensor;

/// `cos(position * frequency)` and `sin(position * frequency)`, times the factor of the scaling.
pub(crate) fn lower(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let angles = operator::<RotaryAngles>(node)?;
    let divisors: Vec<Tensor> = node.inputs.iter().map(|input| to.value(*input)).collect::<Result<_, _>>()?;
    let waves = match divisors.as_slice() {
        [] => looked_up(to, angles),
        [divisors] => computed(to, angles, |_| divisors.clone()),
        [long, short, ..] => computed(to, angles, |to| match long_bound(to, angles) {
            None => short.clone(),
            Some(original_context) => {
                let is_long = is_long(to, original_context);
                to.select(&is_long, long, short)
            }
        }),
    };
    for (waves, output) in waves.into_iter().zip(&node.outputs) {
        to.set(*output, waves);
    }
    Ok(())
}

/// The original context of LongRoPE, if batches may go beyond it.
fn long_bound(to: &Lowering<'_>, angles: &RotaryAngles) -> Option<u32> {
    match angles.scaling {
        RotaryScaling::LongRope { original_context, .. } => {
            Some(original_context).filter(|original_context| to.shared.n_positions > *original_context)
        }
        _ => None,
    }
}

/// True if the batch and the tokens that follow it go beyond the original context, `[1]`.
fn is_long(to: &mut Lowering<'_>, original_context: u32) -> Tensor {
    let last = to.last_position();
    let n_following = i32::from(to.is_prompt);
    let bound = to.subgraph.integers(&[original_context as i32 - 1 - n_following]);
    to.compare(Code::Greater, &last, &bound)
}

/// Rows of tables: those of the frequencies for short contexts, and behind them those for long ones, if there are some.
fn looked_up(to: &mut Lowering<'_>, angles: &RotaryAngles) -> [Tensor; 2] {
    let positions = to.input_positions();
    let frequencies = |is_long| Frequencies::new(angles.n_dims, angles.base, &angles.scaling, None, is_long);
    let mut tables = Tables::default();
    let rows = match long_bound(to, angles) {
        None => {
            tables.extend(&frequencies(false), to.shared.n_positions);
            positions
        }
        Some(original_context) => {
            tables.extend(&frequencies(false), original_context);
            tables.extend(&frequencies(true), to.shared.n_positions);
            let is_long = is_long(to, original_context);
            let (first, behind) =
                (to.subgraph.integers(&[0]), to.subgraph.integers(&[original_context as i32]));
            let start = to.select(&is_long, &behind, &first);
            to.binary(Code::Add, &positions, &start)
        }
    };
    let n_pairs = angles.n_dims / 2;
    [tables.cosines, tables.sines].map(|table| {
        let n_rows = (table.len() / 4) as u32 / n_pairs;
        let table = to.subgraph.constant(ElementType::F32, &[n_rows, n_pairs], table);
        let inputs = [table.index, rows.index];
        let shape = [to.n_tokens, n_pairs];
        to.subgraph.step(Code::Gather, None, Options::Gather { axis: 0 }, &inputs, (ElementType::F32, &shape))
    })
}

/// Tables of 32-bit numbers, one row per position.
#[derive(Default)]
struct Tables {
    cosines: Vec<u8>,
    sines: Vec<u8>,
}

impl Tables {
    fn extend(&mut self, frequencies: &Frequencies, n_positions: u32) {
        for position in 0..n_positions {
            for frequency in &frequencies.per_pair {
                let angle = position as f32 * *frequency as f32;
                let (sine, cosine) = math::sin_cos(f64::from(angle));
                self.cosines.extend(((cosine * frequencies.factor) as f32).to_le_bytes());
                self.sines.extend(((sine * frequencies.factor) as f32).to_le_bytes());
            }
        }
    }
}

/// Cosines and sines of computed angles.
///
/// * `divisors`: divisors of the frequencies, `[n_dims / 2]`
fn computed(
    to: &mut Lowering<'_>,
    angles: &RotaryAngles,
    divisors: impl FnOnce(&mut Lowering<'_>) -> Tensor,
) -> [Tensor; 2] {
    let frequencies = Frequencies::new(angles.n_dims, angles.base, &angles.scaling, None, false);
    let numbers: Vec<f32> = frequencies.per_pair.iter().map(|frequency| *frequency as f32).collect();
    let numbers = to.subgraph.numbers(&numbers);
    let divisors = divisors(to);
    let numbers = to.binary(Code::Div, &numbers, &divisors);
    let positions = to.position_numbers();
    let products = to.binary(Code::Mul, &positions, &numbers);
    [Code::Cos, Code::Sin].map(|code| {
        let waves = to.unary(code, &products);
        to.scale(&waves, frequencies.factor as f32)
    })
}
