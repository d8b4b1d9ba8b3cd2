//! Tests of the language of `mc query`, and of patterns.

use expect_test::{Expect, expect};
use mc_analysis::patterns::labels;
use mc_analysis::query::evaluate::query;
use mc_ir::label::PackageId;

use crate::fake::{Fixture, pattern};

fn fixture() -> Fixture {
    Fixture::new(&[
        ("data/package.kdl", "note \"train\" file=\"n.txt\"\nnote \"held-out\" file=\"n.txt\"\n"),
        (
            "models/package.kdl",
            "join \"base\" { part \"//data:train\"; }
            join \"tone\" { part \":base\"; part \"//data:held-out\"; }
            count \"size\" of=\":tone\"
            pair \"both\" left=\"a.txt\" right=\"b.txt\"
            join \"wrong\" { part \":nothing\"; part \":base\"; }\n",
        ),
        ("models/deep/package.kdl", "count \"size\" of=\"//data:train\"\n"),
        (
            "loop/package.kdl",
            "join \"a\" { part \":b\"; }\njoin \"b\" { part \":a\"; part \"//data:train\"; }\n",
        ),
    ])
}

/// Compares the answer, or the error below the query with its location underlined.
fn check(text: &str, expected: Expect) {
    let here = PackageId("models".to_owned());
    let shown = match query(&fixture().db, text, &here) {
        Ok(labels) => labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => {
            let start = text[..error.span.start].chars().count();
            let n_chars = text[error.span.clone()].chars().count();
            let help = error.help.as_ref().map_or(String::new(), |help| format!("\n= {help}"));
            format!("{text}\n{}{} {error}{help}", " ".repeat(start), "^".repeat(n_chars.max(1)))
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_pattern_matches_written_targets() {
    check("//data:train", expect!["//data:train"]);
    check("//data:all", expect!["//data:held-out //data:train"]);
    check(
        "//models/...",
        expect!["//models:base //models:both //models:size //models:tone //models:wrong //models/deep:size"],
    );
    check(
        "//...",
        expect![
            "//data:held-out //data:train //loop:a //loop:b //models:base //models:both //models:size //models:tone //models:wrong //models/deep:size"
        ],
    );
    check(
        "...",
        expect!["//models:base //models:both //models:size //models:tone //models:wrong //models/deep:size"],
    );
    check(":tone", expect!["//models:tone"]);
    check(":both-left", expect!["//models:both-left"]);
}

#[test]
fn deps_are_all_direct_and_indirect_dependencies() {
    check("deps(:size)", expect!["//data:held-out //data:train //models:base //models:size //models:tone"]);
    check("deps(:size, 1)", expect!["//models:size //models:tone"]);
    check("deps(:size, 0)", expect!["//models:size"]);
    check("deps(:both)", expect!["//models:both //models:both-left //models:both-right"]);
    check("deps(//loop:a)", expect!["//data:train //loop:a //loop:b"]);
    check("deps(:wrong)", expect!["//data:train //models:base //models:wrong"]);
}

#[test]
fn rdeps_are_all_targets_that_depend_on_a_target() {
    check("rdeps(//data:held-out)", expect!["//data:held-out //models:size //models:tone"]);
    check("rdeps(//data:train, 1)", expect!["//data:train //loop:b //models:base //models/deep:size"]);
    check("rdeps(//models/deep/..., //data:train)", expect!["//data:train //models/deep:size"]);
    check("rdeps(//..., //data:train, 1)", expect!["//data:train //loop:b //models:base //models/deep:size"]);
    check("rdeps(:both-left)", expect!["//models:both //models:both-left"]);
}

#[test]
fn kind_matches_the_rule_as_declared_and_as_expanded() {
    check("kind(count, //...)", expect!["//models:size //models/deep:size"]);
    check("kind(pair, //...)", expect!["//models:both"]);
    check("kind(join, :both)", expect!["//models:both"]);
    check("kind(note, deps(:both))", expect!["//models:both-left //models:both-right"]);
    check("kind(\"n*\", //data:all)", expect!["//data:held-out //data:train"]);
}

#[test]
fn paths_between_sets() {
    check("allpaths(:size, //data:train)", expect!["//data:train //models:base //models:size //models:tone"]);
    check(
        "allpaths(:size, //data:all)",
        expect!["//data:held-out //data:train //models:base //models:size //models:tone"],
    );
    check("somepath(:size, //data:train)", expect!["//models:size //models:tone //models:base //data:train"]);
    check("somepath(//models/..., //data:train)", expect!["//models:base //data:train"]);
    check("somepath(//data:train, :size)", expect![""]);
    check("somepath(:size, :size)", expect!["//models:size"]);
}

#[test]
fn sets_are_joined_from_left_to_right() {
    check("//data:all + :tone", expect!["//data:held-out //data:train //models:tone"]);
    check("//data:all - //data:train", expect!["//data:held-out"]);
    check("//data:all except //data:train union :tone", expect!["//data:held-out //models:tone"]);
    check("//data:all except (//data:train union //data:held-out)", expect![""]);
    check("deps(:tone) ^ //data:all", expect!["//data:held-out //data:train"]);
    check("deps(:tone) intersect //models:all", expect!["//models:base //models:tone"]);
}

#[test]
fn sets_filters_and_attributes() {
    check("set(:tone //data:train)", expect!["//data:train //models:tone"]);
    check("set(:tone, :base) + set()", expect!["//models:base //models:tone"]);
    check("some(//...)", expect!["//data:held-out"]);
    check("some(//..., 3)", expect!["//data:held-out //data:train //loop:a"]);
    check("filter(\"^//m.*size$\", //...)", expect!["//models:size //models/deep:size"]);
    check("attr(file, n.txt, //...)", expect!["//data:held-out //data:train"]);
    check("attr(part, \"//data:\", //...)", expect!["//loop:b //models:base //models:tone"]);
    check("attr(left, ., //...)", expect!["//models:both"]);
    check("labels(part, :tone)", expect!["//data:held-out //models:base"]);
    check("labels(of, //models/...)", expect!["//data:train //models:tone"]);
    check(
        "somepath(:size, //data:train) ^ //...",
        expect!["//data:train //models:base //models:size //models:tone"],
    );
    check(
        "some(:tone - :tone)",
        expect![[r#"
        some(:tone - :tone)
             ^^^^^^^^^^^^^ The set is empty, so `some` has no target to return"#]],
    );
    check(
        "attr(fil, x, //...)",
        expect![[r#"
        attr(fil, x, //...)
             ^^^ No rule has an attribute `fil`
        = Did you mean `file`?"#]],
    );
    check(
        "attr(file, \"(\", //...)",
        expect![[r#"
        attr(file, "(", //...)
                   ^^^ `(` is not a regular expression: unclosed group"#]],
    );
    check(
        "filter(//...)",
        expect![[r#"
        filter(//...)
        ^^^^^^ Wrong number of arguments for `filter`: 1
        = Write `filter(regex, set)`"#]],
    );
    check(
        "set(:tone :base",
        expect![[r#"
        set(:tone :base
                       ^ Expected `)`, found the end of the query"#]],
    );
    check(
        "deps(:tone :base)",
        expect![[r#"
        deps(:tone :base)
                   ^^^^^ Expected `)`"#]],
    );
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    check(
        "",
        expect![[r#"

        ^ Expected a label, a pattern or a function, found the end of the query"#]],
    );
    check(
        "deps(",
        expect![[r#"
        deps(
             ^ Expected a label, a pattern or a function, found the end of the query"#]],
    );
    check(
        "deps(:tone",
        expect![[r#"
        deps(:tone
                  ^ Expected `)`, found the end of the query"#]],
    );
    check(
        "deps(:tone))",
        expect![[r#"
        deps(:tone))
                   ^ Expected the end of the query or an operator
        = Join sets by `+`, `-` or `^` (or `union`, `except`, `intersect`)"#]],
    );
    check(
        "dep(:tone)",
        expect![[r#"
        dep(:tone)
        ^^^ There is no function `dep`
        = Did you mean `deps`?"#]],
    );
    check(
        "sources(:tone)",
        expect![[r#"
            sources(:tone)
            ^^^^^^^ There is no function `sources`
            = The functions are `allpaths`, `attr`, `deps`, `filter`, `kind`, `labels`, `rdeps`, `set`, `some`, `somepath`, `tests`"#]],
    );
    check(
        "deps()",
        expect![[r#"
        deps()
        ^^^^ Wrong number of arguments for `deps`: 0
        = Write `deps(set)` or `deps(set, depth)`"#]],
    );
    check(
        "deps(:tone, far)",
        expect![[r#"
            deps(:tone, far)
                        ^^^ Expected a depth"#]],
    );
    check(
        "deps(:tone, -1)",
        expect![[r#"
        deps(:tone, -1)
                    ^ Expected a label, a pattern or a function"#]],
    );
    check(
        "deps(:tome)",
        expect![[r#"
        deps(:tome)
             ^^^^^ There is no target `//models:tome`
        = Did you mean `//models:tone`?"#]],
    );
    check(
        "deps(//model:tone)",
        expect![[r#"
        deps(//model:tone)
             ^^^^^^^^^^^^ There is no package `//model`
        = Did you mean `//models`?"#]],
    );
    check(
        "deps(tone)",
        expect![[r#"
            deps(tone)
                 ^^^^ `tone` is not a label: it begins with neither `//` nor `:`; write `//package:target` or `:target`
            = Write `:tone` for `//models:tone`"#]],
    );
    check(
        "deps",
        expect![[r#"
            deps
            ^^^^ `deps` is not a label: it begins with neither `//` nor `:`; write `//package:target` or `:target`
            = Did you mean `deps(…)`?"#]],
    );
    check(
        "kind(jion, //...)",
        expect![[r#"
        kind(jion, //...)
             ^^^^ There is no rule `jion`
        = Did you mean `join`?"#]],
    );
    check(
        "kind(deps(:tone), //...)",
        expect![[r#"
        kind(deps(:tone), //...)
             ^^^^ Expected the name of a rule"#]],
    );
    check(
        "kind(join)",
        expect![[r#"
        kind(join)
        ^^^^ Wrong number of arguments for `kind`: 1
        = Write `kind(rule, set)`"#]],
    );
    check(
        ":tone :size",
        expect![[r#"
        :tone :size
              ^^^^^ Expected the end of the query or an operator
        = Join sets by `+`, `-` or `^` (or `union`, `except`, `intersect`)"#]],
    );
    check(
        ":tone +",
        expect![[r#"
            :tone +
                   ^ Expected a label, a pattern or a function, found the end of the query"#]],
    );
    check(
        ":töne & :größe",
        expect![[r#"
        :töne & :größe
              ^ `&` has no meaning in a query
        = A query is made of labels, functions such as `deps(…)`, and `+`, `-`, `^`"#]],
    );
    check(
        "\":tone",
        expect![[r#"
        ":tone
        ^^^^^^ The quote `"` is not closed"#]],
    );
    check(
        "//nowhere/...",
        expect![[r#"
            //nowhere/...
            ^^^^^^^^^^^^^ There are no packages below `//nowhere`
            = A package is a folder with a `package.kdl`; `nowhere/package.kdl` does not exist"#]],
    );
    check(
        "//nowhere:all",
        expect![[r#"
            //nowhere:all
            ^^^^^^^^^^^^^ There is no package `//nowhere`
            = A package is a folder with a `package.kdl`; `nowhere/package.kdl` does not exist"#]],
    );
}

#[test]
fn queries_too_deep_or_too_long_for_the_stack_are_refused() {
    let here = PackageId(String::new());
    let db = fixture().db;
    for text in [
        format!("{}:a{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("{}:a{}", "deps(".repeat(900), ")".repeat(900)),
        format!("//data:all{}", " + //data:all".repeat(50_000)),
    ] {
        assert!(query(&db, &text, &here).is_err());
    }
    let longest = format!("//data:all{}", " + //data:all".repeat(900));
    assert_eq!(query(&db, &longest, &here).unwrap().len(), 2);
}

#[test]
fn each_pattern_without_matches_is_an_error_of_its_own() {
    let patterns = ["//data:all", "//data:tarin", "//dta:all", "//modles/...", ":x"].map(pattern);
    let errors = labels(&fixture().db, &patterns).unwrap_err();
    let shown: Vec<String> = errors
        .iter()
        .map(|error| format!("{error} ({})", error.help.as_deref().unwrap_or("no help")))
        .collect();
    expect![[r#"
        There is no target `//data:tarin` (Did you mean `//data:train`?)
        There is no package `//dta` (Did you mean `//data`?)
        There are no packages below `//modles` (Did you mean `//models`?)
        There is no package `//` (A package is a folder with a `package.kdl`; `package.kdl` does not exist)"#]].assert_eq(&shown.join("\n"));
}

#[test]
fn an_empty_package_is_an_empty_set() {
    let fixture = Fixture::new(&[("package.kdl", "")]);
    assert_eq!(labels(&fixture.db, &[pattern("//:all")]).unwrap(), []);
    assert_eq!(labels(&fixture.db, &[pattern("//...")]).unwrap(), []);
}
