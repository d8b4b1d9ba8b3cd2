//! Builds targets and publishes their outputs below `mc-out/`.

use mc_ir::output::Output;

use crate::build::engine::Engine;
use crate::build::error::EngineError;
use crate::build::failure::BuildFailure;
use crate::build::publish::{Published, TargetOutputs, directory, path_below_out, publish};
use crate::build::targets::{Finished, Goal, Status, build_targets};
use crate::build::tensor_reports;
use crate::declarations::Wanted;
use crate::event::Event;
use crate::out_folder::{claim, foreign_entry};
use crate::warning::Warning;
use crate::workspace::Workspace;

/// A build with its published outputs.
pub struct Outputs {
    /// The build.
    pub finished: Finished,
    /// The published outputs of each target; `None` if it is not published.
    pub published: Vec<Option<Published>>,
    /// Harmless problems; each was reported as an event, too.
    pub warnings: Vec<Warning>,
}

/// Builds targets, and publishes the outputs of those that are complete and passed their gates.
///
/// # Errors
/// If the build cannot begin, or a result cannot be read. Failures of actions are in [`Outputs`].
pub fn build_outputs(
    engine: &mut Engine<'_>,
    workspace: &Workspace,
    targets: Vec<Wanted>,
) -> Result<Outputs, EngineError> {
    // If the folder cannot be read, it cannot be written either, and the write reports the error.
    if let Ok(Some(entry)) = foreign_entry(workspace) {
        return Err(EngineError::ForeignOutputs { dir: workspace.out(), entry });
    }
    let mut finished = build_targets(engine, targets.clone(), Goal::Outputs)?;
    let mut published = publish_built(engine, workspace, &mut finished);
    if published.has_lost_blobs {
        // Rotted blobs were set aside during the copy; one more build makes them again.
        finished = build_targets(engine, targets, Goal::Outputs)?;
        published = publish_built(engine, workspace, &mut finished);
    }
    let mut warnings = tensor_reports::warnings(engine, &finished)?;
    engine.warn_of_damage();
    let of_cache = engine.finish_remote_cache(&mut finished.failures);
    warnings.iter().for_each(|warning| engine.events.event(Event::Warning(warning)));
    warnings.extend(of_cache);
    engine.trim_store();
    Ok(Outputs { finished, published: published.folders, warnings })
}

/// A build of gates, without outputs.
pub struct Gates {
    /// The build.
    pub finished: Finished,
    /// Harmless problems; each was reported as an event, too.
    pub warnings: Vec<Warning>,
}

/// Builds the gates of targets, and nothing else.
///
/// # Errors
/// If the build cannot begin, or a result cannot be read. Failures of actions are in [`Gates`].
pub fn build_gates(engine: &mut Engine<'_>, targets: Vec<Wanted>) -> Result<Gates, EngineError> {
    let mut finished = build_targets(engine, targets, Goal::Gates)?;
    engine.warn_of_damage();
    let warnings = engine.finish_remote_cache(&mut finished.failures);
    engine.trim_store();
    Ok(Gates { finished, warnings })
}

/// The published outputs of each target.
#[derive(Default)]
struct PublishedTargets {
    /// One entry for each target; `None` if it is not published.
    folders: Vec<Option<Published>>,
    /// True if blobs were missing or damaged when they were copied.
    has_lost_blobs: bool,
}

/// Publishes each target that is complete and passed its gates. An error becomes a failure of the target.
fn publish_built(engine: &Engine<'_>, workspace: &Workspace, finished: &mut Finished) -> PublishedTargets {
    let wanted: Vec<usize> =
        (0..finished.targets.len()).filter(|&index| is_to_publish(engine, finished, index)).collect();
    let outputs = wanted.iter().map(|&index| {
        let target = &finished.targets[index].0;
        let outputs = outputs_of(engine, finished, index);
        TargetOutputs { label: &target.label, outputs, results: finished.results_behind(target) }
    });
    if !wanted.is_empty() {
        // If the folder cannot be marked, publishing fails too, and reports the reason.
        drop(claim(workspace));
    }
    let results = publish(engine, workspace, outputs.collect());
    if results.iter().any(Result::is_ok) {
        // A concurrent `mc clean` may have removed the folder; publishing created it again, without the mark.
        drop(claim(workspace));
    }
    let mut published = PublishedTargets::default();
    published.folders.resize_with(finished.targets.len(), || None);
    for (index, result) in wanted.into_iter().zip(results) {
        match result {
            Ok(folder) => published.folders[index] = Some(folder),
            Err(error) => {
                published.has_lost_blobs |= error.is_lost_blob();
                let (target, status) = &mut finished.targets[index];
                let directory = directory(workspace, &target.label);
                *status = Status::Failed;
                finished.failures.push(BuildFailure::Publish { directory, error });
            }
        }
    }
    published
}

/// Returns true if a target has outputs to publish. After an interrupt nothing new is published, not even complete
/// targets, because the user cancelled the command.
fn is_to_publish(engine: &Engine<'_>, finished: &Finished, index: usize) -> bool {
    let is_built = finished.targets[index].1 == Status::Built && !finished.is_interrupted;
    is_built && !outputs_of(engine, finished, index).is_empty()
}

/// The outputs of a target to publish below `mc-out/`, by path in its folder.
fn outputs_of(engine: &Engine<'_>, finished: &Finished, index: usize) -> Vec<(String, Output)> {
    let (target, _) = &finished.targets[index];
    let comes = |(path, _): &&(String, _)| !engine.leaves(&path_below_out(&target.label, path));
    let outputs = target.providers.outputs.iter().filter(comes).filter_map(|(path, artifact)| {
        finished.output(artifact).map(|output| (path.clone(), output.clone()))
    });
    outputs.collect()
}
