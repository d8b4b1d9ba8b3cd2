//! Diagnostics for unknown labels and for cycles.

use expect_test::expect;

use crate::shown::{check_files, check_text};

#[test]
fn an_unknown_label() {
    check_files(
        &[
            (
                "models/package.kdl",
                "note \"base\" file=\"n.txt\"\njoin \"j\" { part \":bass\"; part \":tone\"; part \":zzzzzz\"; }\n",
            ),
            ("models/n.txt", ""),
            ("adapters/package.kdl", "note \"tone\" file=\"n.txt\"\n"),
            ("adapters/n.txt", ""),
        ],
        expect![[r#"
            error[label::unknown]: There is no target `//models:bass`
             --> models/package.kdl:2:17
              |
            2 | join "j" { part ":bass"; part ":tone"; part ":zzzzzz"; }
              |                 ^^^^^^^
              = help: Did you mean `//models:base`?
            error[label::unknown]: There is no target `//models:tone`
             --> models/package.kdl:2:31
              |
            2 | join "j" { part ":bass"; part ":tone"; part ":zzzzzz"; }
              |                               ^^^^^^^
              = help: Did you mean `//adapters:tone`?
            error[label::unknown]: There is no target `//models:zzzzzz`
             --> models/package.kdl:2:45
              |
            2 | join "j" { part ":bass"; part ":tone"; part ":zzzzzz"; }
              |                                             ^^^^^^^^^
              = help: `//models` declares `base`, `j`
        "#]],
    );
}

#[test]
fn a_label_of_a_package_that_does_not_exist() {
    check_files(
        &[
            ("models/package.kdl", "note \"base\" file=\"n.txt\"\n"),
            ("models/n.txt", ""),
            (
                "app/package.kdl",
                "join \"j\" { part \"//model:base\"; part \"//far/away:base\"; part \"//nowhere:nothing\"; }\n",
            ),
        ],
        expect![[r#"
            error[label::unknown]: There is no package `//model`
             --> app/package.kdl:1:17
              |
            1 | join "j" { part "//model:base"; part "//far/away:base"; part "//nowhere:nothing"; }
              |                 ^^^^^^^^^^^^^^
              = help: Did you mean `//models`?
            error[label::unknown]: There is no package `//far/away`
             --> app/package.kdl:1:38
              |
            1 | join "j" { part "//model:base"; part "//far/away:base"; part "//nowhere:nothing"; }
              |                                      ^^^^^^^^^^^^^^^^^
              = help: Did you mean `//models:base`?
            error[label::unknown]: There is no package `//nowhere`
             --> app/package.kdl:1:62
              |
            1 | join "j" { part "//model:base"; part "//far/away:base"; part "//nowhere:nothing"; }
              |                                                              ^^^^^^^^^^^^^^^^^^^
              = help: A package is a folder with a `package.kdl`; `nowhere/package.kdl` does not exist
        "#]],
    );
}

#[test]
fn targets_that_depend_on_each_other() {
    check_text(
        "join \"b\" { part \":a\"; }\njoin \"a\" {\n    part \":b\"\n}\njoin \"self\" { part \":self\"; }\njoin \"outside\" { part \":a\"; }\n",
        expect![[r#"
            error[label::cycle]: Targets depend on each other: `//:a` → `//:b` → `//:a`
             --> package.kdl:3:10
              |
            1 | join "b" { part ":a"; }
              |                 ---- `//:b` names `//:a` here
            ...
            3 |     part ":b"
              |          ^^^^
            error[label::cycle]: Targets depend on each other: `//:self` → `//:self`
             --> package.kdl:5:20
              |
            5 | join "self" { part ":self"; }
              |                    ^^^^^^^
        "#]],
    );
}

#[test]
fn a_cycle_across_packages() {
    check_files(
        &[
            ("a/package.kdl", "join \"x\" { part \"//b:y\"; }\n"),
            ("b/package.kdl", "join \"y\" { part \"//c:z\"; }\n"),
            ("c/package.kdl", "join \"z\" { part \"//a:x\"; }\n"),
        ],
        expect![[r#"
            error[label::cycle]: Targets depend on each other: `//a:x` → `//b:y` → `//c:z` → `//a:x`
             --> a/package.kdl:1:17
              |
            1 | join "x" { part "//b:y"; }
              |                 ^^^^^^^
              b/package.kdl: `//b:y` names `//c:z` here at `"//c:z"`
              c/package.kdl: `//c:z` names `//a:x` here at `"//a:x"`
        "#]],
    );
}

#[test]
fn a_chain_that_is_too_long() {
    let mut text = "note \"t0\" file=\"n.txt\"\n".to_owned();
    for index in 1..=1_002 {
        text += &format!("count \"t{index}\" of=\":t{}\"\n", index - 1);
    }
    check_text(
        &text,
        expect![[r#"
        error[label::chain]: `//:t1000` depends on a chain of more than 1000 targets
            --> package.kdl:1001:1
             |
        1001 | count "t1000" of=":t999"
             | ^^^^^
    "#]],
    );
}
