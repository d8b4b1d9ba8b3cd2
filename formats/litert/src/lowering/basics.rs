//! The operators of LiteRT that several operators of a graph are lowered to.

use crate::lowering::Lowering;
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;
use crate::tflite::subgraph::Tensor;

/// An input that is absent.
const ABSENT: i32 = -1;

impl Lowering<'_> {
    /// An operator of one input whose output has the same type.
    pub(crate) fn unary(&mut self, code: Code, input: &Tensor) -> Tensor {
        self.unary_with(code, Options::of(code), input)
    }

    /// As [`Self::unary`], with options.
    pub(crate) fn unary_with(&mut self, code: Code, options: Options, input: &Tensor) -> Tensor {
        let element_type = self.subgraph.element_type(input);
        self.subgraph.step(code, None, options, &[input.index], (element_type, &input.shape))
    }

    /// An elementwise operator of two inputs, which are broadcast.
    pub(crate) fn binary(&mut self, code: Code, left: &Tensor, right: &Tensor) -> Tensor {
        let element_type = self.subgraph.element_type(left);
        self.binary_to(element_type, code, left, right)
    }

    /// A comparison, element by element.
    pub(crate) fn compare(&mut self, code: Code, left: &Tensor, right: &Tensor) -> Tensor {
        self.binary_to(ElementType::Bool, code, left, right)
    }

    fn binary_to(&mut self, element_type: ElementType, code: Code, left: &Tensor, right: &Tensor) -> Tensor {
        let shape = broadcast(&left.shape, &right.shape);
        let inputs = [left.index, right.index];
        self.subgraph.step(code, None, Options::of(code), &inputs, (element_type, &shape))
    }

    /// The elements of one tensor where a condition holds, and of another elsewhere.
    pub(crate) fn select(&mut self, condition: &Tensor, yes: &Tensor, no: &Tensor) -> Tensor {
        let shape = broadcast(&condition.shape, &broadcast(&yes.shape, &no.shape));
        let inputs = [condition.index, yes.index, no.index];
        let element_type = self.subgraph.element_type(yes);
        let options = Options::of(Code::SelectV2);
        self.subgraph.step(Code::SelectV2, None, options, &inputs, (element_type, &shape))
    }

    /// Multiplies by a number, unless it is 1.
    pub(crate) fn scale(&mut self, input: &Tensor, factor: f32) -> Tensor {
        if factor == 1.0 {
            return input.clone();
        }
        let factor = self.subgraph.numbers(&[factor]);
        self.binary(Code::Mul, input, &factor)
    }

    /// The same elements with another shape.
    pub(crate) fn reshape(&mut self, input: &Tensor, shape: &[u32]) -> Tensor {
        if input.shape == shape {
            return input.clone();
        }
        let element_type = self.subgraph.element_type(input);
        let dims: Vec<i32> = shape.iter().map(|dim| *dim as i32).collect();
        let dims = self.subgraph.integers(&dims);
        let options = Options::Reshape { shape: shape.to_vec() };
        let inputs = [input.index, dims.index];
        self.subgraph.step(Code::Reshape, None, options, &inputs, (element_type, shape))
    }

    /// Reorders dimensions. If only dimensions of one element move, the elements keep their order, so this is a
    /// [`Self::reshape`].
    pub(crate) fn transpose(&mut self, input: &Tensor, order: &[u32]) -> Tensor {
        let shape: Vec<u32> = order.iter().map(|axis| input.shape[*axis as usize]).collect();
        let long: Vec<u32> = order.iter().copied().filter(|axis| input.shape[*axis as usize] != 1).collect();
        if long.is_sorted() {
            return self.reshape(input, &shape);
        }
        let element_type = self.subgraph.element_type(input);
        let order: Vec<i32> = order.iter().map(|axis| *axis as i32).collect();
        let order = self.subgraph.integers(&order);
        let inputs = [input.index, order.index];
        let options = Options::of(Code::Transpose);
        self.subgraph.step(Code::Transpose, None, options, &inputs, (element_type, &shape))
    }

    /// A range of each dimension.
    pub(crate) fn slice(&mut self, input: &Tensor, start: &[u32], shape: &[u32]) -> Tensor {
        if input.shape == shape {
            return input.clone();
        }
        let start: Vec<i32> = start.iter().map(|start| *start as i32).collect();
        let start = self.subgraph.integers(&start);
        self.slice_from(input, &start, shape)
    }

    /// A range of each dimension, from a computed start.
    pub(crate) fn slice_from(&mut self, input: &Tensor, start: &Tensor, shape: &[u32]) -> Tensor {
        let element_type = self.subgraph.element_type(input);
        let len: Vec<i32> = shape.iter().map(|len| *len as i32).collect();
        let len = self.subgraph.integers(&len);
        let inputs = [input.index, start.index, len.index];
        let options = Options::of(Code::Slice);
        self.subgraph.step(Code::Slice, None, options, &inputs, (element_type, shape))
    }

    /// Joins tensors along a dimension.
    pub(crate) fn concat(&mut self, inputs: &[Tensor], axis: usize) -> Tensor {
        let [first, others @ ..] = inputs else { unreachable!("operators join at least one tensor") };
        if others.is_empty() {
            return first.clone();
        }
        let mut shape = first.shape.clone();
        shape[axis] = inputs.iter().map(|input| input.shape[axis]).sum();
        let element_type = self.subgraph.element_type(first);
        let indices: Vec<i32> = inputs.iter().map(|input| input.index).collect();
        let options = Options::Concatenation { axis: axis as i32 };
        self.subgraph.step(Code::Concatenation, None, options, &indices, (element_type, &shape))
    }

    /// Reduces the last dimension to one element.
    pub(crate) fn reduce(&mut self, code: Code, input: &Tensor) -> Tensor {
        let mut shape = input.shape.clone();
        let axis = shape.len() as i32 - 1;
        if let Some(last) = shape.last_mut() {
            *last = 1;
        }
        let element_type = self.subgraph.element_type(input);
        let axis = self.subgraph.integers(&[axis]);
        let inputs = [input.index, axis.index];
        let options = Options::Reducer { keeps_dims: true };
        self.subgraph.step(code, None, options, &inputs, (element_type, &shape))
    }

    /// `x W^T` with a weight, `[out, in]`.
    pub(crate) fn product(&mut self, input: &Tensor, weight: &Tensor) -> Tensor {
        let mut shape = input.shape.clone();
        if let (Some(width), Some(n_rows)) = (shape.last_mut(), weight.shape.first()) {
            *width = *n_rows;
        }
        let inputs = [input.index, weight.index, ABSENT];
        let weights = Some(self.subgraph.element_type(weight));
        let options = Options::FullyConnected;
        self.subgraph.step(Code::FullyConnected, weights, options, &inputs, (ElementType::F32, &shape))
    }

    /// `a b^T` for each pair of matrices.
    pub(crate) fn batch_matmul(&mut self, left: &Tensor, right: &Tensor) -> Tensor {
        let n = left.shape.len();
        let mut shape = broadcast(&left.shape[..n - 2], &right.shape[..right.shape.len() - 2]);
        shape.extend([left.shape[n - 2], right.shape[right.shape.len() - 2]]);
        let inputs = [left.index, right.index];
        let options = Options::BatchMatmulTransposed;
        self.subgraph.step(Code::BatchMatmul, None, options, &inputs, (ElementType::F32, &shape))
    }

    /// `exp(x) / sum(exp(x))` along the last dimension.
    pub(crate) fn softmax(&mut self, input: &Tensor) -> Tensor {
        self.unary_with(Code::Softmax, Options::Softmax, input)
    }
}

/// The shape of two tensors together, as NumPy defines it. The graph's shape rules have accepted them.
fn broadcast(left: &[u32], right: &[u32]) -> Vec<u32> {
    let n_dims = left.len().max(right.len());
    let at =
        |shape: &[u32], axis: usize| (axis + shape.len()).checked_sub(n_dims).map_or(1, |axis| shape[axis]);
    let one = |axis: usize| match (at(left, axis), at(right, axis)) {
        (1, other) => other,
        (length, _) => length,
    };
    (0..n_dims).map(one).collect()
}
