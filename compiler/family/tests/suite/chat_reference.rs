//! Bounded rendering gives the same bytes as the engine without bounds.
//!
//! The templates in `tests/data/chat` are written in the style of published ones with tools.
//! `MC_CHAT_TEMPLATES` names a folder with more (`*.jinja`), such as those of downloaded checkpoints.

use std::path::Path;

use mc_family::chat::{ChatTemplate, Message};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};

/// Two tools, a call and its answer, in the form that applications use.
const TOOLS: &str = r#"{%- set tools = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather at a place",
        "parameters": {"type": "object", "required": ["place"], "properties": {
            "place": {"type": "string", "description": "A <town> & country's \"name\""},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius", "nullable": true},
            "days": {"type": "array", "items": {"type": "integer"}},
            "exact": {"oneOf": [{"type": "boolean"}, {"type": "number"}], "default": 1.5}}}}},
    {"type": "function", "function": {"name": "noop", "description": "Nothing", "parameters": {}}}] -%}
"#;

/// The same as part of the conversation: a message with calls and one with an answer.
const CALLS: &str = r#"{%- set messages = messages + [
    {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefgh1", "type": "function",
        "function": {"name": "get_weather", "arguments": {"place": "Ulm", "days": [1, 2], "exact": none}}}]},
    {"role": "tool", "tool_call_id": "abcdefgh1", "content": "{\"sky\": \"grau\"}"}] -%}
"#;

fn conversations() -> Vec<Vec<Message>> {
    let message =
        |(role, content): &(&str, &str)| Message { role: (*role).to_owned(), content: (*content).to_owned() };
    let conversation = |said: &[(&str, &str)]| said.iter().map(message).collect();
    let mut conversations: Vec<Vec<Message>> = vec![
        conversation(&[("user", "Hi")]),
        conversation(&[("system", " Be brief.\n"), ("user", "<b>Wie spät?</b>\n\n")]),
        conversation(&[
            ("system", "S"),
            ("user", "A"),
            ("assistant", "<think>\nhm\n</think>\n\nB\nC"),
            ("user", "D"),
            ("tool", "E"),
        ]),
        conversation(&[("assistant", "out of turn"), ("user", "x")]),
        Vec::new(),
    ];
    let long = (0..400).map(|turn| message(&(["user", "assistant"][turn % 2], "word ".repeat(50).as_str())));
    conversations.push(long.collect());
    conversations
}

/// Renders a template with the engine alone, without bounds.
fn unbounded(source: &str, said: &[Message]) -> Result<String, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", |value: &Value, options: Kwargs| -> Result<String, Error> {
        let indent: Option<usize> = options.get("indent")?;
        let plain = serde_json::to_string(value).unwrap();
        let value: serde_json::Value = serde_json::from_str(&plain).unwrap();
        Ok(indent.map_or_else(|| one_line(&value), |_| indented(&value, indent.unwrap())))
    });
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: &str| {
        [("%d", "26"), ("%b", "Jul"), ("%m", "07"), ("%Y", "2024")]
            .iter()
            .fold(format.to_owned(), |text, (field, value)| text.replace(field, value))
    });
    let source = source.replace("{%- generation -%}", "{%- if true -%}");
    let source = source.replace("{%- endgeneration -%}", "{%- endif -%}");
    environment.add_template("chat", &source)?;
    let message =
        |message: &Message| Value::from_pairs([("role", &*message.role), ("content", &*message.content)]);
    let messages: Vec<Value> = said.iter().map(message).collect();
    let context = minijinja::context! {
        messages, bos_token => "<s>", eos_token => "</s>", add_generation_prompt => true
    };
    environment.get_template("chat")?.render(context)
}

fn one_line(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", "))
        }
        serde_json::Value::Object(items) => {
            let item = |(key, value): (&String, &serde_json::Value)| {
                format!("{}: {}", serde_json::Value::from(key.as_str()), one_line(value))
            };
            format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn indented(value: &serde_json::Value, n_spaces: usize) -> String {
    let pretty = serde_json::to_string_pretty(value).unwrap();
    let line = |line: &str| {
        let text = line.trim_start();
        format!("{}{text}", " ".repeat((line.len() - text.len()) / 2 * n_spaces))
    };
    pretty.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn check(name: &str, source: &str) -> usize {
    let mut n_rendered = 0;
    for prelude in [String::new(), TOOLS.to_owned(), format!("{TOOLS}{CALLS}")] {
        let source = format!("{prelude}{source}");
        for said in conversations() {
            let expected = unbounded(&source, &said);
            let found = ChatTemplate::new(&source, "`chat_template.jinja`")
                .and_then(|read| read.render(&said, "<s>", "</s>", true));
            let n_messages = said.len();
            match (expected, found) {
                (Ok(expected), Ok(found)) => {
                    assert_eq!(found, expected, "`{name}`, {n_messages} messages");
                    n_rendered += 1;
                }
                (Err(expected), Err(found)) => {
                    let (found, expected) = (found.to_string(), expected.to_string());
                    assert!(found.contains(&expected), "`{name}`: {found:?} and {expected:?}");
                }
                (expected, found) => {
                    panic!("`{name}`, {n_messages} messages: {found:?} instead of {expected:?}")
                }
            }
        }
    }
    n_rendered
}

#[test]
fn long_templates_with_tools_give_the_same_bytes_as_without_bounds() {
    let ours = check_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chat"));
    assert!(ours.len() >= 5);
    for (name, n_rendered) in ours {
        assert!(n_rendered >= 3, "`{name}` renders");
    }
    if let Some(folder) = std::env::var_os("MC_CHAT_TEMPLATES") {
        check_folder(Path::new(&folder));
    }
}

fn check_folder(folder: &Path) -> Vec<(String, usize)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let templates = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jinja"));
    let check = |path: std::path::PathBuf| {
        let name = path.display().to_string();
        let n_rendered = check(&name, &std::fs::read_to_string(&path).unwrap());
        (name, n_rendered)
    };
    templates.map(check).collect()
}

/// Covers every operator, filter, test and method that templates may use, on ordinary values.
#[test]
fn each_builtin_gives_the_same_bytes_as_without_bounds() {
    let expressions = [
        "1 + 2 * 3 - 4 / 2 // 1 % 5 ** 2",
        "2 * 3.5",
        "true * 3",
        "3 * 'ab'",
        "'ab' * 0",
        "[1, 'x'] * 2",
        "2 * (1, 2)",
        "[] * 3",
        "9007199254740993 * 9007199254740993",
        "170141183460469231731687303715884105727 * 2",
        "'a' * 'b'",
        "'a' * 1.5",
        "{} * 2",
        "none * 2",
        "undefined_name * 2",
        "[1] + [2] + [3]",
        "([1] + [2])[-1]",
        "([1] + [2]) is sequence",
        "([1] + [2])|length",
        "(1, 2) + (3,)",
        "'a' + 'b'",
        "'a' + 1",
        "1 ~ 'x' ~ [1, 'a\\n'] ~ none ~ {'k': true}",
        "undefined_name ~ 'x'",
        "'abcdef'[1:4] ~ 'abcdef'[::-1] ~ [1, 2, 3, 4][1:] ~ [1, 2, 3, 4][::-2]",
        "[1, 2, 3][1:][-1]",
        "(1, 2, 3)[1:]",
        "none[1:]",
        "'abc'[1] ~ [1, 2][0] ~ {'a': 1}['a'] ~ {'a': 1}.a ~ (1, 2)[1]",
        "1 < 2 <= 2 != 3 == 3 > 2 >= 1",
        "1 in [1, 2] and 'a' not in 'bc' or not true",
        "'x' in {'x': 1}",
        "2 < 1 < undefined_name.x",
        "-(1 + 2)",
        "'yes' if messages else 'no'",
        "('no' if false) is defined",
        "'a,b' | upper | lower | title | capitalize",
        "[3, 1, 2] | sort | reverse | list",
        "[{'a': 2}, {'a': 1}] | sort(attribute='a') | map(attribute='a') | join('-')",
        "['a', 'B', 'a'] | unique | join(', ')",
        "['a', 'B'] | map('upper') | list",
        "[1, 2, 3, 4] | select('odd') | list",
        "[1, 2, 3, 4] | reject('odd') | list",
        "messages | selectattr('role', 'equalto', 'user') | list | length",
        "messages | rejectattr('role', 'in', ['user']) | list | length",
        "messages | groupby('role')",
        "[1, 2, 3, 4, 5] | batch(2) | list",
        "[1, 2, 3, 4, 5] | batch(2, 'x') | list",
        "[1, 2, 3, 4, 5] | slice(2) | list",
        "[1, 2] | zip(['a', 'b']) | list",
        "[1] | chain([2]) | list",
        "{'b': 1, 'a': 2} | dictsort",
        "{'b': 1, 'a': 2} | items | list",
        "[1, 2.5] | sum",
        "[3, 1] | min ~ [3, 1] | max ~ [3, 1] | first ~ [3, 1] | last",
        "'a\\nb' | indent ~ 'a\\nb' | indent(2, true)",
        "'aXbX' | replace('X', 'yy') ~ 'abc'.replace('', '-')",
        "' a ' | trim ~ 'xax' | trim('x') ~ 'xax'.strip('x')",
        "'a b c'.split() ~ 'a,b'.split(',', 1) ~ 'a\\nb'.splitlines() ~ 'a b' | split",
        "'%s and %05.1f' | format('x', 2.25)",
        "'{} {1:>4}'.format('a', 'b')",
        "'Since 20231231: %s' | format('x') ~ 'Since 20231231: {}'.format('x')",
        "{'b': 1} | chain({'a': 2}, {'b': 3}) ~ ({'b': 1} | chain({'a': 2})).a ~ ([1] | chain([2]))[1]",
        "[1e300, 1e-300, 0.1] ~ 1e300",
        "'a' | escape ~ '<' | e ~ '<' | safe",
        "3.14159 | round(2) ~ '7' | int ~ '1.5' | float ~ -3 | abs ~ 3 | string",
        "undefined_name | default('d') ~ '' | d('e', true)",
        "{'a': 1}.items() | list ~ {'a': 1}.keys() | list ~ {'a': 1}.values() | list ~ {'a': 1}.get('b', 2)",
        "[1, 1].count(1) ~ 'aa'.count('a') ~ 'abc'.find('c') ~ 'abc'.startswith(('a', 'b'))",
        "', '.join(['a', 1, none])",
        "'ß'.upper() ~ 'a b'.title() ~ 'A'.lower() ~ '12'.isdigit()",
        "range(3) | list ~ range(5, 1, -2) | list",
        "dict(a=1) ~ dict({'b': 2}, c=3)",
        "messages is iterable and messages is sequence and 'x' is string and 1 is number and {} is mapping",
        "2 is divisibleby 2 and 3 is odd and 2 is even and none is none and x is undefined",
        "1 is eq 1 and 1 is lt 2 and 'a' is in ['a'] and true is true and 1.5 is float and 1 is integer",
        "[[1, [2]], {'a': (1,)}] ~ [1.0, 1e100, 'it\\'s']",
        "'x' | unknown_filter",
        "'x'.unknown_method()",
        "[1, 2] | tojson ~ {'a': [1.5, none, true]} | tojson(indent=2)",
    ];
    for expression in expressions {
        check(expression, &format!("{{{{ {expression} }}}}"));
    }
    let statements = [
        "{% for a, b in {'x': 1}.items() %}{{ a }}{{ b }}{% else %}none{% endfor %}",
        "{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}/{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}",
        "{% for x in [[1, [2, [3]]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}",
        "{% for c in 'abc' %}{% if loop.changed(c) %}{{ loop.cycle('x', 'y') }}{% endif %}{% endfor %}",
        "{% set ns = namespace(a=1, l=[]) %}{% set ns.a = ns.a + 1 %}{% set ns.l = ns.l + [ns.a] %}{{ ns.a }}{{ ns.l }}",
        "{% for i in range(5) %}{{ loop.cycle('a', 'b') }}{{ loop.cycle(*['x', 'y', 'z']) }}{% endfor %}",
        "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
        "{% set a, b = 1, [2] %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}",
        "{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}{% set y | upper %}b{% endset %}{{ y }}",
        "{% macro m(a, b='z') %}<{{ a }}{{ b }}{{ caller() if caller }}>{% endmacro %}{{ m(1) }}{{ m(b=2, a=1) }}{% call m('q') %}in{% endcall %}",
        "{% autoescape true %}{{ '<' }}<{{ '<' | safe }}{{ ['<'] }}{% endautoescape %}{{ '<' }}",
        "{% filter upper %}abc{{ 'd' }}{% endfilter %}",
        "{% raw %}{{ x }}{% endraw %}{# note #}",
        "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
        "{% do namespace() %}{{ [1, 2] | map('string') | join }}{{ dict(**{'a': 1}) }}{{ range(*[1, 3]) | list }}",
        "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    ];
    for statement in statements {
        check(statement, statement);
    }
}
