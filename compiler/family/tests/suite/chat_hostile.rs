//! Chat templates that exceed every real template's needs: each ends with an error that names the limit.
//!
//! `tests/hostile` measures their memory.

use std::time::{Duration, Instant};

use mc_family::chat::{ChatTemplate, Message};
use mc_family::error::FamilyError;

/// Far above the expected time, because tests share a machine; an unbounded template takes minutes or never
/// ends.
const PATIENCE: Duration = Duration::from_secs(120);

fn render(source: &str) -> Result<String, FamilyError> {
    let message = Message { role: "user".to_owned(), content: "Hi".to_owned() };
    let begin = Instant::now();
    let text = ChatTemplate::new(source, "`chat_template.jinja`")
        .and_then(|read| read.render(&[message], "<s>", "</s>", true));
    let shown: String = source.chars().take(100).collect();
    assert!(begin.elapsed() < PATIENCE, "{shown} took {:?}", begin.elapsed());
    text
}

/// Checks that a template ends at the limit of which `expected` is a part.
fn check(source: &str, expected: &str) {
    let shown: String = source.chars().take(100).collect();
    match render(source) {
        Err(error @ FamilyError::ChatTemplateLimit { .. }) => {
            let text = error.to_string();
            assert!(
                text.starts_with("The chat template in `chat_template.jinja` exceeds a limit: "),
                "{shown}: {text}"
            );
            assert!(text.contains(expected), "{shown}: {text}");
        }
        Err(error) => panic!("{shown}: {error}"),
        Ok(text) => panic!("{shown}: {} bytes", text.len()),
    }
}

/// Checks that a template fails, and returns the error's text.
fn refused(source: &str) -> String {
    let error = match render(source) {
        Err(error @ FamilyError::ChatTemplate { .. }) => error.to_string(),
        other => panic!("{source}: {other:?}"),
    };
    assert!(!error.contains("the template engine failed"), "{source}");
    error
}

const OPERATORS: &str = "nested operators and brackets";
const STATEMENTS: &str = "nested statements";
const DEEP: &str = "brackets are nested too deeply";
const CALLS: &str = "nested too deeply in calls";
const INSTRUCTIONS: &str = "instructions";
const WORK: &str = "bytes of text and values";
const OUTPUT: &str = "it writes more than";
const LISTS: &str = "lists are nested";
const MUTABLE: &str = "is put into a namespace";
const INDENT: &str = "is indented by more than";
const COLUMNS: &str = "is padded to more than";

#[test]
fn long_expressions_are_refused_before_they_are_parsed() {
    let many = |begin: &str, part: &str, end: &str| format!("{begin}{}{end}", part.repeat(4900));
    for source in [
        many("{{ 1", "+1", " }}"),
        many("{{ 1", "-1", " }}"),
        many("{{ 1", "*1", " }}"),
        many("{{ 1", "**1", " }}"),
        many("{{ 1", "//1", " }}"),
        many("{{ 1", "%1", " }}"),
        many("{{ 1", "~1", " }}"),
        many("{{ ", "not ", "true }}"),
        many("{{ ", "-", "1 }}"),
        many("{{ ", "- ", "1 }}"),
        many("{{ a", ".b", " }}"),
        many("{{ a", "[0]", " }}"),
        many("{{ a", "()", " }}"),
        many("{{ a", "[1:]", " }}"),
        many("{{ 'a'", "|upper", " }}"),
        many("{{ 'a'", "|replace('a', 'b')", " }}"),
        many("{{ 'a'", ".upper()", " }}"),
        many("{{ a", " is defined", " }}"),
        many("{{ a", " is not defined", " }}"),
        many("{{ a", " and a", " }}"),
        many("{{ a", " or a", " }}"),
        many("{{ a", " == a", " }}"),
        many("{{ a", " < a", " }}"),
        many("{{ a", " in a", " }}"),
        many("{{ a", " not in a", " }}"),
        many("{{ a", " if b else a", " }}"),
        many("{{ a", " if b", " }}"),
        many("{{ ", "(", ""),
        many("{{ ", "[", ""),
        many("{{ ", "{1:", ""),
        many("{{ ", "a(", ""),
        many("{{ ", "a[", ""),
        many("{{ ", "[1, ", ""),
        many("{{ ", "f(a=", ""),
        many("{% set a = ", "not ", "true %}"),
        many("{% if ", "not ", "true %}{% endif %}"),
        many("{% for a in ", "not ", "true %}{% endfor %}"),
        many("{% for a in b if ", "not ", "true %}{% endfor %}"),
        many("{% set a", ".b", " = 1 %}"),
        many("{% set ", "(", "a = 1 %}"),
        many("{% for ", "(", "a in b %}"),
        many("{% filter upper", "|upper", " %}{% endfilter %}"),
        many("{% set a ", "|upper", " %}{% endset %}"),
        many("{% macro a(b=", "-", "1) %}{% endmacro %}"),
        many("{% call a", ".b", "() %}{% endcall %}"),
        many("{% do a", ".b", "() %}"),
        many("{% with a = ", "not ", "1 %}{% endwith %}"),
        many("{% include ", "not ", "1 %}"),
        many("{% autoescape ", "not ", "1 %}"),
    ] {
        check(&source, OPERATORS);
    }
}

#[test]
fn nested_statements_are_refused_before_they_are_parsed() {
    let many = |part: &str| part.repeat(4900);
    for source in [
        many("{% if a %}"),
        format!("{{% if a %}}{}{{% endif %}}", many("{% elif a %}")),
        many("{% for a in b %}"),
        many("{% with %}"),
        many("{% set a %}"),
        many("{% filter upper %}"),
        many("{% macro a() %}"),
        many("{% call a() %}"),
        many("{% autoescape true %}"),
        many("{% if a %}{% for b in c %}{% set d %}"),
    ] {
        check(&source, STATEMENTS);
    }
    check(&many("{% block a %}"), STATEMENTS);
    // Below our limit, and above that of the parser.
    check(&format!("{{{{ {}1{} }}}}", "[".repeat(200), "]".repeat(200)), DEEP);
    check(&format!("{{{{ {}1{} }}}}", "(".repeat(200), ")".repeat(200)), DEEP);
    check(&"x".repeat(300_000), "bytes, and at most");
    check(&format!("{{# {} #}}", "x".repeat(300_000)), "bytes, and at most");
}

#[test]
fn an_endless_template_runs_out_of_instructions() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% if b %}{% continue %}{% endif %}{% endfor %}{% endfor %}",
        "{% macro m() %}{% for a in range(100000) %}{% endfor %}{% endmacro %}{% for a in range(100000) %}{{ m() }}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% for a in range(100000) recursive %}{{ loop(range(3)) if loop.depth < 90 }}{% endfor %}",
        "{% for a in range(100000) %}{% set x %}{% for a in range(100000) %}{% endfor %}{% endset %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) if b < 0 %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% macro m() %}{{ a }}{% endmacro %}{% for a in range(100000) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(a={'k': 1}) %}{% for i in range(100000) %}{% for j in range(9) %}{% set ns.a = ns.a | chain({'k': 1}) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% set c = 1.5 ** 3 // 2 % 7 %}{% endfor %}{% endfor %}",
    ] {
        check(source, INSTRUCTIONS);
    }
    // The engine counts no instructions for a frame.
    let frames = "{% with %}{% endwith %}".repeat(10_000);
    check(&format!("{{% for a in range(100000) %}}{frames}{{% endfor %}}"), INSTRUCTIONS);
}

#[test]
fn recursive_calls_end() {
    for source in [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{{ caller }}{% call m() %}x{% endcall %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ [1] | map('string') }}{% set x = m() %}{% endmacro %}{{ m() }}",
        "{% set ns = namespace() %}{% macro m() %}{{ ns.f() }}{% endmacro %}{% set ns.f = m %}{{ m() }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for a in [1] recursive %}{% set x = loop([1]) %}{% endfor %}",
        "{% for a in [1] recursive %}{% set again = loop %}{% for b in [1] %}{{ again([1]) }}{% endfor %}{% endfor %}",
    ] {
        check(source, CALLS);
    }
}

#[test]
fn growing_values_run_out_of_work() {
    let doubled = |begin: &str, again: &str| format!("{begin}{}", again.repeat(60));
    for source in [
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a + a %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a ~ a %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a * 2 %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a | replace('a', 'aa') %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a.replace('', 'a') %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = [a, a] | join %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a | join(a) %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = a.join([a, a, a]) %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = '{0}{0}'.format(a) %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = '%s%s' | format(a, a) %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = [a, a] | tojson %}"),
        doubled("{% set a = 'aaaaaaaa' %}", "{% set a = [a, a] | string %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = a + a %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = a * 2 %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = a | chain(a) %}"),
        doubled("{% set a = (1, 2) %}", "{% set a = a + a %}"),
        doubled("{% set a = (1, 2) %}", "{% set a = a * 2 %}"),
        doubled("{% set a = ['x'] %}", "{% set a = a + a | list %}"),
        // A list that contains one list twice is small in memory, and large for code that traverses it.
        doubled("{% set a = [1, 2] %}", "{% set a = [a, a] %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = {'x': a, 'y': a} %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = dict(x=a, y=a) %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = (a, a) %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = a | zip(a) | list %}"),
        doubled("{% set a = [1, 2] %}", "{% set a = [a] | chain([a]) | list %}"),
        "{{ 'a' * 10000000000 }}".to_owned(),
        "{{ 10000000000 * 'a' }}".to_owned(),
        "{{ 'a' * 100000000 }}".to_owned(),
        "{{ [1] * 10000000000 }}".to_owned(),
        "{{ (1,) * 100000000 }}".to_owned(),
        "{{ ([1] * 100000) | sum(start=[]) }}{{ ([[1]] * 100000) | sum(start=[]) }}".to_owned(),
        "{{ [1] | batch(10000000000, 0) }}".to_owned(),
        "{{ [1] | batch(10000000000) }}".to_owned(),
        "{{ [1] | slice(10000000000) }}".to_owned(),
        "{{ [1] | slice(10000000000, 0) }}".to_owned(),
        "{{ range(100000) | map('string') | map('replace', '', 'x' * 10000) | list }}".to_owned(),
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a | upper %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a == a %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a[i] %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a[1:] %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = 'b' in a %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a | length %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 1000000 %}{{ a.strip(a) }}".to_owned(),
        "{% set a = 'a' * 1000000 %}{{ a | trim(a) }}".to_owned(),
        "{% set a = 'ab' * 1000000 %}{{ a.split('a') }}".to_owned(),
        "{% set a = 'a\\n' * 1000000 %}{{ a.splitlines() }}".to_owned(),
        "{% set a = 'a\\n' * 1000000 %}{{ a | lines }}".to_owned(),
        "{% set a = '\\n' * 1000000 %}{{ a | indent(1000, true, true) }}".to_owned(),
        "{% set a = '%s' * 100000 %}{{ a | format('x') }}".to_owned(),
        "{% set a = '%d' * 10000000 %}{{ strftime_now(a) }}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | sort %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | unique %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | max %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | sum %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | list %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | map('string') %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | select('odd') %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a | groupby('x') %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = -1 in a %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a[99999] %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = a[::-1] %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% set b = [a] %}{% endfor %}".to_owned(),
        "{% set a = {} %}{% for i in range(100000) %}{% set b = dict(**a) %}{% set c = [range(100000)] %}{% endfor %}".to_owned(),
        "{% set a = range(100000) %}{% for i in a %}{% for j in a %}{% break %}{% endfor %}{% endfor %}".to_owned(),
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = ns.l + [i] %}{% endfor %}".to_owned(),
        "{% set ns = namespace(s='') %}{% for i in range(100000) %}{% set ns.s = ns.s ~ 'x' %}{% endfor %}".to_owned(),
        "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d, **{'k' ~ i: i}) %}{% endfor %}".to_owned(),
        "{% set a = 'a' * 20000000 %}{% set b = a | list %}".to_owned(),
        "{% set a = 'a' * 20000000 %}{{ range(*a) }}".to_owned(),
        "{% set a = 'a' * 20000000 %}{{ a | reverse | batch(2) }}".to_owned(),
        "{% set a = range(100000) %}{{ a | zip(*([a] * 1000)) }}".to_owned(),
        "{% set a = range(100000) %}{% set d = dict(x=a) %}{{ a | map('default', d, a) | select('eq', a) | list }}".to_owned(),
        "{% set a = [1e300] * 100000 %}{% for i in range(100000) %}{% set b = a | string %}{% endfor %}".to_owned(),
        "{% set a = ['\u{1}' * 1000] * 10000 %}{{ a in 'x' }}".to_owned(),
        "{% set a = ['\u{1}' * 1000] * 10000 %}{{ raise_exception(a) }}".to_owned(),
        "{% set ns = namespace(a=[1]) %}{% for i in range(100000) %}{% set ns.a = ns.a | chain([1]) %}{% endfor %}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x == x }}".to_owned(),
        "{{ {([range(100000)] * 10000): 1} }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ {}[x] }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x in {} }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ {}.get(x) }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x | tojson }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x | pprint }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x | join }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ x is eq x }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{{ 1 < x < 2 }}".to_owned(),
        "{% set x = [range(100000)] * 10000 %}{% for i in [1, 2] %}{{ loop.changed(x) }}{% endfor %}".to_owned(),
    ] {
        check(&source, WORK);
    }
}

#[test]
fn excessive_output_runs_out_of_its_limit() {
    let long = "x".repeat(200_000);
    for source in [
        format!("{{% for i in range(100000) %}}{long}{{% endfor %}}"),
        format!("{{% for i in range(100000) %}}{{{{ '{long}' }}}}{{% endfor %}}"),
        format!("{{% set a %}}{{% for i in range(100000) %}}{long}{{% endfor %}}{{% endset %}}"),
        format!("{{% filter upper %}}{{% for i in range(100000) %}}{long}{{% endfor %}}{{% endfilter %}}"),
        format!(
            "{{% macro m() %}}{long}{{% endmacro %}}{{% for i in range(100000) %}}{{{{ m() }}}}{{% endfor %}}"
        ),
        format!(
            "{{% macro m() %}}{long}{{% endmacro %}}{{% for i in range(100000) %}}{{% set a = m() %}}{{% endfor %}}"
        ),
        format!(
            "{{% autoescape true %}}{{% for i in range(100000) %}}{{{{ '{long}' }}}}{{% endfor %}}{{% endautoescape %}}"
        ),
        "{{ 'x' * 20000000 }}".to_owned(),
    ] {
        check(&source, OUTPUT);
    }
}

#[test]
fn widths_are_bounded() {
    for source in [
        "{{ 'a\\nb' | indent(10000000000) }}",
        "{{ 'a\\nb' | indent(width=10000000000) }}",
        "{{ 'a' | indent(10000000000, true) }}",
        "{{ ['a\\nb'] | map('indent', 10000000000) | list }}",
        "{{ [1] | tojson(indent=10000000000) }}",
    ] {
        check(source, INDENT);
    }
    for source in [
        "{{ '%10000000000d' | format(1) }}",
        "{{ '%.10000000000f' | format(1.5) }}",
        "{{ '%*d' | format(10000000000, 1) }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{{ '{:.10000000000f}'.format(1.5) }}",
        "{{ '%99999999999s' | format('x') }}",
    ] {
        check(source, COLUMNS);
    }
    check("{{ range(9223372036854775807, -9223372036854775807, -1) }}", "`range` is given");
    check("{{ range(-9223372036854775807, 9223372036854775807) }}", "`range` is given");
}

#[test]
fn nested_lists_are_bounded_and_namespaces_are_not_nested() {
    let again = |begin: &str, again: &str| format!("{begin}{}", again.repeat(3000));
    for source in [
        again("{% set a = 1 %}", "{% set a = [a] %}"),
        again("{% set a = 1 %}", "{% set a = (a,) %}"),
        again("{% set a = 1 %}", "{% set a = {'a': a} %}"),
        again("{% set a = 1 %}", "{% set a = dict(a=a) %}"),
        again("{% set a = [1] %}", "{% set a = a | batch(1) %}"),
        again("{% set a = [1] %}", "{% set a = a | slice(1) %}"),
        again("{% set a = [1] %}", "{% set a = a | zip %}"),
        again("{% set a = [1] %}", "{% set a = [a] | chain %}"),
        again("{% set a = [1] %}", "{% set a = a | groupby('x') %}"),
        again("{% set a = {1: 1} %}", "{% set a = {1: a} | items %}"),
        again("{% set a = 1 %}", "{% set a = {1: a} | dictsort %}"),
        "{% set ns = namespace(a=1) %}{% for i in range(100000) %}{% set ns.a = [ns.a] %}{% endfor %}".to_owned(),
        "{% set ns = namespace(a=1) %}{% for i in range(100000) %}{% set ns.a = {'a': ns.a} %}{% endfor %}".to_owned(),
        "{% set ns = namespace(a=[]) %}{% for i in range(100000) %}{% set ns.a = ns.a | zip %}{% set ns.a = [ns.a] %}{% endfor %}".to_owned(),
    ] {
        check(&source, LISTS);
    }
    for source in [
        "{% set ns = namespace() %}{% set ns.ns = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.ns = [ns] %}",
        "{% set ns = namespace() %}{% set ns.ns = {'a': ns} %}",
        "{% set ns = namespace() %}{% set ns.a, ns.b = 1, ns %}",
        "{% set ns = namespace() %}{% set x = namespace(ns=ns) %}",
        "{% set ns = namespace() %}{% set x = namespace({'a': [ns]}) %}",
        "{% set ns = namespace(tail=0) %}{% set ns.tail = namespace() %}",
        "{% set ns = namespace() %}{% for i in [1] %}{% set ns.l = loop %}{% endfor %}",
        "{% for i in [1] %}{{ loop.changed(loop) }}{% endfor %}",
        "{% set ns = namespace() %}{% for i in [1] %}{{ loop.changed(ns) }}{% endfor %}",
    ] {
        check(source, MUTABLE);
    }
}

#[test]
fn a_panic_of_the_engine_is_prevented_by_an_error() {
    let error = refused("{% import 'x' as 'c' %}");
    assert!(error.contains("`import` needs other templates"), "{error}");
    for source in [
        "{% import 'x' as c %}",
        "{% import 'x' as c.d %}",
        "{% from 'x' import a %}",
        "{% from 'x' import a as b %}",
        "{% include 'x' %}",
        "{% include ['x', 'y'] %}",
        "{% include 'x' ignore missing %}",
        "{% extends 'x' %}",
        "{% extends 'chat' %}",
        "{{ self.x() }}",
        "{{ super() }}",
        "{% block a %}{{ super() }}{% endblock %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}",
        "{% for i in [1] %}{{ loop.cycle(*[]) }}{% endfor %}",
        "{% for i in [1] %}{{ loop.cycle(**{}) }}{% endfor %}",
        "{{ loop(1) }}",
        "{{ debug() }}",
        "{{ 1 // 0 }}{{ 1 % 0 }}",
        "{{ raise_exception('x') }}",
        "{{ 170141183460469231731687303715884105727 + 1 }}",
        "{{ (-170141183460469231731687303715884105727 - 1) // -1 }}{{ 1 / 0 }}",
        "{{ '@read'(1) }}",
        "{{ @read(1) }}",
    ] {
        refused(source);
    }
    let error = refused(&format!("{{{{ raise_exception('{}') }}}}", "ä".repeat(100_000)));
    assert!(error.len() < 3000, "{} bytes", error.len());
}

/// Odd numbers in index computations of the engine give a value or an error, never a panic.
#[test]
fn odd_numbers_are_values_or_errors() {
    let odd =
        ["0", "-1", "9223372036854775807", "-9223372036854775808", "1.5", "1e308", "none", "'x'", "true"];
    for a in odd {
        for b in odd {
            for source in [
                format!("{{{{ [1, 2, 3][{a}:{b}] | list }}}}"),
                format!("{{{{ 'abc'[{a}:{b}:-1] }}}}"),
                format!("{{{{ [1, 2, 3][::{a}] | list }}}}{{{{ 'abc'[{b}] }}}}"),
                format!("{{{{ range({a}, {b}) | length }}}}"),
                format!("{{{{ range(0, {a}, {b}) | length }}}}"),
                format!("{{{{ 2.5 | round({a}) }}}}{{{{ 25 | round({b}) }}}}"),
                format!("{{{{ [1, 2] | batch({a}, {b}) }}}}{{{{ [1, 2] | slice({b}) }}}}"),
                format!("{{{{ 'a\\nb' | indent({a}) }}}}{{{{ [1] | tojson(indent={b}) }}}}"),
                format!("{{{{ 'aa'.replace('a', 'b', {a}) }}}}{{{{ 'a b'.split(' ', {b}) }}}}"),
                format!("{{{{ {a} ** {b} }}}}"),
                format!("{{{{ {a} * {b} }}}}"),
                format!("{{{{ {a} // {b} }}}}{{{{ {a} % {b} }}}}"),
                format!("{{{{ -{a} - {b} }}}}"),
                format!("{{{{ '12' | int({a}, {b}) }}}}"),
            ] {
                if let Err(FamilyError::ChatTemplate { reason, .. }) = render(&source) {
                    assert!(!reason.contains("the template engine failed"), "{source}");
                }
            }
        }
    }
}
