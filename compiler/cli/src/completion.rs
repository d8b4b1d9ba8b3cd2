//! Completion of values: labels, queries, hashes in the store, names of backends.
//!
//! [`ARGUMENTS`] maps each argument to the function that finds its values. `clap_complete` completes options and verbs.
//! Completion never fails: it offers nothing if it finds nothing.

mod context;
mod labels;
mod objects;
mod query;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use mc_rules::inference::backends;
use mc_tensor::cpu_path::CpuPath;

use crate::completion::context::{Context, starting_with};
use crate::help::topics;
use crate::options::global::GlobalOptions;

/// Finds the candidates for a word.
pub(crate) type Find = fn(&Context, &str) -> Vec<CompletionCandidate>;

/// The function for the values of each argument, by the argument's id and its verb.
pub(crate) const ARGUMENTS: &[(&str, &str, Find)] = &[
    ("build", "patterns", labels::patterns),
    ("test", "patterns", labels::patterns),
    ("check", "patterns", labels::patterns),
    ("lock", "patterns", labels::patterns),
    ("fetch", "patterns", labels::patterns),
    ("run", "model", models),
    ("diff", "reference", models),
    ("diff", "other", models),
    ("inspect", "source", sources),
    ("query", "queries", query::queries),
    ("help", "names", help_names),
    ("", "backend", backend_names),
    ("", "cpu_path", cpu_paths),
];

/// Adds to the command the functions that complete its values.
///
/// * `words`: the command line; completion respects its `--workspace` and `--cache-dir`
pub(crate) fn command(command: Command, words: &[OsString]) -> Command {
    let options = GlobalOptions {
        workspace: folder(words, "--workspace"),
        cache_dir: folder(words, "--cache-dir"),
        ..GlobalOptions::default()
    };
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs = verbs.map(|verb| verb.get_name().to_owned()).collect();
    let context = Context { options: Arc::new(options), verbs };
    ARGUMENTS.iter().fold(command, |command, (verb, id, find)| {
        let completer = || ArgValueCompleter::new(Completer { context: context.clone(), find: *find });
        // `mut_arg` would change the order of positional arguments.
        let complete = |arg: Arg| if arg.get_id() == id { arg.add(completer()) } else { arg };
        if verb.is_empty() {
            command.mut_args(complete)
        } else {
            command.mut_subcommand(verb, |verb| verb.mut_args(complete))
        }
    })
}

/// The folder given by an option, as `--option DIR` or `--option=DIR`.
fn folder(words: &[OsString], option: &str) -> Option<PathBuf> {
    let after = words.windows(2).find(|pair| pair[0] == option).map(|pair| PathBuf::from(&pair[1]));
    let joined = || {
        let value =
            |word: &OsString| word.to_str()?.strip_prefix(option)?.strip_prefix('=').map(PathBuf::from);
        words.iter().find_map(value)
    };
    after.or_else(joined)
}

struct Completer {
    context: Context,
    find: Find,
}

impl ValueCompleter for Completer {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        current.to_str().map(|current| (self.find)(&self.context, current)).unwrap_or_default()
    }
}

/// Completes a model: a label, or the path of a file.
fn models(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    if current.starts_with("//") || current.starts_with(':') {
        return labels::targets(context, current);
    }
    let mut found = if current.is_empty() { labels::targets(context, current) } else { Vec::new() };
    found.extend(PathCompleter::file().complete(OsStr::new(current)));
    found
}

/// Completes a source of `mc inspect`: a model or a hash in the store.
fn sources(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    let mut found = models(context, current);
    found.extend(objects::hashes(context, current));
    found
}

fn help_names(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    let topics = topics::TOPICS.iter().map(|topic| (topic.name, topic.title));
    let verbs = context.verbs.iter().map(|name| (name.as_str(), "Verb"));
    // `build` is both a verb and a topic; offer it once.
    let topics = topics.filter(|(name, _)| !context.verbs.iter().any(|verb| verb == name));
    let named = verbs.chain(topics).filter(|(name, _)| name.starts_with(current));
    named.map(|(name, help)| CompletionCandidate::new(name).help(Some(help.to_owned().into()))).collect()
}

fn backend_names(_: &Context, current: &str) -> Vec<CompletionCandidate> {
    starting_with(current, backends::names())
}

fn cpu_paths(_: &Context, current: &str) -> Vec<CompletionCandidate> {
    starting_with(current, CpuPath::available().into_iter().map(CpuPath::name))
}
