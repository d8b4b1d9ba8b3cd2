//! The trait of all operators, and the interface that decompositions use.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// One operator with its attributes.
pub trait Operator: Any + fmt::Debug + Send + Sync {
    /// Its name, the key in the table [`crate::operators::OPERATORS`].
    fn name(&self) -> &'static str;

    /// Its attributes, in the form that the table reads back.
    fn attributes(&self) -> Value;

    /// The shape rule: the types of the outputs.
    ///
    /// # Errors
    /// [`GraphError::Misfit`] if the inputs do not fit.
    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError>;

    /// The reference evaluation, in f32; the inputs have types that the shape rule accepted.
    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor>;

    /// The decomposition into simpler operators; `None` for a primitive operator.
    ///
    /// # Errors
    /// As [`Operator::types`]; inputs that the shape rule accepted cause none.
    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let _ = (fragment, inputs);
        Ok(None)
    }

    /// Returns true if equal inputs always give equal outputs without side effects; operators that write state are not
    /// pure.
    fn is_pure(&self) -> bool {
        true
    }
}

impl dyn Operator {
    /// Downcasts the operator to its type.
    pub fn get<T: Operator>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// A graph that operators are added to.
pub trait Fragment {
    /// Adds an operator and returns its outputs.
    ///
    /// # Errors
    /// [`GraphError::Misfit`] if the inputs do not fit the operator.
    fn node(&mut self, operator: Arc<dyn Operator>, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError>;

    /// The type of a value.
    fn value_type(&self, id: ValueId) -> &ValueType;
}

impl dyn Fragment + '_ {
    /// Adds an operator and returns its first output.
    ///
    /// # Errors
    /// As [`Fragment::node`].
    pub fn one<T: Operator>(&mut self, operator: T, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.node(Arc::new(operator), inputs)?[0])
    }
}

/// A row of the table: an operator's name and its deserializer.
#[derive(Clone, Copy)]
pub struct OperatorEntry {
    /// Its name.
    pub name: &'static str,
    /// Reads the attributes; `None` if they are not those of this operator.
    pub read: fn(&Value) -> Option<Arc<dyn Operator>>,
}

impl fmt::Debug for OperatorEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Reads an operator's attributes with serde.
pub(crate) fn read<T: Operator + serde::de::DeserializeOwned>(
    attributes: &Value,
) -> Option<Arc<dyn Operator>> {
    serde_json::from_value::<T>(attributes.clone())
        .ok()
        .map(|operator| Arc::new(operator) as Arc<dyn Operator>)
}

/// Writes an operator's attributes with serde.
pub(crate) fn attributes<T: serde::Serialize>(operator: &T) -> Value {
    serde_json::to_value(operator).expect("attributes have text keys and finite numbers")
}
