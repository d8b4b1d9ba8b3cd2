//! The commands of the manual: those in `console` blocks of `docs/commands/` run on the demo, in the order of the pages.
//!
//! Blocks that need a server, a terminal, input or a file of the reader are `sh` or `text`; `tests/suite/manual.rs`
//! checks that their commands are valid.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::Sandbox;

/// The command lines of a page, with the page's name.
fn lines(page: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(page).unwrap();
    let name = page.file_name().unwrap().to_string_lossy().into_owned();
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.filter_map(|block| block.strip_prefix("console\n")).flat_map(str::lines);
    lines.filter_map(|line| Some((name.clone(), line.strip_prefix("$ ")?.to_owned()))).collect()
}

/// The arguments of `mc` in a command line, before a comment, a pipe or a redirection.
fn arguments(line: &str) -> Vec<String> {
    let command = [" | ", " # ", " > "].iter().fold(line, |line, end| line.split(end).next().unwrap_or(line));
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in command.trim().chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().expect("there is always a word").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    assert_eq!(words[0], "mc", "{line}");
    words.split_off(1)
}

#[test]
fn every_console_command_of_the_manual_works_on_the_demo() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands");
    let mut pages: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let lines: Vec<(String, String)> = pages.iter().flat_map(|page| lines(page)).collect();
    assert!(lines.len() > 25, "{lines:?}");
    let sandbox = Sandbox::warm();
    for (page, line) in lines {
        let arguments = arguments(&line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = sandbox.mc(&arguments);
        assert_eq!(ran.code, Some(0), "docs/commands/{page}: {line}\n{}", ran.stderr);
    }
}
