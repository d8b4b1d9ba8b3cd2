//! Ctrl-C and its kin: the first asks the build to stop cleanly, the second ends the process at once, as the first does
//! where nothing is built.
//!
//! Nothing is lost by the second either: unfinished files belong to a session that the next `mc` clears away. So a build
//! that was asked to stop, and only waits for servers, is ended, too.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use mc_driver::interrupt::Interrupt;
use mc_execute::running::n_running;

use crate::exit::Exit;
use crate::live;

/// How long nothing may compute before a build that was asked to stop is ended: what comes in that time is told as ever.
const IDLE: Duration = Duration::from_secs(1);

static INTERRUPT: LazyLock<Arc<Interrupt>> = LazyLock::new(Arc::default);

/// The interrupt of this process. While no build looks at it, an interrupt ends the process at once.
pub(crate) fn interrupt() -> Arc<Interrupt> {
    Arc::clone(&INTERRUPT)
}

/// An answer that comes, which an interrupt stops; the next interrupt ends the process.
struct AnswerInterrupt {
    is_coming: AtomicBool,
    is_interrupted: AtomicBool,
}

static ANSWER: AnswerInterrupt =
    AnswerInterrupt { is_coming: AtomicBool::new(false), is_interrupted: AtomicBool::new(false) };

impl AnswerInterrupt {
    /// Stops the answer. Returns false if there is none, or it was to stop before.
    fn interrupt(&self) -> bool {
        self.is_coming.load(Ordering::SeqCst) && !self.is_interrupted.swap(true, Ordering::SeqCst)
    }
}

/// An answer that comes until this is dropped.
pub(crate) struct Answering(());

/// Marks the begin of an answer, which an interrupt stops.
pub(crate) fn answering() -> Answering {
    ANSWER.is_interrupted.store(false, Ordering::SeqCst);
    ANSWER.is_coming.store(true, Ordering::SeqCst);
    Answering(())
}

impl Answering {
    /// Tells whether the user wants no more of it.
    pub(crate) fn is_interrupted(&self) -> bool {
        ANSWER.is_interrupted.load(Ordering::SeqCst)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWER.is_coming.store(false, Ordering::SeqCst);
    }
}

/// Listens for interrupts from now on; [`crate::signals`] does so before anything else.
///
/// # Errors
/// When the system does not let us.
pub(crate) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if ANSWER.interrupt() {
            return;
        }
        if !(INTERRUPT.request() && INTERRUPT.is_building()) {
            end();
        }
        // A panic here would end the thread that listens, and every further interrupt would be lost.
        if thread::Builder::new().spawn(end_when_idle).is_err() {
            end();
        }
    })
}

/// Ends the process when the build has not ended by itself and nothing has computed for a while.
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
    // Nobody may read it; the end is the same.
    drop(std::io::stderr().write_all(reported.as_bytes()));
    end();
}

#[expect(clippy::exit, reason = "the handler's thread cannot return from `main`")]
fn end() {
    live::leave();
    std::process::exit(Exit::Interrupted.code().into());
}
