//! Random chat templates that are expensive, and valid enough to run.

use mc_family::chat::{ChatTemplate, Message};
use mc_family::error::FamilyError;

use crate::random::Random;

const NAMES: &[&str] = &["a", "b", "ns.c", "messages", "bos_token", "loop", "m"];
const TARGETS: &[&str] = &["a", "b", "ns.c", "ns.d"];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "1000",
    "100000",
    "10000000000",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
];
const TEXTS: &[&str] =
    &["''", "'x'", "'a\\nb'", "'%s%5d'", "'{}{:>9}'", "'<&>'", "'äöü'", "'aaaaaaaaaaaaaaaaaaaa'"];
const OPERATORS: &[&str] =
    &["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"];
const FILTERS: &[&str] = &[
    "abs",
    "batch",
    "capitalize",
    "chain",
    "default",
    "dictsort",
    "e",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];
const METHODS: &[&str] = &[
    "upper",
    "split",
    "splitlines",
    "replace",
    "join",
    "format",
    "strip",
    "items",
    "keys",
    "values",
    "get",
    "count",
    "find",
    "startswith",
    "title",
    "changed",
    "cycle",
];
const TESTS: &[&str] = &["defined", "string", "iterable", "mapping", "eq 1", "in a", "odd", "none", "lower"];

/// Number of statements tried per template.
const N_STATEMENTS: usize = 12;

/// The template of a seed: random statements, each kept if it does not fail after the ones before it; the last one may
/// reach a limit.
pub fn template(seed: u64) -> String {
    let mut random = Random(seed);
    let mut text =
        "{% set ns = namespace(c=[1], d='x') %}{% set a = 'ab' %}{% set b = [1, 'x'] %}".to_owned();
    text.push_str("{% macro m(x) %}{{ x }}{{ caller() if caller }}{% endmacro %}");
    for _ in 0..N_STATEMENTS {
        let n_bytes = text.len();
        statement(&mut random, 3, &mut text);
        match render(&text) {
            Ok(_) => {}
            Err(FamilyError::ChatTemplateLimit { .. }) => break,
            Err(_) => text.truncate(n_bytes),
        }
    }
    text
}

fn statement(random: &mut Random, depth: usize, text: &mut String) {
    let value = expression(random, 3);
    match random.below(if depth == 0 { 4 } else { 12 }) {
        0 => text.push_str(&format!("{{{{ {value} }}}}")),
        // A variable that is set to an expression of itself grows with each repetition.
        1 | 2 => {
            let target = random.one_of(TARGETS);
            let operator = random.one_of(&["+", "~", "*"]);
            let repeated = format!("{{% set {target} = {target} {operator} {value} %}}");
            text.push_str(&repeated.repeat(1 + random.below(40)));
        }
        3 => {
            let target = random.one_of(TARGETS);
            let made = match random.below(4) {
                0 => format!("[{target}, {target}]"),
                1 => format!("{{'x': {target}, 'y': {target}}}"),
                2 => format!("({target}, {target})"),
                _ => format!("{target} | {}", random.one_of(FILTERS)),
            };
            text.push_str(&format!("{{% set {target} = {made} %}}").repeat(1 + random.below(60)));
        }
        4 => block(random, depth, text, &format!("for a in {value}"), "endfor"),
        5 => {
            let n = random.one_of(NUMBERS);
            block(random, depth, text, &format!("for i in range({n})"), "endfor");
        }
        6 => block(random, depth, text, &format!("for a in {value} recursive"), "endfor"),
        7 => block(random, depth, text, &format!("if {value}"), "endif"),
        8 => block(random, depth, text, "set b", "endset"),
        9 => {
            let filter = random.one_of(FILTERS);
            block(random, depth, text, &format!("filter {filter}"), "endfilter");
        }
        10 => block(random, depth, text, &format!("call m({value})"), "endcall"),
        _ => block(random, depth, text, "macro m(x)", "endmacro"),
    }
}

fn block(random: &mut Random, depth: usize, text: &mut String, begin: &str, end: &str) {
    text.push_str(&format!("{{% {begin} %}}"));
    for _ in 0..1 + random.below(3) {
        statement(random, depth - 1, text);
    }
    text.push_str(&format!("{{% {end} %}}"));
}

fn expression(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        let kind = [NAMES, NAMES, NUMBERS, TEXTS][random.below(4)];
        return random.one_of(kind).to_owned();
    }
    let (a, b) = (expression(random, depth - 1), expression(random, depth - 1));
    match random.below(13) {
        0 | 1 => format!("({a} {} {b})", random.one_of(OPERATORS)),
        2 => format!("({a} | {})", random.one_of(FILTERS)),
        3 | 4 => format!("({a} | {}({b}))", random.one_of(FILTERS)),
        5 => format!("({a}).{}({b})", random.one_of(METHODS)),
        6 => format!("({a})[{b}]"),
        7 => format!("({a})[{b}:{}:{}]", random.one_of(NUMBERS), random.one_of(NUMBERS)),
        8 => format!("[{a}, {b}]"),
        9 => format!("{{'k': {a}, {}: {b}}}", random.one_of(TEXTS)),
        10 => format!("({a} is {})", random.one_of(TESTS)),
        11 => format!("m({a})"),
        _ => format!("({a} | map('{}', {b}) | list)", random.one_of(FILTERS)),
    }
}

/// Parses a template and renders it for one message.
///
/// # Errors
/// The reason, if it is refused.
///
/// # Panics
/// If the engine panics.
pub fn render(source: &str) -> Result<String, FamilyError> {
    let message = Message { role: "user".to_owned(), content: "Hi <you>\n".to_owned() };
    let text = ChatTemplate::new(source, "`chat_template.jinja`")
        .and_then(|read| read.render(&[message], "<s>", "</s>", true));
    if let Err(FamilyError::ChatTemplate { reason, .. }) = &text {
        assert!(!reason.contains("the template engine failed"), "{source}");
    }
    text
}
