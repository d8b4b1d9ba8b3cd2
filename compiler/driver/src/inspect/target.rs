//! The model that a user names by a label or by a file path.

use std::sync::Mutex;

use mc_execute::services::source_content;
use mc_ir::action::{ActionError, Artifact, Content};
use mc_rules::export::export_info::ExportInfo;
use mc_rules::inference::chat::ChatModel;
use mc_rules::quantize::tensor_report::Entry;
use mc_rules::source::model_info::ModelInfo;

use crate::build::engine::Engine;
use crate::build::error::EngineError;
use crate::build::failure::{BuildFailure, Unbuilt};
use crate::build::tensor_reports;
use crate::declarations::Wanted;
use crate::event::Event;
use crate::inspect::error::InspectError;
use crate::inspect::file::map_file;
use crate::inspect::planes::{self, FoundTensors};
use crate::inspect::series;

/// Returns true if the text is a label, and not a file.
pub fn is_label(text: &str) -> bool {
    text.starts_with("//") || text.starts_with(':')
}

/// The model in a file; for the first file of a series, the whole model.
///
/// # Errors
/// If the file, or another one of its series, cannot be read.
pub fn model_file(path: &str) -> Result<Content, InspectError> {
    match series::whole(path)? {
        Some(content) => Ok(content),
        None => map_file(path),
    }
}

/// The model of a target.
pub struct BuiltModel {
    /// The bytes of its first file, or of its only one.
    pub content: Content,
    /// All its files, if its format has no reader for whole files.
    pub files: Vec<(Artifact, Content)>,
    /// The reports about its tensors.
    pub reports: Vec<Entry>,
}

impl BuiltModel {
    /// Finds the tensors in its files; `None` if its format describes itself.
    ///
    /// # Errors
    /// If a file is broken.
    pub fn planes(&self, info: &ExportInfo) -> Option<Result<FoundTensors, InspectError>> {
        let written = info.written.as_ref()?;
        let named = self.files.iter().filter_map(|(file, content)| {
            let (name, _) = written.files.iter().find(|(_, known)| known == file)?;
            Some((name.clone(), content.clone()))
        });
        planes::list(named.collect())
    }
}

/// The export of the single target that a pattern matches.
///
/// # Errors
/// If there are several targets, or the target has no model file.
pub fn export_of<'a>(text: &str, targets: &'a [Wanted]) -> Result<&'a ExportInfo, InspectError> {
    let target = one_target(text, targets)?;
    let info = target.providers.get::<ExportInfo>();
    info.ok_or_else(|| InspectError::NoModelFile { label: target.label.clone() })
}

/// The model of the single target that a pattern matches.
pub enum NamedModel<'a> {
    /// A model that is written to a file.
    Exported(&'a ExportInfo),
    /// A checkpoint, a merge or a blend, which is not written to a file.
    Unwritten(&'a ModelInfo),
}

/// The declaration of the model of the single target that a pattern matches.
///
/// # Errors
/// If there are several targets, or the target has no model.
pub fn model_of<'a>(text: &str, targets: &'a [Wanted]) -> Result<NamedModel<'a>, InspectError> {
    let target = one_target(text, targets)?;
    if let Some(info) = target.providers.get::<ExportInfo>() {
        return Ok(NamedModel::Exported(info));
    }
    let info = target.providers.get::<ModelInfo>();
    info.map(NamedModel::Unwritten).ok_or_else(|| InspectError::NoModel { label: target.label.clone() })
}

fn one_target<'a>(text: &str, targets: &'a [Wanted]) -> Result<&'a Wanted, InspectError> {
    let [target] = targets else {
        return Err(InspectError::NotOneTarget { text: text.to_owned(), n_targets: targets.len() });
    };
    Ok(target)
}

/// Loads an unwritten model from the files of its sources.
///
/// # Errors
/// If they cannot be read, or the model cannot run.
pub fn open_unwritten(info: &ModelInfo) -> Result<ChatModel, ActionError> {
    ChatModel::of_model(info, &source_content)
}

/// Loads a model that was built.
///
/// # Errors
/// If its files are corrupt, or the model cannot run.
pub fn open_built(info: &ExportInfo, built: &BuiltModel) -> Result<ChatModel, ActionError> {
    match &info.written {
        None => ChatModel::open(&built.content),
        Some(written) => {
            ChatModel::of_written(info.format, &info.model, written, &built.files, &source_content)
        }
    }
}

/// Builds the model of a target, without its gates.
///
/// # Errors
/// If it cannot be built or read.
pub fn build_export(engine: &mut Engine<'_>, info: &ExportInfo) -> Result<BuiltModel, InspectError> {
    let written = info.written.iter().flat_map(|written| &written.files).map(|(_, file)| file.clone());
    let asked: Vec<Artifact> = [info.whole.clone()].into_iter().chain(written).collect();
    let pass = engine.build(&asked, &asked, &Mutex::default());
    engine.events.event(Event::BuildPaused);
    let mut pass = pass?;
    engine.warn_of_damage();
    let failures = std::mem::take(&mut pass.built.failures);
    let mut failures: Vec<BuildFailure> = failures.into_iter().map(BuildFailure::from).collect();
    engine.finish_remote_cache(&mut failures);
    engine.trim_store();
    match pass.output(&info.whole).filter(|_| failures.is_empty()) {
        Some(output) => {
            let reports = pass.output(&info.reports).map(|output| tensor_reports::read(engine, output));
            let reports = reports.transpose()?.unwrap_or_default();
            let content = engine.content(output)?;
            let files = asked[1..].iter().filter_map(|file| Some((file, pass.output(file)?)));
            let files = files.map(|(file, output)| Ok((file.clone(), engine.content(output)?)));
            let files = files.collect::<Result<_, EngineError>>()?;
            Ok(BuiltModel { content, files, reports })
        }
        None => {
            let is_interrupted = pass.built.is_interrupted;
            Err(InspectError::Unbuilt(Unbuilt { failures, is_interrupted }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinguished_from_files() {
        assert!(is_label("//models:app-1.0.gguf"));
        assert!(is_label(":app"));
        assert!(!is_label("model.gguf"));
        assert!(!is_label("/abs/model.gguf"));
    }
}
