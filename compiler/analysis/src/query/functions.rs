//! The functions of the query language. To add one, write a function here, a row of the table, and a row of
//! `docs/commands/query.md`.

use mc_ir::label::Label;

use crate::query::attributes;
use crate::query::call::{Answer, Call};
use crate::query::error::QueryError;
use crate::query::expression::SET;
use crate::query::targets::Set;
use crate::suggest::did_you_mean;

/// A function of the query language.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The call forms, without the function's name.
    usages: &'static [&'static str],
    /// Allowed numbers of arguments.
    n_arguments: std::ops::RangeInclusive<usize>,
    work: fn(&Call<'_>) -> Result<Answer, QueryError>,
}

/// Every function, sorted by name.
pub(crate) static FUNCTIONS: [Function; 11] = [
    Function { name: "allpaths", usages: &["(from, to)"], n_arguments: 2..=2, work: all_paths },
    Function { name: "attr", usages: &["(name, regex, set)"], n_arguments: 3..=3, work: attr },
    Function { name: "deps", usages: &["(set)", "(set, depth)"], n_arguments: 1..=2, work: deps },
    Function { name: "filter", usages: &["(regex, set)"], n_arguments: 2..=2, work: filter },
    Function { name: "kind", usages: &["(rule, set)"], n_arguments: 2..=2, work: kind },
    Function { name: "labels", usages: &["(attribute, set)"], n_arguments: 2..=2, work: labels },
    Function { name: "rdeps", usages: &["(set)", "(universe, set, depth)"], n_arguments: 1..=3, work: rdeps },
    Function { name: SET, usages: &["(label label …)"], n_arguments: 0..=usize::MAX, work: set },
    Function { name: "some", usages: &["(set)", "(set, count)"], n_arguments: 1..=2, work: some },
    Function { name: "somepath", usages: &["(from, to)"], n_arguments: 2..=2, work: some_path },
    Function { name: "tests", usages: &["(set)"], n_arguments: 1..=1, work: tests },
];

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

/// Calls a function by its name.
///
/// # Errors
/// If the function does not exist, or its arguments are invalid.
pub(crate) fn call(name: &str, call: &Call<'_>) -> Result<Answer, QueryError> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
        let help =
            did_you_mean(name, names()).unwrap_or_else(|| format!("The functions are {}", known.join(", ")));
        return Err(QueryError::new(call.span.clone(), format!("There is no function `{name}`")).help(help));
    };
    if !function.n_arguments.contains(&call.arguments.len()) {
        let message = format!("Wrong number of arguments for `{name}`: {}", call.arguments.len());
        let usages: Vec<String> = function.usages.iter().map(|usage| format!("`{name}{usage}`")).collect();
        return Err(
            QueryError::new(call.span.clone(), message).help(format!("Write {}", usages.join(" or ")))
        );
    }
    (function.work)(call)
}

const STEPS: &str = "a depth";

fn all_paths(call: &Call<'_>) -> Result<Answer, QueryError> {
    Ok(Answer::Set(call.targets.all_paths(call.set(0)?, &call.set(1)?)))
}

fn some_path(call: &Call<'_>) -> Result<Answer, QueryError> {
    Ok(Answer::Path(call.targets.some_path(&call.set(0)?, &call.set(1)?)))
}

fn deps(call: &Call<'_>) -> Result<Answer, QueryError> {
    let depth = if call.arguments.len() == 2 { call.number(1, STEPS)? } else { usize::MAX };
    Ok(Answer::Set(call.targets.deps(call.set(0)?, depth)))
}

fn rdeps(call: &Call<'_>) -> Result<Answer, QueryError> {
    let n_arguments = call.arguments.len();
    // `rdeps(set, depth)` is allowed, because the universe has a default.
    let has_depth = n_arguments == 3 || n_arguments == 2 && call.number(1, STEPS).is_ok();
    let depth = if has_depth { call.number(n_arguments - 1, STEPS)? } else { usize::MAX };
    let has_universe = n_arguments == if has_depth { 3 } else { 2 };
    let universe = if has_universe { call.set(0)? } else { call.targets.everything() };
    Ok(Answer::Set(call.targets.rdeps(universe, &call.set(usize::from(has_universe))?, depth)))
}

fn set(call: &Call<'_>) -> Result<Answer, QueryError> {
    let members = (0..call.arguments.len()).map(|index| call.set(index));
    Ok(Answer::Set(members.collect::<Result<Vec<Set>, _>>()?.into_iter().flatten().collect()))
}

fn some(call: &Call<'_>) -> Result<Answer, QueryError> {
    let count = if call.arguments.len() == 2 { call.number(1, "a number of targets")? } else { 1 };
    let found: Set = call.set(0)?.into_iter().take(count).collect();
    if found.is_empty() {
        let message = "The set is empty, so `some` has no target to return";
        return Err(QueryError::new(call.arguments[0].span(), message));
    }
    Ok(Answer::Set(found))
}

fn filter(call: &Call<'_>) -> Result<Answer, QueryError> {
    let regex = call.regex(0)?;
    let is_match = |label: &Label| regex.is_match(&label.to_string());
    Ok(Answer::Set(call.set(1)?.into_iter().filter(is_match).collect()))
}

fn kind(call: &Call<'_>) -> Result<Answer, QueryError> {
    let (text, span) = call.word(0, "the name of a rule")?;
    let rules: Vec<&str> = call.targets.db.rules().iter().map(|rule| rule.schema().name).collect();
    if !rules.iter().any(|name| crate::glob::matches(text, name)) {
        let known = || format!("The rules are `{}`", rules.join("`, `"));
        let help = did_you_mean(text, rules.iter().copied()).unwrap_or_else(known);
        return Err(QueryError::new(span, format!("There is no rule `{text}`")).help(help));
    }
    let is_of_kind = |label: &Label| call.targets.rules(label).any(|rule| crate::glob::matches(text, rule));
    Ok(Answer::Set(call.set(1)?.into_iter().filter(is_of_kind).collect()))
}

fn attr(call: &Call<'_>) -> Result<Answer, QueryError> {
    let name = attribute(call, 0)?;
    let regex = call.regex(1)?;
    let has = |label: &Label| {
        let records = call.targets.records(label);
        records.iter().flat_map(|record| attributes::texts(record, name)).any(|text| regex.is_match(&text))
    };
    Ok(Answer::Set(call.set(2)?.into_iter().filter(has).collect()))
}

fn labels(call: &Call<'_>) -> Result<Answer, QueryError> {
    let name = attribute(call, 0)?;
    let set = call.set(1)?;
    let records = set.iter().flat_map(|label| call.targets.records(label));
    let named: Set = records.flat_map(|record| attributes::labels(&record, name)).collect();
    // Targets that do not exist are skipped, as in all functions.
    Ok(Answer::Set(&named & &call.targets.deps(set, usize::MAX)))
}

/// The gates that `mc test` measures for the targets: those among the targets, and those that they name.
fn tests(call: &Call<'_>) -> Result<Answer, QueryError> {
    let reached = call.targets.deps(call.set(0)?, 1);
    let is_gate = |label: &Label| call.targets.rules(label).any(|rule| rule == GATE);
    Ok(Answer::Set(reached.into_iter().filter(is_gate).collect()))
}

/// The rule whose targets `mc test` measures.
const GATE: &str = "gate";

/// An argument that must be an attribute of some rule.
fn attribute<'a>(call: &'a Call<'_>, index: usize) -> Result<&'a str, QueryError> {
    let (name, span) = call.word(index, "the name of an attribute")?;
    let schemas = call.targets.db.rules().iter().map(|rule| rule.schema());
    let mut known: Vec<&str> = schemas
        .flat_map(|schema| {
            let properties = schema.properties.iter().map(|property| property.name);
            properties.chain(schema.children.iter().map(|child| child.node.name))
        })
        .collect();
    known.sort_unstable();
    known.dedup();
    if known.contains(&name) {
        return Ok(name);
    }
    let list = || format!("The attributes are `{}`", known.join("`, `"));
    let help = did_you_mean(name, known.iter().copied()).unwrap_or_else(list);
    Err(QueryError::new(span, format!("No rule has an attribute `{name}`")).help(help))
}
