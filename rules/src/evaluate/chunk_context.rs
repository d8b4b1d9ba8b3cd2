//! The chunk length of a measurement: a property of metrics and a parameter of their actions.

use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Presence, PropertySchema, ValueKind};

use crate::action::remote_kind::{Parameters, last, number};
use crate::attributes::number_property;
use crate::evaluate::gated_model::GatedModel;
use crate::inference::chunk_len::chunk_len;

/// The property; the parameter of the action has the same name.
pub(crate) const CONTEXT: PropertySchema = PropertySchema {
    name: "context",
    value: ValueKind::Integer,
    presence: Presence::Optional,
    doc: "Tokens per chunk; 512, or the model's context when that is shorter.",
};

/// Returns the number of tokens per chunk.
///
/// # Errors
/// An error at the property if it exceeds the model's context.
pub(crate) fn chunk_context(gate: &GatedModel<'_>, node: &Record) -> Result<usize, Vec<RuleError>> {
    let context = number_property(node, CONTEXT.name).map(|context| context as usize);
    let max = gate.export.model.decoder.context_length as usize;
    chunk_len(context, max).map_err(|message| {
        let place = node.property(CONTEXT.name).map_or(node.place, |context| context.place);
        vec![RuleError::new(place, "gate::context", message)]
    })
}

/// Reads the number of tokens per chunk from an action's last parameter; also returns the parameters before
/// it.
///
/// # Errors
/// A sentence for the user if the last parameter is another one.
pub(crate) fn context_of_parameters(parameters: &Parameters) -> Result<(&Parameters, usize), String> {
    let (before, context) = last(parameters, CONTEXT.name)?;
    Ok((before, number(CONTEXT.name, context)?))
}
