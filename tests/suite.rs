//! The literate suite: each page of `tests/suite/*.md` is a manual and a test, and so are pages of the manual that a
//! reader follows from top to bottom ([`MANUAL_PAGES`]).
//!
//! A page is Markdown. Some kinds of fenced blocks matter; everything else is prose:
//!
//! * ```` ```kdl models/package.kdl ```` (any language, then a path) writes that file into the page's workspace;
//! * ```` ```console ```` holds commands after `$ `, each followed by exactly what it writes to stdout and stderr, and by
//!   `[exit N]` when it does not end with 0;
//! * ```` ```terminal ```` holds one command that runs at a terminal, followed by exactly what a user sees there; what
//!   stands behind the prompts `> ` and `... ` is typed;
//! * a block without a path is an illustration.
//!
//! Each page has a workspace and a store of its own. The workspace holds a toy checkpoint in `models/toy` and a toy
//! adapter in `models/toy-adapter` (see [`toy`]). One step runs at a time, so that lines come in one order. Paths,
//! times and digests are written as `$WORKSPACE`, `(… s)` and `<hash>`.
//!
//! `UPDATE_SUITE=1 cargo test -p mc --test suite` writes what came out into the pages; read the difference before you
//! commit it.

#[path = "suite/command.rs"]
mod command;
#[path = "suite/manual.rs"]
mod manual;
#[path = "suite/page.rs"]
mod page;
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
#[path = "terminal/pty.rs"]
mod pty;
#[path = "suite/sandbox.rs"]
mod sandbox;
#[path = "suite/schema.rs"]
mod schema;
#[path = "suite/steady.rs"]
mod steady;
#[path = "suite/toy.rs"]
mod toy;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use page::{Page, Piece};
use sandbox::Sandbox;

/// Pages below `docs/` that run as they stand.
const MANUAL_PAGES: [&str; 3] = ["getting-started.md", "skill/SKILL.md", "troubleshooting.md"];

/// Every page, those that take longest first.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let suite = fs::read_dir(root.join("tests/suite")).unwrap().map(|entry| entry.unwrap().path());
    let mut suite: Vec<PathBuf> = suite.filter(is_page).collect();
    suite.sort();
    assert!(!suite.is_empty(), "There are no pages in `tests/suite`");
    MANUAL_PAGES.iter().map(|page| root.join("docs").join(page)).chain(suite).collect()
}

#[test]
fn every_page_says_what_happens() {
    let pages = pages();
    let n_threads = thread::available_parallelism().map_or(1, Into::into);
    let queue = Mutex::new(pages.into_iter());
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                while let Some(path) = next(&queue) {
                    let report = run(&path);
                    reports.lock().unwrap().extend(report);
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap();
    reports.sort();
    assert!(
        reports.is_empty(),
        "{}\n{} differences; `UPDATE_SUITE=1` writes them into the pages",
        reports.join("\n"),
        reports.len()
    );
}

fn next(queue: &Mutex<impl Iterator<Item = PathBuf>>) -> Option<PathBuf> {
    queue.lock().unwrap().next()
}

/// Runs a page and gives its differences, or writes them into it.
fn run(path: &Path) -> Vec<String> {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let name = Path::new(folder).join(path.file_name().unwrap_or_default()).display().to_string();
    let text = fs::read_to_string(path).unwrap();
    let mut page = match Page::parse(&text) {
        Ok(page) => page,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let sandbox = Sandbox::new();
    let mut differences = Vec::new();
    for piece in &mut page.pieces {
        match piece {
            Piece::Prose(_) => {}
            Piece::File { path, text, .. } => sandbox.write(path, text),
            Piece::Terminal(step) => {
                let found = sandbox.at_terminal(&step.command, &step.expected);
                if found != step.expected {
                    differences.push(difference(&name, step, &found));
                    step.expected = found;
                }
            }
            Piece::Console(steps) => {
                for step in steps {
                    let found = sandbox.run(&step.command);
                    if found != step.expected {
                        differences.push(difference(&name, step, &found));
                        step.expected = found;
                    }
                }
            }
        }
    }
    if differences.is_empty() || std::env::var_os("UPDATE_SUITE").is_none() {
        return differences;
    }
    fs::write(path, page.text()).unwrap();
    Vec::new()
}

/// The lines that differ, without those that agree before and after them.
fn difference(name: &str, step: &page::Step, found: &str) -> String {
    let expected: Vec<&str> = step.expected.lines().collect();
    let found: Vec<&str> = found.lines().collect();
    let n_before = expected.iter().zip(&found).take_while(|(left, right)| left == right).count();
    let n_after = expected[n_before..]
        .iter()
        .rev()
        .zip(found[n_before..].iter().rev())
        .take_while(|(left, right)| left == right)
        .count();
    let mut text = format!("{name}:{}: $ {}\n", step.line + n_before, step.command);
    for line in &expected[n_before..expected.len() - n_after] {
        text.push_str(&format!("  - {line}\n"));
    }
    for line in &found[n_before..found.len() - n_after] {
        text.push_str(&format!("  + {line}\n"));
    }
    text
}
