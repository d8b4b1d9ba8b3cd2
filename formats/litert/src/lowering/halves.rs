//! Products of activations in 16 bits with quantized weights, by kernels that quantize activations to 8 bits.
//!
//! XNNPACK quantizes each row of activations to the 256 multiples of a step from its least to its greatest element. An
//! activation is therefore given as two rows: its nearest multiple of that step, which the kernel then represents
//! exactly, and the rest, whose own step is 255 times finer. Both rows are factors of one product, which reads the
//! weights once, and their sum is the product of the activation. Where a device does not quantize activations, the sum
//! of the rows is still the activation itself.

use crate::lowering::Lowering;
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;
use crate::tflite::subgraph::Tensor;

/// Number of steps between the least and the greatest of 256 numbers.
const N_STEPS: f32 = 255.0;

/// The least greatest element, so that no range is 0: the least normal number of GPUs with 16 bits. It also keeps rests so
/// large that the kernel's factor, 255 divided by their range, does not overflow. Smaller activations have 8 bits.
const MIN_GREATEST: f32 = 1.0 / 16_384.0;

impl Lowering<'_> {
    /// `x W^T` with activations in 16 bits.
    ///
    /// * `input`: `[tokens, in]`
    /// * `weight`: `[out, in]`, with integers
    pub(crate) fn product_of_halves(&mut self, input: &Tensor, weight: &Tensor) -> Tensor {
        let halves = self.halves(input);
        let both = self.product(&halves, weight);
        let axis = self.subgraph.integers(&[0]);
        let options = Options::Reducer { keeps_dims: false };
        let inputs = [both.index, axis.index];
        self.subgraph.step(Code::Sum, None, options, &inputs, (ElementType::F32, &both.shape[1..]))
    }

    /// The multiples of steps and the rests, `[2, ...]`. Products with the same activation share them.
    fn halves(&mut self, input: &Tensor) -> Tensor {
        if let Some(halves) = self.halves.get(&input.index) {
            return halves.clone();
        }
        let greatest = self.reduce(Code::ReduceMax, input);
        let min_greatest = self.subgraph.numbers(&[MIN_GREATEST]);
        let greatest = self.binary(Code::Maximum, &greatest, &min_greatest);
        let least = self.reduce(Code::ReduceMin, input);
        let zero = self.subgraph.numbers(&[0.0]);
        let least = self.binary(Code::Minimum, &least, &zero);
        let range = self.binary(Code::Sub, &greatest, &least);
        // Steps are counted from the least element, whose own number is rounded by itself: so the multiples are always 255
        // steps apart, as the kernel expects, even if both ends are in the middle between two multiples. The rests are
        // moved by less than half a step and still have both signs, so their range is one step in any case. The step
        // itself is never computed, because GPUs with 16 bits may round it to 0.
        let first = self.binary(Code::Div, &least, &range);
        let steps = self.binary(Code::Div, input, &range);
        let steps = self.binary(Code::Sub, &steps, &first);
        let [first, steps] = [first, steps].map(|share| {
            let steps = self.scale(&share, N_STEPS);
            self.unary(Code::Round, &steps)
        });
        let steps = self.binary(Code::Add, &steps, &first);
        let shares = self.scale(&steps, 1.0 / N_STEPS);
        let multiples = self.binary(Code::Mul, &shares, &range);
        let rests = self.binary(Code::Sub, input, &multiples);
        let both = self.concat(&[multiples, rests], 0);
        let halves = self.reshape(&both, &[&[2], input.shape.as_slice()].concat());
        self.halves.insert(input.index, halves.clone());
        halves
    }
}
