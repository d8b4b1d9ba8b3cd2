//! Reports of actions about their tensors: for the warnings of a build, and for inspection.

use mc_ir::output::Output;
use mc_rules::export::export_info::ExportInfo;
use mc_rules::quantize::tensor_report::{self, Entry};

use crate::build::engine::Engine;
use crate::build::error::EngineError;
use crate::build::targets::Finished;
use crate::warning::Warning;

/// Maximum number of shown warnings per file; a model has hundreds of tensors.
const MAX_WARNINGS: usize = 8;

/// The reports of a file's tensors.
pub(crate) fn read(engine: &Engine<'_>, output: &Output) -> Result<Vec<Entry>, EngineError> {
    let content = engine.content(output)?;
    tensor_report::read(&content.to_contiguous())
        .map_err(|error| EngineError::TensorReports(error.to_string()))
}

/// Warnings about the tensors of files that were built.
pub(crate) fn warnings(engine: &Engine<'_>, finished: &Finished) -> Result<Vec<Warning>, EngineError> {
    let mut warnings = Vec::new();
    let mut seen = Vec::new();
    for (target, _) in &finished.targets {
        let Some(info) = target.providers.get::<ExportInfo>() else { continue };
        let Some(output) = finished.output(&info.reports) else { continue };
        // A bundle's file is its model's file.
        if seen.contains(&info.reports) {
            continue;
        }
        seen.push(info.reports.clone());
        let of_file: Vec<String> = read(engine, output)?.iter().flat_map(Entry::warnings).collect();
        let n_more = of_file.len().saturating_sub(MAX_WARNINGS);
        let label = &target.label;
        let shown = of_file.into_iter().take(MAX_WARNINGS);
        warnings.extend(shown.map(|text| Warning::Tensor { label: label.clone(), text }));
        if n_more > 0 {
            warnings.push(Warning::MoreTensors { label: label.clone(), n_more });
        }
    }
    Ok(warnings)
}
