//! Wrong results in a shared folder, put there by someone with write access.

use std::fs;
use std::path::Path;

use bazel_remote_apis::build::bazel::remote::execution::v2::{ActionResult, Digest, OutputFile};
use mc_digest::digest::BlobDigest;
use prost::Message;

use crate::sandbox::{change_bytes, files_below};
use crate::team_cache::{SEND, TARGET, clone, filled};

/// Returns other bytes for an output with this name and these bytes; `None` to keep it.
pub(crate) type Change<'a> = dyn Fn(&str, &[u8]) -> Option<Vec<u8>> + 'a;

/// Changes the result of each tensor in a folder, and returns their number.
pub(crate) fn poison(team: &Path, change: &Change<'_>) -> usize {
    let blob = |hash: &str| team.join("blake3/cas").join(&hash[..2]).join(hash);
    let put = |file: &mut OutputFile| -> Option<()> {
        let bytes = fs::read(blob(&file.digest.as_ref()?.hash)).unwrap();
        let wrong = change(&file.path, &bytes)?;
        let digest = BlobDigest::of(&wrong);
        let hash = digest.hash.to_string();
        fs::create_dir_all(blob(&hash).parent().unwrap()).unwrap();
        fs::write(blob(&hash), wrong).unwrap();
        file.digest = Some(Digest { hash, size_bytes: digest.n_bytes as i64 });
        Some(())
    };
    let mut n_poisoned = 0;
    for path in files_below(&team.join("blake3/ac")) {
        change_bytes(&path, |bytes| {
            let mut result = ActionResult::decode(bytes.as_slice()).unwrap();
            let is_tensor = result.output_files.iter().any(|file| file.path == "tensor");
            n_poisoned += usize::from(is_tensor);
            if is_tensor && result.output_files.iter_mut().filter_map(put).count() > 0 {
                *bytes = result.encode_to_vec();
            }
        });
    }
    n_poisoned
}

/// A tensor of the same size with other numbers.
pub(crate) fn another_tensor(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let wrong = || bytes.iter().map(|byte| byte ^ 1).collect();
    (name == "tensor").then(wrong)
}

#[test]
fn results_of_wrong_sizes_are_remade_here_and_break_no_store() {
    let (maker, team) = filled(TARGET);
    poison(&maker.dir().join("team"), &|name, bytes| (name == "tensor").then(|| bytes[1..].to_vec()));
    let user = clone();
    for expected in [38..50, 0..1] {
        let built = user.build(&[&team, TARGET]);
        assert!(expected.contains(&built.n_ran()), "{}", built.stderr);
        assert_eq!(user.files("mc-out"), maker.files("mc-out"));
    }
    // A user who may upload replaces them by the right ones.
    clone().build(&[&team, SEND, TARGET]);
    assert_eq!(clone().build(&[&team, TARGET]).n_ran(), 0);
}

#[test]
fn results_that_their_reader_rejects_are_remade_here_in_the_same_build() {
    let (maker, team) = filled(TARGET);
    poison(&maker.dir().join("team"), &|name, _| (name == "report.json").then(|| b"no report".to_vec()));
    fs::remove_dir_all(maker.path("mc-out")).unwrap();
    let made = maker.build(&[TARGET]);
    for user in [clone(), clone()] {
        let built = user.build(&[&team, TARGET]);
        let reported = built.stderr.lines().filter(|line| line.starts_with("warning: ")).collect::<Vec<_>>();
        assert!(reported.len() == 1 && reported[0].contains("foreign results"), "{}", built.stderr);
        assert!(built.n_ran() >= 38, "{}", built.stderr);
        assert_eq!(built.digests(), made.digests());
        assert_eq!(user.build(&[&team, TARGET]).n_ran(), 0);
    }
}
