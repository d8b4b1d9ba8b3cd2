//! The lines on a terminal during a build: overall progress, and each running action.

use std::time::Duration;

use mc_ir::work::{Progress, ProgressUnit};
use mc_syntax::screen::fitted;

use crate::live::TerminalSize;
use crate::render::clock::{clock, left};
use crate::render::fetching::FetchSnapshot;
use crate::render::lines;
use crate::render::size::size;
use crate::render::tracker::{Running, Snapshot};

/// Cells of a bar.
const N_BAR_CELLS: usize = 20;

/// Maximum number of listed actions.
const MAX_LISTED: usize = 8;

/// The lines of a build.
pub(crate) fn build(snapshot: &Snapshot, is_stopping: bool, terminal: TerminalSize) -> Vec<String> {
    let bar = bar(snapshot.share);
    let mut frame = vec![fitted(&format!("{bar}  {}", counts(snapshot)), terminal.n_columns)];
    if is_stopping {
        let stopping = "stopping when the running actions end; Ctrl-C ends them at once";
        frame.push(fitted(&format!("  {stopping}"), terminal.n_columns));
    }
    // Two lines stay free: one for the shell prompt, one for the count of unlisted actions.
    let n_listed = MAX_LISTED.min(terminal.n_rows.saturating_sub(frame.len() + 2));
    let listed = snapshot.running.iter().take(n_listed);
    frame.extend(listed.map(|running| running_line(running, terminal.n_columns)));
    let n_more = snapshot.running.len().saturating_sub(n_listed);
    if n_more > 0 {
        frame.push(fitted(&format!("  and {n_more} more"), terminal.n_columns));
    }
    frame
}

/// The line of a download.
pub(crate) fn fetch(snapshot: &FetchSnapshot, terminal: TerminalSize) -> Vec<String> {
    let line = format!("{}  {}", bar(snapshot.share()), fetched(snapshot));
    vec![fitted(&line, terminal.n_columns)]
}

/// The counts of a build and its times, such as ` 43 %  12/51 actions, 8 hits  0:42, about 70 s left`.
pub(crate) fn counts(snapshot: &Snapshot) -> String {
    let Snapshot { n_actions, n_done, n_hits, n_queued, .. } = snapshot;
    let mut text = format!("{:>3} %  {n_done}/{n_actions} actions", percent(snapshot.share));
    for (n, word) in [(*n_hits, if *n_hits == 1 { "hit" } else { "hits" }), (*n_queued, "queued")] {
        if n > 0 {
            text.push_str(&format!(", {n} {word}"));
        }
    }
    text + "  " + &times(snapshot.elapsed, snapshot.left)
}

/// The numbers of a download, such as ` 43 %  1.20 GB of 2.80 GB  35.0 MB/s  0:42, about 45 s left  org/base`.
pub(crate) fn fetched(snapshot: &FetchSnapshot) -> String {
    format!(
        "{:>3} %  {} of {}  {}/s  {}  {}",
        percent(snapshot.share()),
        size(snapshot.n_done),
        size(snapshot.n_total),
        size(snapshot.n_bytes_per_second()),
        times(snapshot.elapsed, snapshot.left()),
        snapshot.origin
    )
}

/// Progress of an action and its time, such as `12288/65536 tokens  19 %  0:31`.
pub(crate) fn extent(running: &Running) -> String {
    match running.progress {
        Some(progress) => {
            format!("{}  {:>2} %  {}", units(progress), percent(progress.share()), clock(running.elapsed))
        }
        None => clock(running.elapsed),
    }
}

fn running_line(running: &Running, n_columns: usize) -> String {
    let extent = extent(running);
    // Four cells for the indent and the gap; the name is shortened if both do not fit.
    let n_name = n_columns.saturating_sub(extent.len() + 4);
    let name = fitted(&lines::action(&running.node), n_name);
    fitted(&format!("  {name}  {extent}"), n_columns)
}

fn units(progress: Progress) -> String {
    let Progress { n_done, n_total, unit } = progress;
    match unit {
        ProgressUnit::Bytes => format!("{} of {}", size(n_done), size(n_total)),
        ProgressUnit::Tokens | ProgressUnit::Prompts => format!("{n_done}/{n_total} {unit}"),
    }
}

fn times(elapsed: Duration, rest: Option<Duration>) -> String {
    match rest {
        Some(rest) => format!("{}, {}", clock(elapsed), left(rest)),
        None => clock(elapsed),
    }
}

/// A share in whole percent; 100 only if everything is done.
fn percent(share: f64) -> u32 {
    (share * 100.0) as u32
}

fn bar(share: f64) -> String {
    let n_full = ((share * N_BAR_CELLS as f64) as usize).min(N_BAR_CELLS);
    format!("[{}{}]", "#".repeat(n_full), "-".repeat(N_BAR_CELLS - n_full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tracker::tests::node;

    fn snapshot(n_running: usize) -> Snapshot {
        let names = ["blk.0.ffn_down.weight Q4_K", "quantized model on evaluation"];
        let progress = |n_done, unit| Some(Progress { n_done, n_total: 65_536, unit });
        let running = (0..n_running).map(|index| Running {
            node: node(names[index % 2]),
            elapsed: Duration::from_secs(31),
            progress: [progress(1024, ProgressUnit::Bytes), progress(12_288, ProgressUnit::Tokens)]
                [index % 2],
        });
        Snapshot {
            n_actions: 51,
            n_done: 12,
            n_hits: 8,
            n_queued: 2,
            share: 0.437,
            elapsed: Duration::from_secs(42),
            left: Some(Duration::from_secs(68)),
            running: running.collect(),
        }
    }

    fn shown(n_running: usize, n_columns: usize, n_rows: usize) -> String {
        build(&snapshot(n_running), false, TerminalSize { n_columns, n_rows }).join("\n")
    }

    #[test]
    fn a_frame_shows_share_counts_times_and_running_actions() {
        let expected = "\
[########------------]   43 %  12/51 actions, 8 hits, 2 queued  0:42, about 70 s left
  tensor     //:app  blk.0.ffn_down.weight Q4_K  1.02 kB of 65.5 kB   1 %  0:31
  tensor     //:app  quantized model on evaluation  12288/65536 tokens  18 %  0:31";
        assert_eq!(shown(2, 99, 24), expected);
    }

    #[test]
    fn on_a_small_terminal_names_are_shortened_and_hidden_actions_counted() {
        let expected = "\
[########------------]   43 %  12/51 actions, 8 hits, 2 q…
  tensor     //:app  blk.…  1.02 kB of 65.5 kB   1 %  0:31
  tensor     //:app  quan…  12288/65536 tokens  18 %  0:31
  and 5 more";
        assert_eq!(shown(7, 58, 5), expected);
    }
}
