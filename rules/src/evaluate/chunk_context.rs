//! The length of the chunks that a text is measured in, as a property of metrics and a parameter of their actions.

use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Presence, PropertySchema, ValueKind};

use crate::action::remote_kind::{Parameters, last, number};
use crate::attributes::number_property;
use crate::evaluate::gated_model::GatedModel;
use crate::inference::chunk_len::chunk_len;

/// The property; its name is that of the action's parameter, too.
pub(crate) const CONTEXT: PropertySchema = PropertySchema {
    name: "context",
    value: ValueKind::Integer,
    presence: Presence::Optional,
    doc: "Tokens per chunk; 512, or the model's context when that is shorter.",
};

/// Returns the number of tokens of a chunk.
///
/// # Errors
/// A fault at the property, when the model does not attend over so many.
pub(crate) fn chunk_context(gate: &GatedModel<'_>, node: &Record) -> Result<usize, Vec<RuleError>> {
    let context = number_property(node, CONTEXT.name).map(|context| context as usize);
    let max = gate.export.model.decoder.context_length as usize;
    chunk_len(context, max).map_err(|message| {
        let place = node.property(CONTEXT.name).map_or(node.place, |context| context.place);
        vec![RuleError::new(place, "gate::context", message)]
    })
}

/// Returns the number of tokens of a chunk of an action's last parameter, and the parameters before it.
///
/// # Errors
/// A sentence, when the last parameter is another.
pub(crate) fn context_of_parameters(parameters: &Parameters) -> Result<(&Parameters, usize), String> {
    let (before, context) = last(parameters, CONTEXT.name)?;
    Ok((before, number(CONTEXT.name, context)?))
}
