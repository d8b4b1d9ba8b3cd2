//! The bytes of a model that the user names: a label or a file.

use std::path::Path;
use std::sync::Arc;

use mc_ir::action::{Content, Piece};
use mc_rules::export::gguf::GgufInfo;
use mc_rules::quantize::tensor_report::Entry;
use mc_store::mapping::MappedFile;

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::progress::Progress;
use crate::report::Report;
use crate::wire::declarations::Declarations;
use crate::wire::engine::Engine;
use crate::wire::series;
use crate::wire::targets::{tell, unbuilt};
use crate::wire::tensor_reports;
use crate::workspace::Workspace;

/// Whether the text names a target and not a file.
pub(crate) fn is_label(text: &str) -> bool {
    text.starts_with("//") || text.starts_with(':')
}

/// The GGUF that the text names; of a series of files the whole.
pub(crate) fn gguf(invocation: &Invocation, text: &str) -> Result<Content, Failure> {
    if is_label(text) {
        return Ok(target_gguf(invocation, text)?.content);
    }
    Ok(match series::whole(text)? {
        Some(content) => content,
        None => map_file(text)?,
    })
}

/// A file, mapped.
pub(crate) fn map_file(text: &str) -> Result<Content, Report> {
    let path = Path::new(text);
    match path.metadata() {
        Err(error) => {
            let report = Report::usage(format!("Cannot open `{text}`")).because(error);
            return Err(report.hint("Name a file, or a target as `//package:target`"));
        }
        Ok(metadata) if !metadata.is_file() => {
            return Err(Report::usage(format!("`{text}` is no file")).hint("Name one of the files in it"));
        }
        Ok(_) => {}
    }
    let file = MappedFile::open(path)
        .map_err(|error| Report::failed(format!("Cannot open `{text}`")).because(error))?;
    Ok(Content { parts: vec![Piece::whole(Arc::new(file))] })
}

/// A target's GGUF.
pub(crate) struct TargetGguf {
    /// Its bytes.
    pub(crate) content: Content,
    /// What was told of its tensors.
    pub(crate) reports: Vec<Entry>,
}

/// The GGUF of a target, built if need be; its gates are not asked.
pub(crate) fn target_gguf(invocation: &Invocation, text: &str) -> Result<TargetGguf, Failure> {
    let workspace = Workspace::find(&invocation.options)?;
    let declarations = Declarations::open(invocation, &workspace);
    let targets = declarations.wanted(invocation, &[text.to_owned()])?;
    let [target] = targets.as_slice() else {
        return Err(
            Report::usage(format!("`{text}` stands for {} targets; expected one", targets.len())).into()
        );
    };
    let Some(info) = target.providers.get::<GgufInfo>() else {
        return Err(Report::usage(format!("`{}` has no GGUF", target.label))
            .hint("Name a `model`, `gguf` or `bundle` target: mc query 'kind(model, //...)'")
            .into());
    };
    let mut engine = Engine::open_with_team(invocation, &declarations.team_cache())?;
    let progress = Progress::new(&invocation.streams);
    let asked = [info.gguf.clone()];
    let pass = engine.build(&asked, &asked, &progress)?;
    progress.finish();
    engine.warn_of_damage(invocation);
    let mut reports = unbuilt(&pass);
    engine.finish_team(invocation, &mut reports);
    match pass.output(&info.gguf).filter(|_| reports.is_empty()) {
        Some(output) => {
            let reports = pass.output(&info.reports).map(|output| tensor_reports::read(&engine, output));
            let reports = reports.transpose()?.unwrap_or_default();
            Ok(TargetGguf { content: engine.content(output)?, reports })
        }
        None => Err(tell(invocation, &reports, pass.built.is_interrupted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_from_files() {
        assert!(is_label("//models:app-1.0.gguf"));
        assert!(is_label(":app"));
        assert!(!is_label("model.gguf"));
        assert!(!is_label("/abs/model.gguf"));
    }

    #[test]
    fn a_missing_file_is_a_mistake_on_the_command_line() {
        let Err(report) = map_file("/nowhere/model.gguf") else { panic!("there is no such file") };
        assert_eq!(report.exit, crate::exit::Exit::Declaration);
    }
}
