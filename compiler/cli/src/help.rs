//! The form of all help text.
//!
//! `-h` fits on a screen: the usage, examples, the options of the verb itself and the common options of all verbs. The
//! other options are grouped by topic (`mc help remote`), and `--help` lists all of them. The text of an option is its
//! doc comment; help, topics and man pages are made from it.

pub(crate) mod form;
pub(crate) mod topics;

use clap::{Arg, ArgAction, Command};

use crate::help::form::{COMMON, MAX_WIDTH};

/// The order of help: examples come before options, because they answer most questions.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// Gives a command and its verbs the common form of help.
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

/// Hides an option from the short help if its heading appears only in long help and topics.
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

/// The topics that are groups of options, as alternatives.
fn option_topics() -> String {
    let topics = topics::TOPICS.iter().filter(|topic| !topic.headings.is_empty());
    topics.map(|topic| topic.name).collect::<Vec<_>>().join("|")
}
