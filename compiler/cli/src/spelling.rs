//! Accepts options as Bazel spells them: `_` for `-`, `experimental_` before options that are new there, and `--noX`,
//! `--X=no` or `--X=0` for `--X=false`.
//!
//! An option that mc does not know stays as typed, so that the error message quotes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};
use clap_lex::OsStrExt as _;

/// The arguments of a command line, with its options spelled as the command declares them.
pub(crate) fn declared(command: &Command, arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let options = Options::of(command);
    let mut is_behind = false;
    let spell = |argument: OsString| {
        // The arguments from here on are not options of mc.
        is_behind |= argument == "--" || command.find_subcommand(&argument).is_some_and(takes_all);
        if is_behind { None } else { options.spell(&argument) }.unwrap_or(argument)
    };
    arguments.map(spell).collect()
}

/// The long options of a command and its verbs, and whether each takes a boolean value.
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

    /// An argument in mc's spelling; `None` if it is not an option of mc.
    fn spell(&self, argument: &OsStr) -> Option<OsString> {
        let typed = argument.strip_prefix("--")?;
        // A path is not necessarily UTF-8.
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

/// Returns true if a verb accepts arbitrary trailing arguments, such as an action's parameters.
fn takes_all(verb: &Command) -> bool {
    verb.get_arguments().any(Arg::is_trailing_var_arg_set)
}

fn is_yes_or_no(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set)
        && option.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
}

/// A boolean value in Rust's spelling, if it is one.
fn answer(value: &OsStr) -> &OsStr {
    match value.to_str() {
        Some("yes" | "1") => OsStr::new("true"),
        Some("no" | "0") => OsStr::new("false"),
        _ => value,
    }
}
