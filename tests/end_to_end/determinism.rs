//! The output bytes do not depend on the number of jobs, the location of the store, or the location of the workspace.

use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template};

#[test]
fn one_job_and_many_jobs_give_the_same_bundle() {
    // Its store and its clone are not the template's, either.
    let sandbox = Sandbox::new();
    let built = sandbox.build(&["--jobs", "1", BUNDLE]);
    assert_eq!(built.n_hits(), 0);
    assert_eq!(built.digests(), Template::get().bundle.digests());
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
}

#[test]
fn any_number_of_jobs_gives_the_same_model() {
    for n_jobs in ["1", "2", "5"] {
        let sandbox = Sandbox::new();
        let built = sandbox.build(&["--jobs", n_jobs, GGUF]);
        assert_eq!(built.n_hits(), 0);
        assert_eq!(built.digests(), Template::get().gguf.digests());
        assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    }
}

#[test]
fn every_cpu_path_gives_the_same_model() {
    let sandbox = Sandbox::new();
    let info = sandbox.mc(&["info", "--output", "json"]).exits(0);
    let info: serde_json::Value = serde_json::from_str(&info.stdout).unwrap();
    let paths: Vec<&str> =
        info["cpu_paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(paths.starts_with(&["baseline", "portable"]));
    for path in paths {
        let sandbox = Sandbox::new();
        let built = sandbox.build(&["--cpu-path", path, GGUF]);
        assert_eq!(built.n_hits(), 0);
        assert_eq!(built.digests(), Template::get().gguf.digests());
    }
    let refused = sandbox.mc(&["--cpu-path", "avx1024", "build", GGUF]).exits(2);
    assert!(refused.stderr.contains("this CPU has baseline, portable"), "{}", refused.stderr);
}
