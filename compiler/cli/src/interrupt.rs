//! Interrupts (Ctrl-C, SIGTERM, SIGHUP): the first one stops the build cleanly, the second ends the process at once.
//! Without a build, the first one ends the process at once.
//!
//! Ending at once loses nothing: the next `mc` removes unfinished files together with their session. For the same
//! reason, an interrupted build that only waits for servers is ended.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use mc_driver::interrupt::Interrupt;
use mc_execute::running::n_running;

use crate::exit::Exit;
use crate::live;

/// Ends an interrupted build after no action has run for this long; until then, progress is shown as usual.
const IDLE: Duration = Duration::from_secs(1);

static INTERRUPT: LazyLock<Arc<Interrupt>> = LazyLock::new(Arc::default);

/// The interrupt of this process. Without a build that observes it, an interrupt ends the process at once.
pub(crate) fn interrupt() -> Arc<Interrupt> {
    Arc::clone(&INTERRUPT)
}

/// An answer in progress. The first interrupt stops it; the next one ends the process.
struct AnswerInterrupt {
    is_coming: AtomicBool,
    is_interrupted: AtomicBool,
}

static ANSWER: AnswerInterrupt =
    AnswerInterrupt { is_coming: AtomicBool::new(false), is_interrupted: AtomicBool::new(false) };

impl AnswerInterrupt {
    /// Stops the answer. Returns false if there is no answer, or it was already stopped.
    fn interrupt(&self) -> bool {
        self.is_coming.load(Ordering::SeqCst) && !self.is_interrupted.swap(true, Ordering::SeqCst)
    }
}

/// An answer in progress until this value is dropped.
pub(crate) struct Answering(());

/// Marks the start of an answer that an interrupt stops.
pub(crate) fn answering() -> Answering {
    ANSWER.is_interrupted.store(false, Ordering::SeqCst);
    ANSWER.is_coming.store(true, Ordering::SeqCst);
    Answering(())
}

impl Answering {
    /// Returns true if the user interrupted the answer.
    pub(crate) fn is_interrupted(&self) -> bool {
        ANSWER.is_interrupted.load(Ordering::SeqCst)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWER.is_coming.store(false, Ordering::SeqCst);
    }
}

/// Listens for interrupts from now on; [`crate::signals`] calls this before anything else.
///
/// # Errors
/// If the system refuses the handler.
pub(crate) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if ANSWER.interrupt() {
            return;
        }
        if !(INTERRUPT.request() && INTERRUPT.is_building()) {
            end();
        }
        // A panic here would end the thread that listens, and every later interrupt would be lost.
        if thread::Builder::new().spawn(end_when_idle).is_err() {
            end();
        }
    })
}

/// Ends the process if the build has not ended by itself and no action has run for [`IDLE`].
fn end_when_idle() {
    let mut since = Instant::now();
    while since.elapsed() < IDLE {
        thread::sleep(IDLE / 20);
        if n_running() > 0 {
            since = Instant::now();
        }
        if !INTERRUPT.is_building() {
            return;
        }
    }
    let reported =
        "interrupted: every action that had finished is kept; mc did not wait for a server any longer\n";
    live::leave();
    // The write may fail if stderr is closed; the process ends either way.
    drop(std::io::stderr().write_all(reported.as_bytes()));
    end();
}

#[expect(clippy::exit, reason = "the handler's thread cannot return from `main`")]
fn end() {
    live::leave();
    std::process::exit(Exit::Interrupted.code().into());
}
