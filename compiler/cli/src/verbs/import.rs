//! `mc import`: converts declarations of other tools to KDL.

mod kdl;
mod mergekit;
mod reading;
mod yaml;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mc_files::folder::Folder;
use mc_files::regular;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::path::shown;
use crate::report::Report;
use crate::verb::Run;

/// Larger than any real declaration.
const MAX_BYTES: u64 = 1 << 20;

/// Convert a declaration of another tool to KDL
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc import mergekit merge.yml                           print the KDL\n  mc import mergekit merge.yml --to models/package.kdl   write a new file"
)]
pub(crate) struct Import {
    #[command(subcommand)]
    what: ImportCommand,
}

#[derive(Subcommand)]
enum ImportCommand {
    /// Convert a merge of mergekit
    Mergekit {
        /// YAML file of mergekit
        file: PathBuf,

        /// New file to write, such as models/package.kdl; without it, the KDL is printed
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

impl Run for Import {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let ImportCommand::Mergekit { file, to } = &self.what;
        let text = read(file)?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let file_name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let kdl = mergekit::kdl(&text, &name, &file_name).map_err(|error| {
            let report = Report::usage(format!("Cannot write `{}` as KDL", file.display()));
            let report = report.at(format!("{}:{}", file.display(), error.line)).because(error.what);
            match error.help {
                Some(help) => report.hint(help),
                None => report,
            }
        })?;
        if let Some(to) = to {
            write_new(to, &kdl)?;
        }
        match to {
            _ if invocation.is_json() => {
                let file = to.as_ref().map(|to| shown(to));
                invocation.json(&json!({ "status": Exit::Done.word(), "kdl": kdl, "file": file }));
            }
            Some(to) => invocation.streams.result(&format!("wrote {}\n", to.display())),
            None => invocation.streams.result(&kdl),
        }
        Ok(Exit::Done)
    }
}

fn read(file: &Path) -> Result<String, Report> {
    let reported = |because: &dyn std::fmt::Display| {
        Report::failed(format!("Cannot read `{}`", file.display())).because(because)
    };
    regular::read_text(file, MAX_BYTES).map_err(|error| reported(&error))
}

/// Writes a new file, atomically; fails if the file exists.
fn write_new(file: &Path, text: &str) -> Result<(), Report> {
    let write = || {
        let name = file.file_name().map(Path::new).ok_or(io::ErrorKind::InvalidFilename)?;
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Folder::open(folder.unwrap_or(Path::new(".")))?;
        let unfinished = PathBuf::from(format!(".mc-import-{}", std::process::id()));
        let mut written = folder.create_file(&unfinished, 0o666)?;
        let placed = written
            .write_all(text.as_bytes())
            .and_then(|()| written.sync_all())
            .and_then(|()| folder.rename_new(&unfinished, &folder, name));
        if placed.is_err() {
            // The first error is reported, not this one.
            drop(folder.remove_file(&unfinished));
        }
        placed
    };
    write().map_err(|error| {
        Report::failed(format!("Cannot write `{}`", file.display()))
            .because(error)
            .hint("Existing files are never overwritten: name a new file, or omit `--to` and copy the output")
    })
}
