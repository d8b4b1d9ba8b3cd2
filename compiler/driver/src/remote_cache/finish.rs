//! The end of the use of a remote cache: waits for uploads, and reports problems.

use std::sync::PoisonError;

use mc_ir::action::ActionError;

use crate::event::{Event, EventSink};
use crate::remote_cache::cache::{RemoteCache, Traffic};
use crate::remote_cache::uploads::Waiting;
use crate::remote_cache::workers::RemoteWorkers;
use crate::warning::{RemoteFailure, UnusableResults, Warning};

/// Result of the use of a remote cache.
#[derive(Debug, Default)]
pub(crate) struct RemoteOutcome {
    /// Harmless problems.
    pub(crate) warnings: Vec<Warning>,
    /// The reason for which the command failed.
    pub(crate) failure: Option<RemoteFailure>,
}

impl RemoteCache {
    /// Waits for uploads, and returns the problems.
    pub(crate) fn finish(&mut self, events: &dyn EventSink) -> RemoteOutcome {
        let not_sent = self.finish_uploads(events);
        self.report_traffic(events);
        let mut ended = RemoteOutcome::default();
        let not_asked = self.remote.failure().filter(|_| !self.is_absent);
        // Workers need the cache, so a failure of the cache explains theirs.
        let not_done = self.workers.as_ref().and_then(RemoteWorkers::failure);
        ended.warnings.extend(not_done.filter(|_| not_asked.is_none()));
        let unsigned = self.unsigned_workers.clone();
        ended.warnings.extend(unsigned.map(|address| Warning::WorkersUnsigned { address }));
        ended
            .warnings
            .extend(Some(self.unusable_results()).filter(|it| !it.is_empty()).map(Warning::UnusableResults));
        match self.failure(not_asked, not_sent) {
            Some(failure) if self.settings().required => ended.failure = Some(failure),
            failure => ended.warnings.extend(failure.map(Warning::RemoteCache)),
        }
        ended
    }

    /// Waits for uploads, and returns the reason for the first failed one.
    fn finish_uploads(&mut self, events: &dyn EventSink) -> Option<String> {
        let uploads = self.uploads.take()?;
        let Waiting { n_uploads, n_bytes, n_asked } = uploads.waiting();
        if !self.interrupt.is_wanted() && n_uploads + n_asked > 0 {
            let server = &self.name();
            events.event(Event::WaitingForUploads { server, n_uploads, n_bytes, n_asked });
        }
        uploads.finish()
    }

    fn report_traffic(&self, events: &dyn EventSink) {
        let Traffic { n_bytes_down, n_bytes_up } = self.traffic();
        if n_bytes_down + n_bytes_up > 0 {
            events.event(Event::Traffic { server: &self.name(), n_bytes_down, n_bytes_up });
        }
    }

    /// The failure to report. A cache that does not answer does not accept uploads either; both count as one failure.
    fn failure(&self, not_asked: Option<String>, not_sent: Option<String>) -> Option<RemoteFailure> {
        let action_failure = self.action_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (not_asked, action_failure, not_sent) {
            (Some(reason), ..) if self.settings().required => Some(self.required(&reason)),
            (Some(reason), ..) => {
                Some(RemoteFailure::LeftAlone { server: self.name(), reason: self.without_name(&reason) })
            }
            (None, Some(reason), _) => Some(self.required(&reason)),
            (None, None, Some(reason)) => {
                // A single blob may be too large for it.
                let takes_some = self.remote.send_failure().is_none();
                Some(RemoteFailure::NotTaken { server: self.name(), takes_some, reason })
            }
            (None, None, None) => None,
        }
    }

    /// Returns true if an action failed for the reason that [`RemoteOutcome::failure`] reports for all actions.
    pub(crate) fn is_blamed_for(&self, error: &ActionError) -> bool {
        error.to_string().starts_with(&self.required("").to_string())
    }

    fn unusable_results(&self) -> UnusableResults {
        UnusableResults {
            server: self.name(),
            unreadable: self.remote.unreadable(),
            n_unsigned: self.remote.n_unsigned(),
            n_gone: self.remote.n_gone(),
            is_given_up: self.remote.is_given_up(),
            mismatch: self.remote.invalid_response(),
        }
    }
}
