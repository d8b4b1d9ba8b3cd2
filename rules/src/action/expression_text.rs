//! Tensor expressions as parameters of actions: their text, with the codecs that this program has.

use mc_codec::codecs;
use mc_ir::expression::TensorExpr;

/// Reads the text of an expression, with the codecs that we have.
///
/// # Errors
/// A sentence, when it is none.
pub(crate) fn expression(text: &str) -> Result<TensorExpr, String> {
    TensorExpr::parse(text, &|name| codecs::by_name(name).map(|codec| codec.name))
        .map_err(|error| error.to_string())
}
