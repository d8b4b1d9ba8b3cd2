//! `mc complete`: candidates for the word that a shell completes. The scripts of `mc completions` call it.

use std::ffi::OsString;

use clap::Args;
use clap_complete::engine::{self, CompletionCandidate};
use mc_syntax::terminal::is_steering;

use crate::completion;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::report::Report;
use crate::verb::Run;

/// Print the candidates for a word of a command line, as a shell completes it
///
/// Each line is a candidate, and after a tab its description.
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct Complete {
    /// Number of the word to complete; `mc` itself is number 0
    #[arg(long, value_name = "N")]
    at: usize,

    /// The words of the command line, from `mc` on
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Run for Complete {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let mut words = self.words.clone();
        words.resize(words.len().max(self.at + 1), OsString::new());
        let mut command = completion::command((invocation.command)(), &words);
        let current = std::env::current_dir().ok();
        let found = engine::complete(&mut command, words, self.at, current.as_deref())
            .map_err(|error| Report::failed("Cannot complete the command line").because(error))?;
        for (value, help) in self.shown(&found) {
            let tab = if help.is_empty() { "" } else { "\t" };
            invocation.streams.result(&format!("{value}{tab}{help}\n"));
        }
        Ok(Exit::Done)
    }
}

impl Complete {
    /// The candidates with their descriptions. Options are included if the word begins with `-`, or if there is no
    /// other candidate.
    fn shown<'a>(&self, found: &'a [CompletionCandidate]) -> Vec<(&'a str, String)> {
        let named = found.iter().filter_map(|candidate| Some((candidate.get_value().to_str()?, candidate)));
        // A shell reads lines and displays them unescaped.
        let plain: Vec<_> = named.filter(|(value, _)| is_plain(value)).collect();
        let is_option = |value: &str| value.starts_with('-');
        let has_values = plain.iter().any(|(value, _)| !is_option(value));
        let wants_options =
            self.words.get(self.at).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
        let shown = plain.into_iter().filter(|(value, _)| wants_options || !has_values || !is_option(value));
        shown.map(|(value, candidate)| (value, description(candidate))).collect()
    }
}

/// The first line of the help, up to a tab, because a tab separates fields.
fn description(candidate: &CompletionCandidate) -> String {
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().replace('\t', " ")
}

fn is_plain(value: &str) -> bool {
    !value.chars().any(|character| is_steering(character) || matches!(character, '\n' | '\t'))
}
