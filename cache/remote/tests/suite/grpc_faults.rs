//! Applies every fault to frames throughout a recorded session with a server.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use mc_remote::download::Fetching;
use mc_remote::transports::grpc::settings::Settings;
use mc_remote::transports::grpc::transport::Grpc;
use tempfile::tempdir;

use crate::action::Machine;
use crate::frames::{FAULTS, Fault, Way};
use crate::grpc::settings;
use crate::grpc_server::{Abilities, GrpcServer};

/// Idle timeout of a client under faults, and the delay of a late frame.
const PATIENCE: Duration = Duration::from_millis(400);
const LATE: Duration = Duration::from_millis(60);
/// Timeout without faults, so that a busy machine does not fail the test.
const LONG_TIMEOUT: Duration = Duration::from_secs(60);

/// Time after which a run counts as hanging: a dozen requests with all their timeouts and retries take a fraction of
/// it.
const HANGING: Duration = Duration::from_secs(120);

/// Number of runs, half of them during reads and half during uploads. `MC_FAULT_RUNS` overrides it.
fn n_runs() -> usize {
    std::env::var("MC_FAULT_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

fn machine(way: &Way, known: &Path, patience: Duration) -> Machine {
    let settings = Settings { connect: patience, idle: patience, ..settings(way.address) };
    Machine::of(Box::new(Grpc::new(settings).unwrap()), known, Fetching::AtOnce)
}

/// The fault and the frame of run number `run`: over all runs, each fault hits frames from the first to the last.
fn chosen(run: usize, n_runs: usize, n_frames: usize) -> (usize, Fault) {
    (run * n_frames / n_runs, FAULTS[run % FAULTS.len()])
}

/// Runs all, several at a time, and fails if one never ends.
#[expect(clippy::print_stderr, reason = "the process ends at once, so the harness cannot say it")]
fn all_runs(n_runs: usize, run: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let (ended, ends) = channel();
    thread::scope(|scope| {
        for _ in 0..8 {
            let (ended, next, run) = (ended.clone(), &next, &run);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= n_runs {
                        return;
                    }
                    run(number);
                    ended.send(()).unwrap();
                }
            });
        }
        drop(ended);
        for number in 0..n_runs {
            match ends.recv_timeout(HANGING) {
                Ok(()) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => panic!("a run failed; see above"),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    // Leaving the scope would wait for the hanging run.
                    eprintln!("only {number} of {n_runs} runs ended");
                    std::process::abort();
                }
            }
        }
    });
}

#[test]
fn under_any_faulty_frame_a_result_read_is_right_or_absent() {
    let (server, folder) = (GrpcServer::new(Abilities::default()), tempdir().unwrap());
    let way = Way::to(server.address, None, LATE);
    let maker = machine(&way, &folder.path().join("maker"), LONG_TIMEOUT);
    let outputs = maker.run_large();
    maker.upload(&outputs).unwrap();
    let way = Way::to(server.address, None, LATE);
    assert_eq!(
        machine(&way, &folder.path().join("whole"), LONG_TIMEOUT).lookup().unwrap().as_ref(),
        Some(&outputs)
    );
    let n_frames = way.n_frames();
    assert!(n_frames > 60, "{n_frames}");
    let (n_runs, n_right) = (n_runs() / 2, AtomicUsize::new(0));
    all_runs(n_runs, |run| {
        let (at, fault) = chosen(run, n_runs, n_frames);
        let way = Way::to(server.address, Some((at, fault)), LATE);
        let user = machine(&way, &folder.path().join(format!("user {run}")), PATIENCE);
        if let Ok(Some(found)) = user.lookup() {
            assert_eq!(found, outputs, "{fault:?} at frame {at}");
            assert!(user.holds(&found), "{fault:?} at frame {at}");
            n_right.fetch_add(1, Ordering::Relaxed);
        }
    });
    // The server still has everything. Many faults here were harmless: the client waited or retried.
    let way = Way::to(server.address, None, LATE);
    assert_eq!(
        machine(&way, &folder.path().join("last"), LONG_TIMEOUT).lookup().unwrap().as_ref(),
        Some(&outputs)
    );
    let n_right = n_right.into_inner();
    assert!(n_right * 10 > n_runs, "{n_right} of {n_runs}");
}

#[test]
fn faulty_frames_during_uploads_never_cause_wrong_results_later() {
    let folder = tempdir().unwrap();
    let server = GrpcServer::new(Abilities { resumes: true, ..Abilities::default() });
    let way = Way::to(server.address, None, LATE);
    let maker = machine(&way, &folder.path().join("whole"), LONG_TIMEOUT);
    maker.upload(&maker.run_large()).unwrap();
    let n_frames = way.n_frames();
    assert!(n_frames > 30, "{n_frames}");
    let n_runs = n_runs() / 2;
    all_runs(n_runs, |run| {
        let (at, fault) = chosen(run, n_runs, n_frames);
        let server = GrpcServer::new(Abilities { resumes: run % 2 == 0, ..Abilities::default() });
        let way = Way::to(server.address, Some((at, fault)), LATE);
        let maker = machine(&way, &folder.path().join(format!("maker {run}")), PATIENCE);
        let outputs = maker.run_large();
        let sent = maker.upload(&outputs);
        let way = Way::to(server.address, None, LATE);
        let user = machine(&way, &folder.path().join(format!("user {run}")), LONG_TIMEOUT);
        let found = user.lookup().unwrap();
        // A flipped bit in a key makes it the key of no action; TLS would detect that.
        if sent.is_ok() && fault != Fault::Flip {
            assert!(found.is_some(), "{fault:?} at frame {at}: it was said to be sent");
        }
        if let Some(found) = found {
            assert_eq!(found, outputs, "{fault:?} at frame {at}");
            assert!(user.holds(&found), "{fault:?} at frame {at}");
        }
        // Whatever the outcome, the next upload succeeds.
        let again = machine(&way, &folder.path().join(format!("again {run}")), LONG_TIMEOUT);
        let outputs = again.run_large();
        again.upload(&outputs).unwrap();
        let user = machine(&way, &folder.path().join(format!("last {run}")), LONG_TIMEOUT);
        assert_eq!(user.lookup().unwrap(), Some(outputs), "{fault:?} at frame {at}");
    });
}
