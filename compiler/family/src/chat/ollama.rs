//! A chat template in the template language of Ollama, Go's `text/template`.
//!
//! Ollama renders a template that uses `.Messages` once per conversation, with all messages in `.Messages` and the
//! joined texts of the system messages in `.System`; the tokenizer adds the begin token. The template written here
//! gives the same text as the model's template for conversations in turn: an optional system message, then users and
//! answers. If the last message is an answer, the text ends with that answer, so that the model continues it.
//!
//! Source: `template/template.go` and `server/prompt.go` of Ollama; the documentation of Go's `text/template`.

use crate::chat::turns::{SystemPlace, Turns};

/// The template.
pub fn template(turns: &Turns) -> String {
    let Turns { first_user, answer, next_user, prompt, system } = turns;
    let answered = format!(r#"{{{{ else if eq .Role "assistant" }}}}{}{{{{ .Content }}}}"#, literal(answer));
    let end = format!(r#"{{{{ if ne $last "assistant" }}}}{}{{{{ end }}}}"#, literal(prompt));
    let plain = format!(
        r#"{{{{ if eq $last "" }}}}{}{{{{ else }}}}{}{{{{ end }}}}"#,
        literal(first_user),
        literal(next_user)
    );
    let begin = r#"{{ $last := "" }}"#;
    match system {
        SystemPlace::Nowhere => format!(
            r#"{begin}{{{{ range .Messages }}}}{{{{ if eq .Role "user" }}}}{plain}{{{{ .Content }}}}{{{{ $last = "user" }}}}{answered}{{{{ $last = "assistant" }}}}{{{{ end }}}}{{{{ end }}}}{end}"#
        ),
        SystemPlace::First { before, user } => {
            let user = format!(
                r#"{{{{ if eq $last "system" }}}}{}{{{{ else if eq $last "" }}}}{}{{{{ else }}}}{}{{{{ end }}}}"#,
                literal(user),
                literal(first_user),
                literal(next_user)
            );
            let system = format!(
                r#"{{{{ if and (eq .Role "system") (eq $last "") }}}}{}{{{{ .Content }}}}{{{{ $last = "system" }}}}"#,
                literal(before)
            );
            format!(
                r#"{begin}{{{{ range .Messages }}}}{system}{{{{ else if eq .Role "user" }}}}{user}{{{{ .Content }}}}{{{{ $last = "user" }}}}{answered}{{{{ $last = "assistant" }}}}{{{{ end }}}}{{{{ end }}}}{end}"#
            )
        }
        SystemPlace::Last { first, next, user } => {
            let with_system = format!(
                r#"{{{{ if eq $last "" }}}}{}{{{{ else }}}}{}{{{{ end }}}}{{{{ $.System }}}}{}"#,
                literal(first),
                literal(next),
                literal(user)
            );
            format!(
                r#"{begin}{{{{ range $i, $_ := .Messages }}}}{{{{ if eq .Role "user" }}}}{{{{ if and $.System (eq (len (slice $.Messages $i)) 1) }}}}{with_system}{{{{ else }}}}{plain}{{{{ end }}}}{{{{ .Content }}}}{{{{ $last = "user" }}}}{answered}{{{{ $last = "assistant" }}}}{{{{ end }}}}{{{{ end }}}}{end}"#
            )
        }
    }
}

/// Escapes a text so that neither the template language nor the quotes around a template change it.
fn literal(text: &str) -> String {
    let mut literal = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        if rest.starts_with("\"\"\"") {
            // Three quotes would end the template in a Modelfile.
            literal.push_str(r#"{{ "\"\"\"" }}"#);
            rest = &rest[3..];
            continue;
        }
        // Two braces begin an action, and an action may follow the text.
        if letter == '{' && (after.is_empty() || after.starts_with(['{', '"'])) {
            literal.push_str(r#"{{ "{" }}"#);
        } else {
            literal.push(letter);
        }
        rest = after;
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_looks_like_an_action_stays_text() {
        assert_eq!(literal("<|im_start|>user\n"), "<|im_start|>user\n");
        assert_eq!(literal("a {b} c}}"), "a {b} c}}");
        assert_eq!(literal("{{x"), r#"{{ "{" }}{x"#);
        assert_eq!(literal("x{"), r#"x{{ "{" }}"#);
        assert_eq!(literal("\"\"\"\""), r#"{{ "\"\"\"" }}""#);
    }
}
