//! The trait of all operators, and of that which they decompose into.

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
    /// Its name, the key of the table [`crate::operators::OPERATORS`].
    fn name(&self) -> &'static str;

    /// Its attributes, as the table reads them back.
    fn attributes(&self) -> Value;

    /// The shape rule: the types of the outputs.
    ///
    /// # Errors
    /// [`GraphError::Misfit`] if the inputs do not fit.
    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError>;

    /// The plain evaluation, in f32; the inputs have the types that the shape rule let through.
    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor>;

    /// The same in simpler operators; nothing for a primitive one.
    ///
    /// # Errors
    /// As [`Operator::types`], which a decomposition of inputs that fit does not meet.
    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let _ = (fragment, inputs);
        Ok(None)
    }

    /// Tells whether equal inputs always give equal outputs and nothing else happens; not so for what writes state.
    fn is_pure(&self) -> bool {
        true
    }
}

impl dyn Operator {
    /// The operator as its own type.
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
    /// [`GraphError::Misfit`] if the inputs do not fit it.
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

/// An operator in the table: its name, and how it is read from its attributes.
#[derive(Clone, Copy)]
pub struct OperatorEntry {
    /// Its name.
    pub name: &'static str,
    /// Reads the attributes; nothing when they are not this operator's.
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

/// An operator's attributes as serde writes them.
pub(crate) fn attributes<T: serde::Serialize>(operator: &T) -> Value {
    serde_json::to_value(operator).expect("attributes have text keys and finite numbers")
}
