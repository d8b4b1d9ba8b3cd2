//! Tensors of the reference evaluation: a shape and numbers in memory.

/// Numbers, row-major. Integers are stored as f32, which is exact up to 2^24.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Sizes, slowest dimension first.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<f32>,
}

impl Tensor {
    /// Creates a tensor.
    ///
    /// # Panics
    /// If the numbers do not fill the shape.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "numbers fill the shape {shape:?}");
        Self { shape, values }
    }

    /// Size of the last dimension; 1 for a scalar.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Rows along the last dimension.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width().max(1))
    }

    /// Applies a function to each element.
    #[must_use]
    pub fn map(&self, compute: impl Fn(f32) -> f32) -> Self {
        Self { shape: self.shape.clone(), values: self.values.iter().copied().map(compute).collect() }
    }

    /// Reduces each row along the last dimension, which becomes 1, to a number.
    #[must_use]
    pub fn reduce(&self, compute: impl Fn(&[f32]) -> f32) -> Self {
        let mut shape = self.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = 1;
        }
        Self { shape, values: self.rows().map(compute).collect() }
    }

    /// Maps each row along the last dimension to a row of `width` numbers.
    #[must_use]
    pub fn map_rows(&self, width: usize, mut compute: impl FnMut(&[f32], &mut Vec<f32>)) -> Self {
        let mut shape = self.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = width;
        }
        let mut values = Vec::with_capacity(shape.iter().product());
        for row in self.rows() {
            compute(row, &mut values);
        }
        Self::new(shape, values)
    }
}

/// The product of the sizes after each dimension.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
