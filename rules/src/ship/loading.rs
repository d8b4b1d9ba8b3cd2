//! How to load a bundle's model: one line for each program, and the exact prompt.

use mc_family::chat::turns::SystemPlace;
use serde_json::Value;

use crate::ship::package::Package;
use crate::ship::prompt::{MESSAGE, Prompt};

/// The section of a card.
pub(crate) fn text(package: &Package, prompt: &Prompt) -> String {
    let (file, n_ctx) = (package.main_file(), package.n_ctx);
    let name = ollama_name(&package.name);
    let mut text = "## How to load it\n\n| program | line |\n|---|---|\n".to_owned();
    let programs = [
        (
            "llama.cpp XCFramework (Swift)",
            format!("let model = llama_model_load_from_file(\"{file}\", llama_model_default_params())"),
        ),
        ("llama-cli", format!("llama-cli --model {file} --ctx-size {n_ctx} --jinja")),
        ("LM Studio", format!("lms import {file}")),
        ("Ollama", format!("ollama create {name} --file Modelfile && ollama run {name}")),
    ];
    for (program, line) in programs {
        text.push_str(&format!("| {program} | `{line}` |\n"));
    }
    text.push_str(&of_prompt(prompt));
    text
}

fn of_prompt(prompt: &Prompt) -> String {
    let Some(example) = &prompt.example else {
        return "\nThe model has no chat template that can be rendered: it continues a text, and has no turns.\n"
            .to_owned();
    };
    // As a JSON string, because white space at the ends of a prompt matters.
    let example = Value::from(example.as_str());
    let mut text =
        format!("\nThe exact prompt for the message `{MESSAGE}`, as a JSON string:\n\n    {example}\n");
    match &prompt.turns {
        Some(Err(reason)) => {
            text.push_str(&format!("\n`Modelfile` has no `TEMPLATE`: {reason}.\n"));
        }
        Some(Ok(turns)) if turns.system == SystemPlace::Nowhere => {
            text.push_str("\nThe chat template has no place for a system message.\n");
        }
        _ => {}
    }
    if prompt.has_date {
        text.push_str(
            "\nThe chat template asks for the date; the prompt above and `Modelfile` say 26 July 2024.\n",
        );
    }
    text
}

/// A model name that Ollama accepts.
fn ollama_name(name: &str) -> String {
    let words: Vec<String> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() { "model".to_owned() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_ollama_are_lower_case_words() {
        assert_eq!(ollama_name("Road Trip 3.2"), "road-trip-3-2");
        assert_eq!(ollama_name("…"), "model");
    }
}
