//! Options as Bazel's users type them: with `_` for `-`, with `experimental_` before what is new there, and `--noX`,
//! `--X=no` or `--X=0` for `--X=false`.
//!
//! What stands for no option of ours stays as it was typed, for the message about it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};
use clap_lex::OsStrExt as _;

/// The arguments of a command line, with its options spelled as the command declares them.
pub(crate) fn declared(command: &Command, arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let options = Options::of(command);
    let mut is_behind = false;
    let spell = |argument: OsString| {
        // What comes then are no options of ours.
        is_behind |= argument == "--" || command.find_subcommand(&argument).is_some_and(takes_all);
        if is_behind { None } else { options.spell(&argument) }.unwrap_or(argument)
    };
    arguments.map(spell).collect()
}

/// The long options of a command and its verbs, and whether each is answered by yes or no.
struct Options(BTreeMap<String, bool>);

impl Options {
    fn of(command: &Command) -> Self {
        let mut options = Self(BTreeMap::new());
        options.collect(command);
        options
    }

    fn collect(&mut self, command: &Command) {
        for option in command.get_arguments() {
            let names = option.get_long().into_iter().chain(option.get_all_aliases().into_iter().flatten());
            self.0.extend(names.map(|name| (name.to_owned(), is_yes_or_no(option))));
        }
        command.get_subcommands().for_each(|verb| self.collect(verb));
    }

    /// An argument in our words; `None` where it is no option of ours, whatever it is.
    fn spell(&self, argument: &OsStr) -> Option<OsString> {
        let typed = argument.strip_prefix("--")?;
        // A path need not be UTF-8.
        let (name, value) = typed.split_once("=").map_or((typed, None), |(name, value)| (name, Some(value)));
        let name = name.to_str()?.replace('_', "-");
        if let Some((name, is_yes_or_no)) = self.find(&name) {
            let mut spelled = OsString::from(format!("--{name}"));
            if let Some(value) = value {
                spelled.push("=");
                spelled.push(if is_yes_or_no { answer(value) } else { value });
            }
            return Some(spelled);
        }
        let refused = name.strip_prefix("no").map(|name| name.strip_prefix('-').unwrap_or(name))?;
        let (name, _) = self.find(refused).filter(|(_, is_yes_or_no)| *is_yes_or_no && value.is_none())?;
        Some(format!("--{name}=false").into())
    }

    fn find<'a>(&self, name: &'a str) -> Option<(&'a str, bool)> {
        let names = [Some(name), name.strip_prefix("experimental-")];
        names.into_iter().flatten().find_map(|name| Some((name, *self.0.get(name)?)))
    }
}

/// Whether a verb takes whatever comes behind it, as a step its parameters.
fn takes_all(verb: &Command) -> bool {
    verb.get_arguments().any(Arg::is_trailing_var_arg_set)
}

fn is_yes_or_no(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set)
        && option.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
}

/// An answer in the words of Rust, if it is one.
fn answer(value: &OsStr) -> &OsStr {
    match value.to_str() {
        Some("yes" | "1") => OsStr::new("true"),
        Some("no" | "0") => OsStr::new("false"),
        _ => value,
    }
}
