//! Builds targets and puts their outputs under `mc-out/`.

use mc_ir::output::Output;

use crate::build::engine::Engine;
use crate::build::publish::{Published, directory, path_below_out, publish};
use crate::build::targets::{Finished, Goal, Status, build_targets};
use crate::build::tensor_reports;
use crate::declarations::Wanted;
use crate::error::Error;
use crate::event::Event;
use crate::failure::BuildFailure;
use crate::warning::Warning;
use crate::workspace::Workspace;

/// A build whose outputs are in place.
pub struct Outputs {
    /// The build.
    pub finished: Finished,
    /// The published outputs of each target; `None` if it is not published.
    pub published: Vec<Option<Published>>,
    /// Problems that did no harm; each was an event, too.
    pub warnings: Vec<Warning>,
}

/// Builds targets, and puts the outputs of those that are whole and passed their gates in place.
///
/// # Errors
/// If the build cannot begin, or a result cannot be read. Failures of actions are in [`Outputs`].
pub fn build_outputs(
    engine: &mut Engine<'_>,
    workspace: &Workspace,
    targets: Vec<Wanted>,
) -> Result<Outputs, Error> {
    let mut finished = build_targets(engine, targets.clone(), Goal::Outputs)?;
    let mut published = publish_built(engine, workspace, &mut finished);
    if published.has_lost_blobs {
        // Blobs that rotted were set aside when they were copied: one more build makes them anew.
        finished = build_targets(engine, targets, Goal::Outputs)?;
        published = publish_built(engine, workspace, &mut finished);
    }
    let mut warnings = tensor_reports::warnings(engine, &finished)?;
    engine.warn_of_damage();
    let of_cache = engine.finish_remote_cache(&mut finished.failures);
    warnings.iter().for_each(|warning| engine.events.event(Event::Warning(warning)));
    warnings.extend(of_cache);
    Ok(Outputs { finished, published: published.folders, warnings })
}

/// A build of gates, without outputs.
pub struct Gates {
    /// The build.
    pub finished: Finished,
    /// Problems that did no harm; each was an event, too.
    pub warnings: Vec<Warning>,
}

/// Builds the gates of targets, and nothing else.
///
/// # Errors
/// If the build cannot begin, or a result cannot be read. Failures of actions are in [`Gates`].
pub fn build_gates(engine: &mut Engine<'_>, targets: Vec<Wanted>) -> Result<Gates, Error> {
    let mut finished = build_targets(engine, targets, Goal::Gates)?;
    engine.warn_of_damage();
    let warnings = engine.finish_remote_cache(&mut finished.failures);
    Ok(Gates { finished, warnings })
}

/// The published outputs of each target.
#[derive(Default)]
struct PublishedTargets {
    /// One entry for each target; `None` if it is not published.
    folders: Vec<Option<Published>>,
    /// Blobs turned out to be missing or damaged when they were copied.
    has_lost_blobs: bool,
}

/// Publishes each target that is whole and passed; what cannot be published becomes a failure of its target.
fn publish_built(engine: &Engine<'_>, workspace: &Workspace, finished: &mut Finished) -> PublishedTargets {
    let mut published = PublishedTargets::default();
    for index in 0..finished.targets.len() {
        let (target, status) = &finished.targets[index];
        let outputs = coming(engine, finished, target);
        // After an interrupt nothing new appears, even what is whole: the user wanted out.
        if *status != Status::Built || finished.is_interrupted || outputs.is_empty() {
            published.folders.push(None);
            continue;
        }
        match publish(engine, workspace, &target.label, outputs) {
            Ok(folder) => published.folders.push(Some(folder)),
            Err(error) => {
                published.has_lost_blobs |= error.is_lost_blob();
                let directory = directory(workspace, &target.label);
                finished.targets[index].1 = Status::Failed;
                finished.failures.push(BuildFailure::Publish { directory, error });
                published.folders.push(None);
            }
        }
    }
    published
}

/// The outputs of a target that do not stay in the remote cache, by their paths.
fn coming(engine: &Engine<'_>, finished: &Finished, target: &Wanted) -> Vec<(String, Output)> {
    let Wanted { label, providers } = target;
    let comes = |(path, _): &&(String, _)| !engine.leaves(&path_below_out(label, path));
    let outputs = providers.outputs.iter().filter(comes).filter_map(|(path, artifact)| {
        finished.output(artifact).map(|output| (path.clone(), output.clone()))
    });
    outputs.collect()
}
