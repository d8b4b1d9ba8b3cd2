//! Sets up signals before anything else, so that interrupts are handled from the start, and a write beyond the file
//! size limit is an error that can be reported.

use crate::interrupt;

/// Installs the handlers and dispositions of signals.
pub(crate) fn prepare() {
    #[cfg(unix)]
    unix::prepare();
    #[cfg(not(unix))]
    // Without the handler, an interrupt ends the process by default.
    drop(interrupt::listen());
}

#[cfg(unix)]
mod unix {
    use std::mem::MaybeUninit;
    use std::ptr;

    use libc::{SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_UNBLOCK, SIGHUP, SIGINT, SIGTERM, SIGXFSZ, sighandler_t};

    use super::interrupt;

    pub(super) fn prepare() {
        // By default it ends the process without a message; if ignored, the write fails with a reason.
        set(SIGXFSZ, SIG_IGN);
        if is_ignored(SIGHUP) {
            // `nohup` ignores hangups. A hangup is blocked while the handler is installed, and dropped afterwards.
            mask(SIG_BLOCK, SIGHUP);
            listen();
            set(SIGHUP, SIG_IGN);
            mask(SIG_UNBLOCK, SIGHUP);
        } else {
            listen();
        }
    }

    fn listen() {
        if interrupt::listen().is_err() {
            // The handler may be installed although the thread that reads its notes failed to start.
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                set(signal, SIG_DFL);
            }
        }
    }

    /// Sets the disposition of a signal to `SIG_DFL` or `SIG_IGN`.
    #[expect(unsafe_code, reason = "no library sets a signal's disposition without it")]
    fn set(signal: i32, disposition: sighandler_t) {
        // SAFETY: neither disposition runs any code.
        unsafe { libc::signal(signal, disposition) };
    }

    #[expect(unsafe_code, reason = "no library tells a signal's disposition without it")]
    fn is_ignored(signal: i32) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: without a new action, the call only writes the current one, into a place that is large enough for it;
        // zeros are a valid action if it fails.
        unsafe {
            libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
            action.assume_init().sa_sigaction == SIG_IGN
        }
    }

    /// Blocks or unblocks a signal in this thread, which is the only one so far.
    #[expect(unsafe_code, reason = "no library blocks a signal without it")]
    fn mask(how: i32, signal: i32) {
        let mut signals = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: the set is emptied before anything reads it, and the old mask is not requested.
        unsafe {
            libc::sigemptyset(signals.as_mut_ptr());
            libc::sigaddset(signals.as_mut_ptr(), signal);
            libc::pthread_sigmask(how, signals.as_ptr(), ptr::null_mut());
        }
    }
}
