//! Progress of downloads: a bar of bytes on a terminal, a line for each file that came elsewhere.

use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use mc_fetch::fetcher::Event;
use mc_ir::origin::Origin;

use crate::render::lines::seconds;
use crate::render::live;
use crate::render::size::size;
use crate::streams::Streams;

/// Takes the events of downloads, from several threads.
pub(crate) struct FetchProgress<'a> {
    streams: &'a Streams,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'a> FetchProgress<'a> {
    /// Nothing is shown before something comes.
    pub(crate) fn new(streams: &'a Streams) -> Self {
        Self { streams, bar: Mutex::new(None) }
    }

    /// Takes one event.
    pub(crate) fn event(&self, event: &Event<'_>) {
        // A bar behind a panic is at worst some bytes behind.
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = self.streams.is_live && !self.streams.is_quiet();
        match event {
            Event::Waiting { origin } => {
                self.streams.note(&format!("waiting for another mc that fetches {}\n", short(origin)));
            }
            Event::Listed { origin, n_bytes } if is_live => {
                let template =
                    "{bar:32.green} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}  {wide_msg}";
                *bar = Some(live::bar(Some(*n_bytes), template, &short(origin)));
            }
            Event::Listed { .. } => {}
            Event::Bytes(n_bytes) => {
                if let Some(bar) = &*bar {
                    bar.inc(*n_bytes);
                }
            }
            Event::Finished { n_fetched: 0, .. } => {}
            Event::Finished { origin, name, digest, elapsed, .. } => {
                let (bytes, time) = (size(digest.n_bytes), seconds(*elapsed));
                let line = format!("{:<10} {}  {name}  {bytes}  ({time})\n", "fetch", short(origin));
                match &*bar {
                    Some(bar) => bar.suspend(|| self.streams.note(&line)),
                    None => self.streams.note(&line),
                }
            }
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

/// An origin in a word.
fn short(origin: &Origin) -> String {
    match origin {
        Origin::HuggingFace { repository, .. } => repository.clone(),
        Origin::Http { base, .. } => base.clone(),
        Origin::Oci { reference } => reference.split('@').next().unwrap_or(reference).to_owned(),
    }
}
