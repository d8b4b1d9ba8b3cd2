//! Missing or damaged blobs and entries.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use mc_digest::digest::ActionDigest;
use mc_ir::action::ActionNode;
use mc_ir::output::Output;
use mc_ir::reapi::encode_action;
use mc_store::traits::ActionCache;

use crate::bench::{Bench, Store};
use crate::glue::{Effect, glue, node, of, step};

/// A chain of three actions; the second produces a composite.
fn row<S: Store + ?Sized>(bench: &Bench<S>) -> [Arc<ActionNode>; 3] {
    let a = step("a", vec![bench.source("x", "X")]);
    let b = node("b", glue("b", Effect::Composite), vec![of(&a)]);
    let c = step("c", vec![of(&b)]);
    [a, b, c]
}

/// Changes one byte of a file, even if it is read-only.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_missing_blob_reruns_its_action_and_no_other() {
    let bench = Bench::memory();
    let [a, _, c] = row(&bench);
    let first = bench.build(&[&c]);
    for (made_by, blob) in [("a", first.output(&a).parts()[0]), ("c", first.output(&c).parts()[0])] {
        bench.store.remove(&blob);
        let outcome = bench.build(&[&c]);
        let others =
            ["a", "b", "c"].map(|name| format!("{} {name}", if name == made_by { "run" } else { "hit" }));
        let mut others = others.to_vec();
        others.sort();
        // The first part of the composite is the same blob as the output of `a`, so `a` has restored it before `b` is
        // looked up.
        assert_eq!(outcome.log, others);
        assert_eq!(outcome.output(&c), first.output(&c));
    }
}

#[test]
fn a_missing_part_of_a_composite_reruns_its_action() {
    let bench = Bench::memory();
    let [_, b, c] = row(&bench);
    let first = bench.build(&[&c]);
    bench.store.remove(&first.output(&b).parts()[1]);
    let outcome = bench.build(&[&c]);
    assert_eq!(outcome.log, ["hit a", "hit c", "run b"]);
    assert_eq!(bench.text(&outcome, &c), "Xabc");
}

#[test]
fn a_blob_damaged_or_removed_on_disk_reruns_its_action_and_no_other() {
    let bench = Bench::local();
    let [a, _, c] = row(&bench);
    let first = bench.build(&[&c]);
    for (made_by, node) in [("a", &a), ("c", &c)] {
        let layout = bench.store.layout();
        let blob = layout.at(&layout.blob(&first.output(node).parts()[0].hash));
        let spoilings: [&dyn Fn(); 2] = [&|| damage(&blob), &|| fs::remove_file(&blob).unwrap()];
        for (spoil, n_corruptions) in spoilings.iter().zip([1, 0]) {
            spoil();
            let outcome = bench.build(&[&c]);
            let ran: Vec<_> = outcome.log.iter().filter(|line| line.starts_with("run")).collect();
            assert_eq!(ran, [&format!("run {made_by}")]);
            assert_eq!(bench.text(&outcome, &c), "Xabc");
            assert_eq!(bench.store.take_corruptions().len(), n_corruptions);
        }
    }
}

#[test]
fn a_damaged_entry_is_a_miss() {
    let bench = Bench::local();
    let [_, b, c] = row(&bench);
    let first = bench.build(&[&c]);
    let key = encode_action(&c, std::slice::from_ref(first.output(&b))).digest;
    damage(&bench.store.layout().at(&bench.store.layout().action(&key.hash)));
    let outcome = bench.build(&[&c]);
    assert_eq!(outcome.log, ["hit a", "hit b", "run c"]);
    assert_eq!(outcome.output(&c), first.output(&c));
    assert_eq!(bench.build(&[&c]).log, ["hit a", "hit b", "hit c"]);
}

#[test]
fn an_entry_without_the_declared_outputs_is_a_miss() {
    let bench = Bench::memory();
    let [a, b, c] = row(&bench);
    let first = bench.build(&[&c]);
    let key_of = |node: &ActionNode, input: &Output| encode_action(node, std::slice::from_ref(input)).digest;
    let key = key_of(&c, first.output(&b));
    let entry = |digest: &ActionDigest| bench.store.get(digest).unwrap().unwrap().result;
    let good = entry(&key);
    let foreign = entry(&key_of(&b, first.output(&a)));
    let half = &good[..good.len() / 2];
    for bad in [&b""[..], b"\xff\xff\xff", half, b"\x12\x00"] {
        bench.store.put(&key, bad, None).unwrap();
        assert_eq!(bench.build(&[&c]).log, ["hit a", "hit b", "run c"], "{bad:?}");
        assert_eq!(entry(&key), good);
    }
    // The entry of another action with an output of the same name cannot be detected: the cache vouches for it.
    bench.store.put(&key, &foreign, None).unwrap();
    assert_eq!(bench.build(&[&c]).log, ["hit a", "hit b", "hit c"]);
}
