//! Reads lines that a user types at a terminal, with editing and the history of this chat.
//!
//! Prompts go to the terminal itself, so that redirected stdout contains only answers.

use std::io;

use rustyline::Editor;
use rustyline::config::{Behavior, BellStyle, Config};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;

use crate::verbs::run::command::MARK;

/// The prompt for a message, and for its further lines.
const PROMPT: &str = "> ";
const FURTHER: &str = "... ";

/// Reads lines from the terminal.
pub(crate) struct Typing(Editor<(), MemHistory>);

/// Result of waiting for a user.
pub(crate) enum Entered {
    /// A line, or several lines between marks.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the terminal was closed.
    End,
}

impl Typing {
    /// Takes over the terminal while a line is read.
    ///
    /// # Errors
    /// If there is no usable terminal.
    pub(crate) fn new() -> io::Result<Self> {
        let config = Config::builder().behavior(Behavior::PreferTerm).bell_style(BellStyle::None).build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::with_history(config, history).map_err(io::Error::other)?;
        Ok(Self(editor))
    }

    /// Reads a line or a message from the user.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub(crate) fn read(&mut self) -> io::Result<Entered> {
        let first = match self.line(PROMPT)? {
            Entered::Line(line) => line,
            other => return Ok(other),
        };
        let Some(begin) = first.trim_start().strip_prefix(MARK) else {
            return Ok(Entered::Line(first));
        };
        let mut text = begin.to_owned();
        while !text.trim_end().ends_with(MARK) {
            match self.line(FURTHER)? {
                Entered::Line(line) => {
                    text.push('\n');
                    text.push_str(&line);
                }
                other => return Ok(other),
            }
        }
        let message = text.trim_end().trim_end_matches(MARK).trim();
        // The leading space keeps a message between marks from being read as a command.
        Ok(Entered::Line(format!(" {message}")))
    }

    fn line(&mut self, prompt: &str) -> io::Result<Entered> {
        match self.0.readline(prompt) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    // A line that cannot be added to the history is only missing there.
                    drop(self.0.add_history_entry(line.as_str()));
                }
                Ok(Entered::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Entered::Interrupt),
            Err(ReadlineError::Eof) => Ok(Entered::End),
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
