//! A chat on a typical terminal: editing, history, and interrupts.

use std::fs;

use crate::pty::Terminal;
use crate::sandbox::{Sandbox, Template};

/// Starts a chat with the demo model and these extra arguments, and waits for its first prompt.
fn begin(sandbox: &Sandbox, arguments: &[&str]) -> Terminal {
    let file = sandbox.dir().join("model.gguf");
    fs::write(&file, &Template::get().gguf_files[0].1).unwrap();
    let mut command = sandbox.command(&[&["run", file.to_str().unwrap()], arguments].concat());
    command.env("TERM", "xterm-256color");
    let terminal = Terminal::start(command, 80, 24);
    prompted(&terminal, 1);
    terminal
}

/// Waits until the chat has prompted the user `n_times` times.
#[track_caller]
fn prompted(terminal: &Terminal, n_times: usize) {
    // Each prompt turns bracketed paste on.
    terminal.wait_until(|output| output.matches("\u{1b}[?2004h").count() >= n_times);
}

#[test]
fn a_line_can_be_edited_and_recalled_from_history() {
    let sandbox = Sandbox::new();
    let mut terminal = begin(&sandbox, &[]);
    // Deletes two extra letters, then moves the cursor to the beginning.
    terminal.type_keys("heplxx\u{7f}\u{7f}\u{1}/\r");
    terminal.wait_until(|output| output.contains("`/hepl` is not a command. Did you mean `/help`?"));
    prompted(&terminal, 2);
    // Recalls the previous line.
    terminal.type_keys("\u{1b}[A\r");
    terminal.wait_until(|output| output.matches("`/hepl` is not a command").count() == 2);
    prompted(&terminal, 3);
    terminal.type_keys("\u{4}");
    assert_eq!(terminal.end().code, Some(0));
}

#[test]
fn an_interrupt_stops_the_answer_and_a_second_one_ends_the_chat() {
    let sandbox = Sandbox::new();
    let mut terminal = begin(&sandbox, &["--ignore-end", "--max-tokens", "1000000"]);
    terminal.type_keys("find a charger\r");
    terminal.wait_until(|output| output.rsplit("charger").next().unwrap().len() > 200);
    terminal.type_keys("\u{3}");
    terminal.wait_until(|output| output.contains("(stopped; press Ctrl-C again to end the chat)"));
    prompted(&terminal, 2);
    terminal.type_keys("\u{3}");
    assert_eq!(terminal.end().code, Some(8));
}

#[test]
fn without_an_answer_two_interrupts_end_the_chat() {
    let sandbox = Sandbox::new();
    let mut terminal = begin(&sandbox, &[]);
    terminal.type_keys("half a line\u{3}");
    terminal.wait_until(|output| output.contains("Press Ctrl-C again to end the chat."));
    prompted(&terminal, 2);
    // A line between two interrupts resets the count.
    terminal.type_keys("/stats\r");
    prompted(&terminal, 3);
    terminal.type_keys("\u{3}");
    prompted(&terminal, 4);
    terminal.type_keys("\u{3}");
    assert_eq!(terminal.end().code, Some(8));
}

#[test]
fn an_answer_says_when_the_context_is_full() {
    let sandbox = Sandbox::new();
    let mut terminal = begin(&sandbox, &["--ignore-end", "--max-tokens", "1000000"]);
    terminal.type_keys("find a charger\r");
    terminal.wait_until(|output| {
        output.contains("(stopped: the context of the model is full; /clear starts over)")
    });
    prompted(&terminal, 2);
    // A pasted message that does not fit is rejected; after `/clear`, messages fit again.
    terminal.type_keys(&format!("\u{1b}[200~{}\u{1b}[201~\r", "and a lake ".repeat(400)));
    terminal.wait_until(|output| output.contains(" tokens; the context of the model has "));
    prompted(&terminal, 3);
    terminal.type_keys("/clear\r");
    prompted(&terminal, 4);
    terminal.type_keys("/exit\r");
    assert_eq!(terminal.end().code, Some(0));
}

#[test]
fn without_a_terminal_an_empty_stdin_is_an_error() {
    let sandbox = Sandbox::new();
    let file = sandbox.dir().join("model.gguf");
    fs::write(&file, &Template::get().gguf_files[0].1).unwrap();
    // Stdin is empty and not a terminal.
    let ran = sandbox.mc(&["run", file.to_str().unwrap()]).exits(2);
    assert!(ran.stderr.contains("There is no prompt: stdin is empty"), "{}", ran.stderr);
}
