//! The `mc` binary: turns the command line into settings, passes them to `mc_driver`, and shows the events and results.
//!
//! No other crate prints, reads the environment or knows the terminal.

mod command;
mod completion;
mod exit;
mod failure;
mod help;
mod interrupt;
mod invocation;
mod live;
mod options;
mod panic;
mod render;
mod report;
mod signals;
mod spelling;
mod streams;
mod verb;
mod verbs;

fn main() -> std::process::ExitCode {
    command::main().into()
}
