//! `mc completions`: a script that teaches a shell our verbs and options.

use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::Run;

/// Print a script that completes mc's verbs and options in a shell
#[derive(Args)]
#[command(after_help = "Example: mc completions bash > ~/.local/share/bash-completion/completions/mc")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Run for Completions {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        // Through memory, because the generator panics when its writer fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut (invocation.command)(), "mc", &mut script);
        invocation.streams.result(&String::from_utf8_lossy(&script));
        Ok(Exit::Done)
    }
}
