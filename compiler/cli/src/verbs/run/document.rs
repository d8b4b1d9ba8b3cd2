//! Answers as JSON.
//!
//! There are two forms. The plain form is for one prompt in words, and never changes. Any option for scripts selects
//! the other form, which has a version and a list of answers.

use mc_rules::inference::chat::{Ending, Reply};
use mc_rules::inference::scores::{Candidate, Next, ScoreOptions};
use serde_json::{Value, json};

use crate::verbs::run::pace::Pace;

/// Version of the form of [`of_all`]. Raised if a field changes its meaning or is removed; not for new fields.
const SCHEMA: u32 = 1;

/// The plain form, for one answer.
///
/// * `shows_pace`: true to include the pace
pub(crate) fn of_one((reply, pace): &(Reply, Pace), shows_pace: bool) -> Value {
    let mut answer = json!({
        "text": reply.text,
        "prompt_tokens": reply.prompt,
        "tokens": reply.tokens,
        "end": end(reply.ending).0,
        "steps": steps(reply),
    });
    if shows_pace {
        answer["stats"] = pace.json();
    }
    answer
}

/// The form for scripts: the answers, in the order of the prompts.
///
/// * `asked`: the requested scores; fields of others are omitted
/// * `shows_pace`: true to include the pace
pub(crate) fn of_all(replies: &[(Reply, Pace)], asked: &ScoreOptions, shows_pace: bool) -> Value {
    let answer = |(reply, pace): &(Reply, Pace)| {
        let mut answer = answer(reply, asked);
        if shows_pace {
            answer["stats"] = pace.json();
        }
        answer
    };
    let answers: Vec<Value> = replies.iter().map(answer).collect();
    json!({ "schema": SCHEMA, "answers": answers })
}

fn answer(reply: &Reply, asked: &ScoreOptions) -> Value {
    let scores = &reply.scores;
    let (end, end_token) = end(reply.ending);
    let mut answer = json!({
        "prompt_tokens": reply.prompt,
        "tokens": reply.tokens,
        "logprobs": scores.answer,
        "text": reply.text,
        "end": end,
        "end_token": end_token,
    });
    if asked.prompt {
        answer["prompt_logprobs"] = json!(scores.prompt);
    }
    match asked.next {
        Next::None => {}
        Next::Likeliest(_) => answer["next"] = candidates(&scores.next),
        Next::All => answer["distribution"] = json!(scores.distribution),
    }
    if asked.n_top > 0 {
        answer["steps"] = steps(reply);
    }
    answer
}

/// The reason why an answer ended, in a word, and the token that ended it.
fn end(ending: Ending) -> (&'static str, Option<u32>) {
    match ending {
        Ending::EndToken(token) => ("end-token", Some(token)),
        Ending::MaxTokens => ("max-tokens", None),
        Ending::ContextFull => ("context-full", None),
    }
}

fn steps(reply: &Reply) -> Value {
    reply.scores.steps.iter().map(|step| candidates(step)).collect()
}

fn candidates(candidates: &[Candidate]) -> Value {
    let candidate = |candidate: &Candidate| json!({ "id": candidate.id, "text": candidate.text, "logprob": candidate.log_probability });
    candidates.iter().map(candidate).collect()
}
