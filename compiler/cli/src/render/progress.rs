//! Progress of a build: counts every step, and shows those that run in the way that the stream allows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mc_execute::event::{Event, Origin};

use crate::render::bars::Bars;
use crate::render::lines;
use crate::render::summary::{Fate, Tally};
use crate::report::warning;
use crate::streams::Streams;

/// Takes the events of a build.
pub(crate) struct Progress<'a> {
    streams: &'a Streams,
    tally: Mutex<Tally>,
    bars: Option<Bars>,
}

impl<'a> Progress<'a> {
    /// Bars on a terminal, plain lines elsewhere, nothing with `--quiet`.
    pub(crate) fn new(streams: &'a Streams) -> Self {
        let bars = (streams.is_live && !streams.is_quiet()).then(Bars::default);
        Self { streams, tally: Mutex::default(), bars }
    }

    /// Takes one event.
    pub(crate) fn event(&self, event: &Event) {
        self.count(event);
        match &self.bars {
            Some(bars) => bars.event(event),
            None => self.print(event),
        }
    }

    /// Tells something that cannot wait until the end.
    pub(crate) fn warn(&self, text: &str) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
        self.streams.error_markup(&warning(text));
    }

    /// Ends the showing and tells what happened.
    pub(crate) fn finish(self) -> Tally {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
        self.tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, event: &Event) {
        let (node, fate) = match event {
            Event::Finished { node, origin: Origin::Hit, .. } => (node, Fate::Hit),
            Event::Finished { node, origin: Origin::Fetched, .. } => (node, Fate::Fetched),
            Event::Finished { node, origin: Origin::RanRemotely, .. } => (node, Fate::RanRemotely),
            Event::Finished { node, origin: Origin::Ran, .. } => (node, Fate::Ran),
            Event::Failed { node, .. } => (node, Fate::Failed),
            _ => return,
        };
        self.lock().add(node.structure(), node.action.kind().name, fate);
    }

    fn print(&self, event: &Event) {
        if let Event::Finished { node, origin: Origin::Ran | Origin::RanRemotely, elapsed, .. } = event {
            self.streams.note(&lines::ran(node, *elapsed));
        }
    }

    // Counting cannot leave a tally half-changed, so one behind a panic may be read.
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
