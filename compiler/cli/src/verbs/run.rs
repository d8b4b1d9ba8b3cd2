//! `mc run`: asks a model something, and shows the answer while it comes.

use std::io::{IsTerminal, Read};
use std::time::Instant;

use clap::Args;
use mc_rules::inference::chat::{Candidate, ChatModel, ChatOptions};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::error;
use crate::report::Report;
use crate::verb::Run as RunVerb;
use crate::verbs::model::model;

/// Ask a model something: mc run //models:app -- "find a charger"
#[derive(Args)]
#[command(
    after_help = "Examples:\n  mc run //models:app -- \"find a charger\"\n  mc run path/to/model.gguf --raw -- \
                        \"Once upon a time\"\n  echo \"find a charger\" | mc run //models:app"
)]
pub(crate) struct Run {
    /// A target with a model, or the path of a .gguf file
    model: String,

    /// What to ask; read from stdin when it is not there
    #[arg(value_name = "PROMPT")]
    prompt: Vec<String>,

    /// Stop after this many tokens
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,

    /// How freely to choose among likely tokens; 0 always takes the likeliest
    #[arg(long, default_value_t = 0.0, value_name = "T", value_parser = temperature)]
    temperature: f32,

    /// Choose among the likeliest tokens that together have this probability
    #[arg(long, default_value_t = 1.0, value_name = "P", value_parser = probability)]
    top_p: f32,

    /// Choose among this many of the likeliest tokens; 0 is all
    #[arg(long, default_value_t = 0, value_name = "K")]
    top_k: u32,

    /// The seed of the choice: the same seed gives the same answer
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    seed: u64,

    /// Give the prompt to the model as it is, without the chat template
    #[arg(long)]
    raw: bool,

    /// With --output json, also tell this many of the likeliest tokens at each step
    #[arg(long, default_value_t = 0, value_name = "N")]
    logprobs: usize,
}

impl RunVerb for Run {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let prompt = self.prompt()?;
        let content = model(invocation, &self.model)?;
        let failed = |reason| error::action("Cannot run the model", &reason).at(&self.model);
        let model = ChatModel::open(&content).map_err(failed)?;
        let start = Instant::now();
        let streams = &invocation.streams;
        let reply = model
            .reply(&prompt, &self.chat_options(), &mut |text| {
                if !invocation.is_json() {
                    streams.result(text);
                    streams.flush();
                }
            })
            .map_err(failed)?;
        if invocation.is_json() {
            invocation.json(&json!({
                "text": reply.text,
                "prompt_tokens": reply.prompt,
                "tokens": reply.tokens,
                "steps": reply.steps.iter().map(|step| step.iter().map(candidate).collect()).collect::<Vec<Vec<_>>>(),
            }));
        } else {
            streams.result("\n");
            streams.flush();
            let seconds = start.elapsed().as_secs_f64();
            streams.note(&format!(
                "{} prompt tokens, {} tokens in {seconds:.2} s (on this machine)\n",
                reply.prompt.len(),
                reply.tokens.len()
            ));
        }
        Ok(Exit::Done)
    }
}

impl Run {
    fn prompt(&self) -> Result<String, Report> {
        if !self.prompt.is_empty() {
            return Ok(self.prompt.join(" "));
        }
        if std::io::stdin().is_terminal() {
            return Err(Report::usage("There is nothing to ask")
                .hint(format!("Write the prompt after `--`: mc run {} -- \"find a charger\"", self.model)));
        }
        let mut prompt = String::new();
        std::io::stdin()
            .read_to_string(&mut prompt)
            .map_err(|error| Report::usage("Cannot read the prompt from stdin").because(error))?;
        let prompt = prompt.trim_end_matches(['\n', '\r']).to_owned();
        if prompt.is_empty() {
            return Err(Report::usage("There is nothing to ask: stdin is empty"));
        }
        Ok(prompt)
    }

    fn chat_options(&self) -> ChatOptions {
        ChatOptions {
            max_tokens: self.max_tokens as usize,
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k as usize,
            seed: self.seed,
            raw: self.raw,
            n_top: self.logprobs,
        }
    }
}

fn candidate(candidate: &Candidate) -> serde_json::Value {
    json!({ "id": candidate.id, "text": candidate.text, "logprob": candidate.log_probability })
}

fn temperature(text: &str) -> Result<f32, String> {
    number(text, |value| value >= 0.0, "a number from 0 up")
}

fn probability(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0 && value <= 1.0, "a number above 0, at most 1")
}

fn number(text: &str, is_right: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && is_right(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_numbers_are_checked() {
        assert!(temperature("-1").is_err());
        assert!(temperature("NaN").is_err());
        assert!(probability("0").is_err());
        assert_eq!(probability("0.9"), Ok(0.9));
    }
}
