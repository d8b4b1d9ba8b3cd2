//! How to load a bundle's model: one line for each program, and the exact prompt.

use mc_family::chat::turns::SystemPlace;
use serde_json::Value;

use crate::ship::package::Package;
use crate::ship::prompt::{MESSAGE, Prompt};

/// The lines of one format.
struct Loading {
    /// The format.
    format: &'static str,
    /// The programs, each with its line.
    lines: fn(&Package) -> Vec<(&'static str, String)>,
}

/// The lines of every format. A format without a row gets no table.
static LOADING: &[Loading] = &[
    Loading { format: "gguf", lines: of_gguf },
    Loading { format: "mlx", lines: of_mlx },
    Loading { format: "onnx", lines: of_onnx },
    Loading { format: "litert", lines: of_litert },
];

/// The section of a card.
pub(crate) fn text(package: &Package, prompt: &Prompt) -> String {
    let mut text = "## How to load it\n".to_owned();
    if let Some(loading) = LOADING.iter().find(|loading| loading.format == package.format) {
        text.push_str("\n| program | line |\n|---|---|\n");
        for (program, line) in (loading.lines)(package) {
            text.push_str(&format!("| {program} | `{line}` |\n"));
        }
    }
    text.push_str(&of_prompt(package, prompt));
    text
}

fn of_gguf(package: &Package) -> Vec<(&'static str, String)> {
    let (file, n_ctx, name) = (package.main_file(), package.n_ctx, ollama_name(&package.name));
    vec![
        (
            "llama.cpp XCFramework (Swift)",
            format!("let model = llama_model_load_from_file(\"{file}\", llama_model_default_params())"),
        ),
        ("llama-cli", format!("llama-cli --model {file} --ctx-size {n_ctx} --jinja")),
        ("LM Studio", format!("lms import {file}")),
        ("Ollama", format!("ollama create {name} --file Modelfile && ollama run {name}")),
    ]
}

fn of_mlx(_: &Package) -> Vec<(&'static str, String)> {
    vec![
        ("mlx-lm", format!("mlx_lm.generate --model . --prompt \"{MESSAGE}\"")),
        (
            "MLX Swift",
            "let model = try await loadModelContainer(configuration: .init(directory: folder))".to_owned(),
        ),
        ("LM Studio", "lms import .".to_owned()),
    ]
}

fn of_onnx(_: &Package) -> Vec<(&'static str, String)> {
    vec![
        ("onnxruntime-genai (Python)", "model = onnxruntime_genai.Model(\".\")".to_owned()),
        ("onnxruntime-genai (Java)", "Model model = new Model(folder);".to_owned()),
        ("onnxruntime-genai (Swift, C++)", "auto model = OgaModel::Create(folder);".to_owned()),
    ]
}

fn of_litert(package: &Package) -> Vec<(&'static str, String)> {
    let file = package.main_file();
    vec![
        ("litert-lm", format!("litert-lm run {file} --backend cpu --prompt \"{MESSAGE}\"")),
        ("LiteRT-LM (Kotlin)", format!("val engine = Engine(EngineConfig(modelPath = \"{file}\"))")),
        (
            "LiteRT-LM (Python)",
            format!("engine = litert_lm.Engine(\"{file}\", backend=litert_lm.Backend.CPU())"),
        ),
    ]
}

fn of_prompt(package: &Package, prompt: &Prompt) -> String {
    let Some(example) = &prompt.example else {
        return "\nThe model has no chat template that can be rendered: it continues a text, and has no turns.\n"
            .to_owned();
    };
    // As a JSON string, because white space at the ends of a prompt matters.
    let example = Value::from(example.as_str());
    let mut text =
        format!("\nThe exact prompt for the message `{MESSAGE}`, as a JSON string:\n\n    {example}\n");
    match &prompt.turns {
        Some(Err(reason)) if package.has_modelfile() => {
            text.push_str(&format!("\n`Modelfile` has no `TEMPLATE`: {reason}.\n"));
        }
        Some(Ok(turns)) if turns.system == SystemPlace::Nowhere => {
            text.push_str("\nThe chat template has no place for a system message.\n");
        }
        _ => {}
    }
    if prompt.has_date {
        let others = if package.has_modelfile() { " and `Modelfile` say" } else { " says" };
        text.push_str(&format!(
            "\nThe chat template asks for the date; the prompt above{others} 26 July 2024.\n"
        ));
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
