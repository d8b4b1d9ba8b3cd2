//! Lines that a user types in a chat: commands, which begin with `/`, and messages.
//!
//! To add a command, add a row to [`COMMANDS`] and a case in the chat.

use mc_syntax::nearest::nearest;

/// A parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A message for the model.
    Message(String),
    /// Show the commands.
    Help,
    /// Forget the conversation.
    Clear,
    /// Show the system prompt.
    ShowSystem,
    /// Replace the system prompt; remove it if there is no text.
    System(Option<String>),
    /// Answer the last message again.
    Retry,
    /// Turn on or off the tokens per second after each answer.
    Stats,
    /// End the chat.
    Exit,
    /// An empty line.
    Nothing,
    /// An unknown command, with the error to show.
    Unknown(String),
}

/// A command with its help.
struct Command {
    names: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    typed: fn(&str) -> Typed,
}

static COMMANDS: &[Command] = &[
    Command { names: &["/help", "/?"], usage: "/help", help: "Show this list", typed: |_| Typed::Help },
    Command {
        names: &["/clear"],
        usage: "/clear",
        help: "Forget the conversation; the system prompt stays",
        typed: |_| Typed::Clear,
    },
    Command {
        names: &["/system"],
        usage: "/system TEXT",
        help: "Set the system prompt; `/system \"\"` removes it, `/system` shows it",
        typed: system,
    },
    Command {
        names: &["/retry"],
        usage: "/retry",
        help: "Answer the last message again, with the next seed",
        typed: |_| Typed::Retry,
    },
    Command {
        names: &["/stats"],
        usage: "/stats",
        help: "Show tokens per second after each answer, or stop showing them",
        typed: |_| Typed::Stats,
    },
    Command {
        names: &["/exit", "/quit", "/bye"],
        usage: "/exit",
        help: "End the chat; Ctrl-D does, too",
        typed: |_| Typed::Exit,
    },
];

/// The mark before and after a message of several lines.
pub(crate) const MARK: &str = "\"\"\"";

/// Parses a line.
pub(crate) fn read(line: &str) -> Typed {
    let text = line.trim();
    if text.is_empty() {
        return Typed::Nothing;
    }
    // A leading space marks a message that begins with a slash.
    if !line.starts_with('/') {
        return Typed::Message(text.to_owned());
    }
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match COMMANDS.iter().find(|command| command.names.contains(&name)) {
        Some(command) => (command.typed)(rest.trim()),
        None => Typed::Unknown(unknown(name)),
    }
}

/// The commands and keys, as help text.
pub(crate) fn help() -> String {
    let mut rows: Vec<(&str, &str)> = COMMANDS.iter().map(|command| (command.usage, command.help)).collect();
    rows.push((MARK, "Begin and end a message of several lines"));
    rows.push(("Ctrl-C", "Stop the answer; a second one ends the chat"));
    let width = rows.iter().map(|(usage, _)| usage.len()).max().unwrap_or_default();
    rows.iter().map(|(usage, help)| format!("  {usage:<width$}  {help}\n")).collect()
}

fn system(text: &str) -> Typed {
    match text {
        "" => Typed::ShowSystem,
        "\"\"" => Typed::System(None),
        text => Typed::System(Some(text.to_owned())),
    }
}

fn unknown(name: &str) -> String {
    let known = COMMANDS.iter().flat_map(|command| command.names).copied();
    let advice = match nearest(name, known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "`/help` lists the commands".to_owned(),
    };
    format!("`{name}` is not a command. {advice} A space before the slash makes it a message.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_a_command() {
        assert_eq!(read("  find a charger "), Typed::Message("find a charger".to_owned()));
        assert_eq!(read(" /etc/hosts"), Typed::Message("/etc/hosts".to_owned()));
        assert_eq!([read(""), read(" \t")], [Typed::Nothing, Typed::Nothing]);
        assert_eq!(["/exit", "/quit", "/bye "].map(read), [Typed::Exit, Typed::Exit, Typed::Exit]);
        assert_eq!(read("/system  Be brief. "), Typed::System(Some("Be brief.".to_owned())));
        assert_eq!([read("/system"), read("/system \"\"")], [Typed::ShowSystem, Typed::System(None)]);
    }

    #[test]
    fn an_unknown_command_suggests_the_nearest() {
        let Typed::Unknown(message) = read("/claer now") else { panic!("there is no such command") };
        assert_eq!(
            message,
            "`/claer` is not a command. Did you mean `/clear`? A space before the slash makes it a message."
        );
    }
}
