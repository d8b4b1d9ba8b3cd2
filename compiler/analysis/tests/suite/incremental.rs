//! Queries that run again after an edit, by name.

use mc_analysis::analyze::analyze;
use mc_analysis::check::check;
use mc_analysis::packages::packages;

use crate::fake::{Fixture, Words, label, pattern};

const FILES: &[(&str, &str)] = &[
    ("a/package.kdl", "note \"n\" file=\"n.txt\"\ncount \"c\" of=\":n\"\n"),
    ("a/n.txt", "abc"),
    ("b/package.kdl", "note \"own\" file=\"own.txt\"\njoin \"j\" { part \"//a:c\"; part \":own\" }\n"),
    ("b/own.txt", "own"),
    ("c/package.kdl", "note \"n\" file=\"n.txt\"\n"),
    ("c/n.txt", "far away"),
];

/// The provider of every target of the workspace, and the queries that ran for it.
fn run(fixture: &mut Fixture) -> Vec<String> {
    fixture.db.refresh();
    check(&fixture.db, &[pattern("//...")]);
    fixture.executed()
}

fn words(fixture: &Fixture, target: &str) -> String {
    let analysis = analyze(&fixture.db, &label(target));
    let providers = analysis.providers.as_ref().expect("the target is right");
    providers.get::<Words>().expect("every rule gives words").0.clone()
}

fn ready() -> Fixture {
    let mut fixture = Fixture::new(FILES);
    assert!(!run(&mut fixture).is_empty());
    fixture
}

#[test]
fn no_query_runs_without_a_change() {
    let mut fixture = ready();
    assert_eq!(fixture.db.refresh(), 0);
    assert_eq!(run(&mut fixture), [""; 0]);
}

#[test]
fn an_edited_comment_has_no_effect_beyond_parsing_and_lowering() {
    let mut fixture = ready();
    let text = "// Why these.\n\nnote \"n\" file=\"n.txt\" /* the old one */\n\ncount \"c\" of=\":n\"\n";
    fixture.files.write("a/package.kdl", text.as_bytes());
    assert_eq!(run(&mut fixture), ["lower(//a)", "package(//a)", "parse(a/package.kdl)"]);
}

#[test]
fn editing_one_package_runs_no_query_of_another() {
    let mut fixture = ready();
    let text = "note \"n\" file=\"n.txt\"\n";
    fixture.files.write("c/package.kdl", format!("{text}note \"new\" file=\"n.txt\"\n").as_bytes());
    let executed = run(&mut fixture);
    assert!(executed.contains(&"analyze_target(//c:new)".to_owned()), "{executed:?}");
    assert!(
        executed.iter().all(|query| query.contains("//c") || query == "parse(c/package.kdl)"),
        "{executed:?}"
    );
    assert!(!executed.contains(&"analyze_target(//c:n)".to_owned()), "{executed:?}");
}

#[test]
fn an_unchanged_target_is_not_analyzed_when_its_neighbor_changes() {
    let mut fixture = ready();
    let text = "note \"n\" file=\"n.txt\"\ncount \"c\" of=\":n\"\nnote \"m\" file=\"n.txt\"\n";
    fixture.files.write("a/package.kdl", text.as_bytes());
    assert_eq!(
        run(&mut fixture),
        [
            "analyze_target(//a:m)",
            "lower(//a)",
            "package(//a)",
            "parse(a/package.kdl)",
            "resolve(//a:c)",
            "resolve(//a:m)",
            "resolve(//a:n)",
        ]
    );
}

#[test]
fn an_edited_file_reruns_only_its_target_and_the_dependents() {
    let mut fixture = ready();
    fixture.files.write("b/own.txt", b"other");
    assert_eq!(run(&mut fixture), ["analyze_target(//b:j)", "analyze_target(//b:own)"]);
    assert_eq!(words(&fixture, "//b:j"), "3 other");
}

#[test]
fn equal_providers_do_not_rerun_the_dependents() {
    let mut fixture = ready();
    // Same number of letters as before, so the count is equal and the join does not run.
    fixture.files.write("a/n.txt", b"xyz");
    assert_eq!(run(&mut fixture), ["analyze_target(//a:c)", "analyze_target(//a:n)"]);
    fixture.files.write("a/n.txt", b"more");
    assert_eq!(
        run(&mut fixture),
        ["analyze_target(//a:c)", "analyze_target(//a:n)", "analyze_target(//b:j)"]
    );
}

#[test]
fn a_file_rewritten_with_the_same_bytes_is_unchanged() {
    let mut fixture = ready();
    fixture.files.write("a/n.txt", b"abc");
    assert_eq!(fixture.db.refresh(), 0);
    assert_eq!(run(&mut fixture), [""; 0]);
}

#[test]
fn a_new_package_is_found_after_a_refresh() {
    let mut fixture = ready();
    fixture.files.write("d/package.kdl", b"note \"n\" file=\"n.txt\"\n");
    fixture.files.write("d/n.txt", b"new");
    assert_eq!(packages(&fixture.db).len(), 3);
    fixture.db.refresh();
    assert_eq!(packages(&fixture.db).len(), 4);
    assert_eq!(words(&fixture, "//d:n"), "new");
    let executed = fixture.executed();
    assert!(
        executed
            .iter()
            .all(|query| query.contains("//d") || query == "parse(d/package.kdl)" || query == "packages"),
        "{executed:?}"
    );
}

#[test]
fn a_removed_package_is_reported_as_missing() {
    let mut fixture = ready();
    fixture.files.remove("a/package.kdl");
    fixture.db.refresh();
    let found = check(&fixture.db, &[pattern("//b:all")]).shown;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].diagnostic.code, "label::unknown");
    assert_eq!(packages(&fixture.db).len(), 2);
    // Its return is detected, too.
    fixture.files.write("a/package.kdl", FILES[0].1.as_bytes());
    fixture.db.refresh();
    assert!(check(&fixture.db, &[pattern("//b:all")]).is_empty());
}

#[test]
fn a_new_file_fixes_the_target_that_needs_it() {
    let mut fixture = Fixture::new(&[("package.kdl", "note \"n\" file=\"n.txt\"\n")]);
    assert_eq!(check(&fixture.db, &[pattern("//...")]).n_all(), 1);
    fixture.files.write("n.txt", b"here");
    assert_eq!(check(&fixture.db, &[pattern("//...")]).n_all(), 1, "Nothing changes before a refresh");
    fixture.executed();
    assert_eq!(run(&mut fixture), ["analyze_target(//:n)"]);
    assert_eq!(words(&fixture, "//:n"), "here");
}

#[test]
fn a_pattern_detects_new_and_removed_files() {
    let mut fixture =
        Fixture::new(&[("package.kdl", "folder \"f\" files=\"data/*.txt\"\n"), ("data/a.txt", "")]);
    assert_eq!(words(&fixture, "//:f"), "data/a.txt");
    fixture.executed();
    fixture.files.write("data/b.txt", b"");
    fixture.db.refresh();
    assert_eq!(words(&fixture, "//:f"), "data/a.txt data/b.txt");
    assert_eq!(fixture.executed(), ["analyze_target(//:f)"]);
    // File contents and names that the pattern does not match have no influence.
    fixture.files.write("data/a.txt", b"more");
    fixture.files.write("data/c.jsonl", b"");
    fixture.db.refresh();
    assert_eq!(words(&fixture, "//:f"), "data/a.txt data/b.txt");
    assert_eq!(fixture.executed(), [""; 0]);
    fixture.files.remove("data/a.txt");
    fixture.db.refresh();
    assert_eq!(words(&fixture, "//:f"), "data/b.txt");
}

#[test]
fn a_diagnostic_moves_with_its_target_and_nothing_is_analyzed() {
    let text = "note \"n\" file=\"missing.txt\"\n";
    let mut fixture = Fixture::new(&[("package.kdl", text)]);
    let start = |fixture: &Fixture| check(&fixture.db, &[pattern("//...")]).shown[0].diagnostic.span.start;
    assert_eq!(start(&fixture), 14);
    fixture.executed();
    fixture.files.write("package.kdl", format!("// Moved.\n{text}").as_bytes());
    fixture.db.refresh();
    assert_eq!(start(&fixture), 24);
    assert_eq!(fixture.executed(), ["lower(//)", "package(//)", "parse(package.kdl)", "spans(//)"]);
}

#[test]
fn an_edited_workspace_setting_reruns_no_target() {
    let mut fixture = ready();
    fixture.files.write("workspace.kdl", b"workspace \"other\"\n");
    assert_eq!(run(&mut fixture), ["lower_workspace", "parse(workspace.kdl)"]);
}

#[test]
fn the_longest_chain_does_not_overflow_the_stack_initially_or_after_an_edit() {
    let mut text = "note \"t0\" file=\"n.txt\"\n".to_owned();
    for index in 1..1_000 {
        text += &format!("join \"t{index}\" {{ part \":t{}\"; }}\n", index - 1);
    }
    let mut fixture = Fixture::new(&[("package.kdl", &text), ("n.txt", "abc")]);
    assert_eq!(words(&fixture, "//:t999"), "abc");
    fixture.files.write("n.txt", b"xyz");
    fixture.db.refresh();
    fixture.executed();
    assert_eq!(words(&fixture, "//:t999"), "xyz");
    assert_eq!(fixture.executed().len(), 1_000);
    // An edited comment reruns no target, but every answer is revalidated.
    fixture.files.write("package.kdl", format!("// Long.\n{text}").as_bytes());
    assert_eq!(
        run(&mut fixture),
        [
            "lower(//)",
            "lower_workspace",
            "package(//)",
            "packages",
            "parse(package.kdl)",
            "parse(workspace.kdl)"
        ]
    );
}
