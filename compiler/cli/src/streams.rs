//! The only way out: results to stdout, everything else to stderr.
//!
//! A reader of stdout that goes away (`mc query //... | head`) is no error; any other failure to write is kept and
//! told at the end. No other module prints.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::options::{Color, GlobalOptions};
use crate::render::style::Style;

/// Stdout and stderr, with what may be written to each.
pub(crate) struct Streams {
    stdout: Mutex<Box<dyn Write + Send>>,
    stderr: Mutex<Box<dyn Write + Send>>,
    is_closed: AtomicBool,
    failure: Mutex<Option<io::Error>>,
    is_quiet: bool,
    /// Whether results may be coloured.
    pub(crate) out_style: Style,
    /// Whether messages may be coloured.
    pub(crate) err_style: Style,
    /// Whether messages go to a terminal that can show moving bars.
    pub(crate) is_live: bool,
}

impl Streams {
    /// The process's own streams.
    pub(crate) fn of_process(options: &GlobalOptions) -> Self {
        let err_style = style(options.color, io::stderr().is_terminal());
        // Moving bars are control codes too: whoever wants none gets none.
        let is_live = io::stderr().is_terminal()
            && options.color != Color::Never
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            stdout: Mutex::new(Box::new(io::BufWriter::new(io::stdout()))),
            stderr: Mutex::new(Box::new(io::stderr())),
            is_closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            is_quiet: options.quiet,
            out_style: style(options.color, io::stdout().is_terminal()),
            err_style,
            is_live,
        }
    }

    /// Writes a part of the result.
    pub(crate) fn result(&self, text: &str) {
        if self.is_closed() {
            return;
        }
        let written = lock(&self.stdout).write_all(text.as_bytes());
        self.check(written);
    }

    /// Brings what was written so far to the reader.
    pub(crate) fn flush(&self) {
        let flushed = lock(&self.stdout).flush();
        self.check(flushed);
    }

    /// Whether nobody reads the result any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Whether the user wants to see only results and errors.
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
        // When stderr is gone there is nobody left to tell.
        drop(lock(&self.stderr).write_all(text.as_bytes()));
    }

    /// Ends the result; tells why it could not be written, unless its reader went away.
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

// A writer is whole after a panic elsewhere: what it wrote, it wrote.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(color: Color, is_terminal: bool) -> Style {
    // https://no-color.org: any value but the empty one.
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => Style::Ansi,
        Color::Auto if is_terminal && !is_refused => Style::Ansi,
        Color::Auto | Color::Never => Style::Plain,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was written, to look at.
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
            stderr: Mutex::new(Box::new(stderr)),
            is_closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            is_quiet,
            out_style: Style::Plain,
            err_style: Style::Plain,
            is_live: false,
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let streams = streams(Broken(io::ErrorKind::BrokenPipe), Captured::default(), false);
        streams.result("a");
        assert!(streams.is_closed());
        assert!(streams.finish().is_ok());
    }

    #[test]
    fn a_full_disk_is_told() {
        let streams = streams(Broken(io::ErrorKind::StorageFull), Captured::default(), false);
        streams.result("a");
        assert!(streams.finish().is_err());
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
