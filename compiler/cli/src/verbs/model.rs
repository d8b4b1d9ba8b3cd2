//! The model that a user names: a label, which is built if need be, or the path of a file.

use mc_driver::inspect::target::{TargetModel, build_export, export_of, is_label, model_file};
use mc_ir::action::Content;

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::progress::Progress;

/// The model that the text names; of a series of files the whole.
pub(crate) fn model(invocation: &Invocation, text: &str) -> Result<Content, Failure> {
    if is_label(text) {
        return Ok(target_model(invocation, text)?.content);
    }
    Ok(model_file(text)?)
}

/// The model of a target, built if need be; its gates are not asked.
pub(crate) fn target_model(invocation: &Invocation, text: &str) -> Result<TargetModel, Failure> {
    let progress = Progress::new(&invocation.streams);
    let (declarations, store) = invocation.declarations()?;
    let targets = invocation.wanted(&declarations, &[text.to_owned()], &progress)?;
    let info = export_of(text, &targets)?;
    let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
    Ok(build_export(&mut engine, info)?)
}
