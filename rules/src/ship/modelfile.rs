//! `Modelfile` of a bundle: what `ollama create` reads.
//!
//! Ollama writes prompts with templates of its own; one is derived from the model's chat template by rendering it
//! with marks in place of the messages and looking what stands around them.

use mc_decoder::vocabulary::Vocabulary;
use mc_family::chat::{ChatTemplate, Message};
use mc_family::error::FamilyError;

use crate::ship::package::Package;

const SYSTEM: &str = "\u{1}system\u{1}";
const PROMPT: &str = "\u{1}prompt\u{1}";

/// The file.
///
/// * `template_place`: the file or key that the chat template stands in, in quotes
///
/// # Errors
/// When the chat template exceeds a limit. One that fails otherwise, or that Ollama's words cannot say, is left out.
pub(crate) fn text(
    package: &Package,
    vocabulary: &Vocabulary,
    template_place: &str,
) -> Result<String, FamilyError> {
    let mut text = format!("FROM ./{}\n", package.main_file());
    // Ollama adds all adapters that it is given; of several an app wants one at a time.
    let mark = if package.adapters.len() > 1 { "# " } else { "" };
    for adapter in &package.adapters {
        text.push_str(&format!("{mark}ADAPTER ./{adapter}\n"));
    }
    let template = match vocabulary.chat_template.as_deref() {
        Some(source) => template(source, vocabulary, template_place)?,
        None => None,
    };
    if let Some(template) = template {
        text.push_str(&format!("TEMPLATE \"\"\"{template}\"\"\"\n"));
    }
    text.push_str(&format!("PARAMETER num_ctx {}\n", package.n_ctx));
    text.push_str("PARAMETER temperature 0\n");
    for id in &vocabulary.special.stop {
        if let Some(token) = vocabulary.tokens.get(*id as usize) {
            text.push_str(&format!("PARAMETER stop \"{token}\"\n"));
        }
    }
    Ok(text)
}

/// The chat template for one prompt in the words of Go's templates; `None` when it cannot be derived.
fn template(source: &str, vocabulary: &Vocabulary, place: &str) -> Result<Option<String>, FamilyError> {
    let Some(chat) = within_limits(ChatTemplate::new(source, place))? else { return Ok(None) };
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let end = vocabulary.special.eos.and_then(|id| vocabulary.tokens.get(id as usize));
    let end = end.map_or("", String::as_str);
    // Ollama adds the begin token by itself.
    let render = |messages: &[Message]| within_limits(chat.render(messages, "", end, true));
    let plain = render(&[message("user", PROMPT)])?;
    let with_system = render(&[message("system", SYSTEM), message("user", PROMPT)])?;
    Ok(plain.and_then(|plain| in_go(&plain, with_system.as_deref())))
}

/// The result of a template, or `None` if it refused; a limit that it exceeds stays an error.
fn within_limits<T>(result: Result<T, FamilyError>) -> Result<Option<T>, FamilyError> {
    match result {
        Err(error @ FamilyError::ChatTemplateLimit { .. }) => Err(error),
        other => Ok(other.ok()),
    }
}

/// The text around the marks in a prompt, and in one after a system message, in the words of Go's templates.
fn in_go(plain: &str, with_system: Option<&str>) -> Option<String> {
    let (before, after) = plain.split_once(PROMPT)?;
    if is_template_syntax(plain) {
        return None;
    }
    let with_system = with_system.and_then(|text| {
        let (before_system, rest) = text.split_once(SYSTEM)?;
        let (between, rest) = rest.split_once(PROMPT)?;
        (rest == after && !is_template_syntax(text)).then(|| {
            format!("{{{{ if .System }}}}{before_system}{{{{ .System }}}}{between}{{{{ else }}}}{before}{{{{ end }}}}")
        })
    });
    let start = with_system.unwrap_or_else(|| before.to_owned());
    Some(format!("{start}{{{{ .Prompt }}}}{after}"))
}

/// Whether text of the template would be taken for Go's or for the end of the quotes.
fn is_template_syntax(text: &str) -> bool {
    text.contains("{{") || text.contains("\"\"\"")
}
