//! Completes queries: within `deps(//mod`, completes the last word with values for the function's parameter.

use clap_complete::engine::CompletionCandidate;
use mc_analysis::query::functions;
use mc_ir::schema::{Arguments, ValueKind};
use mc_rules::rules::RULES;

use crate::completion::context::{Context, starting_with};
use crate::completion::labels;

/// Queries that continue the current one.
pub(super) fn queries(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    let is_break = |character: char| {
        matches!(character, '(' | ')' | ',' | '^' | '+' | '"' | '\'') || character.is_whitespace()
    };
    let start =
        current.rfind(is_break).map_or(0, |at| at + current[at..].chars().next().map_or(0, char::len_utf8));
    let (before, word) = current.split_at(start);
    let found = match call(before) {
        Some(("kind", 0)) => starting_with(word, RULES.iter().map(|rule| rule.schema().name)),
        Some(("attr", 0)) => starting_with(word, attributes()),
        Some(("attr", 1)) => starting_with(word, values(before)),
        _ => sets(context, word),
    };
    found.into_iter().map(|candidate| candidate.add_prefix(before)).collect()
}

/// Labels, patterns and functions.
fn sets(context: &Context, word: &str) -> Vec<CompletionCandidate> {
    let mut found = labels::patterns(context, word);
    if !word.starts_with(['/', ':']) {
        let functions = functions::names().filter(|name| name.starts_with(word));
        found.extend(functions.map(|name| CompletionCandidate::new(format!("{name}("))));
    }
    found
}

/// The innermost open function, and the index of the argument at the cursor.
fn call(before: &str) -> Option<(&str, usize)> {
    let mut depth = 0_usize;
    let mut n_commas = 0;
    for (at, character) in before.char_indices().rev() {
        match character {
            ')' => depth += 1,
            '(' if depth == 0 => {
                let name = before[..at].rsplit(|character: char| !character.is_alphanumeric()).next()?;
                return Some((name, n_commas));
            }
            '(' => depth -= 1,
            ',' if depth == 0 => n_commas += 1,
            _ => {}
        }
    }
    None
}

/// The attributes of all rules.
fn attributes() -> Vec<&'static str> {
    let schemas = RULES.iter().map(|rule| rule.schema());
    let names = schemas.flat_map(|schema| {
        let properties = schema.properties.iter().map(|property| property.name);
        properties.chain(schema.children.iter().map(|child| child.node.name))
    });
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Values that the attribute before the comma accepts, such as quantizations for `attr(quantize, `.
fn values(before: &str) -> Vec<&'static str> {
    let name = before.rsplit('(').next().unwrap_or_default().split(',').next().unwrap_or_default().trim();
    let children = RULES.iter().flat_map(|rule| rule.schema().children);
    let words =
        children.filter(|child| child.node.name == name).find_map(|child| match child.node.arguments {
            Arguments::One(ValueKind::OneOf(words) | ValueKind::Advised(words, _)) => Some(words()),
            _ => None,
        });
    words.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_function_and_its_argument_are_found() {
        assert_eq!(call("deps("), Some(("deps", 0)));
        assert_eq!(call("//a + kind(gguf, "), Some(("kind", 1)));
        assert_eq!(call("rdeps(deps(//a), "), Some(("rdeps", 1)));
        assert_eq!(call("deps(//a) "), None);
        assert_eq!(values("attr(quantize, ").first(), Some(&"F32"));
        assert!(attributes().contains(&"quantize"));
    }
}
