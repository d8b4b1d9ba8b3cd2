//! Progress of a command: handles its events, and shows them in the way that the stream supports.
//!
//! On a terminal, a frame is drawn ten times a second while a command runs. Elsewhere, lines are written: for slow
//! actions, for each target, and a status line after a period of silence.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mc_driver::event::{Event, EventSink};
use mc_execute::event::Event as BuildEvent;

use crate::interrupt::interrupt;
use crate::invocation::Invocation;
use crate::live::TerminalSize;
use crate::render::fetching::FetchTracker;
use crate::render::frame;
use crate::render::lines::{self, LogLines};
use crate::render::size::size;
use crate::render::tracker::{Snapshot, Tracker};
use crate::render::warning::text;
use crate::report::warning;
use crate::streams::Streams;

/// Time between two frames.
const TICK: Duration = Duration::from_millis(100);

/// Time without output after which a log gets a status line.
const SILENCE: Duration = Duration::from_secs(30);

/// Shows the events of a command.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    /// Draws frames and writes status lines; started with the first event to show.
    ticker: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    streams: Arc<Streams>,
    is_verbose: bool,
    silence: Duration,
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    tracker: Tracker,
    log: LogLines,
    fetching: FetchTracker,
    is_building: bool,
    /// Time of the last written line.
    last_line: Instant,
    has_ended: bool,
}

impl Progress {
    /// Progress of one run of `mc`.
    pub(crate) fn of(invocation: &Invocation) -> Self {
        Self::new(&invocation.streams, invocation.options.verbose)
    }

    /// Frames on a terminal, lines elsewhere, nothing with `--quiet`.
    ///
    /// * `is_verbose`: true if each action that runs gets a line
    fn new(streams: &Arc<Streams>, is_verbose: bool) -> Self {
        Self::with_silence(streams, is_verbose, SILENCE)
    }

    fn with_silence(streams: &Arc<Streams>, is_verbose: bool, silence: Duration) -> Self {
        let state = State {
            tracker: Tracker::default(),
            log: LogLines::new(is_verbose),
            fetching: FetchTracker::new(is_verbose),
            is_building: false,
            last_line: Instant::now(),
            has_ended: false,
        };
        let (streams, ended) = (Arc::clone(streams), Condvar::new());
        let shared = Shared { streams, is_verbose, silence, state: Mutex::new(state), ended };
        Self { shared: Arc::new(shared), ticker: Mutex::default() }
    }

    /// Starts the ticker if it does not run yet.
    fn tick(&self) {
        let mut ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if ticker.is_none() && !self.shared.streams.is_quiet() {
            let shared = Arc::clone(&self.shared);
            // If the thread cannot start, the build continues without progress.
            *ticker = thread::Builder::new().spawn(move || shared.tick_until_end()).ok();
        }
    }

    fn build(&self, event: &BuildEvent) {
        let now = Instant::now();
        if let BuildEvent::Planned { .. } = event {
            self.tick();
        }
        let mut state = self.shared.lock();
        state.is_building = true;
        state.tracker.event(event, now);
        let lines = state.log.event(event, now);
        self.shared.write(&mut state, &lines);
    }

    fn waiting(&self, server: &str, n_uploads: usize, n_bytes: u64, n_asked: usize) {
        let streams = &self.shared.streams;
        // After an interrupt, only the end of the build is shown.
        if interrupt().is_wanted() {
            return;
        }
        if n_uploads > 0 {
            let bytes = size(n_bytes);
            streams.note(&format!("waiting for {n_uploads} uploads to {server}, at most {bytes}\n"));
        }
        if n_asked > 0 {
            streams.note(&format!("asking {server} for {n_asked} results that were here before\n"));
        }
    }

    fn traffic(&self, server: &str, n_bytes_down: u64, n_bytes_up: u64) {
        if interrupt().is_wanted() {
            return;
        }
        let reported = [("fetched", n_bytes_down), ("sent", n_bytes_up)];
        let reported = reported.into_iter().filter(|(_, n_bytes)| *n_bytes > 0);
        let reported: Vec<String> =
            reported.map(|(word, n_bytes)| format!("{word} {}", size(n_bytes))).collect();
        self.shared.streams.note(&format!("{server}: {}\n", reported.join(", ")));
    }
}

impl EventSink for Progress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Forecast(forecast) => self.shared.lock().tracker.forecast(forecast),
            Event::Build(event) => self.build(&event),
            Event::BuildPaused => {
                self.shared.lock().is_building = false;
                self.shared.streams.erase();
            }
            Event::Fetch(event) => {
                self.tick();
                let mut state = self.shared.lock();
                let lines = state.fetching.event(event, Instant::now());
                self.shared.write(&mut state, &lines);
            }
            Event::FetchEnded => {
                let mut state = self.shared.lock();
                let lines = state.fetching.finish();
                self.shared.streams.erase();
                self.shared.write(&mut state, &lines);
            }
            Event::WaitingForUploads { server, n_uploads, n_bytes, n_asked } => {
                self.waiting(server, n_uploads, n_bytes, n_asked);
            }
            Event::Traffic { server, n_bytes_down, n_bytes_up } => {
                self.traffic(server, n_bytes_down, n_bytes_up);
            }
            Event::Warning(about) => self.shared.streams.error_markup(&warning(&text(about))),
            Event::StoreTrimmed { collected } => {
                let (removed, left) = (size(collected.n_bytes_removed()), size(collected.n_bytes_after));
                self.shared
                    .streams
                    .note(&format!("removed {removed} from the store, which has {left} now\n"));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.ended.notify_all();
        let ticker = self.ticker.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A panic in the ticker was already reported.
        drop(ticker.map(JoinHandle::join));
        self.shared.streams.erase();
    }
}

impl Shared {
    // After a panic, the state is at most one event behind.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines into logs, and with `--verbose` also on a terminal.
    fn write(&self, state: &mut State, lines: &str) {
        // After an interrupt, only the end of the build is shown; with `--verbose`, also the actions that ended.
        let is_wanted = !lines.is_empty() && (self.is_verbose || !interrupt().is_wanted());
        if is_wanted && (self.is_verbose || !self.streams.is_live) {
            state.last_line = Instant::now();
            self.streams.note(lines);
        }
    }

    fn tick_until_end(&self) {
        let mut state = self.lock();
        while !state.has_ended {
            let waited = self.ended.wait_timeout(state, TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let now = Instant::now();
            match self.streams.terminal_size() {
                _ if state.has_ended => {}
                Some(terminal) => self.draw(&mut state, terminal, now),
                None => self.show_life(&mut state, now),
            }
        }
    }

    fn draw(&self, state: &mut State, terminal: TerminalSize, now: Instant) {
        let frame = if let Some(fetching) = state.fetching.snapshot(now) {
            frame::fetch(&fetching, terminal)
        } else if state.is_building && state.tracker.has_begun() {
            frame::build(&state.tracker.snapshot(now), interrupt().is_wanted(), terminal)
        } else {
            return;
        };
        self.streams.draw(&frame);
    }

    /// Writes a status line into a log after a period of silence.
    fn show_life(&self, state: &mut State, now: Instant) {
        if now.duration_since(state.last_line) < self.silence {
            return;
        }
        let line = if let Some(fetching) = state.fetching.snapshot(now) {
            format!("{}\n", frame::fetched(&fetching))
        } else if state.is_building {
            life(&state.tracker.snapshot(now))
        } else {
            return;
        };
        state.last_line = now;
        self.streams.note(&line);
    }
}

/// The counts of a build, and the action that has run longest.
fn life(snapshot: &Snapshot) -> String {
    let counts = frame::counts(snapshot);
    match snapshot.running.as_slice() {
        [] => format!("{counts}\n"),
        [longest, others @ ..] => {
            let action = lines::action(&longest.node);
            let more = if others.is_empty() { String::new() } else { format!("; and {} more", others.len()) };
            format!("{counts}; {action}  {}{more}\n", frame::extent(longest))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use mc_execute::event::Origin;

    use super::*;
    use crate::render::tracker::tests::{finished, node, progressed};
    use crate::streams::tests::{Captured, streams};

    fn build(progress: &Progress, event: BuildEvent) {
        progress.event(Event::Build(event));
    }

    #[test]
    fn a_log_gets_a_status_line_after_a_period_of_silence() {
        let log = Captured::default();
        let streams = Arc::new(streams(io::sink(), log.clone(), false));
        let progress = Progress::with_silence(&streams, false, Duration::from_millis(300));
        let (tensor, gate) = (node("a tensor"), node("a gate"));
        build(&progress, BuildEvent::Planned { nodes: vec![Arc::clone(&tensor), Arc::clone(&gate)] });
        build(&progress, finished(&tensor, Origin::Hit, 0));
        build(&progress, BuildEvent::Started { node: Arc::clone(&gate) });
        build(&progress, progressed(&gate, 128, 512));
        while log.text().is_empty() {
            thread::sleep(TICK);
        }
        let sign = "  1/2 actions, 1 hit  0:00; tensor     //:app  a gate  128/512 tokens  25 %  0:00\n";
        assert!(log.text().contains(&sign[1..]), "{}", log.text());
        build(&progress, finished(&gate, Origin::Ran, 2));
        drop(progress);
        let lines = log.text();
        assert!(lines.contains("tensor     //:app  a gate  (2.00 s)\n"), "{lines}");
        assert!(lines.contains("//:app  1 ran (1 tensor), 1 hit  ("), "{lines}");
    }

    #[test]
    fn with_verbose_each_action_that_runs_gets_a_line() {
        let log = Captured::default();
        let streams = Arc::new(streams(io::sink(), log.clone(), false));
        let progress = Progress::new(&streams, true);
        let nodes = [node("a"), node("b"), node("c")];
        build(&progress, BuildEvent::Planned { nodes: nodes.to_vec() });
        for (node, origin) in nodes.iter().zip([Origin::Hit, Origin::Ran, Origin::RanRemotely]) {
            build(&progress, finished(node, origin, 0));
        }
        assert_eq!(log.text(), "tensor     //:app  b  (0.00 s)\ntensor     //:app  c  (0.00 s)\n");
    }
}
