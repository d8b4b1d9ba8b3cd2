//! Signals, set up before anything else: those that end `mc` do so from the first moment on, and a write beyond the
//! limit on the size of files is an error that can be told.

use crate::interrupt;

/// Decides what becomes of signals from now on.
pub(crate) fn prepare() {
    #[cfg(unix)]
    unix::prepare();
    #[cfg(not(unix))]
    // Without the handler an interrupt ends the process as it always does.
    drop(interrupt::listen());
}

#[cfg(unix)]
mod unix {
    use libc::{SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGTERM, SIGXFSZ, sighandler_t};

    use super::interrupt;

    pub(super) fn prepare() {
        // Its default is to end the process without a word; ignored, it makes the write fail with a reason.
        set(SIGXFSZ, SIG_IGN);
        let hangup = set(SIGHUP, SIG_DFL);
        if interrupt::listen().is_err() {
            // The handler may be there without the thread that looks at what it notes.
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                set(signal, SIG_DFL);
            }
        }
        if hangup == SIG_IGN {
            // `nohup` asked for it.
            set(SIGHUP, SIG_IGN);
        }
    }

    /// Sets what becomes of a signal, to `SIG_DFL` or `SIG_IGN`; gives what it was before.
    #[expect(unsafe_code, reason = "no library sets a signal's disposition without it")]
    fn set(signal: i32, disposition: sighandler_t) -> sighandler_t {
        // SAFETY: neither disposition runs any code, and there are no other threads yet.
        unsafe { libc::signal(signal, disposition) }
    }
}
