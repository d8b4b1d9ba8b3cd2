//! The only output of the process: results to stdout, everything else to stderr.
//!
//! All output goes through [`mc_syntax::terminal`], so that no foreign text (names, messages of servers, a model's
//! answer) can control the terminal. This applies to files and pipes too, because their content often ends up on a
//! terminal (`mc … | less`); exact texts are in JSON, whose strings hold the same characters as `\u` escapes.
//!
//! A reader that closes stdout (`mc query //... | head`) is not an error; any other write error is kept and reported at
//! the end. No other module prints.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mc_syntax::terminal::{Markup, escaped, is_steering};

use crate::live::{self, TerminalSize};
use crate::options::environment::variable;
use crate::options::global::{Color, GlobalOptions};

/// Stderr, with the frame that may be drawn on it.
struct Messages {
    writer: Box<dyn Write + Send>,
    has_frame: bool,
}

/// Stdout and stderr, with the form of output that each accepts.
pub(crate) struct Streams {
    stdout: Mutex<Box<dyn Write + Send>>,
    stderr: Mutex<Messages>,
    is_closed: AtomicBool,
    failure: Mutex<Option<io::Error>>,
    is_quiet: bool,
    /// Maximum columns of results; `None` if unlimited.
    width: Option<usize>,
    /// True if results may be colored.
    is_out_colored: bool,
    /// True if messages may be colored.
    is_err_colored: bool,
    /// True if messages go to a terminal that supports progress bars.
    pub(crate) is_live: bool,
}

impl Streams {
    /// The process's own streams.
    pub(crate) fn of_process(options: &GlobalOptions) -> Self {
        // Progress bars are control codes too, so an option against colors also turns them off.
        let is_live = io::stderr().is_terminal()
            && options.color != Color::Never
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            stdout: Mutex::new(Box::new(io::BufWriter::new(io::stdout()))),
            stderr: Mutex::new(Messages { writer: Box::new(io::stderr()), has_frame: false }),
            is_closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            is_quiet: options.quiet,
            width: width(),
            is_out_colored: is_colored(options.color, io::stdout().is_terminal(), variable),
            is_err_colored: is_colored(options.color, io::stderr().is_terminal(), variable),
            is_live,
        }
    }

    /// Writes a part of the result.
    pub(crate) fn result(&self, text: &str) {
        self.write_result(&escaped(text));
    }

    /// Writes a part of the result, with colors if they are enabled.
    pub(crate) fn result_markup(&self, markup: &Markup) {
        self.write_result(&markup.show(self.is_out_colored));
    }

    /// Writes a JSON document. Escapes control characters as JSON does, so that readers get the originals back.
    pub(crate) fn json(&self, document: &str) {
        self.write_result(&json_escaped(document));
    }

    fn write_result(&self, shown: &str) {
        if self.is_closed() {
            return;
        }
        // Both streams may go to the same terminal.
        self.erase();
        let written = lock(&self.stdout).write_all(shown.as_bytes());
        self.check(written);
    }

    /// Flushes everything written so far.
    pub(crate) fn flush(&self) {
        let flushed = lock(&self.stdout).flush();
        self.check(flushed);
    }

    /// Returns true if the reader of the result closed its end.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Maximum columns of a line of a result; `None` in files and pipes, unless `COLUMNS` is set.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Returns true if the user wants results and errors only.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Writes progress or advice; nothing with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.error(text);
        }
    }

    /// Writes an error or a warning.
    pub(crate) fn error(&self, text: &str) {
        self.write_error(&escaped(text));
    }

    /// Writes an error or a warning, with colors if they are enabled.
    pub(crate) fn error_markup(&self, markup: &Markup) {
        self.write_error(&markup.show(self.is_err_colored));
    }

    fn write_error(&self, shown: &str) {
        let mut messages = lock(&self.stderr);
        messages.erase();
        // If stderr is closed, the error cannot be reported anywhere.
        drop(messages.writer.write_all(shown.as_bytes()));
    }

    /// The part of the terminal for frames; `None` if there is no terminal, or frames are off. The last column stays
    /// free, because terminals differ in the cursor's position after a full line.
    pub(crate) fn terminal_size(&self) -> Option<TerminalSize> {
        // Size for a terminal that does not report its own.
        const USUAL: TerminalSize = TerminalSize { n_columns: 80, n_rows: 24 };
        self.is_live.then(|| {
            let size = terminal_size::terminal_size_of(io::stderr());
            let size = size.map_or(USUAL, |(width, height)| TerminalSize {
                n_columns: width.0.into(),
                n_rows: height.0.into(),
            });
            TerminalSize { n_columns: size.n_columns.saturating_sub(1), ..size }
        })
    }

    /// Draws a frame in place of the previous one. The next output replaces it.
    pub(crate) fn draw(&self, lines: &[String]) {
        if self.is_quiet {
            return;
        }
        let mut messages = lock(&self.stderr);
        messages.has_frame = true;
        live::note(true);
        drop(messages.writer.write_all(live::drawn(lines).as_bytes()));
    }

    /// Erases the frame from the terminal, if there is one.
    pub(crate) fn erase(&self) {
        lock(&self.stderr).erase();
    }

    /// Ends the result; returns the error if it could not be written, unless the reader closed its end.
    pub(crate) fn finish(&self) -> Result<(), io::Error> {
        self.flush();
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    fn check(&self, written: io::Result<()>) {
        if let Err(error) = written {
            self.is_closed.store(true, Ordering::Relaxed);
            if error.kind() != io::ErrorKind::BrokenPipe {
                lock(&self.failure).get_or_insert(error);
            }
        }
    }
}

impl Messages {
    fn erase(&mut self) {
        if std::mem::take(&mut self.has_frame) {
            live::note(false);
            drop(self.writer.write_all(live::ERASE.as_bytes()));
        }
    }
}

// A writer stays valid after a panic in another thread.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The document with every control character as `\uXXXX`, as surrogate pairs beyond 16 bits. JSON has control
/// characters only in strings.
fn json_escaped(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        if is_steering(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The width of the terminal for results, else that of `COLUMNS`.
fn width() -> Option<usize> {
    if io::stdout().is_terminal() {
        let (terminal_size::Width(n_columns), _) = terminal_size::terminal_size_of(io::stdout())?;
        return Some(n_columns.into());
    }
    variable("COLUMNS")?.parse().ok().filter(|&n_columns| n_columns > 0)
}

/// Decides whether a stream is colored.
///
/// `NO_COLOR` (if not empty, <https://no-color.org>) takes precedence over `CLICOLOR_FORCE` and `CLICOLOR`
/// (<https://bixense.com/clicolors>); for these two, `0` and the empty value mean no.
fn is_colored(color: Color, is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if variable("NO_COLOR").is_some() => false,
        Color::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Color::Auto => is_terminal && variable("CLICOLOR").is_none_or(|value| value != "0"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;

    /// Captures the output, for tests.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn streams(stdout: impl Write + Send + 'static, stderr: Captured, is_quiet: bool) -> Streams {
        Streams {
            stdout: Mutex::new(Box::new(stdout)),
            stderr: Mutex::new(Messages { writer: Box::new(stderr), has_frame: false }),
            is_closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            is_quiet,
            width: None,
            is_out_colored: false,
            is_err_colored: true,
            is_live: false,
        }
    }

    #[test]
    fn a_closed_reader_is_not_an_error() {
        let streams = streams(Broken(io::ErrorKind::BrokenPipe), Captured::default(), false);
        streams.result("a");
        assert!(streams.is_closed());
        assert!(streams.finish().is_ok());
    }

    #[test]
    fn variables_turn_colors_on_and_off() {
        let is_colored = |color, is_terminal, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            };
            super::is_colored(color, is_terminal, variable)
        };
        assert!(is_colored(Color::Auto, true, &[]) && !is_colored(Color::Auto, false, &[]));
        assert!(!is_colored(Color::Auto, true, &[("NO_COLOR", "1")]));
        assert!(!is_colored(Color::Auto, true, &[("CLICOLOR", "0")]));
        assert!(is_colored(Color::Auto, true, &[("CLICOLOR", "1")]));
        assert!(is_colored(Color::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(is_colored(Color::Auto, false, &[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")]));
        assert!(!is_colored(Color::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!is_colored(Color::Auto, true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(is_colored(Color::Always, false, &[("NO_COLOR", "1")]));
        assert!(!is_colored(Color::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn a_full_disk_is_reported() {
        let streams = streams(Broken(io::ErrorKind::StorageFull), Captured::default(), false);
        streams.result("a");
        assert!(streams.finish().is_err());
    }

    #[test]
    fn output_cannot_control_the_terminal() {
        let [stdout, stderr] = [Captured::default(), Captured::default()];
        let streams = streams(stdout.clone(), stderr.clone(), false);
        let hostile = "a\u{1b}[2J\u{202e}\u{9b}1m\u{e0041}\r\nb\té";
        let mut markup = Markup::default();
        markup.text(hostile);
        streams.result(hostile);
        streams.result_markup(&markup);
        streams.note(hostile);
        streams.error(hostile);
        streams.error_markup(&markup);
        let shown = "a\\u{1b}[2J\\u{202e}\\u{9b}1m\\u{e0041}\\r\nb\té";
        assert_eq!((stdout.text(), stderr.text()), (shown.repeat(2), shown.repeat(3)));
    }

    #[test]
    fn json_reads_back_unchanged_and_cannot_control_the_terminal() {
        let stdout = Captured::default();
        let hostile = "a\u{1b}[2J\u{202e}\u{9b}1m\u{e0041}\r\nb\té";
        streams(stdout.clone(), Captured::default(), false).json(&serde_json::json!([hostile]).to_string());
        assert!(!stdout.text().chars().any(is_steering), "{}", stdout.text());
        let read: Vec<String> = serde_json::from_str(&stdout.text()).unwrap();
        assert_eq!(read, [hostile]);
    }

    #[test]
    fn quiet_hides_notes_and_not_errors() {
        let stderr = Captured::default();
        let streams = streams(io::sink(), stderr.clone(), true);
        streams.note("note\n");
        streams.error("error\n");
        assert_eq!(stderr.text(), "error\n");
    }
}
