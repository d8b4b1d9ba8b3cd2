//! Tests which results are hits, which of them are passed on, and what happens to those that their readers refuse.

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

/// A team: its results for each step, by the step's name, and notes of what it was given.
#[derive(Default)]
struct Team {
    /// Kept by its cache.
    results: BTreeMap<&'static str, (Outputs, Option<Attester>)>,
    /// Done by its workers.
    done: BTreeMap<&'static str, (Outputs, Option<Attester>)>,
    sent: Mutex<Vec<String>>,
}

impl Team {
    /// A team whose cache has this text for a step.
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

impl RemoteResults for Team {
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

/// The outputs of a step that gave this text.
fn outputs<S: Store + ?Sized>(bench: &Bench<S>, text: &str) -> Outputs {
    let blob = bench.store.faces().0.put_bytes(text.as_bytes()).unwrap();
    Outputs::from([("out".to_owned(), Output::File(blob))])
}

const KEEP_GOING: Options = Options { n_jobs: 1, on_failure: OnFailure::KeepGoing, on_miss: OnMiss::Run };

fn build<S: Store + ?Sized>(bench: &Bench<S>, team: &Team, wanted: &Arc<ActionNode>) -> Outcome {
    bench.build_for(&[wanted], KEEP_GOING, Some(team))
}

fn key(name: &str) -> Attester {
    Attester::Key(Digest::of(name.as_bytes()))
}

/// Two steps in a row.
fn row<S: Store + ?Sized>(bench: &Bench<S>) -> [Arc<ActionNode>; 2] {
    let a = step("a", vec![bench.source("x", "X")]);
    let b = step("b", vec![of(&a)]);
    [a, b]
}

#[test]
fn what_an_unsigned_cache_gave_is_made_again_once_signatures_count_and_never_sent() {
    over_stores(|bench| {
        let [_, b] = row(bench);
        let team = Team::with(bench, "a", "poison", None);
        let outcome = build(bench, &team, &b);
        assert_eq!(
            (&*outcome.log, &*bench.text(&outcome, &b)),
            (&["fetch a", "run b"].map(str::to_owned)[..], "poisonb")
        );
        // Without signatures it is a hit, which may be sent.
        team.sent();
        assert_eq!(build(bench, &team, &b).log, ["hit a", "hit b"]);
        assert_eq!(team.sent(), ["had a", "had b"]);
        // The reader's own result is right for what it read, and stays: nobody with the right input asks for it.
        bench.trusts(&[]);
        let outcome = build(bench, &team, &b);
        assert_eq!(
            (&*outcome.log, &*bench.text(&outcome, &b)),
            (&["run a", "run b"].map(str::to_owned)[..], "Xab")
        );
        assert_eq!(team.sent(), ["made a", "made b"]);
        // What was made again counts for everybody.
        for trusts in
            [|bench: &Bench<dyn Store>| bench.trusts(&[]), |bench: &Bench<dyn Store>| bench.trusts_anyone()]
        {
            trusts(bench);
            let outcome = build(bench, &team, &b);
            assert_eq!(
                (&*outcome.log, &*bench.text(&outcome, &b)),
                (&["hit a", "hit b"].map(str::to_owned)[..], "Xab")
            );
        }
    });
}

#[test]
fn a_signed_result_counts_for_whoever_trusts_the_key_and_as_long_as_they_do() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        let team = Team::with(bench, "a", "signed", Some(key("old")));
        bench.trusts(&[key("old")]);
        assert_eq!(build(bench, &team, &a).log, ["fetch a"]);
        assert_eq!(build(bench, &team, &a).log, ["hit a"]);
        assert_eq!(team.sent(), ["had a"]);
        // The key was removed from the file; and what nobody trusts is refused from the cache, too.
        bench.trusts(&[key("new")]);
        let outcome = build(bench, &team, &a);
        assert_eq!((&*outcome.log, &*bench.text(&outcome, &a)), (&["run a".to_owned()][..], "Xa"));
    });
}

#[test]
fn two_teams_that_trust_different_keys_share_a_store_without_taking_turns() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        let teams = ["one", "two"].map(|name| (key(name), Team::with(bench, "a", "same", Some(key(name)))));
        let build_all = || {
            let each = teams.iter().map(|(key, team)| {
                bench.trusts(&[*key]);
                build(bench, team, &a).log.join("")
            });
            each.collect::<Vec<_>>()
        };
        assert_eq!(build_all(), ["fetch a", "fetch a"]);
        assert_eq!(build_all(), ["hit a", "hit a"]);
        // Nor does somebody who asks for no signatures take anything away, when a blob has to come again.
        bench.trusts_anyone();
        let unsigned = Team::with(bench, "a", "same", None);
        assert_eq!(build(bench, &unsigned, &a).log, ["hit a"]);
        assert_eq!(build_all(), ["hit a", "hit a"]);
    });
}

#[test]
fn a_blob_that_came_unsigned_takes_nothing_from_the_result_that_it_belongs_to() {
    let bench = Bench::memory();
    let [a, _] = row(&bench);
    bench.build(&[&a]);
    let team = Team::with(&bench, "a", "Xa", None);
    // Without its blob the result is a miss, and is taken from the team.
    bench.store.remove(&BlobDigest::of(b"Xa"));
    assert_eq!(build(&bench, &team, &a).log, ["fetch a"]);
    bench.store.put_bytes(b"Xa").unwrap();
    bench.trusts(&[]);
    assert_eq!(build(&bench, &Team::default(), &a).log, ["hit a"]);
}

#[test]
fn what_workers_made_counts_only_where_they_are_trusted() {
    over_stores(|bench| {
        let [a, b] = row(bench);
        let workers = Attester::Workers(Digest::of(b"grpc://build.example"));
        let others = Attester::Workers(Digest::of(b"grpc://other.example"));
        let team = Team {
            done: BTreeMap::from([("a", (outputs(bench, "worked"), Some(workers)))]),
            ..Team::default()
        };
        assert_eq!(build(bench, &team, &a).log, ["send a"]);
        assert_eq!(team.sent(), ["made a"]);
        for trusted in [&[][..], &[others], &[key("grpc://build.example")]] {
            bench.trusts(trusted);
            let outcome = build(bench, &team, &b);
            assert_eq!(bench.text(&outcome, &b), "Xab", "{trusted:?}");
        }
        let [a, _] = [step("c", vec![bench.source("y", "Y")]), b];
        let team = Team {
            done: BTreeMap::from([("c", (outputs(bench, "worked"), Some(workers)))]),
            ..Team::default()
        };
        bench.trusts(&[workers]);
        assert_eq!(build(bench, &team, &a).log, ["send c"]);
        assert_eq!(build(bench, &team, &a).log, ["hit c"]);
        assert_eq!(team.sent(), ["had c", "made c"]);
    });
}

#[test]
fn a_result_of_another_size_than_the_action_knows_is_a_miss() {
    over_stores(|bench| {
        let sized = |size| Glue { size: Some(size), ..glue("a", Effect::Glue) };
        let a = node("a", sized(2), vec![bench.source("x", "X")]);
        let team = Team::with(bench, "a", "too long", None);
        let outcome = build(bench, &team, &a);
        assert_eq!((&*outcome.log, &*bench.text(&outcome, &a)), (&["run a".to_owned()][..], "Xa"));
        // One that an earlier `mc` recorded, too.
        let wrong = mc_ir::reapi::encode_result(&outputs(bench, "too long")).0;
        let digest = Output::File(BlobDigest::of(b"X"));
        let action = encode_action(&a, std::slice::from_ref(&digest));
        bench.store.faces().1.put(&action.digest, &wrong, Some(Attester::Here)).unwrap();
        assert_eq!(build(bench, &team, &a).log, ["run a"]);
        assert_eq!(build(bench, &team, &a).log, ["hit a"]);
        // A run that gives it is a bug.
        let bug = node("bug", Glue { parameter: "b", ..sized(9) }, vec![bench.source("x", "X")]);
        let expected =
            "fail bug: Action `glue` gave the output `out` in 2 bytes, expected 9; this is a bug in its rule";
        assert_eq!(build(bench, &Team::default(), &bug).log, [expected]);
    });
}

/// A step that wants its input to begin with `X`.
fn picky(name: &str, input: &Arc<ActionNode>) -> Arc<ActionNode> {
    node(name, glue("p", Effect::Expect("X")), vec![of(input)])
}

#[test]
fn a_result_that_its_reader_refuses_is_made_here_by_the_next_build() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        let reader = picky("reader", &a);
        let team = Team::with(bench, "a", "poison", None);
        let outcome = build(bench, &team, &reader);
        assert_eq!(outcome.log, ["fail reader: `poison` does not begin with `X`", "fetch a"]);
        assert_eq!(bench.suspects.n_reasons(), 1);
        assert_eq!(
            bench.suspects.take_warnings(),
            [
                "`//:reader` could not use 1 result that others made: `poison` does not begin with `X`; what it read is made here"
            ]
        );
        // Neither the store nor the team is asked for it again.
        let outcome = build(bench, &team, &reader);
        assert_eq!(
            (&*outcome.log, &*bench.text(&outcome, &reader)),
            (&["run a", "run reader"].map(str::to_owned)[..], "Xap")
        );
        assert_eq!(build(bench, &team, &reader).log, ["hit a", "hit reader"]);
        assert_eq!(bench.suspects.n_reasons(), 1);
        assert_eq!(bench.suspects.take_warnings(), [""; 0]);
    });
}

#[test]
fn a_reader_that_fails_over_what_was_made_here_fails() {
    over_stores(|bench| {
        let wrong = step("a", vec![bench.source("x", "wrong")]);
        let reader = picky("reader", &wrong);
        for _ in 0..2 {
            build(bench, &Team::default(), &reader);
        }
        assert_eq!(bench.suspects.n_reasons(), 0);
        // Over what came from elsewhere it fails once more, and then it is its own failure.
        let other = step("b", vec![bench.source("y", "also wrong")]);
        let reader = picky("other", &other);
        let team = Team::with(bench, "b", "poison", None);
        for expected in [
            ["fail other: `poison`", "fetch b"],
            ["fail other: `also wrongb`", "run b"],
            ["fail other: `also wrongb`", "hit b"],
        ] {
            let log = build(bench, &team, &reader).log;
            assert!(log.iter().zip(expected).all(|(line, expected)| line.starts_with(expected)), "{log:?}");
            assert_eq!(bench.suspects.n_reasons(), 1);
        }
    });
}

#[test]
fn a_result_that_nobody_read_is_not_blamed() {
    over_stores(|bench| {
        let [a, _] = row(bench);
        // It fails before it reads.
        let reader = node("reader", glue("r", Effect::Fail), vec![of(&a)]);
        let team = Team::with(bench, "a", "poison", None);
        build(bench, &team, &reader);
        assert_eq!(bench.suspects.n_reasons(), 0);
        assert_eq!(build(bench, &team, &a).log, ["hit a"]);
    });
}
