//! `mc action`: runs one action in the current folder, which holds the action's inputs by position.
//!
//! Workers of the Remote Execution API run this. It needs no workspace, store, server or environment variable. It is
//! not meant for people, who build targets. It reports each output blob in a line `HASH/SIZE NAME`, so that the client
//! knows the digests before it has the blobs.

use std::path::Path;

use clap::Args;
use mc_driver::input_root::InputRoot;
use mc_ir::action::ActionError;
use mc_rules::remote_kinds;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::report::Report;
use crate::verb::Run;

/// Run one action in the current folder, as a worker does
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct Action {
    /// Kind of the action with its version, and its parameters: `tensor@2 --expression=…`
    #[arg(value_name = "KIND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Run for Action {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let (kind, arguments) = self.command.split_first().expect("clap asks for one value at least");
        let parameter = |argument: &String| {
            let named = argument.strip_prefix("--").and_then(|argument| argument.split_once('='));
            named.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| {
                Report::usage(format!("Argument `{argument}` of an action; expected `--NAME=VALUE`"))
            })
        };
        let parameters = arguments.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
        let action = remote_kinds::make(kind, &parameters).map_err(|error| {
            Report::usage("Cannot run this action here")
                .because(error)
                .hint("An action must come from the same version of mc, which otherwise runs it locally")
        })?;
        let root = InputRoot::open(Path::new("."))
            .map_err(|error| Report::failed("Cannot open the folder of the action").because(error))?;
        let done = action.run(&root).and_then(|outputs| root.place(&outputs).map(|()| outputs));
        let outputs = done.map_err(|error| {
            let report = Report::failed(&error).at(kind);
            match error {
                ActionError::Failed { help: Some(help), .. } => report.hint(help),
                _ => report,
            }
        })?;
        for (name, output) in outputs {
            for part in output.parts() {
                invocation.streams.result(&format!("{part} {name}\n"));
            }
        }
        Ok(Exit::Done)
    }
}
