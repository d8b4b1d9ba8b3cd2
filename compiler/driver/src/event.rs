//! Events: what happens during a command, told to whoever shows it.

use std::fmt;

use mc_execute::event::{Event as BuildEvent, Origin};
use mc_fetch::fetcher::Event as FetchEvent;
use mc_ir::work::Progress;
use mc_store::local::collect::Collected;

use crate::forecast::Forecast;
use crate::warning::Warning;

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The expected durations of the actions that are planned next.
    Forecast(&'a Forecast),
    /// An action was planned, started, found, run or failed.
    Build(BuildEvent),
    /// The actions are done for now: nothing computes any more.
    BuildPaused,
    /// A file of a declared origin is on its way, or came.
    Fetch(&'a FetchEvent<'a>),
    /// Nothing is fetched any more.
    FetchEnded,
    /// The build is done, and results are still sent to the remote cache.
    WaitingForUploads {
        /// The cache.
        server: &'a str,
        /// Number of results on their way.
        n_uploads: usize,
        /// Their bytes, of which the server may have some.
        n_bytes: u64,
        /// Number of results that were here before, and that the server is asked for.
        n_asked: usize,
    },
    /// Bytes of blobs that came from the remote cache and went to it, at the end of a command.
    Traffic {
        /// The cache.
        server: &'a str,
        /// Bytes that came.
        n_bytes_down: u64,
        /// Bytes that went.
        n_bytes_up: u64,
    },
    /// Something went wrong and did no harm.
    Warning(&'a Warning),
    /// The store was larger than its limit, and what was used least recently was removed.
    StoreTrimmed {
        /// The parts that were removed.
        collected: Collected,
    },
}

/// One line in plain English, for logs. It is escaped nowhere: names of others may be in it.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forecast(forecast) => {
                let (n_actions, n_recorded) = (forecast.n_actions(), forecast.n_recorded());
                write!(f, "durations of {n_recorded} of {n_actions} actions are recorded")
            }
            Self::Build(event) => build(event, f),
            Self::BuildPaused => f.write_str("no action runs any more"),
            Self::Fetch(event) => fetch(event, f),
            Self::FetchEnded => f.write_str("nothing is fetched any more"),
            Self::WaitingForUploads { server, n_uploads, n_asked, .. } => {
                write!(f, "waiting for {n_uploads} uploads to {server} and {n_asked} answers")
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
        FetchEvent::Bytes(n_bytes) => write!(f, "{n_bytes} bytes came"),
        FetchEvent::Finished { origin, name, .. } => write!(f, "fetched {name} of {origin}"),
    }
}

/// Takes events, from several threads.
pub trait EventSink: Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

impl<F: Fn(Event<'_>) + Sync> EventSink for F {
    fn event(&self, event: Event<'_>) {
        self(event);
    }
}
