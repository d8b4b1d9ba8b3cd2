//! Derived content hashes: which changes of a type keep its digest, and which do not.

use mc_digest::content_hash::{ContentHash, ContentHasher, content_digest};
use proptest::prelude::*;

/// The first version of an action's parameters.
#[derive(ContentHash)]
#[content("quantize")]
struct Before {
    #[content("codec")]
    codec: String,
    #[content("n-rows")]
    n_rows: u64,
}

/// A later version: a field was renamed, fields were reordered, options were added.
#[derive(ContentHash)]
#[content("quantize")]
struct After {
    #[content("n-rows")]
    row_count: u64,
    #[content("codec")]
    encoding: String,
    #[content("seed")]
    seed: Option<u64>,
    #[content("passes", default)]
    passes: Vec<String>,
    #[content("is-pure", default)]
    is_pure: bool,
    #[content(skip)]
    progress: &'static str,
}

impl After {
    fn plain(codec: &str, n_rows: u64) -> Self {
        let (row_count, encoding) = (n_rows, codec.to_owned());
        Self { row_count, encoding, seed: None, passes: Vec::new(), is_pure: false, progress: "quantizing" }
    }
}

#[derive(ContentHash)]
enum Limit {
    #[content("none")]
    None,
    #[content("share")]
    Share(#[content("of")] f64),
    #[content("bytes")]
    Bytes {
        #[content("at-most")]
        at_most: u64,
        #[content("unit")]
        unit: Option<String>,
    },
}

#[derive(ContentHash)]
#[content(transparent)]
struct Name(String);

#[derive(ContentHash)]
#[content("pair")]
struct Pair<T> {
    #[content("left")]
    left: T,
    #[content("right")]
    right: Option<T>,
}

#[test]
fn renamed_and_moved_fields_and_options_that_are_absent_keep_the_digest() {
    let before = Before { codec: "Q4_K".to_owned(), n_rows: 7 };
    assert_eq!(content_digest(&before), content_digest(&After::plain("Q4_K", 7)));
    let other = After { progress: "encoding", ..After::plain("Q4_K", 7) };
    assert_ne!(other.progress, After::plain("Q4_K", 7).progress);
    assert_eq!(content_digest(&before), content_digest(&other), "a skipped field is in no digest");
}

#[test]
fn each_present_option_changes_the_digest_differently() {
    let plain = || After::plain("Q4_K", 7);
    let values = [
        plain(),
        After { seed: Some(0), ..plain() },
        After { passes: vec![String::new()], ..plain() },
        After { is_pure: true, ..plain() },
        After::plain("Q5_K", 7),
        After::plain("Q4_K", 8),
    ];
    let digests: Vec<_> = values.iter().map(content_digest).collect();
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "{index}");
    }
}

#[test]
fn variants_are_distinguished_by_name_and_content() {
    let values = [
        Limit::None,
        Limit::Share(0.5),
        Limit::Share(-0.5),
        Limit::Bytes { at_most: 1, unit: None },
        Limit::Bytes { at_most: 1, unit: Some("MB".to_owned()) },
    ];
    let digests: Vec<_> = values.iter().map(content_digest).collect();
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "{index}");
    }
}

#[test]
fn a_transparent_struct_hashes_as_its_field() {
    assert_eq!(content_digest(&Name("tone".to_owned())), content_digest("tone"));
}

/// The encoding is frozen: if this test fails, every cached action of every user is lost.
#[test]
fn the_encoding_of_a_struct_is_its_name_its_fields_by_name_and_an_end() {
    let mut state = ContentHasher::new();
    state.name("quantize");
    state.field("codec").field("Q4_K").field("n-rows").field(&7_u64);
    state.end();
    assert_eq!(content_digest(&Before { codec: "Q4_K".to_owned(), n_rows: 7 }), state.finish());
}

proptest! {
    /// A value that follows a struct is never read as one of its fields.
    #[test]
    fn neighbors_do_not_run_into_each_other(a: (u8, Option<u8>), b: (u8, Option<u8>), c: (u8, Option<u8>), d: (u8, Option<u8>)) {
        let pair = |(left, right)| Pair { left, right };
        let (first, second) = ([pair(a), pair(b)], [pair(c), pair(d)]);
        prop_assert_eq!((a, b) == (c, d), content_digest(&first) == content_digest(&second));
    }
}
