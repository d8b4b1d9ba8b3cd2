//! The same elements in the same order with another shape. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, ValueType};

/// A change of shape.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Reshape {
    /// The new dimensions.
    pub dims: Vec<Dim>,
}

/// Its name.
pub(crate) const NAME: &str = "reshape";

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::inputs(NAME, inputs)?;
        if count(&input.dims) != count(&self.dims) {
            let found = ValueType::real(self.dims.clone());
            return Err(rule::misfit(NAME, format!("as many elements as {found} has"), inputs));
        }
        Ok(vec![ValueType { dims: self.dims.clone(), element: input.element }])
    }

    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        let shape = self.dims.iter().map(|dim| dim.length(scope.lengths)).collect();
        vec![Tensor::new(shape, inputs[0].values.clone())]
    }
}

/// The product of the known dimensions, and the unknown ones in order; shapes with equal results hold equally many
/// elements.
fn count(dims: &[Dim]) -> (u64, Vec<Dim>) {
    let known = dims.iter().filter_map(|dim| dim.fixed()).map(u64::from).fold(1, u64::saturating_mul);
    let mut others: Vec<Dim> = dims.iter().filter(|dim| dim.fixed().is_none()).copied().collect();
    others.sort_by_key(ToString::to_string);
    (known, others)
}
