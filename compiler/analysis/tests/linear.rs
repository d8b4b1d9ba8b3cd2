//! Tests that the cost of a check is linear in the number of diagnostics of any kind.
//!
//! The cost is the number of allocated bytes, which is the same in every run. Gathering names, finding lines or
//! formatting messages anew for each diagnostic would show in it.

#[expect(dead_code, reason = "the suite uses more of it")]
#[path = "suite/fake.rs"]
mod fake;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;

use mc_analysis::check::check;
use mc_analysis::diagnostic::{Diagnostics, MAX_SHOWN};
use mc_syntax::line_index::LineIndex;
use mc_syntax::render::render;

use crate::fake::{Fixture, pattern};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, with a count of the bytes that this thread allocates.
struct Counting;

thread_local! {
    static N_BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(n_bytes: usize) {
    let reported = N_BYTES.try_with(|counted| counted.set(counted.get() + n_bytes));
    // An ending thread no longer has the counter, and its count is not read.
    reported.unwrap_or_default();
}

#[expect(unsafe_code, reason = "allocations can only be counted from inside")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds `dealloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The number of bytes that a check and its report allocate, and the diagnostics.
fn cost(text: &str) -> (usize, Diagnostics) {
    let fixture = Fixture::new(&[("package.kdl", text), ("n.txt", "")]);
    let before = N_BYTES.with(Cell::get);
    let diagnostics = check(&fixture.db, &[pattern("//...")]);
    let lines = diagnostics.shown.first().map(|first| LineIndex::new(&first.text));
    for (found, lines) in diagnostics.shown.iter().zip(std::iter::repeat(&lines)) {
        drop(lines.as_ref().map(|lines| render(&found.path, lines, &found.diagnostic).to_string()));
    }
    (N_BYTES.with(Cell::get) - before, diagnostics)
}

/// Generates a file with this many errors of one kind.
type Kind = fn(usize) -> String;

fn repeated(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::new(), |mut text, index| {
        let _infallible = writeln!(text, "{}", line(index));
        text
    })
}

const KINDS: [(&str, Kind); 14] = [
    ("targets declared twice", |n| repeated(n, |_| "note \"x\" file=\"n.txt\"".to_owned())),
    ("unknown rules", |n| repeated(n, |i| format!("noet \"x{i}\""))),
    ("unknown attributes", |n| repeated(n, |i| format!("note \"x{i}\" file=\"n.txt\" flie=1"))),
    ("unknown attributes of one target", |n| {
        format!("note \"x\" file=\"n.txt\" {{\n{}}}\n", repeated(n, |i| format!("flie{i} 1")))
    }),
    ("attributes given twice", |n| {
        format!("note \"x\" {{\n{}}}\n", repeated(n, |_| "file \"n.txt\"".to_owned()))
    }),
    ("values of another kind", |n| repeated(n, |i| format!("note \"x{i}\" file={i}"))),
    ("unknown targets", |n| repeated(n, |i| format!("count \"x{i}\" of=\":y{i}\""))),
    ("unknown targets of one target", |n| {
        format!("join \"x\" {{\n{}}}\n", repeated(n, |i| format!("part \":y{i}\"")))
    }),
    ("unknown packages", |n| repeated(n, |i| format!("count \"x{i}\" of=\"//p{i}:y\""))),
    ("missing files", |n| repeated(n, |i| format!("note \"x{i}\" file=\"{i}.txt\""))),
    ("patterns in missing folders", |n| repeated(n, |i| format!("folder \"x{i}\" files=\"{i}/*.txt\""))),
    ("a cycle", |n| repeated(n, |i| format!("count \"x{i}\" of=\":x{}\"", (i + 1) % n))),
    ("cycles", |n| {
        let next = |i: usize| (i + 1).min(n - 1);
        repeated(n, |i| format!("join \"x{i:06}\" {{ part \":x{:06}\"; part \":x000000\" }}", next(i)))
    }),
    ("broken syntax", |n| repeated(n, |i| format!("note \"x{i}\" = [1.0.0, \u{1B}"))),
];

#[test]
fn the_cost_of_many_errors_of_any_kind_is_linear() {
    for (name, kind) in KINDS {
        let [(few, _), (many, found)] = [1_000, 4_000].map(|n| cost(&kind(n)));
        assert!(!found.is_empty(), "{name}");
        assert!(many < 6 * few, "{name}: 1000 cost {few} bytes and 4000 cost {many}");
    }
}

#[test]
fn the_first_hundred_errors_of_a_file_are_reported_and_the_rest_is_counted() {
    let (_, found) = cost(&KINDS[0].1(16_000));
    assert_eq!((found.shown.len(), found.n_all()), (MAX_SHOWN, 15_999));
    assert_eq!(found.n_more["package.kdl"], 15_899);
    let starts: Vec<usize> = found.shown.iter().map(|found| found.diagnostic.span.start).collect();
    let line = "note \"x\" file=\"n.txt\"\n".len();
    assert_eq!(starts, (1..=MAX_SHOWN).map(|index| index * line).collect::<Vec<_>>());
}

#[test]
fn suggestions_are_searched_only_for_shown_errors() {
    let (_, found) = cost(&repeated(500, |i| format!("count \"tone{i}\" of=\":tnoe{i}\"")));
    assert_eq!(found.shown.len(), MAX_SHOWN);
    for found in &found.shown {
        assert!(found.diagnostic.help.as_ref().is_some_and(|help| help.starts_with("Did you mean `//:tone")));
    }
}

#[test]
fn a_long_cycle_is_reported_in_few_lines() {
    let (_, found) = cost(&KINDS[11].1(5_000));
    let cycle = &found.shown[0].diagnostic;
    assert_eq!(cycle.code, "label::cycle");
    assert!(cycle.message.ends_with("… 4992 more … → `//:x0`"), "{}", cycle.message);
    assert_eq!(cycle.labels.len(), 7);
}
