//! Work in a library that cannot be interrupted: it is abandoned when the action is cancelled.
//!
//! The work continues until it finishes or the process ends, which happens soon after a cancellation. So it
//! must not write anything.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use mc_ir::action::{ActionContext, ActionError};

/// Interval between checks for cancellation.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs `work` on its own thread and returns its result.
///
/// # Errors
/// Those of `work`; [`ActionError::Cancelled`] if the action was cancelled; or an I/O error if no thread can
/// be started.
///
/// # Panics
/// If `work` does.
pub(crate) fn unless_cancelled<T: Send + 'static>(
    ctx: &dyn ActionContext,
    work: impl FnOnce() -> Result<T, ActionError> + Send + 'static,
) -> Result<T, ActionError> {
    let (done, result) = channel();
    // Sending fails if the result was abandoned; nothing depends on it.
    let thread = thread::Builder::new().spawn(move || drop(done.send(work())))?;
    loop {
        match result.recv_timeout(PAUSE) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => ctx.go_on()?,
            Err(RecvTimeoutError::Disconnected) => {
                let panic = thread.join().expect_err("it sends a result or panics");
                resume_unwind(panic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mc_digest::digest::BlobDigest;
    use mc_ir::action::Content;
    use mc_ir::output::Output;

    use super::*;

    /// A context that is cancelled after a number of checks.
    struct Impatient(AtomicUsize);

    /// Returns a context that is never cancelled.
    fn patient() -> Impatient {
        Impatient(AtomicUsize::new(usize::MAX))
    }

    impl ActionContext for Impatient {
        fn input(&self, _: usize) -> Result<Content, ActionError> {
            unreachable!("nothing is read")
        }

        fn input_digest(&self, _: usize) -> Output {
            unreachable!("nothing is named")
        }

        fn write_blob(
            &self,
            _: &mut dyn FnMut(&mut dyn std::io::Write) -> Result<(), ActionError>,
        ) -> Result<BlobDigest, ActionError> {
            unreachable!("nothing is written")
        }

        fn is_cancelled(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }

    #[test]
    fn work_finishes_or_is_abandoned() {
        assert_eq!(unless_cancelled(&patient(), || Ok(3)).unwrap(), 3);
        let failed = unless_cancelled::<()>(&patient(), || Err(ActionError::failed("it cannot be done")));
        assert_eq!(failed.unwrap_err().to_string(), "it cannot be done");
        let (end, ended) = channel::<()>();
        let endless = move || ended.recv().map_err(ActionError::failed);
        let ctx = Impatient(AtomicUsize::new(2));
        assert!(matches!(unless_cancelled(&ctx, endless), Err(ActionError::Cancelled)));
        drop(end);
    }

    #[test]
    fn a_panic_is_passed_on() {
        let work = || unless_cancelled::<()>(&patient(), || panic!("a bug"));
        let panic = catch_unwind(AssertUnwindSafe(work)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug"));
    }
}
