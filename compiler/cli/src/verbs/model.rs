//! The model that a user names: a label, which is built if need be, or the path of a file.

use mc_driver::inspect::target::{
    BuiltModel, NamedModel, build_export, export_of, is_label, model_file, model_of, open_unwritten,
};
use mc_ir::action::{ActionError, Content};
use mc_rules::inference::chat::ChatModel;

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::error;
use crate::render::progress::Progress;

/// The model that the text names; of a series of files the whole.
pub(crate) fn model(invocation: &Invocation, text: &str) -> Result<Content, Failure> {
    if is_label(text) {
        return Ok(target_model(invocation, text)?.content);
    }
    Ok(model_file(text)?)
}

/// The model of a target, built if need be; its gates are not asked.
pub(crate) fn target_model(invocation: &Invocation, text: &str) -> Result<BuiltModel, Failure> {
    let progress = Progress::of(invocation);
    let (declarations, store) = invocation.declarations()?;
    let targets = invocation.wanted(&declarations, &[text.to_owned()], &progress)?;
    let info = export_of(text, &targets)?;
    let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
    Ok(build_export(&mut engine, info)?)
}

/// The model that the text names, brought up to be run: a file, which is built if need be, or a model that nobody writes.
pub(crate) fn chat_model(invocation: &Invocation, text: &str) -> Result<ChatModel, Failure> {
    let failed = |reason: ActionError| error::action("Cannot run the model", &reason).at(text);
    if !is_label(text) {
        return Ok(ChatModel::open(&model_file(text)?).map_err(failed)?);
    }
    let progress = Progress::of(invocation);
    let (declarations, store) = invocation.declarations()?;
    let targets = invocation.wanted(&declarations, &[text.to_owned()], &progress)?;
    match model_of(text, &targets)? {
        NamedModel::Exported(info) => {
            let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
            let content = build_export(&mut engine, info)?.content;
            Ok(ChatModel::open(&content).map_err(failed)?)
        }
        NamedModel::Unwritten(info) => Ok(open_unwritten(info).map_err(failed)?),
    }
}
