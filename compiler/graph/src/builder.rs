//! Builds a graph node by node.
//!
//! Each node is checked by its operator's shape rule when it is added. A pure operator with the same inputs as an
//! earlier node is not added again: the builder returns the earlier outputs, so layers share equal computations such as
//! rotary angles.

use std::collections::HashMap;
use std::sync::Arc;

use mc_tensor::model_tensor::ModelTensor;

use crate::error::GraphError;
use crate::graph::{Graph, Node, Origin, State, Value};
use crate::ids::{StateId, ValueId};
use crate::operator::{Fragment, Operator};
use crate::value_type::{TOKENS, ValueType};

/// A graph under construction.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
    tokens: Option<ValueId>,
    n_arguments: u32,
    weights: HashMap<ModelTensor, ValueId>,
    known: HashMap<(&'static str, String, Vec<ValueId>), Vec<ValueId>>,
}

impl Builder {
    /// Creates an empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tokens of the batch, `[tokens]`.
    pub fn tokens(&mut self) -> ValueId {
        match self.tokens {
            Some(id) => id,
            None => {
                let id = self.push(ValueType::index([TOKENS]), Origin::Tokens);
                self.tokens = Some(id);
                id
            }
        }
    }

    /// A weight of the model.
    ///
    /// # Errors
    /// [`GraphError::TwoShapes`] if it was already used with another shape.
    pub fn weight(&mut self, tensor: ModelTensor, shape: &[u32]) -> Result<ValueId, GraphError> {
        let value_type = ValueType::fixed(shape);
        let Some(id) = self.weights.get(&tensor).copied() else {
            let id = self.push(value_type, Origin::Weight(tensor));
            self.weights.insert(tensor, id);
            return Ok(id);
        };
        let first = self.value_type(id);
        if *first != value_type {
            let (first, second) = (first.to_string(), value_type.to_string());
            return Err(GraphError::TwoShapes { tensor, first, second });
        }
        Ok(id)
    }

    /// An argument of a graph that is part of another.
    pub fn argument(&mut self, value_type: ValueType) -> ValueId {
        let number = self.n_arguments;
        self.n_arguments += 1;
        self.push(value_type, Origin::Argument(number))
    }

    /// Adds a state; see [`State`].
    pub fn state(&mut self, name: impl Into<String>, row: &[u32], window: Option<u32>) -> StateId {
        let id = StateId(u32::try_from(self.graph.states.len()).expect("fewer than 2^32 states"));
        self.graph.states.push(State { name: name.into(), row: row.to_vec(), window });
        id
    }

    /// Adds an operator with any number of outputs.
    ///
    /// # Errors
    /// [`GraphError::Misfit`] if the inputs do not fit the operator.
    pub fn all<T: Operator>(&mut self, operator: T, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        Fragment::node(self, Arc::new(operator), inputs)
    }

    /// Adds an operator and returns its first output.
    ///
    /// # Errors
    /// As [`Builder::all`].
    pub fn one<T: Operator>(&mut self, operator: T, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.all(operator, inputs)?[0])
    }

    /// Names a value, for messages.
    pub fn name(&mut self, value: ValueId, name: impl Into<String>) {
        self.graph.values[value.index()].name = Some(name.into());
    }

    /// Names a result.
    pub fn output(&mut self, name: impl Into<String>, value: ValueId) {
        self.graph.outputs.push((name.into(), value));
    }

    /// Returns the finished graph.
    pub fn finish(self) -> Graph {
        self.graph
    }

    fn push(&mut self, value_type: ValueType, origin: Origin) -> ValueId {
        let id = ValueId(u32::try_from(self.graph.values.len()).expect("fewer than 2^32 values"));
        self.graph.values.push(Value { value_type, origin, name: None });
        id
    }
}

impl Fragment for Builder {
    fn node(&mut self, operator: Arc<dyn Operator>, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        let key = (operator.name(), operator.attributes().to_string(), inputs.to_vec());
        if let Some(outputs) = self.known.get(&key).filter(|_| operator.is_pure()) {
            return Ok(outputs.clone());
        }
        let types: Vec<&ValueType> = inputs.iter().map(|input| self.value_type(*input)).collect();
        let types = operator.types(&types)?;
        let node = u32::try_from(self.graph.nodes.len()).expect("fewer than 2^32 nodes");
        let outputs: Vec<ValueId> =
            types.into_iter().map(|value_type| self.push(value_type, Origin::Node(node))).collect();
        self.graph.nodes.push(Node { operator, inputs: inputs.to_vec(), outputs: outputs.clone() });
        self.known.insert(key, outputs.clone());
        Ok(outputs)
    }

    fn value_type(&self, id: ValueId) -> &ValueType {
        &self.graph.value(id).value_type
    }
}
