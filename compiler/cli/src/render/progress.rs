//! Progress of a command: takes its events, and shows them in the way that the stream allows.

use mc_driver::event::{Event, EventSink};
use mc_execute::event::{Event as BuildEvent, Origin};

use crate::render::bars::Bars;
use crate::render::fetching::FetchProgress;
use crate::render::lines;
use crate::render::size::size;
use crate::render::warning::text;
use crate::report::warning;
use crate::streams::Streams;

/// Shows the events of a command.
pub(crate) struct Progress<'a> {
    streams: &'a Streams,
    bars: Option<Bars>,
    fetching: FetchProgress<'a>,
}

impl<'a> Progress<'a> {
    /// Bars on a terminal, plain lines elsewhere, nothing with `--quiet`.
    pub(crate) fn new(streams: &'a Streams) -> Self {
        let bars = (streams.is_live && !streams.is_quiet()).then(Bars::default);
        Self { streams, bars, fetching: FetchProgress::new(streams) }
    }

    fn clear(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }

    fn build(&self, event: &BuildEvent) {
        match (&self.bars, event) {
            (Some(bars), event) => bars.event(event),
            (None, BuildEvent::Finished { node, origin: Origin::Ran | Origin::RanRemotely, elapsed, .. }) => {
                self.streams.note(&lines::ran(node, *elapsed));
            }
            (None, _) => {}
        }
    }

    fn waiting(&self, server: &str, n_uploads: usize, n_bytes: u64, n_asked: usize) {
        if n_uploads > 0 {
            let bytes = size(n_bytes);
            self.streams.note(&format!("waiting for {n_uploads} uploads to {server}, at most {bytes}\n"));
        }
        if n_asked > 0 {
            self.streams.note(&format!("asking {server} for {n_asked} results that were here before\n"));
        }
    }

    fn traffic(&self, server: &str, n_bytes_down: u64, n_bytes_up: u64) {
        let reported = [("fetched", n_bytes_down), ("sent", n_bytes_up)];
        let reported = reported.into_iter().filter(|(_, n_bytes)| *n_bytes > 0);
        let reported: Vec<String> =
            reported.map(|(word, n_bytes)| format!("{word} {}", size(n_bytes))).collect();
        self.streams.note(&format!("{server}: {}\n", reported.join(", ")));
    }
}

impl EventSink for Progress<'_> {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Build(event) => self.build(&event),
            Event::BuildPaused => self.clear(),
            Event::Fetch(event) => self.fetching.event(event),
            Event::FetchEnded => self.fetching.finish(),
            Event::WaitingForUploads { server, n_uploads, n_bytes, n_asked } => {
                self.waiting(server, n_uploads, n_bytes, n_asked);
            }
            Event::Traffic { server, n_bytes_down, n_bytes_up } => {
                self.traffic(server, n_bytes_down, n_bytes_up);
            }
            Event::Warning(about) => {
                // What comes now may take long, and the reason may be all that somebody wants to know.
                self.clear();
                self.streams.error_markup(&warning(&text(about)));
            }
            Event::StoreTrimmed { collected } => {
                let (removed, left) = (size(collected.n_bytes_removed()), size(collected.n_bytes_after));
                self.streams.note(&format!("removed {removed} from the store, which has {left} now\n"));
            }
        }
    }
}
