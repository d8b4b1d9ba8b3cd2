//! The form of all help text.
//!
//! `-h` fits on a screen: the usage, examples, the options of the verb itself and the few options that every verb is
//! used with. The other options are grouped by topic (`mc help remote`), and `--help` lists all of them. The text of an
//! option stands in its doc comment, from which help, topics and man pages are made.

pub(crate) mod topics;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};
use mc_syntax::terminal::Markup;

/// Heading of the options that the short help of every verb shows.
pub(crate) const COMMON: &str = "Common options";

/// The order of help: examples stand before options, because they answer most questions.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// Longest line of help, in columns.
const MAX_WIDTH: usize = 100;

/// Gives a command and its verbs the form of our help.
pub(crate) fn shaped(command: Command) -> Command {
    let topics: Vec<&str> = topics::TOPICS.iter().map(|topic| topic.name).collect();
    let footer = format!("Help topics, for `mc help TOPIC`:\n  {}", topics.join(" "));
    let mut command = command
        .max_term_width(MAX_WIDTH)
        .help_template(TEMPLATE)
        .after_help(footer)
        .mut_args(|arg| {
            let is_truth = matches!(arg.get_action(), ArgAction::Set)
                && arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>();
            if is_truth { arg.hide_possible_values(true) } else { arg }
        })
        .mut_args(in_short_help);
    let names: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |verb| shaped_verb(verb, &format!("mc {name}")));
    }
    command
}

/// Hides an option from the short help if it stands under a heading that only long help and topics show.
fn in_short_help(arg: Arg) -> Arg {
    let is_common = arg.get_help_heading().is_none_or(|heading| heading == COMMON);
    arg.hide_short_help(!is_common)
}

fn shaped_verb(verb: Command, path: &str) -> Command {
    let footer = format!("Other options, by topic: mc help {}\nEvery option: {path} --help", option_topics());
    let mut verb = verb.help_template(TEMPLATE).after_help(footer).mut_args(in_short_help);
    let names: Vec<String> = verb.get_subcommands().map(|part| part.get_name().to_owned()).collect();
    for name in names {
        verb = verb.mut_subcommand(&name, |part| shaped_verb(part, &format!("{path} {name}")));
    }
    verb
}

/// The topics that are groups of options, as a choice.
fn option_topics() -> String {
    let topics = topics::TOPICS.iter().filter(|topic| !topic.headings.is_empty());
    topics.map(|topic| topic.name).collect::<Vec<_>>().join("|")
}

/// Help with its colors, for [`crate::streams::Streams`].
pub(crate) fn markup(text: &StyledStr) -> Markup {
    Markup::of_colored(&text.ansi().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::command;

    /// The short help of a verb, at a width.
    fn short_help(path: &[&str], width: usize) -> String {
        let mut command = command().term_width(width);
        command.build();
        let verb = path.iter().fold(&mut command, |command, name| command.find_subcommand_mut(name).unwrap());
        verb.render_help().to_string()
    }

    #[test]
    fn short_help_fits_on_a_screen() {
        let mut command = command();
        command.build();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let names: Vec<String> = verbs.map(|verb| verb.get_name().to_owned()).collect();
        assert!(names.len() >= 15, "{names:?}");
        for name in &names {
            let help = short_help(&[name], 80);
            let n_lines = help.lines().count();
            assert!(n_lines <= 40, "`mc {name} -h` has {n_lines} lines:\n{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            let (before, after) = help.split_once("Options:").unwrap_or((&help, ""));
            assert!(before.contains("Example") && !after.contains("Example"), "{help}");
        }
        let help = short_help(&[], 80);
        assert!(help.lines().count() <= 40, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }

    #[test]
    fn every_option_is_in_one_topic_or_in_the_short_help() {
        let command = command();
        let is_in_topic =
            |heading: &str| topics::TOPICS.iter().any(|topic| topic.headings.contains(&heading));
        for arg in command.get_arguments() {
            let heading = arg.get_help_heading();
            assert!(heading.is_none_or(|heading| heading == COMMON || is_in_topic(heading)), "{arg}");
        }
    }

    #[test]
    fn every_option_says_what_it_does() {
        fn check(command: &Command, path: &str) {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{path}: {arg} has no help");
                let first = help.split(' ').next().unwrap_or_default();
                let headless = ["What", "Whether", "Who", "How", "Which", "Where"];
                assert!(!headless.contains(&first), "{path}: {arg}: {help}");
                assert!(!help.ends_with('.'), "{path}: {arg}: {help}");
            }
            command.get_subcommands().for_each(|verb| check(verb, &format!("{path} {}", verb.get_name())));
        }
        check(&command(), "mc");
    }
}
