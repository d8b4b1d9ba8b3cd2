//! Progress as moving bars, for a terminal: one over all steps, and a line for each that runs now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};
use mc_digest::digest::Digest;
use mc_execute::event::Event;

use crate::render::lines;
use crate::render::live;

const TICK: Duration = Duration::from_millis(100);

/// The bars of one build.
#[derive(Default)]
pub(crate) struct Bars {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    n_actions: usize,
    n_finished: usize,
    // Made when the first step runs: a build of hits alone is over before an eye could see a bar.
    shown: Option<Shown>,
}

struct Shown {
    all: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<Digest, ProgressBar>,
}

impl Bars {
    /// Takes one event.
    pub(crate) fn event(&self, event: &Event) {
        let mut state = self.lock();
        match event {
            Event::Planned { n_actions } => {
                state.n_actions = *n_actions;
                state.n_finished = 0;
            }
            Event::Started { node } => {
                let n_actions = state.n_actions;
                let shown = state.shown.get_or_insert_with(|| Shown::new(n_actions));
                shown.start(node.structure(), lines::step(node));
            }
            Event::Finished { node, .. } | Event::Failed { node, .. } => {
                state.n_finished += 1;
                if let Some(shown) = &mut state.shown {
                    shown.end(&node.structure());
                }
            }
        }
        if let Some(shown) = &state.shown {
            shown.total.set_length(state.n_actions as u64);
            shown.total.set_position(state.n_finished as u64);
        }
    }

    /// Takes the bars off the screen.
    pub(crate) fn clear(&self) {
        if let Some(shown) = self.lock().shown.take() {
            for bar in shown.running.values() {
                bar.finish_and_clear();
            }
            shown.total.finish_and_clear();
            // Fails only when the terminal is gone.
            drop(shown.all.clear());
        }
    }

    // A bar behind a panic is at worst one step behind.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn new(n_actions: usize) -> Self {
        let all = live::bars();
        let template = "{bar:32.green} {pos}/{len} actions  {elapsed}";
        let total = all.add(live::bar(Some(n_actions as u64), template, ""));
        total.enable_steady_tick(TICK);
        Self { all, total, running: BTreeMap::new() }
    }

    fn start(&mut self, structure: Digest, text: String) {
        // It may begin again, here, after a worker could not do it.
        self.end(&structure);
        let bar = self.all.add(live::bar(None, "  {spinner} {wide_msg}", &text));
        bar.enable_steady_tick(TICK);
        self.running.insert(structure, bar);
    }

    fn end(&mut self, structure: &Digest) {
        if let Some(bar) = self.running.remove(structure) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}
