//! Conversations in the templates that we write for Ollama, rendered by its rules, give the text of the model's own chat
//! template.
//!
//! [`Go`] interprets the part of Go's `text/template` that we write, as the documentation of that package describes it;
//! [`render`] passes what Ollama passes. `MC_CHAT_TEMPLATES` names a folder with more templates (`*.jinja`), such as those
//! of downloaded checkpoints.

use std::collections::BTreeMap;
use std::path::Path;

use mc_family::chat::turns::{Ends, NoTurns, SystemPlace, Turns};
use mc_family::chat::{ChatTemplate, Message, ollama};

const BOS: &str = "<s>";
const EOS: &str = "</s>";

fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}

/// A value of a template.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(usize),
    Bool(bool),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0,
            Self::Bool(flag) => *flag,
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    fn field(&self, name: &str) -> Self {
        match self {
            Self::Map(map) => map[name].clone(),
            other => panic!("`{name}` of {other:?}"),
        }
    }
}

/// A part of a template.
#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Show(String),
    /// Branches with their conditions; one without is the last.
    If(Vec<(Option<String>, Vec<Self>)>),
    Range(Vec<String>, String, Vec<Self>),
}

/// An interpreter of the part of `text/template` that we write.
struct Go {
    root: Value,
    variables: Vec<(String, Value)>,
}

/// Text and actions: an action is what stands between `{{` and `}}`, strings in it left alone.
fn tokens(source: &str) -> Vec<(bool, String)> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some((text, after)) = rest.split_once("{{") {
        tokens.push((false, text.to_owned()));
        let mut is_quoted = false;
        let mut is_escaped = false;
        let end = after
            .char_indices()
            .find(|(place, letter)| {
                match letter {
                    _ if is_escaped => is_escaped = false,
                    '\\' if is_quoted => is_escaped = true,
                    '"' => is_quoted = !is_quoted,
                    _ => return !is_quoted && after[*place..].starts_with("}}"),
                }
                false
            })
            .map(|(place, _)| place)
            .expect("an action ends");
        let action = &after[..end];
        assert!(!action.starts_with('-') && !action.ends_with('-'), "no white space is trimmed: {action}");
        tokens.push((true, action.trim().to_owned()));
        rest = &after[end + 2..];
    }
    tokens.push((false, rest.to_owned()));
    tokens
}

/// Parses parts up to an `else` or `end`, which is returned.
fn parse(tokens: &mut std::vec::IntoIter<(bool, String)>) -> (Vec<Part>, String) {
    let mut parts = Vec::new();
    while let Some((is_action, text)) = tokens.next() {
        if !is_action {
            parts.push(Part::Text(text));
        } else if text == "end" || text.starts_with("else") {
            return (parts, text);
        } else if let Some(condition) = text.strip_prefix("if ") {
            let mut branches = Vec::new();
            let mut condition = Some(condition.to_owned());
            loop {
                let (inner, next) = parse(tokens);
                branches.push((condition.take(), inner));
                if next == "end" {
                    break;
                }
                condition = next.strip_prefix("else if ").map(str::to_owned);
            }
            parts.push(Part::If(branches));
        } else if let Some(range) = text.strip_prefix("range ") {
            let (names, list) = range.split_once(":=").unwrap_or(("", range));
            let names = names.split(',').map(|name| name.trim().to_owned());
            let names = names.filter(|name| !name.is_empty()).collect();
            let (inner, end) = parse(tokens);
            assert_eq!(end, "end");
            parts.push(Part::Range(names, list.trim().to_owned(), inner));
        } else {
            parts.push(Part::Show(text));
        }
    }
    (parts, String::new())
}

impl Go {
    fn run(&mut self, parts: &[Part], dot: &Value, out: &mut String) {
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Show(action) => self.show(action, dot, out),
                Part::If(branches) => {
                    let chosen = branches.iter().find(|(condition, _)| {
                        condition.as_ref().is_none_or(|condition| self.eval(condition, dot).is_true())
                    });
                    let n_variables = self.variables.len();
                    if let Some((_, inner)) = chosen {
                        self.run(inner, dot, out);
                    }
                    self.variables.truncate(n_variables);
                }
                Part::Range(names, list, inner) => {
                    let Value::List(items) = self.eval(list, dot) else { panic!("`{list}` is no list") };
                    for (index, item) in items.into_iter().enumerate() {
                        let n_variables = self.variables.len();
                        let values = [Value::Number(index), item.clone()];
                        self.variables.extend(names.iter().cloned().zip(values));
                        self.run(inner, &item, out);
                        self.variables.truncate(n_variables);
                    }
                }
            }
        }
    }

    fn show(&mut self, action: &str, dot: &Value, out: &mut String) {
        if let Some((name, value)) = action.split_once(":=") {
            let value = self.eval(value.trim(), dot);
            self.variables.push((name.trim().to_owned(), value));
        } else if let Some((name, value)) = action.split_once('=').filter(|(name, _)| name.starts_with('$')) {
            let value = self.eval(value.trim(), dot);
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name.trim());
            known.expect("the variable is declared").1 = value;
        } else {
            match self.eval(action, dot) {
                Value::Text(text) => out.push_str(&text),
                other => panic!("{other:?} is shown"),
            }
        }
    }

    fn eval(&self, expression: &str, dot: &Value) -> Value {
        let words = words(expression);
        let value = |word: &String| self.operand(word, dot);
        match words[0].as_str() {
            "eq" => Value::Bool(value(&words[1]) == value(&words[2])),
            "ne" => Value::Bool(value(&words[1]) != value(&words[2])),
            "and" => {
                let first = value(&words[1]);
                if first.is_true() { value(&words[2]) } else { first }
            }
            "len" => match value(&words[1]) {
                Value::List(items) => Value::Number(items.len()),
                other => panic!("the length of {other:?}"),
            },
            "slice" => match (value(&words[1]), value(&words[2])) {
                (Value::List(items), Value::Number(from)) => Value::List(items[from..].to_vec()),
                other => panic!("a slice of {other:?}"),
            },
            _ => {
                assert_eq!(words.len(), 1, "{expression}");
                value(&words[0])
            }
        }
    }

    fn operand(&self, word: &str, dot: &Value) -> Value {
        if let Some(inner) = word.strip_prefix('(') {
            return self.eval(inner.strip_suffix(')').unwrap(), dot);
        }
        if word.starts_with('"') {
            return Value::Text(serde_json::from_str(word).unwrap());
        }
        if let Ok(number) = word.parse() {
            return Value::Number(number);
        }
        if let Some(name) = word.strip_prefix("$.") {
            return self.root.field(name);
        }
        if word.starts_with('$') {
            let known = self.variables.iter().rev().find(|(known, _)| known == word);
            return known.unwrap_or_else(|| panic!("`{word}` is declared")).1.clone();
        }
        dot.field(word.strip_prefix('.').unwrap_or_else(|| panic!("`{word}` is known")))
    }
}

/// The words of an expression; brackets and strings are one word each.
fn words(expression: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut depth, mut is_quoted, mut is_escaped) = (0, false, false);
    for letter in expression.chars() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            ' ' if !is_quoted && depth == 0 => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Renders a conversation with a template as Ollama does: see `Template.Execute` and `collate`.
fn render(template: &str, said: &[Message]) -> String {
    let text = |text: &str| Value::Text(text.to_owned());
    let system: Vec<&str> =
        said.iter().filter(|message| message.role == "system").map(|message| &*message.content).collect();
    let as_map = |message: &Message| {
        Value::Map(BTreeMap::from([
            ("Role".to_owned(), text(&message.role)),
            ("Content".to_owned(), text(&message.content)),
        ]))
    };
    let root = Value::Map(BTreeMap::from([
        ("System".to_owned(), text(&system.join("\n\n"))),
        ("Messages".to_owned(), Value::List(said.iter().map(as_map).collect())),
        ("Response".to_owned(), text("")),
    ]));
    let (parts, end) = parse(&mut tokens(template).into_iter());
    assert_eq!(end, "");
    let mut out = String::new();
    let mut go = Go { root: root.clone(), variables: Vec::new() };
    go.run(&parts, &root, &mut out);
    out
}

fn conversations(has_system: bool) -> Vec<Vec<Message>> {
    let turns = [
        message("user", "Where is a charger?"),
        message("assistant", "Next exit:\n- two of 150 kW\n- <free> & \"open\""),
        message("user", "Und danach {{ ein }} Café?"),
        message("assistant", "In Ulm."),
        message("user", "Danke, 中文 {"),
    ];
    let mut conversations: Vec<Vec<Message>> =
        [1, 3, 5].into_iter().map(|n_turns| turns[..n_turns].to_vec()).collect();
    if has_system {
        let with = |said: &Vec<Message>| [&[message("system", "Be brief.")], said.as_slice()].concat();
        conversations.extend(conversations.clone().iter().map(with));
    }
    conversations
}

/// Learns a template and holds every conversation against the template itself; `None` when it cannot be expressed.
fn check(name: &str, source: &str, is_bos_added: bool) -> Result<(Turns, String), NoTurns> {
    let chat = ChatTemplate::new(source, "`chat_template.jinja`").unwrap();
    let turns = Turns::learn(&chat, Ends { bos: BOS, eos: EOS, is_bos_added }).unwrap()?;
    let template = ollama::template(&turns);
    for said in conversations(turns.system != SystemPlace::Nowhere) {
        let own = chat.render(&said, BOS, EOS, true).unwrap();
        let own = own.strip_prefix(BOS).filter(|_| is_bos_added).unwrap_or(&own);
        assert_eq!(render(&template, &said), own, "`{name}`, {} messages:\n{template}", said.len());
    }
    Ok((turns, template))
}

fn templates(folder: &Path) -> Vec<(String, String)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jinja"));
    let mut templates: Vec<(String, String)> = paths
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    templates.sort();
    templates
}

#[test]
fn three_turns_by_the_rules_of_ollama_are_the_templates_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chat");
    let mut left_out = Vec::new();
    for (name, source) in templates(&folder) {
        for is_bos_added in [true, false] {
            if let Err(reason) = check(&name, &source, is_bos_added) {
                left_out.push(format!("{name}: {reason}"));
            }
        }
    }
    left_out.dedup();
    let expected = ["typescript_tools_style: the chat template changes the words of a message"];
    assert_eq!(left_out, expected);
}

/// Templates of downloaded checkpoints: each is expressed exactly, or left out with a reason that is printed.
#[test]
fn templates_of_other_checkpoints_are_exact_or_left_out() {
    let Some(folder) = std::env::var_os("MC_CHAT_TEMPLATES") else { return };
    for (name, source) in templates(Path::new(&folder)) {
        if ChatTemplate::new(&source, "`chat_template.jinja`").is_err() {
            continue;
        }
        for is_bos_added in [true, false] {
            let found = check(&name, &source, is_bos_added);
            let found =
                found.map_or_else(|reason| reason.to_string(), |(turns, _)| format!("{:?}", turns.system));
            std::io::Write::write_all(&mut std::io::stderr(), format!("{name}: {found}\n").as_bytes())
                .unwrap();
        }
    }
}

#[test]
fn a_system_message_may_stand_first_last_or_nowhere() {
    let first = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>";
    assert!(matches!(check("first", first, true).unwrap().0.system, SystemPlace::First { .. }));
    let last = "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set messages = messages[1:] %}\
                {% endif %}{% for m in messages %}{% if m.role == 'user' %}[INST]{% if loop.last and s is defined %}{{ s }}\
                : {% endif %}{{ m.content }}[/INST]{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}";
    assert!(matches!(check("last", last, true).unwrap().0.system, SystemPlace::Last { .. }));
    let nowhere = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No') }}{% endif %}\
                   <{{ m.role }}>{{ m.content }}{% endfor %}<assistant>";
    assert_eq!(check("nowhere", nowhere, true).unwrap().0.system, SystemPlace::Nowhere);
}

#[test]
fn what_go_cannot_say_is_left_out_with_the_reason() {
    let reason = |source: &str| check("", source, true).map(drop).unwrap_err().to_string();
    let one = "{% if messages|length > 1 %}{{ raise_exception('One message') }}{% endif %}{{ messages[0].content }}";
    let refused = "the chat template refuses a conversation of user, assistant and user: invalid operation: One message";
    assert!(reason(one).starts_with(refused), "{}", reason(one));
    let escaped = "{% for m in messages %}{{ m.content | replace('<', '&lt;') }}{% endfor %}";
    assert_eq!(reason(escaped), "the chat template changes the words of a message");
    let counted = "{% for m in messages %}{{ loop.index }}: {{ m.content }}\n{% endfor %}";
    assert_eq!(reason(counted), "the chat template writes turns that depend on more than their roles");
}

#[test]
fn text_that_looks_like_a_template_stays_text() {
    let braces = "{% for m in messages %}{{ '{{x}} \"\"\" {' }}{{ m.content }}{% endfor %}{{ '{' }}";
    let (_, template) = check("braces", braces, true).unwrap();
    assert!(!template.contains("\"\"\""), "{template}");
}

#[test]
fn the_template_goes_on_with_an_answer_that_is_last() {
    let source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>";
    let (_, template) = check("first", source, true).unwrap();
    let said = [message("user", "Count."), message("assistant", "One, two,")];
    assert_eq!(render(&template, &said), "<user>Count.</><assistant>One, two,");
}
