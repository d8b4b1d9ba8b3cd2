"""Chat templates designed to crash or hang the renderer, or to exhaust its memory."""

import json

from target import finish

BOMBS = [
    "{% import 'x' as 'c' %}", "{{ 1" + "+1" * 4900 + " }}", "{{ " + "not " * 20000 + "true }}",
    "{{ a" + ".b" * 20000 + " }}", "{{ 'a'" + "|upper" * 20000 + " }}", "{{ " + "(" * 30000 + "1" + ")" * 30000 + " }}",
    "{{ " + "[" * 30000 + "]" * 30000 + " }}", "{{ " + "-" * 30000 + "1 }}", "{{ a" + "[0]" * 20000 + " }}",
    "{{ a" + "()" * 20000 + " }}", "{{ 1" + " if 1 else 1" * 20000 + " }}", "{{ 'a'" + "~'a'" * 20000 + " }}",
    "{{ 1" + "**1" * 20000 + " }}", "{{ x" + " is defined" * 20000 + " }}", "{{ {" + "'a':{" * 9000 + "}" * 9001 + " }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ 'a\\nb'|indent(10000000000) }}", "{{ messages|tojson(indent=10000000000) }}",
    "{% set s = 'aaaa' %}" + "{% set s = s ~ s %}" * 60 + "{{ s }}", "{% set s = 'aaaa' %}" + "{% set s = s + s %}" * 60 + "{{ s }}",
    "{{ 'a' * 10000000000 }}", "{{ [1] * 10000000000 }}", "{{ range(10000000000)|list }}", "{{ [1]|batch(10000000000, 0)|list }}",
    "{{ [1]|slice(10000000000, 0)|list }}", "{{ 'a'.ljust(10000000000) }}", "{{ 'a'|center(10000000000) }}",
    "{{ 'a'.zfill(10000000000) }}", "{{ '%10000000000d'|format(1) }}", "{{ '{:>10000000000}'.format(1) }}",
    "{{ ('a' * 100000).replace('a', 'b' * 100000) }}", "{{ (['a'] * 100000)|join('b' * 100000) }}",
    "{{ (range(99999)|list)|map('string')|join('x' * 99999) }}", "{{ 10 ** 10 ** 10 }}", "{{ 9 ** 999999999 }}",
    "{% if 1 %}" * 5000 + "{% endif %}" * 5000, "{% for i in [1] %}" * 5000 + "{% endfor %}" * 5000,
    "{% set x %}" * 3000 + "{% endset %}" * 3000, "{% filter upper %}" * 3000 + "{% endfilter %}" * 3000,
    "{% for n in [1] recursive %}{{ loop([1]) }}{% endfor %}", "{% include 'chat' %}", "{% extends 'chat' %}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l|length }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace(d={}) %}{% for i in range(99999) %}{% set ns.d = {'a': ns.d} %}{% endfor %}{{ ns.d|tojson }}",
    "{{ raise_exception('\u001b[2J\u001b]0;owned\u0007') }}", "{{ raise_exception('x' * 100000000) }}",
    "{{ strftime_now('%Y' * 1000000) }}", "{{ range(100000)|map('string')|sort|unique|list|length }}",
    "{{ messages|map(attribute='content.' * 9999)|list }}", "{# " + "x" * 3000000 + " #}", "x" * 3000000, "{{", "{%", "\u0000",
    "{{ '" + "a" * 2000000 + "' }}", "{{ 1e999 }}{{ 0/0 }}{{ 1//0 }}{{ 1%0 }}", "{{ 9223372036854775807 + 1 }}",
]

ATOMS = ("messages", "messages[0]", "messages[0].content", "bos_token", "'a'", "1", "[1,2]", "{'a':1}", "true", "none",
         "range(1000)", "loop", "ns", "x", "add_generation_prompt", "range(100000)", "'a\\nb' * 1000")
FILTERS = ("upper", "trim", "length", "list", "tojson", "join(',')", "first", "last", "indent(4)", "batch(9)|list", "string",
           "replace('a','bb')", "sort", "unique|list", "map('string')|list", "reverse", "default('x')", "items|list", "int",
           "tojson(indent=99999)", "indent(999999)", "slice(99999)|list", "round", "abs", "wordcount", "pprint", "urlencode")
OPERATORS = (" + ", " ~ ", " * ", " - ", " ** ", " // ", " % ", " == ", " < ", " in ", " and ", " or ")


def expression(rng, depth):
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(ATOMS)
    kind = rng.randrange(7)
    inner = expression(rng, depth - 1)
    if kind < 2:
        return f"({inner}{rng.choice(OPERATORS)}{expression(rng, depth - 1)})"
    if kind < 5:
        return f"({inner})|{rng.choice(FILTERS)}"
    return f"[{inner}, {inner}]" if kind == 5 else f"({inner}).split('a')"


def statements(rng, depth):
    parts = []
    for _ in range(rng.randrange(1, 5)):
        kind = rng.randrange(7) if depth else 6
        body = statements(rng, depth - 1) if depth else ""
        value = expression(rng, rng.randrange(1, 6))
        parts.append({
            0: "{% for x in " + value + " %}" + body + "{% endfor %}",
            1: "{% for x in range(" + rng.choice(("10", "1000", "100000")) + ") %}" + body + "{% endfor %}",
            2: "{% if " + value + " %}" + body + "{% else %}" + value + "{% endif %}",
            3: "{% set x = " + value + " %}" + body,
            4: "{% macro m(a) %}" + body + rng.choice(("", "{{ m(a) }}")) + "{% endmacro %}{{ m(1) }}",
            5: "{% set x = x ~ x %}" * rng.choice((1, 5, 70)),
            6: "{{ " + value + " }}",
        }[kind])
    return "".join(parts)


def run(target, tally, n_attempts, rng):
    config = target.workspace / "models/base/tokenizer_config.json"
    settings = json.loads(config.read_text())
    for attempt in range(n_attempts):
        template = BOMBS[attempt] if attempt < len(BOMBS) else statements(rng, 3)
        settings["chat_template"] = template
        config.write_text(json.dumps(settings))
        ran = finish(target.start("build", "//models:plain"), 60)
        tally.add(target.judge(ran, has_outputs=False), f"template {attempt}: {template[:120]!r}", ran, target)
