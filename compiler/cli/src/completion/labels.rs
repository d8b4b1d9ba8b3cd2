//! Completes labels and patterns in stages: `//mod` becomes `//models`, `//models:` and `//models/...`; after the colon
//! the targets follow.

use std::collections::BTreeSet;

use clap_complete::engine::CompletionCandidate;
use mc_driver::declarations::Found;

use crate::completion::context::Context;

/// Labels of targets, and patterns for several targets.
pub(super) fn patterns(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    found(context, current, true)
}

/// Labels of targets.
pub(super) fn targets(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    found(context, current, false)
}

fn found(context: &Context, current: &str, has_patterns: bool) -> Vec<CompletionCandidate> {
    let Some(declarations) = context.declarations() else { return Vec::new() };
    let here = declarations.workspace().here.clone();
    let Ok(targets) = declarations.query("//...") else { return Vec::new() };
    let mut candidates: Vec<(String, String)> = Vec::new();
    if let Some(name) = current.strip_prefix(':') {
        let own = targets.iter().filter(|target| target.label.package == here);
        let own = own.filter(|target| target.label.name.starts_with(name));
        candidates.extend(own.map(|target| (format!(":{}", target.label.name), rule(target))));
        push_pattern(&mut candidates, has_patterns, current, ":all", "Every target of this package");
    } else if current.contains(':') {
        let named = targets.iter().map(|target| (target.label.to_string(), rule(target)));
        candidates.extend(named.filter(|(label, _)| label.starts_with(current)));
        let package = current.split(':').next().unwrap_or_default();
        let all = format!("{package}:all");
        push_pattern(&mut candidates, has_patterns, current, &all, "Every target of the package");
    } else {
        candidates = packages(&targets, current, has_patterns);
    }
    let candidate = |(text, help): (String, String)| CompletionCandidate::new(text).help(Some(help.into()));
    candidates.into_iter().map(candidate).collect()
}

/// Packages with a colon, after which targets follow; if there is only one package, its targets.
fn packages(targets: &[Found], current: &str, has_patterns: bool) -> Vec<(String, String)> {
    let names: BTreeSet<String> = targets.iter().map(|target| target.label.package.to_string()).collect();
    let matching: Vec<&String> = names.iter().filter(|name| name.starts_with(current)).collect();
    let mut candidates: Vec<(String, String)> = match matching.as_slice() {
        [only] => {
            let of_package = targets.iter().filter(|target| target.label.package.to_string() == **only);
            of_package.map(|target| (target.label.to_string(), rule(target))).collect()
        }
        several => several.iter().map(|name| (format!("{name}:"), "Package".to_owned())).collect(),
    };
    for name in matching {
        let pattern = if name == "//" { "//...".to_owned() } else { format!("{name}/...") };
        push_pattern(&mut candidates, has_patterns, current, &pattern, "The package and those below it");
    }
    push_pattern(&mut candidates, has_patterns, current, "//...", "Every target of the workspace");
    candidates
}

fn push_pattern(
    candidates: &mut Vec<(String, String)>,
    has_patterns: bool,
    current: &str,
    pattern: &str,
    help: &str,
) {
    let is_new = candidates.iter().all(|(text, _)| text != pattern);
    if has_patterns && pattern.starts_with(current) && is_new {
        candidates.push((pattern.to_owned(), help.to_owned()));
    }
}

fn rule(target: &Found) -> String {
    target.rule.unwrap_or("Target with errors").to_owned()
}
