//! The workspace and the store of one page, and the commands that a page may run in them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::command::Command;
use crate::pty::Terminal;
use crate::steady::steady;
use crate::toy;

/// Variables that would change what `mc` writes.
const REMOVED: [&str; 7] =
    ["CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "MC_CACHE_DIR", "NO_COLOR", "RUST_BACKTRACE", "XDG_CACHE_HOME"];

/// Prompts behind which a user types.
const PROMPTS: [&str; 2] = ["> ", "... "];

/// A page's own folders, removed with it.
pub(crate) struct Sandbox {
    root: PathBuf,
    cache: PathBuf,
    /// Removes both.
    _folder: TempDir,
}

impl Sandbox {
    /// A workspace with the toys and nothing else.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What `mc` shows has no links in it.
        let real = folder.path().canonicalize().unwrap();
        let sandbox = Self { root: real.join("workspace"), cache: real.join("store"), _folder: folder };
        sandbox.write("workspace.kdl", "workspace \"suite\"\n");
        toy::write_checkpoint(&sandbox.root.join("models/toy"));
        toy::write_adapter(&sandbox.root.join("models/toy-adapter"));
        sandbox
    }

    /// Writes a file of the page.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The text of a file as it is, with its digests.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Runs a command and gives what it writes, with `[exit N]`.
    pub(crate) fn run(&self, line: &str) -> String {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => return format!("{error}\n"),
        };
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let (text, code) = match words.as_slice() {
            ["mc", arguments @ ..] => self.mc(arguments, None),
            [variable, "mc", arguments @ ..] if variable.contains('=') => {
                self.mc(arguments, variable.split_once('='))
            }
            _ => match self.other(&words) {
                Ok(text) => (text, 0),
                Err(error) => (format!("{error}\n"), 1),
            },
        };
        let text = steady(&text, &self.root.to_string_lossy(), &self.cache.to_string_lossy());
        let mut text = command.filter.map_or_else(|| text.clone(), |filter| filter.apply(&text));
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if code != 0 {
            text.push_str(&format!("[exit {code}]\n"));
        }
        text
    }

    /// Runs a command at a terminal without any abilities, and gives what a user sees there, with `[exit N]`.
    ///
    /// * `expected`: what is to be seen; what stands behind prompts in it is typed
    pub(crate) fn at_terminal(&self, line: &str, expected: &str) -> String {
        let words = match Command::parse(line) {
            Ok(command) => command.words,
            Err(error) => return format!("{error}\n"),
        };
        let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let mut command = self.command(&arguments);
        command.env("TERM", "dumb");
        let mut terminal = Terminal::start(command, 80, 24);
        let mut n_seen = 0;
        for line in expected.lines() {
            let Some(prompt) = PROMPTS.iter().find(|prompt| line.starts_with(**prompt)) else { continue };
            terminal.wait_until(|output| output.len() > n_seen && output.ends_with(&format!("\n{prompt}")));
            n_seen = terminal.output().len();
            terminal.type_keys(&format!("{}\r", &line[prompt.len()..]));
        }
        let ended = terminal.end();
        let text = ended.output.replace("\r\n", "\n");
        let text = steady(&text, &self.root.to_string_lossy(), &self.cache.to_string_lossy());
        match ended.code {
            Some(0) => text,
            code => format!("{text}[exit {}]\n", code.unwrap_or(-1)),
        }
    }

    fn command(&self, arguments: &[&str]) -> process::Command {
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_mc"));
        command.current_dir(&self.root).args(["--jobs", "1"]).arg("--cache-dir").arg(&self.cache);
        command.args(arguments);
        for name in REMOVED {
            command.env_remove(name);
        }
        command
    }

    /// Runs `mc`, with one more variable if the line sets one.
    fn mc(&self, arguments: &[&str], variable: Option<(&str, &str)>) -> (String, i32) {
        // One pipe for both streams, so that their lines come in the order in which they were written.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = self.command(arguments);
        command.stdin(Stdio::null());
        command.envs(variable);
        let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        // It holds the writing end, and reading would wait for it.
        drop(command);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        let status = child.wait().unwrap();
        (String::from_utf8_lossy(&bytes).into_owned(), status.code().unwrap_or(-1))
    }

    fn other(&self, words: &[&str]) -> Result<String, String> {
        let reported = |error: std::io::Error| error.to_string();
        match words {
            ["cat", path] => fs::read_to_string(self.root.join(path)).map_err(reported),
            ["ls", path] => list(&self.root.join(path)).map_err(reported),
            ["rm", path] => fs::remove_file(self.root.join(path)).map(quiet).map_err(reported),
            ["rm", "-r", path] => fs::remove_dir_all(self.root.join(path)).map(quiet).map_err(reported),
            ["mv", from, to] => {
                fs::rename(self.root.join(from), self.root.join(to)).map(quiet).map_err(reported)
            }
            ["cp", from, to] => {
                // Bytes only: outputs are read-only, and their copies are there to be changed.
                let bytes = fs::read(self.root.join(from));
                bytes.and_then(|bytes| fs::write(self.root.join(to), bytes)).map(quiet).map_err(reported)
            }
            ["chmod", "+x", path] => executable(&self.root.join(path)).map(quiet).map_err(reported),
            ["touch", path] => touch(&self.root.join(path)).map(quiet).map_err(reported),
            ["truncate", "-s", size, path] => {
                let size = size.parse().map_err(|_| format!("`{size}` is no size"))?;
                let file = File::options().write(true).open(self.root.join(path));
                file.and_then(|file| file.set_len(size)).map(quiet).map_err(reported)
            }
            ["sed", "-i", script, path] => replace(&self.root.join(path), script),
            _ => Err(format!("`{}` is no command of the suite", words.join(" "))),
        }
    }
}

fn quiet((): ()) -> String {
    String::new()
}

fn list(folder: &Path) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(format!("{}\n", entry?.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names.concat())
}

fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn touch(path: &Path) -> std::io::Result<()> {
    File::open(path)?.set_modified(SystemTime::now())
}

/// `s/from/to/`: every occurrence, byte by byte; no patterns.
fn replace(path: &Path, script: &str) -> Result<String, String> {
    let parts: Vec<&str> = script.split('/').collect();
    let ["s", from, to, ""] = parts.as_slice() else {
        return Err(format!("`{script}` is no replacement; expected `s/from/to/`"));
    };
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut n_found = 0;
    let mut rest = bytes.as_slice();
    while let Some(first) = rest.first() {
        if rest.starts_with(from.as_bytes()) {
            replaced.extend_from_slice(to.as_bytes());
            rest = &rest[from.len()..];
            n_found += 1;
        } else {
            replaced.push(*first);
            rest = &rest[1..];
        }
    }
    if n_found == 0 {
        return Err(format!("`{from}` is not in `{}`", path.display()));
    }
    fs::write(path, replaced).map(quiet).map_err(|error| error.to_string())
}
