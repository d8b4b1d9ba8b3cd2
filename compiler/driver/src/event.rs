//! Events of a command, for display.

use std::fmt;

use mc_execute::event::{Event as BuildEvent, Origin};
use mc_fetch::fetcher::Event as FetchEvent;
use mc_ir::work::Progress;
use mc_store::local::collect::Collected;

use crate::forecast::Forecast;
use crate::warning::Warning;

/// An event.
#[derive(Debug)]
pub enum Event<'a> {
    /// The expected durations of the actions that are planned next.
    Forecast(&'a Forecast),
    /// An action was planned, started, found, run or failed.
    Build(BuildEvent),
    /// All actions ended for now: nothing is running.
    BuildPaused,
    /// A file of a declared origin is downloading, or is complete.
    Fetch(&'a FetchEvent<'a>),
    /// No downloads are running.
    FetchEnded,
    /// The build is complete, and results are still being uploaded to the remote cache.
    WaitingForUploads {
        /// The cache.
        server: &'a str,
        /// Number of pending uploads.
        n_uploads: usize,
        /// Their bytes, of which the server may have some already.
        n_bytes: u64,
        /// Number of older results whose presence on the server is still being checked.
        n_asked: usize,
    },
    /// Number of bytes of blobs downloaded from and uploaded to the remote cache, at the end of a command.
    Traffic {
        /// The cache.
        server: &'a str,
        /// Bytes downloaded.
        n_bytes_down: u64,
        /// Bytes uploaded.
        n_bytes_up: u64,
    },
    /// A harmless problem.
    Warning(&'a Warning),
    /// The store was larger than its limit, and what was used least recently was removed.
    StoreTrimmed {
        /// The parts that were removed.
        collected: Collected,
    },
}

/// One line in plain English, for logs. Not escaped: it may contain foreign names.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forecast(forecast) => {
                let (n_actions, n_recorded) = (forecast.n_actions(), forecast.n_recorded());
                write!(f, "durations of {n_recorded} of {n_actions} actions are recorded")
            }
            Self::Build(event) => build(event, f),
            Self::BuildPaused => f.write_str("no action is running"),
            Self::Fetch(event) => fetch(event, f),
            Self::FetchEnded => f.write_str("no download is running"),
            Self::WaitingForUploads { server, n_uploads, n_asked, .. } => {
                write!(f, "waiting for {n_uploads} uploads to {server} and {n_asked} cache checks")
            }
            Self::Traffic { server, n_bytes_down, n_bytes_up } => {
                write!(f, "{server}: fetched {n_bytes_down} bytes, sent {n_bytes_up} bytes")
            }
            Self::Warning(warning) => write!(f, "warning: {warning}"),
            Self::StoreTrimmed { collected } => {
                write!(f, "removed {} bytes from the store", collected.n_bytes_removed())
            }
        }
    }
}

fn build(event: &BuildEvent, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        BuildEvent::Planned { nodes } => write!(f, "{} actions are planned", nodes.len()),
        BuildEvent::Queued { node } => write!(f, "queued {} {}", node.label, node.action.describe()),
        BuildEvent::Started { node } => write!(f, "started {} {}", node.label, node.action.describe()),
        BuildEvent::Progressed { node, progress } => {
            let Progress { n_done, n_total, unit } = progress;
            write!(f, "at {n_done} of {n_total} {unit}: {} {}", node.label, node.action.describe())
        }
        BuildEvent::Finished { node, origin, elapsed, .. } => {
            let word = match origin {
                Origin::Hit => "hit",
                Origin::Fetched => "fetched",
                Origin::RanRemotely => "ran remotely",
                Origin::Ran => "ran",
            };
            write!(f, "{word} {} {} in {elapsed:.2?}", node.label, node.action.describe())
        }
        BuildEvent::Failed { node, is_gate: true, .. } => write!(f, "gate failed: {}", node.label),
        BuildEvent::Failed { node, message, .. } => write!(f, "failed {}: {message}", node.label),
    }
}

fn fetch(event: &FetchEvent<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        FetchEvent::Waiting { origin } => write!(f, "waiting for another process that fetches {origin}"),
        FetchEvent::Listed { origin, n_bytes } => write!(f, "fetching {n_bytes} bytes of {origin}"),
        FetchEvent::Bytes(n_bytes) => write!(f, "{n_bytes} bytes received"),
        FetchEvent::Finished { origin, name, .. } => write!(f, "fetched {name} of {origin}"),
    }
}

/// Receives events from several threads.
pub trait EventSink: Sync {
    /// Receives one event.
    fn event(&self, event: Event<'_>);
}

impl<F: Fn(Event<'_>) + Sync> EventSink for F {
    fn event(&self, event: Event<'_>) {
        self(event);
    }
}
