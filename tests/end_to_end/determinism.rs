//! The same bytes however many jobs there are, wherever the store is, and wherever the workspace is.

use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template};

#[test]
fn one_job_and_two_give_the_same_bundle() {
    let template = Template::get();
    for n_jobs in ["1", "2"] {
        // Another store and another clone, too.
        let sandbox = Sandbox::new();
        let built = sandbox.build(&["--jobs", n_jobs, BUNDLE]);
        assert_eq!(built.n_hits(), 0);
        assert_eq!(built.digests(), template.bundle.digests());
        assert_eq!(sandbox.files("mc-out"), template.bundle_files);
    }
}

#[test]
fn a_build_of_a_part_gives_the_bytes_of_a_build_of_all() {
    let sandbox = Sandbox::new();
    let built = sandbox.build(&["--jobs", "3", GGUF]);
    assert_eq!(built.digests(), Template::get().gguf.digests());
}
