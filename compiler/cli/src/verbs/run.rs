//! `mc run`: prompts a model, and streams the answer.

mod chat;
mod command;
mod document;
mod limit;
mod pace;
mod prompts;
mod typing;

use std::io::IsTerminal;
use std::time::Instant;

use clap::Args;
use mc_rules::inference::chat::{ChatModel, ChatOptions, Prompt, Reply};
use mc_rules::inference::scores::{Next, ScoreOptions};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::error;
use crate::render::plural::plural;
use crate::report::Report;
use crate::verb::Run as RunVerb;
use crate::verbs::model::chat_model;
use crate::verbs::run::chat::ChatSettings;
use crate::verbs::run::pace::{Pace, Stopwatch};
use crate::verbs::run::prompts::Ids;

/// Heading of options that only scripts use.
const SCRIPTS: &str = "Options for scripts";

/// Run a model: answer a prompt, or chat
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc run //models:app -- \"find a charger\"\n  mc run mc-out/models/app/app.gguf --raw -- \"Once upon a time\""
)]
pub(crate) struct Run {
    /// Label of a target with a model, or path of a .gguf file
    model: String,

    /// Prompt; without it, a terminal starts a chat, and other input is read as the prompt
    #[arg(value_name = "PROMPT", conflicts_with_all = ["ids", "prompts"])]
    prompt: Vec<String>,

    /// Prompt as token ids, such as 1,306,4658, used without chat template and begin token; repeatable
    #[arg(long, help_heading = SCRIPTS, value_name = "IDS", value_parser = prompts::ids, conflicts_with = "prompts")]
    ids: Vec<Ids>,

    /// File with prompts: each line is a JSON string, or a JSON array of token ids
    #[arg(long, help_heading = SCRIPTS, value_name = "FILE")]
    prompts: Option<String>,

    /// Number of tokens after which the answer stops; 0 only evaluates the prompt
    #[arg(long, default_value_t = 256, value_name = "N")]
    max_tokens: u32,

    /// Sampling temperature; 0 always takes the most likely token
    #[arg(long, default_value_t = 0.0, value_name = "T", value_parser = temperature)]
    temperature: f32,

    /// Sample from the most likely tokens whose probabilities sum to P
    #[arg(long, default_value_t = 1.0, value_name = "P", value_parser = probability)]
    top_p: f32,

    /// Sample from the K most likely tokens; 0 means all
    #[arg(long, default_value_t = 0, value_name = "K")]
    top_k: u32,

    /// Seed of the sampling; the same seed gives the same answer
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    seed: u64,

    /// Use the prompt as it is, without the chat template
    #[arg(long)]
    raw: bool,

    /// System prompt: a message that tells the model how to answer
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["ids", "raw"])]
    system: Option<String>,

    /// Print the time to the first token and the tokens per second
    #[arg(long)]
    stats: bool,

    /// Continue after tokens that end an answer
    #[arg(long, help_heading = SCRIPTS)]
    ignore_end: bool,

    /// Add the N most likely tokens at each step; needs --output json
    #[arg(long, help_heading = SCRIPTS, default_value_t = 0, value_name = "N")]
    logprobs: usize,

    /// Add the log-probability of each token of the prompt after the first; needs --output json
    #[arg(long, help_heading = SCRIPTS)]
    prompt_logprobs: bool,

    /// Add the K most likely tokens after each prompt, or `all`; needs --output json
    #[arg(long, help_heading = SCRIPTS, value_name = "K", value_parser = next)]
    top: Option<Next>,
}

impl RunVerb for Run {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        self.check(invocation)?;
        if self.is_chat(invocation) {
            let model = chat_model(invocation, &self.model)?;
            return chat::run(invocation, &model, self.chat_settings());
        }
        let prompts = self.asked()?;
        let model = chat_model(invocation, &self.model)?;
        let prompts = self.ids_of(&model, &prompts)?;
        let start = Instant::now();
        let options = self.chat_options();
        let replies = prompts.into_iter().map(|ids| self.reply(invocation, &model, ids, &options));
        let replies: Vec<(Reply, Pace)> = replies.collect::<Result<_, _>>()?;
        if invocation.is_json() {
            match replies.as_slice() {
                [reply] if !self.is_scripted() => invocation.json(&document::of_one(reply, self.stats)),
                replies => invocation.json(&document::of_all(replies, &options.scores, self.stats)),
            }
        } else {
            invocation.streams.note(&counted(&replies, start.elapsed().as_secs_f64()));
        }
        Ok(Exit::Done)
    }
}

impl Run {
    /// Returns true if an option for scripts is given; these produce a different document.
    fn is_scripted(&self) -> bool {
        !self.ids.is_empty()
            || self.prompts.is_some()
            || self.ignore_end
            || self.prompt_logprobs
            || self.top.is_some()
    }

    /// Returns true if the user wants to chat: there is no prompt, and stdin is a terminal.
    fn is_chat(&self, invocation: &Invocation) -> bool {
        let has_prompt = !self.prompt.is_empty() || !self.ids.is_empty() || self.prompts.is_some();
        !has_prompt && !self.raw && !invocation.is_json() && std::io::stdin().is_terminal()
    }

    fn chat_settings(&self) -> ChatSettings {
        ChatSettings {
            model: self.model.clone(),
            system: self.system.clone(),
            shows_stats: self.stats,
            options: self.chat_options(),
        }
    }

    fn check(&self, invocation: &Invocation) -> Result<(), Report> {
        let wanted = [("--prompt-logprobs", self.prompt_logprobs), ("--top", self.top.is_some())];
        match wanted.into_iter().find(|(_, is_wanted)| *is_wanted) {
            Some((option, _)) if !invocation.is_json() => {
                Err(Report::usage(format!("`{option}` needs JSON output")).hint("Add `--output json`"))
            }
            _ => Ok(()),
        }
    }

    /// The prompts for the model.
    fn asked(&self) -> Result<Vec<Prompt>, Report> {
        let text = |text| match self.raw {
            true => Prompt::Text(text),
            false => Prompt::Message { system: self.system.clone(), user: text },
        };
        if let Some(path) = &self.prompts {
            return prompts::of_file(path, text);
        }
        if !self.ids.is_empty() {
            return Ok(self.ids.iter().map(|Ids(ids)| Prompt::Ids(ids.clone())).collect());
        }
        Ok(vec![text(prompts::of_words(&self.prompt, &self.model)?)])
    }

    /// The ids of all prompts, tokenized before the first answer, so that an invalid last prompt fails early.
    fn ids_of(&self, model: &ChatModel, prompts: &[Prompt]) -> Result<Vec<Vec<u32>>, Report> {
        let ids = |(number, prompt): (usize, &Prompt)| {
            model.ids(prompt).map_err(|reason| match prompt {
                Prompt::Ids(_) => {
                    let report = Report::usage(format!("Prompt {number} cannot be run"));
                    report.at(&self.model).because(reason)
                }
                Prompt::Message { .. } | Prompt::Text(_) => {
                    error::action("Cannot run the model", &reason).at(&self.model)
                }
            })
        };
        (1..).zip(prompts).map(ids).collect()
    }

    fn reply(
        &self,
        invocation: &Invocation,
        model: &ChatModel,
        ids: Vec<u32>,
        options: &ChatOptions,
    ) -> Result<(Reply, Pace), Report> {
        let (streams, is_shown) = (&invocation.streams, !invocation.is_json());
        let mut stopwatch = Stopwatch::start();
        let mut show = |text: &str| {
            stopwatch.text();
            if is_shown {
                streams.result(text);
                streams.flush();
            }
        };
        let reply = model
            .reply(ids, options, &mut show)
            .map_err(|reason| error::action("Cannot run the model", &reason).at(&self.model))?;
        let pace = stopwatch.pace(reply.tokens.len());
        if is_shown {
            streams.result("\n");
            streams.flush();
            if let Some(reason) = limit::reached(reply.ending, options.max_tokens) {
                streams.note(&format!("({reason})\n"));
            }
            if self.stats {
                streams.note(&format!("{} (on this machine)\n", pace.text()));
            }
        }
        Ok((reply, pace))
    }

    fn chat_options(&self) -> ChatOptions {
        ChatOptions {
            max_tokens: self.max_tokens as usize,
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k as usize,
            seed: self.seed,
            ignores_end: self.ignore_end,
            scores: ScoreOptions {
                prompt: self.prompt_logprobs,
                next: self.top.unwrap_or_default(),
                answer: self.is_scripted(),
                n_top: self.logprobs,
            },
        }
    }
}

/// The summary line after the answers.
fn counted(replies: &[(Reply, Pace)], seconds: f64) -> String {
    let n_prompt: usize = replies.iter().map(|(reply, _)| reply.prompt.len()).sum();
    let n_tokens: usize = replies.iter().map(|(reply, _)| reply.tokens.len()).sum();
    let of = match replies.len() {
        1 => String::new(),
        n => format!("{n} prompt{}: ", plural(n)),
    };
    let (prompt, answer) = (plural(n_prompt), plural(n_tokens));
    format!(
        "{of}{n_prompt} prompt token{prompt}, {n_tokens} token{answer} in {seconds:.2} s (on this machine)\n"
    )
}

/// Number of most likely tokens to print after a prompt.
fn next(text: &str) -> Result<Next, String> {
    match text.parse::<usize>() {
        _ if text == "all" => Ok(Next::All),
        Ok(n) if n > 0 => Ok(Next::Likeliest(n)),
        _ => Err("expected a number from 1 up, or `all`".to_owned()),
    }
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

    #[test]
    fn a_number_of_tokens_is_one_or_all() {
        assert_eq!((next("3"), next("all")), (Ok(Next::Likeliest(3)), Ok(Next::All)));
        assert!(next("0").is_err() && next("-1").is_err() && next("most").is_err());
    }
}
