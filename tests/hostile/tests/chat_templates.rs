//! Expensive chat templates use little memory.

use std::sync::Mutex;

use mc_family::error::FamilyError;
use mc_hostile::allocations::{Watched, peak};
use mc_hostile::templates::{render, template};

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Memory limit of one template, in bytes: a multiple of the work that it is allowed.
const MAX_MEMORY: usize = 256 << 20;

/// Number of random templates.
const N_TEMPLATES: u64 = 30;

/// The memory of the whole process is measured, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Returns true if the template renders, and false if it reaches a limit.
#[track_caller]
fn check(source: &str) -> bool {
    let mut rendered = None;
    let taken = peak(|| rendered = Some(render(source)));
    let shown: String = source.chars().take(2000).collect();
    assert!(taken <= MAX_MEMORY, "{taken} bytes for: {shown}");
    match rendered.unwrap() {
        Ok(_) => true,
        Err(FamilyError::ChatTemplateLimit { .. }) => false,
        Err(error) => panic!("{error}: {shown}"),
    }
}

#[test]
fn any_template_uses_little_memory() {
    let _alone = ALONE.lock();
    for source in [
        "{{ 'a\\nb' | indent(10000000000) }}",
        "{{ 'x' * 100000000 }}",
        "{{ [1] * 100000000 }}",
        "{{ [1] | batch(10000000000, 0) }}",
        "{{ [1] | slice(10000000000) }}",
        "{% set x = 'a,' * 1000000 %}{{ x.split(',') }}",
        "{% set x = 'a,' * 100000 %}{% set ns = namespace() %}{% for i in range(100000) %}{% set ns.x = x.split(',') %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = ns.l + [i] %}{% endfor %}",
        "{% for i in range(100000) %}{% macro m() %}{{ i }}{% endmacro %}{% endfor %}",
        "{% for i in range(1000) %}{% for j in range(1000) %}{% macro m() %}{{ i }}{{ j }}{% endmacro %}{% endfor %}{% endfor %}",
        "{% for i in range(1000) %}{% for j in range(1000) %}{% do namespace(a=i) %}{% endfor %}{% endfor %}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{% for i in range(1000) %}{% for j in range(1000) %}{% do m(j) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% do namespace(a=1, b=2, c=3) %}{% endfor %}",
        "{% for i in range(100000) %}{% do dict(a=i, b=[i], c={'d': i}) %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = [i, [i], (i, i)] %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = {i: i, 'b': {i: i}} %}{% endfor %}",
        "{% set x %}{% for i in range(100000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endset %}{{ x }}{{ x }}{{ x }}{{ x }}",
        "{{ range(100000) | list | tojson(indent=1000) }}",
        "{{ ([[[1]]] * 100000) | pprint }}",
        "{{ range(100000) | map('string') | unique | sort | batch(2) | list | tojson }}",
        "{{ range(100000) | zip(range(100000), range(100000)) | list | string }}",
        "{% set x = range(100000) | map('string') | list %}{{ x | groupby('x') }}",
        "{% macro m(n) %}{{ m(n - 1) + 'x' * 1000000 if n }}{% endmacro %}{{ m(100) }}",
    ] {
        check(source);
    }
    let nested = format!("{}{}", "{% set a = [1, 2] %}", "{% set a = [a, a, a] %}".repeat(99));
    check(&nested);
}

#[test]
fn random_templates_neither_panic_nor_use_much_memory() {
    let _alone = ALONE.lock();
    let n_rendered = (0..N_TEMPLATES).filter(|seed| check(&template(*seed))).count();
    // Both outcomes occur.
    assert!((5..N_TEMPLATES as usize - 5).contains(&n_rendered), "{n_rendered} of {N_TEMPLATES}");
}
