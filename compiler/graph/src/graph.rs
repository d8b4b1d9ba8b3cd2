//! A graph: values, the operators that compute them, and the state that persists between batches.

use std::sync::Arc;

use mc_tensor::model_tensor::ModelTensor;

use crate::ids::ValueId;
use crate::operator::Operator;
use crate::value_type::{Dim, ValueType};

/// Origin of a value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// The tokens of the batch.
    Tokens,
    /// A weight of the model.
    Weight(ModelTensor),
    /// An output of the node with this number.
    Node(u32),
    /// The argument with this number, in a graph that is part of another.
    Argument(u32),
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Shape and element type.
    pub value_type: ValueType,
    /// Its origin.
    pub origin: Origin,
    /// Its name, for messages. Values that mark progress through a model have one (`block 3 attention`).
    pub name: Option<String>,
}

/// An operator with its inputs and outputs.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operator.
    pub operator: Arc<dyn Operator>,
    /// Its inputs, in the operator's order.
    pub inputs: Vec<ValueId>,
    /// Its outputs, in the operator's order.
    pub outputs: Vec<ValueId>,
}

/// The rows that a sequence keeps for later batches: one per position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its name, unique in the graph (`block 3 keys`).
    pub name: String,
    /// Shape of one position's row.
    pub row: Vec<u32>,
    /// Number of last positions that are read again; `None` for all.
    pub window: Option<u32>,
}

impl State {
    /// The type of all rows.
    pub fn value_type(&self) -> ValueType {
        let row = self.row.iter().copied().map(Dim::Fixed);
        ValueType::real(std::iter::once(Dim::Positions).chain(row).collect::<Vec<_>>())
    }
}

/// A graph. The order of the nodes is a valid order of computation.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) states: Vec<State>,
    pub(crate) outputs: Vec<(String, ValueId)>,
}

impl Graph {
    /// All values; a [`ValueId`] is an index into this list.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The nodes, each after those whose outputs it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The states.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The named results.
    pub fn outputs(&self) -> &[(String, ValueId)] {
        &self.outputs
    }

    /// The result with this name.
    pub fn output(&self, name: &str) -> Option<ValueId> {
        self.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The weights, each once, in order of first use.
    pub fn weights(&self) -> impl Iterator<Item = (ModelTensor, ValueId, &ValueType)> {
        (0..).zip(&self.values).filter_map(|(id, value)| match value.origin {
            Origin::Weight(tensor) => Some((tensor, ValueId(id), &value.value_type)),
            Origin::Tokens | Origin::Node(_) | Origin::Argument(_) => None,
        })
    }
}
