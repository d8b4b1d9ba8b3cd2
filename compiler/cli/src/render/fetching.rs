//! State of downloads, from their events: the number of bytes, the origins and the complete files.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mc_fetch::fetcher::Event;
use mc_ir::origin::Origin;
use mc_ir::work::seconds as duration;

use crate::render::clock::seconds;
use crate::render::size::size;

/// A file that takes longer than this gets its own line.
const LONG: Duration = Duration::from_secs(1);

/// State of downloads.
#[derive(Default)]
pub(crate) struct FetchTracker {
    /// True if each file gets a line.
    is_verbose: bool,
    n_total: u64,
    n_done: u64,
    origin: String,
    begin: Option<Instant>,
    /// The received files of each origin, ordered by name.
    came: BTreeMap<String, Came>,
}

/// The received files of an origin.
#[derive(Clone, Copy)]
struct Came {
    n_files: usize,
    n_bytes: u64,
    begin: Instant,
    end: Instant,
}

/// Numbers of downloads at one moment.
pub(crate) struct FetchSnapshot {
    /// Bytes received.
    pub(crate) n_done: u64,
    /// Bytes to receive, as far as known.
    pub(crate) n_total: u64,
    /// Time since the first origin was listed.
    pub(crate) elapsed: Duration,
    /// The origin that was listed last.
    pub(crate) origin: String,
}

impl FetchTracker {
    /// * `is_verbose`: true if each file gets a line
    pub(crate) fn new(is_verbose: bool) -> Self {
        Self { is_verbose, ..Self::default() }
    }

    /// Handles an event, and returns its lines for a log.
    pub(crate) fn event(&mut self, event: &Event<'_>, now: Instant) -> String {
        match event {
            Event::Waiting { origin } => {
                return format!("waiting for another mc that fetches {}\n", short(origin));
            }
            Event::Listed { origin, n_bytes } => {
                self.n_total = self.n_total.saturating_add(*n_bytes);
                self.origin = short(origin);
                self.begin.get_or_insert(now);
            }
            Event::Bytes(n_bytes) => self.n_done = self.n_done.saturating_add(*n_bytes),
            Event::Finished { n_fetched: 0, .. } => {}
            Event::Finished { origin, name, digest, elapsed, .. } => {
                let begin = now.checked_sub(*elapsed).unwrap_or(now);
                let fresh = Came { n_files: 0, n_bytes: 0, begin, end: now };
                let came = self.came.entry(short(origin)).or_insert(fresh);
                came.n_files += 1;
                came.n_bytes = came.n_bytes.saturating_add(digest.n_bytes);
                (came.begin, came.end) = (came.begin.min(begin), now);
                if self.is_verbose || *elapsed > LONG {
                    let (bytes, time) = (size(digest.n_bytes), seconds(*elapsed));
                    return format!("{:<10} {}  {name}  {bytes}  ({time})\n", "fetch", short(origin));
                }
            }
        }
        String::new()
    }

    /// Ends the downloads, and returns a line for each origin with received files; none if each file had a line.
    pub(crate) fn finish(&mut self) -> String {
        let came = std::mem::replace(self, Self::new(self.is_verbose)).came;
        if self.is_verbose {
            return String::new();
        }
        let line = |(origin, came): (String, Came)| {
            let files = if came.n_files == 1 { "file" } else { "files" };
            let time = seconds(came.end.duration_since(came.begin));
            format!("{:<10} {origin}  {} {files}, {}  ({time})\n", "fetch", came.n_files, size(came.n_bytes))
        };
        came.into_iter().map(line).collect()
    }

    /// The numbers at this moment; `None` if nothing is being fetched.
    pub(crate) fn snapshot(&self, now: Instant) -> Option<FetchSnapshot> {
        let begin = self.begin?;
        Some(FetchSnapshot {
            n_done: self.n_done,
            n_total: self.n_total,
            elapsed: now.duration_since(begin),
            origin: self.origin.clone(),
        })
    }
}

impl FetchSnapshot {
    /// Share of the bytes received.
    pub(crate) fn share(&self) -> f64 {
        if self.n_total == 0 { 0.0 } else { (self.n_done as f64 / self.n_total as f64).min(1.0) }
    }

    /// Average bytes per second.
    pub(crate) fn n_bytes_per_second(&self) -> u64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { (self.n_done as f64 / seconds) as u64 } else { 0 }
    }

    /// The remaining time at the average pace; `None` if no pace is known yet.
    pub(crate) fn left(&self) -> Option<Duration> {
        let n_left = self.n_total.saturating_sub(self.n_done);
        let pace = self.n_bytes_per_second();
        (pace > 0 && self.elapsed > LONG).then(|| duration(n_left as f64 / pace as f64))
    }
}

/// A short name of an origin.
fn short(origin: &Origin) -> String {
    match origin {
        Origin::HuggingFace { repository, .. } => repository.clone(),
        Origin::Http { base, .. } => base.clone(),
        Origin::Oci { reference } => reference.split('@').next().unwrap_or(reference).to_owned(),
    }
}
