//! `mc completions`: scripts that make a shell complete verbs, options, labels, queries and hashes.
//!
//! The scripts for bash, zsh and fish call `mc complete` at each tab, so they know the declarations of the workspace
//! and need no update with mc. Scripts for other shells are generated and know verbs and options only.

use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::Run;

/// Print the completion script of a shell
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc completions bash > ~/.local/share/bash-completion/completions/mc\n  mc completions zsh > \
                   \"${fpath[1]}/_mc\""
)]
pub(crate) struct Completions {
    /// Shell that the script is for
    shell: Shell,
}

impl Run for Completions {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let script = match self.shell {
            Shell::Bash => include_str!("completions/mc.bash").to_owned(),
            Shell::Zsh => include_str!("completions/mc.zsh").to_owned(),
            Shell::Fish => include_str!("completions/mc.fish").to_owned(),
            other => {
                // Buffered in memory, because the generator panics if its writer fails.
                let mut script = Vec::new();
                clap_complete::generate(other, &mut (invocation.command)(), "mc", &mut script);
                String::from_utf8_lossy(&script).into_owned()
            }
        };
        invocation.streams.result(&script);
        Ok(Exit::Done)
    }
}
