//! What the steps told of their tensors: for the warnings of a build and the columns of `mc inspect`.

use mc_ir::output::Output;
use mc_rules::export::gguf::GgufInfo;
use mc_rules::quantize::tensor_report::{self, Entry};

use crate::report::Report;
use crate::wire::engine::Engine;
use crate::wire::targets::Finished;

/// Warnings of one file that are shown; a model has hundreds of tensors.
const MAX_WARNINGS: usize = 8;

/// The reports of a file's tensors.
pub(crate) fn read(engine: &Engine, output: &Output) -> Result<Vec<Entry>, Report> {
    let content = engine.content(output)?;
    tensor_report::read(&content.to_contiguous()).map_err(|error| {
        Report::failed("Cannot read what was told of a model's tensors")
            .because(error)
            .hint("Damaged objects are found and removed by `mc cache verify`; then build again")
    })
}

/// What a person should know of the files that were built.
pub(crate) fn warnings(engine: &Engine, finished: &Finished) -> Result<Vec<String>, Report> {
    let mut warnings = Vec::new();
    let mut seen = Vec::new();
    for (target, _) in &finished.targets {
        let Some(info) = target.providers.get::<GgufInfo>() else { continue };
        let Some(output) = finished.output(&info.reports) else { continue };
        // A bundle's file is its model's file.
        if seen.contains(&info.reports) {
            continue;
        }
        seen.push(info.reports.clone());
        let of_file: Vec<String> = read(engine, output)?.iter().flat_map(Entry::warnings).collect();
        let n_more = of_file.len().saturating_sub(MAX_WARNINGS);
        warnings
            .extend(of_file.into_iter().take(MAX_WARNINGS).map(|text| format!("{}: {text}", target.label)));
        if n_more > 0 {
            warnings.push(format!(
                "{}: {n_more} more; see `mc inspect --tensors {}`",
                target.label, target.label
            ));
        }
    }
    Ok(warnings)
}
