//! Statistics of the demo model: the same bytes for any number of jobs and on workers, and hits afterwards.

use std::fs;

use crate::sandbox::Sandbox;
use crate::worker::Worker;

const STATISTICS: [&str; 3] = ["diagonal", "gram", "channel-max"];

/// A workspace with a target for each statistic.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let targets = STATISTICS.map(|statistic| {
        format!(
            "calibrate \"{statistic}\" {{\n    model \":roadtrip-base\"\n    calibration \":calibration\"\n    \
             statistic \"{statistic}\"\n    context 64\n}}\n"
        )
    });
    let path = sandbox.path("models/package.kdl");
    let package = fs::read_to_string(&path).unwrap();
    fs::write(&path, [package, targets.concat()].concat()).unwrap();
    sandbox
}

fn labels() -> [String; 3] {
    STATISTICS.map(|statistic| format!("//models:{statistic}"))
}

fn build<'a>(sandbox: &Sandbox, options: &[&'a str], labels: &'a [String; 3]) -> crate::sandbox::Built {
    let labels = labels.iter().map(String::as_str);
    sandbox.build(&options.iter().copied().chain(labels).collect::<Vec<_>>())
}

#[test]
fn statistics_are_the_same_bytes_here_and_on_workers() {
    let labels = labels();
    let here = sandbox();
    assert_eq!(build(&here, &["--jobs", "1"], &labels).ran_by_kind(), "calibrate 3, dataset 1");
    let files = here.files("mc-out");
    assert_eq!(files.len(), 3);
    assert_eq!(build(&here, &[], &labels).n_ran(), 0);

    let there = sandbox();
    fs::create_dir(there.dir().join("team")).unwrap();
    let worker = Worker::start(&there.dir().join("team"));
    let team = format!("--remote-cache=file://{}", there.dir().join("team").display());
    let built = build(&there, &[&team, &worker.option(), "--remote-executor-all"], &labels);
    assert_eq!(worker.did(), "calibrate 3");
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    assert_eq!(there.files("mc-out"), files);
}
