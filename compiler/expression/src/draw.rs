//! Random expressions for tests of all operators. Each operator's file defines how to draw an expression with that
//! operator at its root.

use crate::expression::TensorExpr;

/// Draws an expression of a shape; `None` if the operator cannot have that shape.
pub(crate) type DrawExpression = fn(&mut Draw, &[u64]) -> Option<TensorExpr>;

/// Maximum nesting of drawn expressions.
const MAX_DEPTH: usize = 4;

/// A source of random expressions, numbers and inputs.
pub(crate) struct Draw {
    state: u64,
    depth: usize,
    /// Draws any numbers, and operands of any shape: such expressions have a text, but rarely a value.
    is_wild: bool,
    leaf: DrawExpression,
    operators: Vec<DrawExpression>,
    /// The bytes of the inputs drawn so far.
    pub(crate) inputs: Vec<Vec<u8>>,
}

impl Draw {
    /// Draws whose operands match, so that they can be evaluated.
    pub(crate) fn fitting(seed: u64, leaf: DrawExpression, operators: Vec<DrawExpression>) -> Self {
        Self { state: seed, depth: 0, is_wild: false, leaf, operators, inputs: Vec::new() }
    }

    /// Draws of anything that has a text.
    pub(crate) fn wild(seed: u64, leaf: DrawExpression, operators: Vec<DrawExpression>) -> Self {
        Self { is_wild: true, ..Self::fitting(seed, leaf, operators) }
    }

    /// Returns true if drawn expressions only need a text.
    pub(crate) fn is_wild(&self) -> bool {
        self.is_wild
    }

    /// Any number: the next one of splitmix64.
    pub(crate) fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.any() % n.max(1)
    }

    /// The matching number; in a wild draw often another one.
    pub(crate) fn number(&mut self, fitting: u64) -> u64 {
        match self.is_wild.then(|| self.below(4)) {
            None | Some(0) => fitting,
            Some(1) => self.below(9),
            Some(_) => self.any(),
        }
    }

    /// One of several values.
    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// A small multiple of 1/8; in a wild draw any bits.
    pub(crate) fn float(&mut self) -> f32 {
        if self.is_wild {
            return f32::from_bits(self.any() as u32);
        }
        (self.below(65) as f32 - 32.0) / 8.0
    }

    /// This many floats.
    pub(crate) fn floats(&mut self, n: u64) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    /// The matching shape; in a wild draw often another one.
    pub(crate) fn shape(&mut self, fitting: &[u64]) -> Vec<u64> {
        if !self.is_wild || self.below(3) == 0 {
            return fitting.to_vec();
        }
        (0..self.below(4)).map(|_| self.one_of(&[0, 1, 2, 3, 8, 32, 60_000])).collect()
    }

    /// A new input with these bytes; in a wild draw often with others.
    pub(crate) fn input(&mut self, bytes: impl FnOnce(&mut Self) -> Vec<u8>) -> usize {
        if self.is_wild && self.below(3) == 0 {
            return self.below(4_000_000) as usize;
        }
        let bytes = bytes(self);
        self.inputs.push(bytes);
        self.inputs.len() - 1
    }

    /// An operand of this shape; in a wild draw often of another shape.
    pub(crate) fn expression(&mut self, shape: &[u64]) -> TensorExpr {
        let shape = self.shape(shape);
        self.depth += 1;
        let expression = self.operand(&shape);
        self.depth -= 1;
        expression
    }

    fn operand(&mut self, shape: &[u64]) -> TensorExpr {
        if self.depth <= MAX_DEPTH && self.below(4) != 0 {
            for _ in 0..8 {
                let draw = self.one_of(&self.operators.clone());
                if let Some(expression) = draw(self, shape) {
                    return expression;
                }
            }
        }
        (self.leaf)(self, shape).expect("a leaf has any shape")
    }
}
