//! The command line: reads it, runs its verb, and turns every end into an exit code.

use std::ffi::OsString;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use mc_rules::inference::backends;
use mc_syntax::terminal::{Markup, printable};
use serde_json::json;

use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::options::global::GlobalOptions;
use crate::panic;
use crate::render::failure;
use crate::report::Report;
use crate::signals;
use crate::spelling;
use crate::streams::Streams;
use crate::verbs::Verb;

/// A build system for models that ship on devices.
#[derive(Parser)]
#[command(name = "mc", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong declaration or command line, 3 a gate failed, \
                        4 no gates to test, 8 interrupted, 37 a bug in mc"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    options: GlobalOptions,
    #[command(subcommand)]
    verb: Verb,
}

/// Runs `mc` on the process's arguments.
pub(crate) fn main() -> Exit {
    signals::prepare();
    let streams = Arc::new(Streams::of_process(&GlobalOptions::default()));
    panic::guard(&streams, start)
}

fn start() -> Exit {
    let arguments = spelling::declared(&Cli::command(), std::env::args_os());
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let streams = Arc::new(Streams::of_process(&cli.options));
            panic::guard(&streams, || run(cli, &streams))
        }
        Err(error) => explain(&error, &arguments),
    }
}

/// The error as it can be shown. Clap quotes arguments among its own codes for colors, so it reads them once more with
/// every steering character escaped; should they be right then, the error is shown without colors.
fn reported(error: &clap::Error, arguments: &[OsString]) -> Markup {
    let shown = arguments.iter().map(|argument| printable(&argument.to_string_lossy()).into_owned());
    match Cli::try_parse_from(shown) {
        Err(error) => Markup::of_colored(&error.render().ansi().to_string()),
        Ok(_) => error.to_string().into(),
    }
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
    let invocation = Invocation { options: cli.options, streams: Arc::clone(streams), command: Cli::command };
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

/// Help and version are results; everything else is a wrong command line.
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

/// Returns true if the command line asks for JSON, as far as it can be read although something in it is wrong.
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

/// Clap's paragraphs as a report: the first says what is wrong, tips say what to do; the usage is for people.
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

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        for arguments in [["mc", "--jobs", "2", "clean"], ["mc", "clean", "--jobs", "2"]] {
            let cli = Cli::try_parse_from(arguments).unwrap();
            assert_eq!(cli.options.n_jobs(), 2);
        }
    }

    fn spelled(arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(OsString::from);
        let spelled = spelling::declared(&Cli::command(), arguments);
        spelled.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn options_of_bazels_users_are_ours() {
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
    fn everything_else_stays_as_it_was_typed() {
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
}
