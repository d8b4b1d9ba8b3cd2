//! `mc man`: manual pages, generated from the same text as the help.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, roman};
use mc_files::folder::Folder;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::path::shown;
use crate::report::Report;
use crate::verb::Run;

/// Write man pages: one for mc and one for each verb
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc man --out ~/.local/share/man/man1    write mc.1, mc-build.1, …\n  mc man | man -l \
                         -                       read the page of mc"
)]
pub(crate) struct Man {
    /// Folder for the pages; without it, the page of mc is printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Run for Man {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let pages = pages((invocation.command)());
        let Some(out) = &self.out else {
            let (_, page) = pages.into_iter().next().expect("the first page is that of mc");
            invocation.streams.result(&page);
            return Ok(Exit::Done);
        };
        let files: Vec<PathBuf> = pages.iter().map(|(name, _)| out.join(name)).collect();
        write(out, &pages).map_err(|error| {
            Report::failed(format!("Cannot write man pages into `{}`", out.display())).because(error)
        })?;
        if invocation.is_json() {
            let files: Vec<String> = files.iter().map(|file| shown(file)).collect();
            invocation.json(&json!({ "status": Exit::Done.word(), "files": files }));
        } else {
            invocation.streams.result(&format!("wrote {} pages to {}\n", files.len(), out.display()));
        }
        Ok(Exit::Done)
    }
}

/// Each page with its file name; the page of `mc` comes first.
fn pages(command: Command) -> Vec<(String, String)> {
    let version = command.get_version().unwrap_or_default().to_owned();
    // Before the command is built, a verb has only its own options; the common ones are on the page of mc.
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let verbs: Vec<_> = verbs.flat_map(|verb| with_parts(verb, "mc")).collect();
    let verbs =
        verbs.into_iter().map(|(name, verb)| (name, verb.after_help("Options of every verb: see mc(1).")));
    let all = std::iter::once(("mc".to_owned(), command)).chain(verbs);
    all.map(|(name, command)| (format!("{name}.1"), page(&name, command, &version))).collect()
}

/// A verb and its subcommands, each with the name of its page.
fn with_parts(verb: Command, owner: &str) -> Vec<(String, Command)> {
    let name = format!("{owner}-{}", verb.get_name());
    let parts: Vec<_> = verb.get_subcommands().cloned().flat_map(|part| with_parts(part, &name)).collect();
    let verb = verb.display_name(&name).bin_name(name.replace('-', " "));
    std::iter::once((name, verb)).chain(parts).collect()
}

fn page(name: &str, command: Command, version: &str) -> String {
    let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    let mut text = Vec::new();
    let page = Page::new(command).title(name).source(format!("mc {version}")).manual("Manual of mc");
    page.render(&mut text)
        .and_then(|()| section("EXAMPLES", examples.lines().skip(1), &mut text))
        .expect("writing to memory does not fail");
    String::from_utf8_lossy(&text).into_owned()
}

/// A section that keeps its lines unchanged.
fn section<'a>(title: &str, lines: impl Iterator<Item = &'a str>, page: &mut Vec<u8>) -> io::Result<()> {
    let mut section = Roff::new();
    section.control("SH", [title]).control("nf", []);
    lines.for_each(|line| {
        section.text([roman(line)]);
    });
    section.control("fi", []).to_writer(page)
}

/// Writes each page atomically; replaces pages of an earlier version.
fn write(out: &Path, pages: &[(String, String)]) -> io::Result<()> {
    std::fs::create_dir_all(out)?;
    let folder = Folder::open(out)?;
    for (name, text) in pages {
        let unfinished = PathBuf::from(format!(".{name}-{}", std::process::id()));
        let written = folder.create_file(&unfinished, 0o666)?.write_all(text.as_bytes());
        let placed = written.and_then(|()| folder.rename(&unfinished, &folder, Path::new(name)));
        if placed.is_err() {
            // The first error is reported, not this one.
            drop(folder.remove_file(&unfinished));
        }
        placed?;
    }
    Ok(())
}
