//! Everything that follows from the positions of a batch: the place of its rows in the caches, and masks.
//!
//! LiteRT-LM pads a batch with tokens at position 0. The last position of a batch is therefore the largest.

use crate::lowering::Lowering;
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;
use crate::tflite::subgraph::Tensor;

/// A score that no softmax sees; two of them still have a finite sum.
const HIDDEN: f32 = -1e30;

impl Lowering<'_> {
    /// The position of each token, `[tokens]`.
    pub(crate) fn input_positions(&self) -> Tensor {
        self.positions.input_pos.clone()
    }

    /// The first position, `[1]`.
    pub(crate) fn first_position(&mut self) -> Tensor {
        if let Some(first) = &self.positions.first {
            return first.clone();
        }
        let input_pos = self.positions.input_pos.clone();
        let first = self.slice(&input_pos, &[0], &[1]);
        self.positions.first.insert(first).clone()
    }

    /// The last position, `[1]`.
    pub(crate) fn last_position(&mut self) -> Tensor {
        if let Some(last) = &self.positions.last {
            return last.clone();
        }
        let input_pos = self.positions.input_pos.clone();
        let last = match self.n_tokens {
            1 => input_pos,
            _ => self.reduce(Code::ReduceMax, &input_pos),
        };
        self.positions.last.insert(last).clone()
    }

    /// The position of each token as a number, `[tokens, 1]`.
    pub(crate) fn position_numbers(&mut self) -> Tensor {
        if let Some(numbers) = &self.positions.numbers {
            return numbers.clone();
        }
        let input_pos = self.positions.input_pos.clone();
        let options = Options::Cast { from: ElementType::I32, to: ElementType::F32 };
        let shape = (ElementType::F32, input_pos.shape.as_slice());
        let numbers = self.subgraph.step(Code::Cast, None, options, &[input_pos.index], shape);
        let numbers = self.reshape(&numbers, &[self.n_tokens, 1]);
        self.positions.numbers.insert(numbers).clone()
    }

    /// The place of the batch in a tensor of four dimensions, of which one, `axis`, holds positions: `[4]`.
    pub(crate) fn start(&mut self, axis: usize) -> Tensor {
        if let Some(start) = self.positions.starts.get(&axis) {
            return start.clone();
        }
        let first = self.first_position();
        let zero = self.subgraph.integers(&[0]);
        let starts: Vec<Tensor> =
            (0..4).map(|dim| if dim == axis { first.clone() } else { zero.clone() }).collect();
        let start = self.concat(&starts, 0);
        self.positions.starts.insert(axis, start.clone());
        start
    }

    /// The mask of an attention, `[1, 1, tokens, positions]`.
    ///
    /// A token at `p` sees `j` if `j > p - window` and the caller's mask allows it.
    pub(crate) fn mask(&mut self, window: Option<u32>) -> Tensor {
        let mask = self.positions.mask.clone();
        let Some(window) = window.filter(|window| *window < self.shared.n_positions) else { return mask };
        if let Some(local) = self.positions.windows.get(&window) {
            return local.clone();
        }
        let numbers = self.position_numbers();
        let offset = self.subgraph.numbers(&[window as f32]);
        let before = self.binary(Code::Sub, &numbers, &offset);
        let before = self.reshape(&before, &[1, 1, self.n_tokens, 1]);
        let columns: Vec<u8> =
            (0..self.shared.n_positions).flat_map(|position| (position as f32).to_le_bytes()).collect();
        let columns = self.subgraph.constant(ElementType::F32, &[1, 1, 1, self.shared.n_positions], columns);
        let is_near = self.compare(Code::Greater, &columns, &before);
        let (near, far) = (self.subgraph.numbers(&[0.0]), self.subgraph.numbers(&[HIDDEN]));
        let local = self.select(&is_near, &near, &far);
        let local = self.binary(Code::Minimum, &local, &mask);
        self.positions.windows.insert(window, local.clone());
        local
    }
}
