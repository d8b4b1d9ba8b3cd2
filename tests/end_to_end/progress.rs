//! Progress of a build: on a terminal that is resized, after an interrupt, and in a log.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::pty::Terminal;
use crate::sandbox::{BUNDLE, GGUF, MINUTES, Sandbox};
use crate::screen_model::Screen;

/// A command for a typical terminal.
fn at_terminal(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    command.env("TERM", "xterm-256color");
    command
}

/// The last frame that was drawn, line by line.
fn last_frame(output: &str) -> Vec<String> {
    let frame = output.rsplit("\r\u{1b}[J").find(|frame| frame.contains("actions"));
    let lines = frame.unwrap_or_default().split("\r\n").map(|line| line.trim_end_matches('\r').to_owned());
    lines.collect()
}

/// Number of bytes up to the last complete terminal code.
fn n_whole(output: &str) -> usize {
    let last = output.rfind('\u{1b}').filter(|at| !output[*at..].contains(['A', 'J', 'm']));
    last.unwrap_or(output.len())
}

#[test]
fn a_build_on_a_terminal_shows_progress_and_leaves_only_its_result() {
    let sandbox = Sandbox::new();
    let terminal = Terminal::start(at_terminal(&sandbox, &["build", GGUF]), 80, 24);
    let mut screen = Screen::new(80, 24);
    let mut n_seen = 0;
    // Sizes as a user drags the corner of the window, in less time than the build takes: its last frame must have been
    // drawn for the last size.
    for (n_columns, n_rows) in
        [(60u16, 24u16), (33, 10), (120, 40), (20, 5), (80, 24)].into_iter().cycle().take(6)
    {
        thread::sleep(Duration::from_millis(60));
        let output = terminal.output();
        let n_whole = n_whole(&output);
        screen.write(&output[n_seen..n_whole]);
        n_seen = n_whole;
        screen.resize(usize::from(n_columns), usize::from(n_rows));
        // Output in transit was drawn for the previous size; `mc` redraws for this one.
        terminal.resize(n_columns, n_rows);
        screen.is_strict = false;
    }
    let ended = terminal.end();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    screen.write(&ended.output[n_seen..]);
    let left = screen.text();
    // A frame has counts and the running actions.
    assert!(ended.output.contains(" %  "), "{}", ended.output);
    assert!(ended.output.contains("tokens  "), "{}", ended.output);
    // Only the summary and the result are left, and no line of a frame.
    assert!(left.starts_with("41 actions: 0 hits, 41 ran"), "{left}");
    assert!(!left.contains('[') && !left.contains(" left"), "{left}");
}

#[test]
fn an_interrupt_on_a_terminal_leaves_at_most_two_lines() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.repeat_evaluation(MINUTES);
    let mut terminal = Terminal::start(at_terminal(&sandbox, &["build", BUNDLE]), 80, 24);
    terminal.wait_until(|output| last_frame(output).iter().any(|line| line.contains("perplexity")));
    terminal.type_keys("\u{3}");
    let ended = terminal.end();
    assert_eq!(ended.code, Some(8), "{}", ended.output);
    let mut screen = Screen::new(80, 24);
    screen.is_strict = false;
    screen.write(&ended.output);
    let left = screen.text();
    let lines: Vec<&str> = left.lines().collect();
    assert!(lines[0].starts_with("interrupted: every action that had finished is kept"), "{left}");
    assert!(lines.len() <= 2, "{left}");
}

#[test]
fn a_second_build_estimates_its_remaining_time() {
    let sandbox = Sandbox::new();
    sandbox.build(&[GGUF]);
    // All actions run again; their durations are still recorded.
    for folder in ["ac", "cas"] {
        std::fs::remove_dir_all(sandbox.cache.join(folder)).unwrap();
    }
    let terminal = Terminal::start(at_terminal(&sandbox, &["build", GGUF]), 80, 24);
    let ended = terminal.end();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains(" left"), "{}", ended.output);
}

#[test]
fn a_log_has_a_line_for_each_target_and_each_slow_action() {
    let sandbox = Sandbox::new();
    let ran = sandbox.mc(&["build", GGUF]).exits(0);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let of_model: Vec<_> = lines.iter().filter(|line| line.starts_with(GGUF)).collect();
    assert_eq!(of_model.len(), 1, "{}", ran.stderr);
    assert!(of_model[0].contains("39 ran (1 gguf, 38 tensor)"), "{}", ran.stderr);
    assert!(lines.len() < 12, "{}", ran.stderr);
}
