//! Actions for tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mc_ir::action::{
    Action, ActionContext, ActionError, ActionKind, ActionNode, Input, Range64, Source, write_bytes,
};
use mc_ir::label::{Label, PackageId};
use mc_ir::output::{Output, Outputs};

/// Concatenates its inputs and its parameter.
#[derive(Clone)]
pub(crate) struct Glue {
    pub(crate) version: u32,
    pub(crate) parameter: &'static str,
    pub(crate) output: &'static str,
    pub(crate) effect: Effect,
    pub(crate) n_inputs: usize,
    /// Number of bytes of its output, if known before the run.
    pub(crate) size: Option<u64>,
}

/// The behavior of a run.
#[derive(Clone)]
pub(crate) enum Effect {
    /// Outputs its inputs and its parameter in one blob.
    Glue,
    /// Outputs its inputs and its parameter, one blob each.
    Composite,
    /// Outputs the number of bytes of its inputs: other bytes with the same number give the same result.
    Count,
    Fail,
    /// Fails with this cause, which other actions may share.
    FailFor(&'static str),
    /// Fails unless its inputs begin with this; otherwise behaves as [`Self::Glue`].
    Expect(&'static str),
    MissGate,
    Panic,
    /// Produces undeclared outputs.
    Undeclared,
    /// Requests an interrupt, as a user would while it runs, and finishes.
    Interrupt(Arc<AtomicBool>),
    /// Requests an interrupt, notices it, and returns.
    GiveUp(Arc<AtomicBool>),
    /// Runs until its outputs are no longer needed.
    Wait,
    /// Saves a file while the build runs.
    Save(PathBuf),
    /// Calls this after it read its inputs, and outputs what it had read.
    Meanwhile(Arc<dyn Fn() + Send + Sync>),
    /// Works on the shared threads for a while, and counts the actions that do so at the same time.
    Work(Arc<Working>),
}

/// Number of running actions, and its maximum.
#[derive(Default)]
pub(crate) struct Working {
    now: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) runs: AtomicUsize,
}

impl Action for Glue {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "glue", version: self.version }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![("parameter".to_owned(), self.parameter.to_owned())]
    }

    fn outputs(&self) -> Vec<String> {
        vec![self.output.to_owned()]
    }

    fn output_size(&self, _: &str) -> Option<u64> {
        self.size
    }

    fn describe(&self) -> String {
        format!("gluing {}", self.parameter)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let began = Instant::now();
        let inputs = || -> Result<Vec<Vec<u8>>, ActionError> {
            let contents = (0..self.n_inputs).map(|index| ctx.input(index));
            let contents = contents.collect::<Result<Vec<_>, _>>()?;
            let before: Vec<Vec<u8>> =
                contents.iter().map(|content| content.to_contiguous().into_owned()).collect();
            ctx.release_inputs();
            let after = contents.iter().map(|content| content.to_contiguous().into_owned());
            assert!(after.eq(before.iter().cloned()), "inputs differ after their release");
            Ok(before)
        };
        let one = |output| Ok(Outputs::from([(self.output.to_owned(), output)]));
        let glued = || -> Result<Output, ActionError> {
            let mut bytes = inputs()?.concat();
            bytes.extend_from_slice(self.parameter.as_bytes());
            Ok(Output::File(write_bytes(ctx, &bytes)?))
        };
        match &self.effect {
            Effect::Glue => one(glued()?),
            Effect::Composite => {
                let mut parts = Vec::new();
                for input in inputs()?.iter().map(Vec::as_slice).chain([self.parameter.as_bytes()]) {
                    parts.push(write_bytes(ctx, input)?);
                }
                one(Output::Composite(parts))
            }
            Effect::Count => {
                let count = inputs()?.concat().len().to_string();
                one(Output::File(write_bytes(ctx, count.as_bytes())?))
            }
            Effect::Expect(beginning) => {
                let found = String::from_utf8_lossy(&inputs()?.concat()).into_owned();
                if !found.starts_with(beginning) {
                    return Err(ActionError::failed(format!("`{found}` does not begin with `{beginning}`")));
                }
                one(glued()?)
            }
            Effect::Fail => Err(ActionError::failed(format!("`{}` cannot be glued", self.parameter))),
            Effect::FailFor(cause) => {
                Err(ActionError::failed(format!("`{}` needs {cause}", self.parameter)).with_cause(*cause))
            }
            Effect::MissGate => Err(ActionError::GateMissed(format!("`{}` is too large", self.parameter))),
            Effect::Panic => panic!("`{}` was held impossible", self.parameter),
            Effect::Undeclared => Ok(Outputs::from([("other".to_owned(), glued()?)])),
            Effect::Interrupt(flag) => {
                flag.store(true, Ordering::Relaxed);
                one(glued()?)
            }
            Effect::GiveUp(flag) => {
                flag.store(true, Ordering::Relaxed);
                if ctx.is_cancelled() { Err(ActionError::Cancelled) } else { one(glued()?) }
            }
            Effect::Wait => {
                while Instant::now() < began + PATIENCE {
                    ctx.go_on()?;
                    sleep();
                }
                panic!("`{}` was wanted too long", self.parameter);
            }
            Effect::Save(path) => {
                let output = glued()?;
                std::fs::write(path, "saved while it was read")?;
                one(output)
            }
            Effect::Meanwhile(work) => {
                let output = glued()?;
                work();
                one(output)
            }
            Effect::Work(working) => {
                working.runs.fetch_add(1, Ordering::Relaxed);
                let now = working.now.fetch_add(1, Ordering::Relaxed) + 1;
                working.most.fetch_max(now, Ordering::Relaxed);
                rayon::join(sleep, || rayon::join(sleep, sleep));
                working.now.fetch_sub(1, Ordering::Relaxed);
                one(glued()?)
            }
        }
    }
}

/// Timeout after which a waiting test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn sleep() {
    std::thread::sleep(Duration::from_millis(5));
}

/// An action with the usual version and output.
pub(crate) fn glue(parameter: &'static str, effect: Effect) -> Glue {
    Glue { version: 1, parameter, output: "out", effect, n_inputs: 0, size: None }
}

/// The node of an action, for a target with this name.
pub(crate) fn node(name: &str, action: Glue, inputs: Vec<Input>) -> Arc<ActionNode> {
    let action = Glue { n_inputs: inputs.len(), ..action };
    ActionNode::new(Label::new(PackageId(String::new()), name), Box::new(action), inputs)
}

/// An action named like its parameter that concatenates its inputs.
pub(crate) fn step(name: &'static str, inputs: Vec<Input>) -> Arc<ActionNode> {
    node(name, glue(name, Effect::Glue), inputs)
}

/// The output of an action, as the input of another.
pub(crate) fn of(node: &Arc<ActionNode>) -> Input {
    let output = node.action.outputs().remove(0);
    Input::Artifact(node.artifact(&output))
}

/// A file, or a range of its bytes.
pub(crate) fn file(path: PathBuf, range: Option<(u64, u64)>) -> Input {
    let range = range.map(|(start, end)| Range64 { start, end });
    Input::Source(Source { path: path.into(), range })
}
