//! Events of a command, for display.

use std::fmt;

use mc_execute::event::{Event as BuildEvent, Origin};
use mc_fetch::fetcher::Event as FetchEvent;

use crate::warning::Warning;

/// An event.
#[derive(Debug)]
pub enum Event<'a> {
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
}

/// One line in plain English, for logs. Not escaped: it may contain foreign names.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
        }
    }
}

fn build(event: &BuildEvent, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        BuildEvent::Planned { n_actions } => write!(f, "{n_actions} actions are planned"),
        BuildEvent::Started { node } => write!(f, "started {} {}", node.label, node.action.describe()),
        BuildEvent::Finished { node, origin, elapsed, .. } => {
            let word = match origin {
                Origin::Hit => "hit",
                Origin::Fetched => "fetched",
                Origin::RanRemotely => "ran remotely",
                Origin::Ran => "ran",
            };
            write!(f, "{word} {} {} in {elapsed:.2?}", node.label, node.action.describe())
        }
        BuildEvent::Failed { node, message } => write!(f, "failed {}: {message}", node.label),
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
