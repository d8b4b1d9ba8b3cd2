//! A bug in `mc` ends with one message that asks for a report, and with exit code 37.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mc_rules::inference::chat::TEMPLATE_THREAD;
use mc_syntax::terminal::printable;

use crate::exit::Exit;
use crate::report::under;
use crate::streams::Streams;

/// Runs `body`. A panic in it, or in a thread that it joins, is reported once and becomes [`Exit::Bug`].
pub(crate) fn guard(streams: &Arc<Streams>, body: impl FnOnce() -> Exit) -> Exit {
    let reported = AtomicBool::new(false);
    let hook_streams = Arc::clone(streams);
    std::panic::set_hook(Box::new(move |info| {
        // A panic while rendering a template is an error in the template, and its thread is joined.
        if std::thread::current().name() == Some(TEMPLATE_THREAD) {
            return;
        }
        // Several threads may hit the same bug.
        if !reported.swap(true, Ordering::Relaxed) {
            hook_streams.error(&message(info));
        }
    }));
    // The state after the unwind is dropped, or only read to end the process.
    let exit = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Exit::Bug);
    drop(std::panic::take_hook());
    exit
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let version = env!("CARGO_PKG_VERSION");
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| printable(&argument.to_string_lossy()).into_owned())
        .collect();
    format!(
        "error: This is a bug in mc: {}\n  --> {place}\n  because: mc {version} reached a state that should be \
         impossible; the store and mc-out/ are unchanged\n  help: Please report it with this \
         message, the workspace if you can share it, and the command: mc {}\n",
        under(text),
        arguments.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::streams::tests::{Captured, streams};

    /// Held by each test that sets the hook, because a process has only one hook.
    static HOOK: Mutex<()> = Mutex::new(());

    #[test]
    fn a_panic_in_any_thread_is_reported_once_and_ends_in_37() {
        let _hook = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = Captured::default();
        let streams = Arc::new(streams(std::io::sink(), stderr.clone(), true));
        let exit = guard(&streams, || {
            std::thread::scope(|scope| {
                scope.spawn(|| panic!("every output is declared\u{1b}[2J\nerror: \u{202e}"));
            });
            Exit::Done
        });
        assert_eq!(exit.code(), 37);
        let text = stderr.text();
        let message =
            "error: This is a bug in mc: every output is declared\\u{1b}[2J\n    error: \\u{202e}\n";
        assert!(text.starts_with(message), "{text}");
        assert!(text.contains("Please report it"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("error:")).count(), 1, "{text}");
    }

    #[test]
    fn a_panic_of_the_template_engine_is_not_reported_as_a_bug() {
        let _hook = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = Captured::default();
        let streams = Arc::new(streams(std::io::sink(), stderr.clone(), true));
        let exit = guard(&streams, || {
            let thread = std::thread::Builder::new().name(TEMPLATE_THREAD.to_owned());
            assert!(thread.spawn(|| panic!("a remainder of zero")).unwrap().join().is_err());
            Exit::Done
        });
        assert_eq!((exit.code(), stderr.text().as_str()), (0, ""));
    }
}
