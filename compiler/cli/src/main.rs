//! The `mc` binary: it reads the command line, joins rules, analysis, executor and store, and shows what happens.
//!
//! Nothing else prints, reads the environment or knows the terminal.

mod command;
mod duration;
mod exit;
mod failure;
mod interrupt;
mod invocation;
mod options;
mod panic;
mod render;
mod report;
mod signals;
mod spelling;
mod streams;
mod verbs;
mod wire;
mod workspace;

fn main() -> std::process::ExitCode {
    command::main().into()
}
