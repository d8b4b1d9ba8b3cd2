//! Chat templates that exceed limits: one clear, early error, in a build, in a gate and in `run`.

use std::fs;
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::sandbox::{BUNDLE, Sandbox};

const TEMPLATE: &str = "models/base/chat_template.jinja";

/// A build without gates.
const UNGATED: &str = "//models:roadtrip-f16";

/// Templates, each with a part of its error.
const HOSTILE: [(&str, &str); 4] = [
    (
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "exceeds a limit: it takes more than 2000000 instructions",
    ),
    ("{{ 'a\\nb'|indent(10000000000) }}", "exceeds a limit: a text is indented by more than 1000 spaces"),
    ("{% import 'x' as 'c' %}", "`import` needs other templates"),
    ("{% for i in [1] %}{{ loop.cycle() }}{% endfor %}", "there is nothing to cycle through"),
];

fn with_template(source: &str) -> Sandbox {
    let sandbox = Sandbox::warm_gguf();
    fs::write(sandbox.path(TEMPLATE), source).unwrap();
    sandbox
}

#[test]
fn a_gate_reports_template_and_limit() {
    for (source, expected) in HOSTILE {
        let ran = with_template(source).mc(&["build", BUNDLE]).exits(1);
        let errors = ran.errors();
        assert_eq!(errors.len(), 1, "{}", ran.stderr);
        assert!(errors[0].contains("The chat template in `"), "{}", errors[0]);
        assert!(errors[0].contains(expected), "{}", errors[0]);
    }
}

#[test]
fn a_build_and_a_run_report_template_and_limit_once() {
    let long = format!("{{{{ 1{} }}}}", "+1".repeat(4900));
    for (source, expected) in [(long.as_str(), "more than 500 nested operators"), HOSTILE[0], HOSTILE[1]] {
        let sandbox = with_template(source);
        for arguments in [&["build", UNGATED][..], &["run", UNGATED, "--", "hello"]] {
            let ran = sandbox.mc(arguments).exits(1);
            let errors = ran.errors();
            assert_eq!(errors.len(), 1, "{}", ran.stderr);
            assert!(
                errors[0].contains("The chat template in `tokenizer.chat_template` of the GGUF"),
                "{}",
                errors[0]
            );
            assert!(errors[0].contains(expected), "{}", errors[0]);
        }
    }
}

#[test]
fn an_interrupt_cancels_rendering() {
    // Within the limits for each of hundreds of questions, but minutes for all.
    let slow = "{% for a in range(100000) %}{% endfor %}".repeat(5) + "{{ messages[0].content }}";
    for signal in ["-INT", "-TERM"] {
        let sandbox = with_template(&slow);
        let mut build = Background::start(&sandbox, &["build", BUNDLE]);
        build.wait_for_measuring();
        let begin = Instant::now();
        build.signal(signal);
        assert_eq!(build.child.wait().unwrap().code(), Some(8));
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
        assert!(!build.has_done("accuracy"), "{}", build.reported());
    }
}
