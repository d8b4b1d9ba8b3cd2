//! Work that nobody can stop, because it is a library's: it is left behind when its result is not wanted any more.
//!
//! It goes on until it is done or the process ends, which is what follows when results are not wanted. So it must write
//! nothing.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use mc_ir::action::{ActionContext, ActionError};

/// How often it is asked whether the result is still wanted.
const PAUSE: Duration = Duration::from_millis(50);

/// What `work` gives, on a thread of its own.
///
/// # Errors
/// Those of `work`; [`ActionError::Cancelled`] when nobody wants its result any more; or there is no thread for it.
///
/// # Panics
/// If `work` does.
pub(crate) fn unless_cancelled<T: Send + 'static>(
    ctx: &dyn ActionContext,
    work: impl FnOnce() -> Result<T, ActionError> + Send + 'static,
) -> Result<T, ActionError> {
    let (done, result) = channel();
    // Whoever left it behind does not hear of it.
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

    /// Somebody who wants a result until he was asked so often.
    struct Impatient(AtomicUsize);

    /// Somebody who waits for as long as it takes.
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
    fn work_is_done_or_left_behind() {
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
