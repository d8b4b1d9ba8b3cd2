//! `Modelfile` of a bundle: the input of `ollama create`.
//!
//! Ollama has its own template language. The template is written only if it gives the same text as the model's template
//! for every conversation in turn ([`mc_family::chat::turns`]); otherwise the file states why it is omitted. The
//! sampling parameters are those that the model's makers recommend; without a recommendation there are none.

use mc_decoder::vocabulary::Vocabulary;
use mc_family::chat::ollama;
use mc_family::chat::turns::{SystemPlace, Turns};

use crate::ship::package::Package;
use crate::ship::prompt::Prompt;
use crate::source::about::DO_SAMPLE;

/// Ollama's names for the parameters of `generation_config.json`.
const PARAMETERS: [(&str, &str); 5] = [
    ("temperature", "temperature"),
    ("top_k", "top_k"),
    ("top_p", "top_p"),
    ("min_p", "min_p"),
    ("repetition_penalty", "repeat_penalty"),
];

/// The file.
pub(crate) fn text(
    package: &Package,
    vocabulary: &Vocabulary,
    prompt: &Prompt,
    licenses: &[String],
) -> String {
    let mut text = format!("FROM ./{}\n", package.main_file());
    // Ollama applies every adapter in the file. Of several adapters, an app uses one at a time.
    let mark = if package.adapters.len() > 1 { "# " } else { "" };
    for adapter in &package.adapters {
        text.push_str(&format!("{mark}ADAPTER ./{adapter}\n"));
    }
    match &prompt.turns {
        None => text.push_str("# TEMPLATE is left out: the model has no chat template.\n"),
        Some(Err(reason)) => text.push_str(&format!("# TEMPLATE is left out: {reason}.\n")),
        Some(Ok(turns)) => text.push_str(&template(turns, prompt.has_date)),
    }
    text.push_str(&format!("PARAMETER num_ctx {}\n", package.n_ctx));
    text.push_str(&sampling(&package.sampling));
    for id in &prompt.stop {
        if let Some(token) = vocabulary.tokens.get(*id as usize) {
            text.push_str(&format!("PARAMETER stop {}\n", quoted(token)));
        }
    }
    // Three quotes inside a text would end it. The bundle contains such a text as a separate file anyway.
    for (index, license) in licenses.iter().enumerate() {
        if !license.contains("\"\"\"") && !licenses[..index].contains(license) {
            text.push_str(&format!("LICENSE \"\"\"{license}\"\"\"\n"));
        }
    }
    text
}

fn template(turns: &Turns, has_date: bool) -> String {
    let mut text = String::new();
    if has_date {
        text.push_str("# The chat template asks for the date; this one always says 26 July 2024.\n");
    }
    if turns.system == SystemPlace::Nowhere {
        text.push_str("# The chat template has no place for a system message; SYSTEM has no effect.\n");
    }
    text.push_str(&format!("TEMPLATE \"\"\"{}\"\"\"\n", ollama::template(turns)));
    text
}

/// The sampling parameters that the model's makers recommend, under Ollama's names.
fn sampling(advice: &[(String, String)]) -> String {
    if advice.iter().any(|(name, value)| name == DO_SAMPLE && value == "false") {
        return "# `generation_config.json` says `do_sample: false`: the likeliest token is taken.\n\
                PARAMETER temperature 0\n"
            .to_owned();
    }
    let parameter = |(name, value): &(String, String)| {
        let (_, parameter) = PARAMETERS.iter().find(|(known, _)| known == name)?;
        Some(format!("PARAMETER {parameter} {value}\n"))
    };
    advice.iter().filter_map(parameter).collect()
}

/// A quoted text in a Modelfile; nothing in it is escaped.
fn quoted(text: &str) -> String {
    if text.contains(['\n', '"']) { format!("\"\"\"{text}\"\"\"") } else { format!("\"{text}\"") }
}
