//! Shape rules shared by several operators.

use crate::error::GraphError;
use crate::value_type::{Element, ValueType, list};

/// Checks that there are `N` inputs.
pub(crate) fn inputs<'a, const N: usize>(
    operator: &'static str,
    inputs: &[&'a ValueType],
) -> Result<[&'a ValueType; N], GraphError> {
    inputs.try_into().map_err(|_| misfit(operator, format!("{N} inputs"), inputs))
}

/// Checks that there are `N` inputs of real numbers.
pub(crate) fn reals<'a, const N: usize>(
    operator: &'static str,
    found: &[&'a ValueType],
) -> Result<[&'a ValueType; N], GraphError> {
    let typed: [&ValueType; N] = inputs(operator, found)?;
    if typed.iter().any(|value| value.element != Element::Real) {
        return Err(misfit(operator, "real numbers", found));
    }
    Ok(typed)
}

/// Creates the error for inputs that do not fit.
pub(crate) fn misfit(
    operator: &'static str,
    expected: impl Into<String>,
    found: &[&ValueType],
) -> GraphError {
    GraphError::misfit(operator, expected, list(found))
}
