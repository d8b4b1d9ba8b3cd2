//! One subgraph: tensors and the operators that compute them.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;

/// A tensor of a subgraph, with its shape, because every step needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) index: i32,
    pub(crate) shape: Vec<u32>,
}

/// The contents of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An operator or the caller writes them.
    Computed,
    /// Bytes of the graph's description.
    Constant(Rc<[u8]>),
    /// The codes or numbers of a weight, by its number among the model's weights.
    Weight(usize),
    /// The scales of a weight's blocks.
    Scales(usize),
}

/// A tensor as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorEntry {
    pub(crate) shape: Vec<u32>,
    pub(crate) element_type: ElementType,
    pub(crate) source: Source,
    pub(crate) name: String,
}

/// An operator with its inputs and its output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) code: Code,
    pub(crate) version: i32,
    pub(crate) inputs: Vec<i32>,
    pub(crate) output: i32,
    pub(crate) options: Options,
}

/// An input or an output of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) tensor: i32,
}

/// Type, shape and bytes of a constant.
type Constant = (ElementType, Vec<u32>, Rc<[u8]>);

/// A subgraph under construction.
#[derive(Debug, Default)]
pub(crate) struct Subgraph {
    pub(crate) name: String,
    pub(crate) tensors: Vec<TensorEntry>,
    pub(crate) steps: Vec<Step>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    constants: BTreeMap<Constant, i32>,
    weights: BTreeMap<usize, i32>,
}

impl Subgraph {
    /// Creates a subgraph without tensors.
    pub(crate) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Adds a tensor.
    pub(crate) fn tensor(&mut self, entry: TensorEntry) -> Tensor {
        let index = self.tensors.len() as i32;
        let shape = entry.shape.clone();
        self.tensors.push(entry);
        Tensor { index, shape }
    }

    /// Type of a tensor's elements.
    pub(crate) fn element_type(&self, tensor: &Tensor) -> ElementType {
        self.tensors[tensor.index as usize].element_type
    }

    /// Adds a tensor that the caller writes.
    pub(crate) fn input(&mut self, name: &str, element_type: ElementType, shape: &[u32]) -> Tensor {
        let entry = TensorEntry {
            shape: shape.to_vec(),
            element_type,
            source: Source::Computed,
            name: format!("{}_{name}", self.name),
        };
        let tensor = self.tensor(entry);
        self.inputs.push(Port { name: name.to_owned(), tensor: tensor.index });
        tensor
    }

    /// Lets the caller read a tensor.
    pub(crate) fn output(&mut self, name: &str, tensor: &Tensor) {
        self.outputs.push(Port { name: name.to_owned(), tensor: tensor.index });
    }

    /// A constant. Equal ones are one tensor.
    pub(crate) fn constant(&mut self, element_type: ElementType, shape: &[u32], bytes: Vec<u8>) -> Tensor {
        let bytes: Rc<[u8]> = bytes.into();
        let key = (element_type, shape.to_vec(), Rc::clone(&bytes));
        if let Some(index) = self.constants.get(&key) {
            return Tensor { index: *index, shape: shape.to_vec() };
        }
        let name = format!("constant_{}", self.constants.len());
        let source = Source::Constant(bytes);
        let tensor = self.tensor(TensorEntry { shape: shape.to_vec(), element_type, source, name });
        self.constants.insert(key, tensor.index);
        tensor
    }

    /// A constant vector of integers.
    pub(crate) fn integers(&mut self, values: &[i32]) -> Tensor {
        let bytes = values.iter().copied().flat_map(i32::to_le_bytes).collect();
        self.constant(ElementType::I32, &[values.len() as u32], bytes)
    }

    /// A constant vector of numbers.
    pub(crate) fn numbers(&mut self, values: &[f32]) -> Tensor {
        let bytes = values.iter().copied().flat_map(f32::to_le_bytes).collect();
        self.constant(ElementType::F32, &[values.len() as u32], bytes)
    }

    /// A weight, by its number among the model's weights. Each is one tensor.
    pub(crate) fn weight(&mut self, number: usize, entry: impl FnOnce() -> TensorEntry) -> Tensor {
        if let Some(index) = self.weights.get(&number) {
            return Tensor { index: *index, shape: self.tensors[*index as usize].shape.clone() };
        }
        let tensor = self.tensor(entry());
        self.weights.insert(number, tensor.index);
        tensor
    }

    /// Adds an operator.
    ///
    /// * `weights`: type of the weights that it reads, if it reads any
    /// * `shape`: shape of its output
    pub(crate) fn step(
        &mut self,
        code: Code,
        weights: Option<ElementType>,
        options: Options,
        inputs: &[i32],
        (element_type, shape): (ElementType, &[u32]),
    ) -> Tensor {
        let name = format!("{}_{}", self.name, self.tensors.len());
        let entry = TensorEntry { shape: shape.to_vec(), element_type, source: Source::Computed, name };
        let output = self.tensor(entry);
        let version = code.version(weights);
        self.steps.push(Step { code, version, inputs: inputs.to_vec(), output: output.index, options });
        output
    }
}
