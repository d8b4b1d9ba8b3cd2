//! The command line: parses it, runs its verb, and maps every outcome to an exit code.

use std::ffi::OsString;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches, Parser};
use mc_rules::evaluate::runtime::tools;
use mc_rules::inference::backends;
use mc_syntax::terminal::{Markup, printable};
use serde_json::json;

use crate::exit::Exit;
use crate::help;
use crate::invocation::Invocation;
use crate::options::global::GlobalOptions;
use crate::panic;
use crate::render::failure;
use crate::report::Report;
use crate::signals;
use crate::spelling;
use crate::streams::Streams;
use crate::verbs::Verb;

/// A compiler and build system for language models that ship on devices
#[derive(Parser)]
#[command(name = "mc", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    before_help = "Examples:\n  mc build //models:app    build a target\n  mc check                 report every error in \
                         the declarations"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    options: GlobalOptions,
    #[command(subcommand)]
    verb: Verb,
}

/// The command line, with help in the form of [`crate::help`].
pub(crate) fn command() -> Command {
    help::shaped(Cli::command())
}

fn parsed(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Runs `mc` on the process's arguments.
pub(crate) fn main() -> Exit {
    signals::prepare();
    let streams = Arc::new(Streams::of_process(&GlobalOptions::default()));
    panic::guard(&streams, start)
}

fn start() -> Exit {
    let arguments = spelling::declared(&Cli::command(), std::env::args_os());
    match parsed(&arguments) {
        Ok(cli) => {
            let streams = Arc::new(Streams::of_process(&cli.options));
            panic::guard(&streams, || run(cli, &streams))
        }
        Err(error) => explain(&error, &arguments),
    }
}

/// The error as it can be shown. Clap writes arguments between its own color codes, so this parses the command line
/// again with control characters escaped. If the escaped arguments parse, returns the error without colors.
fn reported(error: &clap::Error, arguments: &[OsString]) -> Markup {
    let shown = arguments.iter().map(|argument| printable(&argument.to_string_lossy()).into_owned());
    match parsed(shown) {
        Err(error) => Markup::of_colored(&with_our_word(&error.render().ansi().to_string())),
        Ok(_) => with_our_word(&error.to_string()).into(),
    }
}

/// Replaces clap's `tip:` with `help:`, the word of all other advice.
fn with_our_word(text: &str) -> String {
    let is_advice = |line: &str| {
        let plain = line.trim_start_matches(|c: char| {
            c == ' ' || c == '\u{1b}' || c == '[' || c.is_ascii_digit() || c == 'm' || c == ';'
        });
        plain.starts_with("tip:")
    };
    let word = |line: &str| if is_advice(line) { line.replacen("tip:", "help:", 1) } else { line.to_owned() };
    text.split('\n').map(word).collect::<Vec<_>>().join("\n")
}

fn run(cli: Cli, streams: &Arc<Streams>) -> Exit {
    if let Some(path) = cli.options.cpu_path {
        let is_first = path.choose();
        debug_assert!(is_first, "nothing has computed yet");
    }
    if let Some(name) = &cli.options.backend {
        let is_known = backends::choose(name);
        debug_assert!(is_known, "the option takes known names only");
    }
    if let Some(python) = &cli.options.runtime_python {
        let is_first = tools::choose(python);
        debug_assert!(is_first, "nothing was analyzed yet");
    }
    let invocation = Invocation { options: cli.options, streams: Arc::clone(streams), command };
    if let Some(format) =
        invocation.options.output.of_queries().filter(|_| !matches!(cli.verb, Verb::Query(_)))
    {
        let report = Report::usage(format!("`--output {format}` is for `mc query`"));
        invocation.error(&report.hint("Write `--output text` or `--output json`"));
        return Exit::Declaration;
    }
    let exit = match cli.verb.run(&invocation) {
        Ok(exit) => exit,
        Err(failure) => failure::tell(&invocation, failure),
    };
    match streams.finish() {
        Ok(()) => exit,
        Err(error) => {
            invocation.error(&Report::failed("Cannot write the result to stdout").because(error));
            exit.max(Exit::Failed)
        }
    }
}

/// Prints help and version as results, and everything else as an error in the command line.
fn explain(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let streams = Streams::of_process(&GlobalOptions::default());
    let text = reported(error, arguments);
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        streams.result_markup(&text);
        return if streams.finish().is_ok() { Exit::Done } else { Exit::Failed };
    }
    if wants_json(arguments) {
        let report = usage_report(&error_text(error, arguments));
        let document = json!({ "status": Exit::Declaration.word(), "errors": [report.json()] });
        streams.json(&format!("{document:#}\n"));
        return if streams.finish().is_ok() { Exit::Declaration } else { Exit::Failed };
    }
    streams.error_markup(&text);
    Exit::Declaration
}

/// Returns true if the command line selects JSON, read leniently because it contains an error.
fn wants_json(arguments: &[OsString]) -> bool {
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--").peekable();
    let mut is_json = false;
    while let Some(argument) = arguments.next() {
        if argument == "--output" {
            is_json = arguments.peek().is_some_and(|format| *format == "json");
        } else if let Some(format) = argument.to_str().and_then(|argument| argument.strip_prefix("--output="))
        {
            is_json = format == "json";
        }
    }
    is_json
}

/// The error as plain text.
fn error_text(error: &clap::Error, arguments: &[OsString]) -> String {
    let shown = arguments.iter().map(|argument| printable(&argument.to_string_lossy()).into_owned());
    match Cli::try_parse_from(shown) {
        Err(error) => error.render().to_string(),
        Ok(_) => error.to_string(),
    }
}

/// Turns clap's paragraphs into a report: the first is the error, tips are help; the usage is for people only.
fn usage_report(text: &str) -> Report {
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let what = paragraphs.next().unwrap_or_default();
    let report = Report::usage(what.strip_prefix("error: ").unwrap_or(what));
    let tips: Vec<&str> = paragraphs.filter_map(|paragraph| paragraph.strip_prefix("tip: ")).collect();
    if tips.is_empty() { report } else { report.hint(tips.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help::form::COMMON;
    use crate::help::topics;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn global_options_are_accepted_before_and_after_the_verb() {
        for arguments in [["mc", "--jobs", "2", "clean"], ["mc", "clean", "--jobs", "2"]] {
            let cli = parsed(arguments).unwrap();
            assert_eq!(cli.options.n_jobs(), 2);
        }
    }

    fn spelled(arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(OsString::from);
        let spelled = spelling::declared(&Cli::command(), arguments);
        spelled.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn bazel_spellings_of_options_are_accepted() {
        for (typed, ours) in [
            ("--remote_cache=grpc://a_b", "--remote-cache=grpc://a_b"),
            ("--remote_header", "--remote-header"),
            ("--keep_going", "--keep-going"),
            ("--disk_cache=/a_b", "--disk-cache=/a_b"),
            ("--noremote_accept_cached", "--remote-accept-cached=false"),
            ("--no-remote-accept-cached", "--remote-accept-cached=false"),
            ("--remote_accept_cached=no", "--remote-accept-cached=false"),
            ("--remote_accept_cached=1", "--remote-accept-cached=true"),
            ("--remote_retries=1", "--remote-retries=1"),
            ("--experimental_remote_cache_compression", "--remote-cache-compression"),
            ("--noexperimental_remote_cache_chunking", "--remote-cache-chunking=false"),
            ("--experimental_remote_require_cached=yes", "--remote-require-cached=true"),
        ] {
            assert_eq!(spelled(&[typed]), [ours]);
        }
    }

    #[test]
    fn other_arguments_stay_as_typed() {
        let typed = [
            "mc",
            "//models:a_b",
            "-k",
            "--no_such_option",
            "--nokeep_going",
            "--noremote_cache=x",
            "--noremote_retries",
            "--remote_no_such",
            "--",
            "--remote_cache",
        ];
        assert_eq!(spelled(&typed), typed);
        let step = ["mc", "action", "tensor@2", "--remote_cache=x", "--remote-accept-cached=no"];
        assert_eq!(spelled(&step), step);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_text() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        let [typed, ours] = [&b"--disk_cache=/\xff_"[..], b"--disk-cache=/\xff_"].map(OsStr::from_bytes);
        assert_eq!(spelling::declared(&Cli::command(), std::iter::once(typed.to_owned())), [ours]);
    }

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
    fn every_option_has_help() {
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

    #[test]
    fn every_argument_of_the_table_exists() {
        let command = command();
        for (verb, id, _) in crate::completion::ARGUMENTS {
            let owner = if verb.is_empty() { &command } else { command.find_subcommand(verb).unwrap() };
            assert!(owner.get_arguments().any(|arg| arg.get_id() == id), "{verb} {id}");
        }
    }
}
