//! `mc help`: the help of a verb, or of a topic that several verbs share.

use clap::{Args, Command};
use mc_syntax::nearest::nearest;
use mc_syntax::terminal::Markup;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::help::form::markup;
use crate::help::topics;
use crate::invocation::Invocation;
use crate::report::Report;
use crate::verb::Run;

/// Show help for a verb or a topic
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc help build     the verb `build`, and the options for builds\n  mc help remote    \
                         the options for the remote cache\n  mc help labels    how targets are named"
)]
pub(crate) struct Help {
    /// Verb such as `build` or `cache stats`, or topic such as `remote`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Run for Help {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let mut command = (invocation.command)();
        let topic = match self.names.as_slice() {
            [name] => topics::by_name(name),
            _ => None,
        };
        let options = topic.map(|topic| topic.page(&command));
        command.build();
        let verb =
            self.names.iter().try_fold(&mut command, |command, name| command.find_subcommand_mut(name));
        let help = verb.map(|verb| markup(&verb.render_help()));
        if help.is_none() && options.is_none() {
            return Err(self.unknown(invocation).into());
        }
        let mut page = Markup::default();
        for (number, part) in help.into_iter().chain(options).enumerate() {
            if number > 0 {
                page.text("\n");
            }
            page.append(part);
        }
        invocation.streams.result_markup(&page);
        Ok(Exit::Done)
    }
}

impl Help {
    fn unknown(&self, invocation: &Invocation) -> Report {
        let command = (invocation.command)();
        let topics: Vec<&str> = topics::TOPICS.iter().map(|topic| topic.name).collect();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name);
        let name = self.names.join(" ");
        let near = nearest(&name, verbs.chain(topics.iter().copied()));
        let list = || format!("The topics are {}; `mc -h` lists the verbs", topics.join(", "));
        let help = near.map_or_else(list, |near| format!("Did you mean `mc help {near}`?"));
        Report::usage(format!("There is no verb or help topic `{name}`")).hint(help)
    }
}
