//! Tests that results are hits according to their attester, which of them are uploaded, and that rejected ones are
//! remade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mc_digest::digest::{BlobDigest, Digest};
use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_execute::remote::{Found, RemoteResults};
use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi::encode_action;
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_store::attester::Attester;
use mc_store::traits::BlobStore;

use crate::bench::{Bench, Outcome, Store, over_stores};
use crate::glue::{Effect, Glue, glue, node, of, step};

/// A remote cache with workers: its results by name of the action, and a log of the results that it received.
#[derive(Default)]
struct FakeCache {
    /// Results in its cache.
    results: BTreeMap<&'static str, (Outputs, Option<Attester>)>,
    /// Results of its workers.
    done: BTreeMap<&'static str, (Outputs, Option<Attester>)>,
    sent: Mutex<Vec<String>>,
}

impl FakeCache {
    /// A remote cache that has this text for an action.
    fn with(
        bench: &Bench<impl Store + ?Sized>,
        name: &'static str,
        text: &str,
        attester: Option<Attester>,
    ) -> Self {
        Self { results: BTreeMap::from([(name, (outputs(bench, text), attester))]), ..Self::default() }
    }

    fn sent(&self) -> Vec<String> {
        let mut sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.sort();
        sent
    }

    fn note(&self, how: &str, node: &ActionNode) {
        self.sent.lock().unwrap().push(format!("{how} {}", node.label.name));
    }
}

impl RemoteResults for FakeCache {
    fn n_askers(&self) -> usize {
        1
    }

    fn is_over(&self) -> bool {
        false
    }

    fn find(
        &self,
        node: &Arc<ActionNode>,
        _: &[Output],
        _: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Found>, ActionError> {
        Ok(self.results.get(&*node.label.name).cloned())
    }

    fn execute(
        &self,
        node: &Arc<ActionNode>,
        _: Tags,
        _: &[Output],
        _: &dyn Fn(usize) -> Option<Content>,
        _: &dyn Fn(WorkerStage),
    ) -> Result<Option<Found>, ActionError> {
        Ok(self.done.get(&*node.label.name).cloned())
    }

    fn bring(&self, _: &[Output]) -> Result<(), ActionError> {
        Ok(())
    }

    fn made(&self, node: &Arc<ActionNode>, _: &[Output], _: &Outputs) {
        self.note("made", node);
    }

    fn had(&self, node: &Arc<ActionNode>, _: &[Output], _: &Outputs) {
        self.note("had", node);
    }
}

/// The outputs of an action that produced this text.
fn outputs<S: Store + ?Sized>(bench: &Bench<S>, text: &str) -> Outputs {
    let blob = bench.store.faces().0.put_bytes(text.as_bytes()).unwrap();
    Outputs::from([("out".to_owned(), Output::File(blob))])
}

const KEEP_GOING: Options = Options { n_jobs: 1, on_failure: OnFailure::KeepGoing, on_miss: OnMiss::Run };

fn build<S: Store + ?Sized>(bench: &Bench<S>, cache: &FakeCache, wanted: &Arc<ActionNode>) -> Outcome {
    bench.build_for(&[wanted], KEEP_GOING, Some(cache))
}

fn key(name: &str) -> Attester {
    Attester::Key(Digest::of(name.as_bytes()))
}

/// A chain of two actions.
fn row<S: Store + ?Sized>(bench: &Bench<S>) -> [Arc<ActionNode>; 2] {
    let a = step("a", vec![bench.source("x", "X")]);
    let b = step("b", vec![of(&a)]);
    [a, b]
}

#[test]
fn a_result_of_an_unsigned_cache_is_remade_once_signatures_are_required_and_never_sent() {
    over_stores(|bench| {
        let [_, b] = row(bench);
        let cache = FakeCache::with(bench, "a", "poison", None);
        let outcome = build(bench, &cache, &b);
        assert_eq!(
            (&*outcome.log, &*bench.text(&outcome, &b)),
            (&["fetch a", "run b"].map(str::to_owned)[..], "poisonb")
        );
        // Without required signatures it is a hit, which may be sent.
        cache.sent();
        assert_eq!(build(bench, &cache, &b).log, ["hit a", "hit b"]);
        assert_eq!(cache.sent(), ["had a", "had b"]);
        // The reader's own result is right for its input and stays: no build with the right input looks it up.
        bench.trusts(&[]);
        let outcome = build(bench, &cache, &b);
        assert_eq!(
            (&*outcome.log, &*bench.text(&outcome, &b)),
            (&["run a", "run b"].map(str::to_owned)[..], "Xab")
        );
        assert_eq!(cache.sent(), ["made a", "made b"]);
        // A remade result counts for all.
        for trusts in
            [|bench: &Bench<dyn Store>| bench.trusts(&[]), |bench: &Bench<dyn Store>| bench.trusts_anyone()]
        {
            trusts(bench);
            let outcome = build(bench, &cache, &b);
            assert_eq!(
                (&*outcome.log, &*bench.text(&outcome, &b)),
                (&["hit a", "hit b"].map(str::to_owned)[..], "Xab")
            );
        }
    });
}

#[test]
fn a_signed_result_counts_only_while_its_key_is_trusted() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        let cache = FakeCache::with(bench, "a", "signed", Some(key("old")));
        bench.trusts(&[key("old")]);
        assert_eq!(build(bench, &cache, &a).log, ["fetch a"]);
        assert_eq!(build(bench, &cache, &a).log, ["hit a"]);
        assert_eq!(cache.sent(), ["had a"]);
        // The key was removed from the file; then a result with an untrusted signature is refused from the cache, too.
        bench.trusts(&[key("new")]);
        let outcome = build(bench, &cache, &a);
        assert_eq!((&*outcome.log, &*bench.text(&outcome, &a)), (&["run a".to_owned()][..], "Xa"));
    });
}

#[test]
fn two_users_that_trust_different_keys_share_a_store_without_refetching() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        let caches =
            ["one", "two"].map(|name| (key(name), FakeCache::with(bench, "a", "same", Some(key(name)))));
        let build_all = || {
            let each = caches.iter().map(|(key, cache)| {
                bench.trusts(&[*key]);
                build(bench, cache, &a).log.join("")
            });
            each.collect::<Vec<_>>()
        };
        assert_eq!(build_all(), ["fetch a", "fetch a"]);
        assert_eq!(build_all(), ["hit a", "hit a"]);
        // A user without required signatures does not remove anything either when a blob has to be fetched again.
        bench.trusts_anyone();
        let unsigned = FakeCache::with(bench, "a", "same", None);
        assert_eq!(build(bench, &unsigned, &a).log, ["hit a"]);
        assert_eq!(build_all(), ["hit a", "hit a"]);
    });
}

#[test]
fn a_blob_fetched_unsigned_keeps_the_signed_result_that_it_belongs_to() {
    let bench = Bench::memory();
    let [a, _] = row(&bench);
    bench.build(&[&a]);
    let cache = FakeCache::with(&bench, "a", "Xa", None);
    // Without its blob the result is a miss, and is fetched.
    bench.store.remove(&BlobDigest::of(b"Xa"));
    assert_eq!(build(&bench, &cache, &a).log, ["fetch a"]);
    bench.store.put_bytes(b"Xa").unwrap();
    bench.trusts(&[]);
    assert_eq!(build(&bench, &FakeCache::default(), &a).log, ["hit a"]);
}

#[test]
fn results_of_workers_count_only_if_the_workers_are_trusted() {
    over_stores(|bench| {
        let [a, b] = row(bench);
        let workers = Attester::Workers(Digest::of(b"grpc://build.example"));
        let others = Attester::Workers(Digest::of(b"grpc://other.example"));
        let cache = FakeCache {
            done: BTreeMap::from([("a", (outputs(bench, "worked"), Some(workers)))]),
            ..FakeCache::default()
        };
        assert_eq!(build(bench, &cache, &a).log, ["send a"]);
        assert_eq!(cache.sent(), ["made a"]);
        for trusted in [&[][..], &[others], &[key("grpc://build.example")]] {
            bench.trusts(trusted);
            let outcome = build(bench, &cache, &b);
            assert_eq!(bench.text(&outcome, &b), "Xab", "{trusted:?}");
        }
        let [a, _] = [step("c", vec![bench.source("y", "Y")]), b];
        let cache = FakeCache {
            done: BTreeMap::from([("c", (outputs(bench, "worked"), Some(workers)))]),
            ..FakeCache::default()
        };
        bench.trusts(&[workers]);
        assert_eq!(build(bench, &cache, &a).log, ["send c"]);
        assert_eq!(build(bench, &cache, &a).log, ["hit c"]);
        assert_eq!(cache.sent(), ["had c", "made c"]);
    });
}

#[test]
fn a_result_whose_size_differs_from_the_declared_one_is_a_miss() {
    over_stores(|bench| {
        let sized = |size| Glue { size: Some(size), ..glue("a", Effect::Glue) };
        let a = node("a", sized(2), vec![bench.source("x", "X")]);
        let cache = FakeCache::with(bench, "a", "too long", None);
        let outcome = build(bench, &cache, &a);
        assert_eq!((&*outcome.log, &*bench.text(&outcome, &a)), (&["run a".to_owned()][..], "Xa"));
        // Also one that an earlier `mc` recorded.
        let wrong = mc_ir::reapi::encode_result(&outputs(bench, "too long")).0;
        let digest = Output::File(BlobDigest::of(b"X"));
        let action = encode_action(&a, std::slice::from_ref(&digest));
        bench.store.faces().1.put(&action.digest, &wrong, Some(Attester::Here)).unwrap();
        assert_eq!(build(bench, &cache, &a).log, ["run a"]);
        assert_eq!(build(bench, &cache, &a).log, ["hit a"]);
        // A run with an output of the wrong size is a bug.
        let bug = node("bug", Glue { parameter: "b", ..sized(9) }, vec![bench.source("x", "X")]);
        let expected = "fail bug: Action `glue` produced the output `out` in 2 bytes, expected 9; this is a bug in its rule";
        assert_eq!(build(bench, &FakeCache::default(), &bug).log, [expected]);
    });
}

/// An action that fails unless its input begins with `X`.
fn picky(name: &str, input: &Arc<ActionNode>) -> Arc<ActionNode> {
    node(name, glue("p", Effect::Expect("X")), vec![of(input)])
}

#[test]
fn a_result_that_its_reader_rejects_is_remade_here_by_the_next_build() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        let reader = picky("reader", &a);
        let cache = FakeCache::with(bench, "a", "poison", None);
        let outcome = build(bench, &cache, &reader);
        assert_eq!(outcome.log, ["fail reader: `poison` does not begin with `X`", "fetch a"]);
        assert_eq!(bench.suspects.n_reasons(), 1);
        assert_eq!(
            bench.suspects.take_warnings(),
            [
                "`//:reader` could not use 1 foreign result: `poison` does not begin with `X`; its inputs are remade here"
            ]
        );
        // The result is not requested again from the store or the remote cache.
        let outcome = build(bench, &cache, &reader);
        assert_eq!(
            (&*outcome.log, &*bench.text(&outcome, &reader)),
            (&["run a", "run reader"].map(str::to_owned)[..], "Xap")
        );
        assert_eq!(build(bench, &cache, &reader).log, ["hit a", "hit reader"]);
        assert_eq!(bench.suspects.n_reasons(), 1);
        assert_eq!(bench.suspects.take_warnings(), [""; 0]);
    });
}

#[test]
fn a_reader_that_fails_on_local_results_fails() {
    over_stores(|bench| {
        let wrong = step("a", vec![bench.source("x", "wrong")]);
        let reader = picky("reader", &wrong);
        for _ in 0..2 {
            build(bench, &FakeCache::default(), &reader);
        }
        assert_eq!(bench.suspects.n_reasons(), 0);
        // On a foreign result it fails, is retried once, and then the failure is its own.
        let other = step("b", vec![bench.source("y", "also wrong")]);
        let reader = picky("other", &other);
        let cache = FakeCache::with(bench, "b", "poison", None);
        for expected in [
            ["fail other: `poison`", "fetch b"],
            ["fail other: `also wrongb`", "run b"],
            ["fail other: `also wrongb`", "hit b"],
        ] {
            let log = build(bench, &cache, &reader).log;
            assert!(log.iter().zip(expected).all(|(line, expected)| line.starts_with(expected)), "{log:?}");
            assert_eq!(bench.suspects.n_reasons(), 1);
        }
    });
}

#[test]
fn a_result_that_was_not_read_is_not_suspected() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        // It fails before it reads.
        let reader = node("reader", glue("r", Effect::Fail), vec![of(&a)]);
        let cache = FakeCache::with(bench, "a", "poison", None);
        build(bench, &cache, &reader);
        assert_eq!(bench.suspects.n_reasons(), 0);
        assert_eq!(build(bench, &cache, &a).log, ["hit a"]);
    });
}
