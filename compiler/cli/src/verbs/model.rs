//! Resolves the model that a user names: a label, which is built if necessary, a path, or the hash of an object in the
//! store.

use std::path::Path;
use std::sync::Arc;

use mc_driver::build::engine::warn_of_damage;
use mc_driver::inspect::folder;
use mc_driver::inspect::listing::Listing;
use mc_driver::inspect::object;
use mc_driver::inspect::operand::Operand;
use mc_driver::inspect::read::is_self_described;
use mc_driver::inspect::target::{
    BuiltModel, NamedModel, build_export, export_of, is_label, model_file, model_of, open_built,
    open_unwritten,
};
use mc_ir::action::{ActionError, Content};
use mc_rules::inference::chat::ChatModel;

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::error;
use crate::render::progress::Progress;

/// The model to compare: a label, a file, a folder, or the hash of an object in the store.
pub(crate) fn operand(invocation: &Invocation, text: &str) -> Result<Operand, Failure> {
    if !is_label(text) {
        return match stored(invocation, text)? {
            Some(content) => Ok(Operand::content(text, content)?),
            None => Ok(Operand::path(text)?),
        };
    }
    let progress = Progress::of(invocation);
    let (declarations, store) = invocation.declarations()?;
    let targets = invocation.wanted(&declarations, &[text.to_owned()], &progress)?;
    match model_of(text, &targets)? {
        NamedModel::Exported(info) => {
            let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
            Ok(Operand::built(text, info, build_export(&mut engine, info)?)?)
        }
        NamedModel::Unwritten(info) => {
            Ok(Operand::Model { name: text.to_owned(), info: Arc::new(info.clone()) })
        }
    }
}

/// The object in the store whose hash begins with the text; `None` if the text is not a hash, or if a file has that
/// name.
pub(crate) fn stored(invocation: &Invocation, text: &str) -> Result<Option<Content>, Failure> {
    let Some(digits) = object::digits(text).filter(|_| !Path::new(text).exists()) else { return Ok(None) };
    let progress = Progress::of(invocation);
    let store = invocation.options.store().open()?;
    let content = object::content(&store, digits)?;
    warn_of_damage(&store, &progress);
    Ok(Some(content))
}

/// The model of a target, built if necessary, and its tensors if its format does not describe itself; its gates are not
/// run.
pub(crate) fn target_model(
    invocation: &Invocation,
    text: &str,
) -> Result<(BuiltModel, Option<Listing>), Failure> {
    let progress = Progress::of(invocation);
    let (declarations, store) = invocation.declarations()?;
    let targets = invocation.wanted(&declarations, &[text.to_owned()], &progress)?;
    let info = export_of(text, &targets)?;
    let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
    let built = build_export(&mut engine, info)?;
    let found = built.planes(info).transpose()?;
    Ok((built, found.map(|found| found.listing)))
}

/// The model loaded to be run: from a file, which is built if necessary, or directly from tensors.
pub(crate) fn chat_model(invocation: &Invocation, text: &str) -> Result<ChatModel, Failure> {
    let failed = |reason: ActionError| error::action("Cannot run the model", &reason).at(text);
    if !is_label(text) {
        let content = match stored(invocation, text)? {
            Some(content) => content,
            None if Path::new(text).is_dir() => folder::open(text)?.content,
            None => model_file(text)?,
        };
        let is_described = is_self_described(&content);
        let opened = ChatModel::open(&content).map_err(|reason| match is_described {
            true => failed(reason),
            false => failed(reason).hint("Name the target of the model: only a GGUF can be run by its path"),
        });
        return Ok(opened?);
    }
    let progress = Progress::of(invocation);
    let (declarations, store) = invocation.declarations()?;
    let targets = invocation.wanted(&declarations, &[text.to_owned()], &progress)?;
    match model_of(text, &targets)? {
        NamedModel::Exported(info) => {
            let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
            Ok(open_built(info, &build_export(&mut engine, info)?).map_err(failed)?)
        }
        NamedModel::Unwritten(info) => Ok(open_unwritten(info).map_err(failed)?),
    }
}
