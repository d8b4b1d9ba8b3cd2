//! The action that runs the files of a model in their own runtime, and our own graph over the tokens that it generated.

use std::fs;
use std::time::Duration;

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Input, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::Parameters;
use mc_ir::work::{Progress, ProgressUnit, Work};
use mc_runtime::cancellation::Cancellation;
use mc_runtime::estimate::{Share, mean};
use mc_runtime::replay::{Replayed, replay};
use serde::{Deserialize, Serialize};

use crate::evaluate::measure::Data;
use crate::evaluate::number::{Number, nats};
use crate::evaluate::prompt_items::prompt_items;
use crate::evaluate::runtime::answers::RuntimeAnswer;
use crate::evaluate::runtime::folder::ModelFolder;
use crate::evaluate::runtime::process::{Limits, Process};
use crate::evaluate::runtime::tools::{Installed, arguments};
use crate::inference::model_work;
use crate::inference::opened::{Opened, measurement_error};
use crate::inference::subject::Subject;
use crate::source::dataset::{DatasetInfo, DatasetKind};

/// The output that holds the [`Found`].
pub(crate) const FOUND: &str = "runtime.json";

/// Maximum number of bytes that the runtime writes for a token.
const TOKEN_BYTES: u64 = 64;

/// The name of the script in the folder of the model.
const SCRIPT: &str = "mc-runtime-parity.py";

/// The numbers, in the form that the action writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The packages that computed them.
    pub(crate) versions: String,
    /// Share of the runtime's tokens that our graph ranks first after the same tokens.
    pub(crate) top_1: Number,
    /// Share of the runtime's tokens before the first one in each answer that our graph does not rank first.
    pub(crate) greedy: Number,
    /// Mean difference of the logarithms of the tokens' probabilities.
    pub(crate) difference: Number,
}

/// Runs a model in its runtime. Its inputs are those of the model, then the items.
pub(crate) struct RunAction {
    subject: Subject,
    installed: Installed,
    data: String,
    kind: DatasetKind,
    max_tokens: usize,
    silence: Duration,
}

impl RunAction {
    /// Creates the action and its inputs.
    ///
    /// * `silence`: longest time between two answers; no byte of the result depends on it
    pub(crate) fn new(
        (subject, mut inputs): (Subject, Vec<Input>),
        installed: Installed,
        data: &DatasetInfo,
        max_tokens: usize,
        silence: Duration,
    ) -> (Self, Vec<Input>) {
        inputs.push(Input::Artifact(data.items.clone()));
        let action =
            Self { subject, installed, data: data.name.clone(), kind: data.kind, max_tokens, silence };
        (action, inputs)
    }

    /// Runs the runtime; returns its answer to each prompt.
    fn answers(
        &self,
        model: &Opened,
        prompts: &[Vec<u32>],
        ctx: &dyn ActionContext,
    ) -> Result<Vec<RuntimeAnswer>, ActionError> {
        let folder = ModelFolder::create()?;
        let files = self.subject.files();
        for (name, input) in &files {
            folder.write(name, &ctx.input(*input)?, ctx)?;
        }
        let script = folder.path().join(SCRIPT);
        fs::write(&script, self.installed.tool.text())?;
        let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
        let request = serde_json::json!({
            "folder": folder.path().to_string_lossy(),
            "files": names,
            "prompts": prompts,
            "max_tokens": self.max_tokens,
            "stop": model.vocabulary.special.stop,
        });
        let n_tokens = (prompts.len() as u64).saturating_mul(self.max_tokens as u64 + 16);
        let limits = Limits { silence: self.silence, n_bytes: n_tokens.saturating_mul(TOKEN_BYTES) };
        let failed = |reason: String| {
            let package = self.installed.tool.package;
            ActionError::failed(format!("{package} did not run the model: {reason}"))
                .with_help(format!("The versions are {}", self.installed.versions))
        };
        let arguments = arguments([&*script.to_string_lossy()]);
        let started = Process::start(
            &self.installed.python,
            &arguments,
            Some(folder.path()),
            &request.to_string(),
            limits,
        );
        let mut process = started.map_err(|error| failed(error.to_string()))?;
        let mut answers = Vec::with_capacity(prompts.len());
        while answers.len() < prompts.len() {
            let line = process.line(&mut || ctx.go_on()).map_err(|error| match error {
                ActionError::Cancelled => ActionError::Cancelled,
                error => failed(error.to_string()),
            })?;
            let line = line.ok_or_else(|| failed(process.ending()))?;
            answers
                .push(RuntimeAnswer::parse(&line, self.max_tokens, model.model.n_vocab()).map_err(failed)?);
            let (n_done, n_total) = (answers.len() as u64, prompts.len() as u64);
            ctx.progress(Progress { n_done, n_total, unit: ProgressUnit::Prompts });
        }
        Ok(answers)
    }
}

impl Action for RunAction {
    fn kind(&self) -> ActionKind {
        let version = mc_runtime::replay::VERSION + mc_family::chat::VERSION;
        ActionKind { name: "runtime-parity", version }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let own = Parameters::new()
            .text("runtime", self.installed.tool.package)
            .text("versions", &self.installed.versions)
            // Runtimes use the instructions of the machine.
            .text("platform", format_args!("{} {}", std::env::consts::OS, std::env::consts::ARCH))
            .text("script", self.installed.tool.digest())
            .text("max-tokens", self.max_tokens)
            .text("items", self.kind.name());
        self.subject.parameters().into_iter().chain(own.into_pairs()).collect()
    }

    fn outputs(&self) -> Vec<String> {
        vec![FOUND.to_owned()]
    }

    fn describe(&self) -> String {
        format!("{} on {}", self.installed.tool.package, self.data)
    }

    fn work(&self, sizes: &[u64]) -> Work {
        model_work::reading(self.kind().name, sizes)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let model = self.subject.open(ctx, 0)?;
        let items =
            String::from_utf8_lossy(&ctx.input(self.subject.n_inputs())?.to_contiguous()).into_owned();
        let data = Data { name: self.data.clone(), items };
        let prompts = prompt_items(&model, self.kind, &data, ctx)?;
        let prompts: Vec<Vec<u32>> = prompts.into_iter().map(|prompt| prompt.ids).collect();
        let answers = self.answers(&model, &prompts, ctx)?;
        let sequences: Vec<(&[u32], &[u32])> = prompts
            .iter()
            .zip(&answers)
            .map(|(prompt, answer)| (prompt.as_slice(), answer.tokens.as_slice()))
            .collect();
        let is_cancelled = || ctx.is_cancelled();
        let replayed = replay(&model.model, &sequences, Cancellation::new(&is_cancelled))
            .map_err(|error| measurement_error(&format!("The answers on `{}`", data.name), &error))?;
        let found = found(&self.installed.versions, &answers, &replayed)?;
        let blob = write_bytes(ctx, &serde_json::to_vec(&found).map_err(ActionError::failed)?)?;
        Ok(Outputs::from([(FOUND.to_owned(), Output::File(blob))]))
    }
}

/// Compares the runtime's answers with our predictions.
fn found(
    versions: &str,
    answers: &[RuntimeAnswer],
    replayed: &[Vec<Replayed>],
) -> Result<Found, ActionError> {
    let (mut n, mut n_top, mut n_greedy) = (0, 0, 0);
    let mut differences = Vec::new();
    for (answer, replayed) in answers.iter().zip(replayed) {
        let is_equal = |(token, ours): &(&u32, &Replayed)| **token == ours.likeliest;
        let steps = || answer.tokens.iter().zip(replayed);
        n += answer.tokens.len();
        n_top += steps().filter(is_equal).count();
        n_greedy += steps().take_while(is_equal).count();
        let theirs = answer.log_probabilities.iter().zip(replayed);
        differences.extend(theirs.map(|(theirs, ours)| (theirs - ours.log_probability).abs()));
    }
    if n == 0 {
        return Err(ActionError::failed("The runtime generated no token after any prompt"));
    }
    Ok(Found {
        versions: versions.to_owned(),
        top_1: Number::share(Share { n_counted: n_top, n }),
        greedy: Number::share(Share { n_counted: n_greedy, n }),
        difference: Number::mean(mean(&differences), nats),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_after_the_runtimes_own_tokens() {
        let answer = |tokens: &[u32], numbers: &[f64]| RuntimeAnswer {
            tokens: tokens.to_vec(),
            log_probabilities: numbers.to_vec(),
        };
        let ours = |steps: &[(u32, f64)]| -> Vec<Replayed> {
            steps
                .iter()
                .map(|(likeliest, p)| Replayed { likeliest: *likeliest, log_probability: *p })
                .collect()
        };
        let answers = [answer(&[4, 5, 6], &[-0.5, -1.0, -2.0]), answer(&[7], &[-0.25]), answer(&[], &[])];
        let replayed = [ours(&[(4, -0.5), (9, -1.5), (6, -2.0)]), ours(&[(7, -0.25)]), ours(&[])];
        let found = found("mlx-lm 1", &answers, &replayed).unwrap();
        assert_eq!((found.top_1.value, found.greedy.value, found.difference.value), (0.75, 0.5, 0.125));
        assert_eq!(found.versions, "mlx-lm 1");
        assert!(super::found("", &answers[2..], &replayed[2..]).is_err(), "nothing was compared");
    }
}
