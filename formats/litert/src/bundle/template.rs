//! The chat template in a form that LiteRT-LM's template engine accepts.
//!
//! The engine passes the content of a message as a list of parts, where templates expect a text, and passes an empty end
//! token. It has no `generation` blocks, which mark a model's turns for training, and no methods of dictionaries.

/// Replaces the messages by messages whose content is a text.
const PLAIN_MESSAGES: &str = "\
{%- set plain = namespace(messages=[], text='') -%}\
{%- for message in messages -%}\
{%- if message.content is defined and message.content is sequence and message.content is not string -%}\
{%- set plain.text = '' -%}\
{%- for part in message.content -%}\
{%- if part.text is defined -%}{%- set plain.text = plain.text + part.text -%}{%- endif -%}\
{%- endfor -%}\
{%- set plain.messages = plain.messages + [dict(message, content=plain.text)] -%}\
{%- else -%}\
{%- set plain.messages = plain.messages + [message] -%}\
{%- endif -%}\
{%- endfor -%}\
{%- set messages = plain.messages -%}";

/// Methods of texts that the engine has as filters only.
const METHODS: &[(&str, &str)] = &[
    (".upper()", " | upper"),
    (".lower()", " | lower"),
    (".title()", " | title"),
    (".capitalize()", " | capitalize"),
];

/// The template for the engine.
///
/// * `eos`: the text of the end token
pub(crate) fn for_engine(template: &str, eos: Option<&str>) -> String {
    let eos = eos.filter(|_| template.contains("eos_token"));
    // A text of JSON is one of a template.
    let eos = eos.map(|eos| format!("{{%- set eos_token = {} -%}}", serde_json::Value::from(eos)));
    let template = rewritten(template);
    let template = METHODS.iter().fold(template, |text, (method, filter)| text.replace(method, filter));
    format!("{PLAIN_MESSAGES}{}{template}", eos.unwrap_or_default())
}

/// Rewrites a template: blocks of `generation` lose their tags, `x.get('k')` becomes `x['k']`, and `x.get('k', d)`
/// becomes `(x['k'] | default(d))`.
fn rewritten(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{%") {
        let Some(len) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + len + 2];
        let word = tag[2..tag.len() - 2].trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        out.push_str(&rest[..start]);
        rest = &rest[start + tag.len()..];
        if word != "generation" && word != "endgeneration" {
            out.push_str(tag);
            continue;
        }
        // A dash removes the white space on its side.
        if tag.starts_with("{%-") {
            out.truncate(out.trim_end().len());
        }
        if tag.ends_with("-%}") {
            rest = rest.trim_start();
        }
    }
    out.push_str(rest);
    with_subscripts(&out)
}

/// Replaces calls of `get`.
fn with_subscripts(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(".get(") {
        let (before, call) = (&rest[..at], &rest[at + ".get(".len()..]);
        let Some((key, default, len)) = arguments(call) else {
            out.push_str(&rest[..at + ".get(".len()]);
            rest = call;
            continue;
        };
        out.push_str(before);
        match default {
            None => out.push_str(&format!("[{key}]")),
            Some(default) => {
                let start = out.len() - subject_len(&out);
                let subject = out.split_off(start);
                out.push_str(&format!("({subject}[{key}] | default({default}))"));
            }
        }
        rest = &call[len..];
    }
    out.push_str(rest);
    out
}

/// The key and the default of a call, and the length of the text up to the closing parenthesis, including it. `None`
/// if the key is not a text.
fn arguments(call: &str) -> Option<(&str, Option<&str>, usize)> {
    let quote = call.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let key_len = call[1..].find(quote)? + 2;
    let (key, rest) = call.split_at(key_len);
    let more = rest.trim_start();
    let position = key_len + rest.len() - more.len();
    if more.starts_with(')') {
        return Some((key, None, position + 1));
    }
    let default = more.strip_prefix(',')?;
    let len = balanced(default)?;
    Some((key, Some(default[..len].trim()), position + 1 + len + 1))
}

/// Number of bytes before the parenthesis that closes a call.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')') if depth == 0 => return Some(at),
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, _) => {}
        }
    }
    None
}

/// Number of bytes of the name at the end of a text, with its attributes and subscripts: `message.tool_calls[0]`.
fn subject_len(text: &str) -> usize {
    let mut depth = 0_u32;
    let is_part = |c: &char| {
        match c {
            ']' => depth += 1,
            '[' if depth > 0 => {
                depth -= 1;
                return true;
            }
            _ => {}
        }
        depth > 0 || c.is_alphanumeric() || matches!(c, '_' | '.')
    };
    text.chars().rev().take_while(is_part).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_turns_are_removed() {
        for (template, expected) in [
            ("a {% generation %}b{% endgeneration %} c", "a b c"),
            ("a\n{%- generation -%}\nb\n{%- endgeneration %}\nc", "ab\nc"),
            ("{% for m in messages %}{{ m }}{% endfor %}", "{% for m in messages %}{{ m }}{% endfor %}"),
            ("{% broken", "{% broken"),
        ] {
            assert_eq!(rewritten(template), expected);
        }
    }

    #[test]
    fn the_end_token_is_set_where_it_is_used() {
        let rest = |template: &str, eos| for_engine(template, eos).replace(PLAIN_MESSAGES, "");
        assert_eq!(rest("{{ m.upper() }}", Some("</s>")), "{{ m | upper }}");
        assert_eq!(
            rest("{{ eos_token }}", Some("\"</s>")),
            r#"{%- set eos_token = "\"</s>" -%}{{ eos_token }}"#
        );
    }

    #[test]
    fn calls_of_get_become_subscripts() {
        for (template, expected) in [
            ("{{ m.get('content') }}", "{{ m['content'] }}"),
            ("{{ m.get(\"a\") + m.get('b') }}", "{{ m[\"a\"] + m['b'] }}"),
            ("{{ m.tools[0].get('a', '()') }}", "{{ (m.tools[0]['a'] | default('()')) }}"),
            ("{% if m.get('a', f(x)) %}", "{% if (m['a'] | default(f(x))) %}"),
            ("{{ m.get(key) }}", "{{ m.get(key) }}"),
            ("{{ m.get('a'", "{{ m.get('a'"),
        ] {
            assert_eq!(rewritten(template), expected);
        }
    }
}
