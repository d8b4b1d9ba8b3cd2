//! Diagnostics for targets that do not match their rule's schema.

use expect_test::expect;

use crate::shown::check_text;

#[test]
fn an_unknown_rule() {
    check_text(
        "note \"a\" file=\"n.txt\"\nnot \"b\" file=\"n.txt\"\nsomething \"c\"\n",
        expect![[r#"
            error[package::rule]: There is no rule `not`
             --> package.kdl:2:1
              |
            2 | not "b" file="n.txt"
              | ^^^
              = help: Did you mean `note`?
            error[package::rule]: There is no rule `something`
             --> package.kdl:3:1
              |
            3 | something "c"
              | ^^^^^^^^^
              = help: Known: `note`, `join`, `count`, `folder`, `pair`, `everything`, `rogue`
        "#]],
    );
}

#[test]
fn an_unknown_attribute_or_property() {
    check_text(
        "note \"a\" file=\"n.txt\" fil=\"n.txt\"\njoin \"j\" seperator=\"+\" { prt \":a\"; wholly; }\n",
        expect![[r#"
            error[schema::unknown-attribute]: `note` has no attribute `fil`
             --> package.kdl:1:23
              |
            1 | note "a" file="n.txt" fil="n.txt"
              |                       ^^^
              = help: Did you mean `file`?
            error[schema::unknown-attribute]: `join` has no attribute `seperator`
             --> package.kdl:2:10
              |
            2 | join "j" seperator="+" { prt ":a"; wholly; }
              |          ^^^^^^^^^
              = help: Did you mean `separator`?
            error[schema::unknown-attribute]: `join` has no attribute `prt`
             --> package.kdl:2:26
              |
            2 | join "j" seperator="+" { prt ":a"; wholly; }
              |                          ^^^
              = help: Did you mean `part`?
            error[schema::unknown-attribute]: `join` has no attribute `wholly`
             --> package.kdl:2:36
              |
            2 | join "j" seperator="+" { prt ":a"; wholly; }
              |                                    ^^^^^^
              = help: Known: `part`, `separator`
        "#]],
    );
}

#[test]
fn a_property_or_attribute_in_the_form_of_the_other() {
    check_text(
        "join \"j\" { separator \"+\"; }\neverything \"e\" limit=\"1KB\" {\n    words\n}\n",
        expect![[r#"
            error[schema::form]: `separator` of `join` is written as a property
             --> package.kdl:1:12
              |
            1 | join "j" { separator "+"; }
              |            ^^^^^^^^^
              = help: Write `separator=…` in the line of `join`
            error[schema::form]: `limit` of `everything` must be a node of its own
             --> package.kdl:2:16
              |
            2 | everything "e" limit="1KB" {
              |                ^^^^^
              = help: Write `limit max="525MB"`
            error[schema::missing]: `words` needs a string
             --> package.kdl:3:5
              |
            3 |     words
              |     ^^^^^
              = help: Write `words "…"`: For tests.
        "#]],
    );
}

#[test]
fn a_value_of_another_kind() {
    check_text(
        r#"everything "e" text=1 color="purple" integer=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 fraction=3
everything "f" text=#null color="Red" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
"#,
        expect![[r#"
            error[schema::kind]: Expected a string for `text`, found the number `1`
             --> package.kdl:1:21
              |
            1 | everything "e" text=1 color="purple" integer=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 ...
              |                     ^
            error[schema::kind]: Expected one of `red`, `green`, `blue` for `color`, found the string `purple`
             --> package.kdl:1:29
              |
            1 | everything "e" text=1 color="purple" integer=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 ...
              |                             ^^^^^^^^
            error[schema::kind]: Expected an integer for `integer`, found the number `1.5`
             --> package.kdl:1:46
              |
            1 | ...thing "e" text=1 color="purple" integer=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 fr...
              |                                            ^^^
            error[schema::kind]: Expected a number for `number`, found the string `7`
             --> package.kdl:1:57
              |
            1 | ...ext=1 color="purple" integer=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^^^
              = help: Write it without quotes: `7`
            error[schema::kind]: Expected `#true` or `#false` for `bool`, found the string `true`
             --> package.kdl:1:66
              |
            1 | ...or="purple" integer=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^^^^^^
              = help: Write `#true`
            error[schema::kind]: Expected a label such as `//package:target` or `:target` for `label`, found the string `base`
             --> package.kdl:1:79
              |
            1 | ...nteger=1.5 number="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^^^^^^
              = help: Write `:base` for a target of this package
            error[schema::kind]: Expected a path inside the package for `path`, found the string `../up`
             --> package.kdl:1:91
              |
            1 | ...umber="7" bool="true" label="base" path="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^^^^^^^
              = help: It leaves the package with `..`
            error[schema::kind]: Expected a file pattern such as `data/*.txt` for `glob`, found the string `/abs/*`
             --> package.kdl:1:104
              |
            1 | ...l="true" label="base" path="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^^^^^^^^
              = help: It is absolute
            error[schema::kind]: Expected a size such as `525MB` for `bytes`, found the number `7`
             --> package.kdl:1:119
              |
            1 | ..."base" path="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^
              = help: Write a unit with it, such as `"525MB"`
            error[schema::kind]: Expected a percentage such as `2%` for `fraction`, found the number `3`
             --> package.kdl:1:130
              |
            1 | ...="../up" glob="/abs/*" bytes=7 fraction=3
              |                                            ^
              = help: Write `"3%"`
            error[schema::kind]: Expected a string for `text`, found `#null`
             --> package.kdl:2:21
              |
            2 | everything "f" text=#null color="Red" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fracti...
              |                     ^^^^^
            error[schema::kind]: Expected one of `red`, `green`, `blue` for `color`, found the string `Red`
             --> package.kdl:2:33
              |
            2 | everything "f" text=#null color="Red" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fracti...
              |                                 ^^^^^
              = help: Did you mean `red`?
            error[schema::kind]: Expected an integer for `integer`, found the number `-1`
             --> package.kdl:2:47
              |
            2 | ...hing "f" text=#null color="Red" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction=...
              |                                            ^^
              = help: Write zero or a greater number
            error[schema::kind]: Expected a number for `number`, found the number `inf`
             --> package.kdl:2:57
              |
            2 | ...ext=#null color="Red" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^^^^
            error[schema::kind]: Expected `#true` or `#false` for `bool`, found the number `1`
             --> package.kdl:2:67
              |
            2 | ...color="Red" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^
            error[schema::kind]: Expected a label such as `//package:target` or `:target` for `label`, found the string `//a:b c`
             --> package.kdl:2:75
              |
            2 | ...ed" integer=-1 number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^^^^^^^^^
              = help: A name has letters, digits and `-_.+` only
            error[schema::kind]: Expected a path inside the package for `path`, found the number `7`
             --> package.kdl:2:90
              |
            2 | ...number=#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^
            error[schema::kind]: Expected a file pattern such as `data/*.txt` for `glob`, found `#true`
             --> package.kdl:2:97
              |
            2 | ...#inf bool=1 label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^^^^^
            error[schema::kind]: Expected a size such as `525MB` for `bytes`, found the string `7mb`
             --> package.kdl:2:109
              |
            2 | ...label="//a:b c" path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^^^^^
              = help: `mb` is not a unit of size; write `MB`
            error[schema::kind]: Expected a percentage such as `2%` for `fraction`, found the string `2`
             --> package.kdl:2:124
              |
            2 | ... path=7 glob=#true bytes="7mb" fraction="2"
              |                                            ^^^
              = help: `2` has no `%`
            error[schema::kind]: Expected one of `red`, `green`, `blue` for `color`, found the number `7`
             --> package.kdl:3:22
              |
            3 | everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
              |                      ^
            error[schema::kind]: Expected an integer for `integer`, found a number beyond 64 bits
             --> package.kdl:3:32
              |
            3 | everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
              |                                ^^^^^^^^^^^^^^^^^^^^
            error[schema::kind]: Expected a label such as `//package:target` or `:target` for `label`, found the string `://x`
             --> package.kdl:3:59
              |
            3 | everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
              |                                                           ^^^^^^
              = help: A label names a declared target and not a path
            error[schema::kind]: Expected a path inside the package for `path`, found an empty string
             --> package.kdl:3:71
              |
            3 | everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
              |                                                                       ^^
              = help: It is empty
            error[schema::kind]: Expected a size such as `525MB` for `bytes`, found the string `x`
             --> package.kdl:3:80
              |
            3 | everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
              |                                                                                ^^^
              = help: `x` is not a unit of size; the units are `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `kB`, `MB`, `GB`, `TB`, `B`
            error[schema::kind]: Expected a percentage such as `2%` for `fraction`, found the number `1.5`
             --> package.kdl:3:93
              |
            3 | everything "g" color=7 integer=99999999999999999999 label="://x" path="" bytes="x" fraction=1.5
              |                                                                                             ^^^
              = help: A percentage is between `0%` and `100%`
        "#]],
    );
}

#[test]
fn required_names_that_are_missing() {
    check_text(
        "note \"a\"\nnote file=\"n.txt\"\neverything \"e\" { limit; words; }\ncount \"c\" { of; }\n",
        expect![[r#"
            error[schema::missing]: `note` needs `file`
             --> package.kdl:1:1
              |
            1 | note "a"
              | ^^^^
              = help: Add `file "folder/file"`: For tests.
            error[package::name]: The `note` has no name
             --> package.kdl:2:1
              |
            2 | note file="n.txt"
              | ^^^^
              = help: Write `note "name"`
            error[schema::missing]: `limit` needs `max`
             --> package.kdl:3:18
              |
            3 | everything "e" { limit; words; }
              |                  ^^^^^
              = help: Add `max="525MB"`: For tests.
            error[schema::missing]: `words` needs a string
             --> package.kdl:3:25
              |
            3 | everything "e" { limit; words; }
              |                         ^^^^^
              = help: Write `words "…"`: For tests.
            error[schema::missing]: `of` needs a label such as `//package:target` or `:target`
             --> package.kdl:4:13
              |
            4 | count "c" { of; }
              |             ^^
              = help: Write `of ":target"`: For tests.
        "#]],
    );
}

#[test]
fn invalid_target_names() {
    check_text(
        "note \"a b\" file=\"n.txt\"\nnote 7 file=\"n.txt\"\nnote \"\" file=\"n.txt\"\nnote \"a\" \"b\" file=\"n.txt\"\n",
        expect![[r#"
            error[package::name]: `a b` cannot be the name of a target: a name has letters, digits and `-_.+` only
             --> package.kdl:1:6
              |
            1 | note "a b" file="n.txt"
              |      ^^^^^
            error[package::name]: The name of a target is a string; found another value after `note`
             --> package.kdl:2:6
              |
            2 | note 7 file="n.txt"
              |      ^
              = help: Write the name in quotes
            error[package::name]: The name of a target cannot be empty
             --> package.kdl:3:6
              |
            3 | note "" file="n.txt"
              |      ^^
            error[schema::argument]: `note` takes no value here
             --> package.kdl:4:10
              |
            4 | note "a" "b" file="n.txt"
              |          ^^^
        "#]],
    );
}

#[test]
fn repeated_names() {
    check_text(
        "note \"a\" file=\"n.txt\" {\n    file \"n.txt\"\n}\njoin \"j\" separator=\"+\" separator=\"-\"\nnote \"a\" fiel=\"n.txt\"\n",
        expect![[r#"
            error[schema::repeated]: `file` is given twice
             --> package.kdl:2:5
              |
            1 | note "a" file="n.txt" {
              |          ---- first given here
            2 |     file "n.txt"
              |     ^^^^
            error[schema::repeated]: `separator` is given twice
             --> package.kdl:4:24
              |
            4 | join "j" separator="+" separator="-"
              |          --------- first given here
              |                        ^^^^^^^^^
            error[package::duplicate]: `//:a` is declared twice
             --> package.kdl:5:1
              |
            1 | note "a" file="n.txt" {
              | -------- first declared here
            ...
            5 | note "a" fiel="n.txt"
              | ^^^^^^^^
            error[schema::unknown-attribute]: `note` has no attribute `fiel`
             --> package.kdl:5:10
              |
            5 | note "a" fiel="n.txt"
              |          ^^^^
              = help: Did you mean `file`?
        "#]],
    );
}

#[test]
fn all_errors_of_a_file_are_reported_at_once() {
    check_text(
        "note \"a\" file=\"gone.txt\"\nnote \"b\"\njoni \"c\"\njoin \"d\" { part \":a\"; part \":b\"; part \":c\"; part \":e\"; }\ncount \"f\" of=7\n",
        expect![[r#"
            error[note::file]: `gone.txt` does not exist
             --> package.kdl:1:15
              |
            1 | note "a" file="gone.txt"
              |               ^^^^^^^^^^
            error[schema::missing]: `note` needs `file`
             --> package.kdl:2:1
              |
            2 | note "b"
              | ^^^^
              = help: Add `file "folder/file"`: For tests.
            error[package::rule]: There is no rule `joni`
             --> package.kdl:3:1
              |
            3 | joni "c"
              | ^^^^
              = help: Did you mean `join`?
            error[label::unknown]: There is no target `//:e`
             --> package.kdl:4:50
              |
            4 | join "d" { part ":a"; part ":b"; part ":c"; part ":e"; }
              |                                                  ^^^^
              = help: `//` declares `a`, `b`, `c`, `d`, `f`
            error[schema::kind]: Expected a label such as `//package:target` or `:target` for `of`, found the number `7`
             --> package.kdl:5:14
              |
            5 | count "f" of=7
              |              ^
        "#]],
    );
}

#[test]
fn errors_of_parts_point_to_the_written_target() {
    check_text(
        "pair \"p\" left=\"gone.txt\" right=\"n.txt\"\npair \"q\" left=\"n.txt\" {\n    right \"never.txt\"\n}\n",
        expect![[r#"
            error[note::file]: `gone.txt` does not exist
             --> package.kdl:1:15
              |
            1 | pair "p" left="gone.txt" right="n.txt"
              |               ^^^^^^^^^^
            error[pair::never]: `never.txt` is never a side
             --> package.kdl:3:5
              |
            3 |     right "never.txt"
              |     ^^^^^
        "#]],
    );
}

#[test]
fn a_part_whose_name_is_taken() {
    check_text(
        "note \"p-left\" file=\"n.txt\"\npair \"p\" left=\"n.txt\" right=\"n.txt\"\npair \"p-left\" left=\"n.txt\" right=\"n.txt\"\n",
        expect![[r#"
            error[package::duplicate]: `p` expands into `p-left`, but there is a target of that name already
             --> package.kdl:2:1
              |
            1 | note "p-left" file="n.txt"
              | ------------- the name is taken here
            2 | pair "p" left="n.txt" right="n.txt"
              | ^^^^^^^^
              = help: Rename one of the two
            error[package::duplicate]: `//:p-left` is declared twice
             --> package.kdl:3:1
              |
            1 | note "p-left" file="n.txt"
              | ------------- first declared here
            ...
            3 | pair "p-left" left="n.txt" right="n.txt"
              | ^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn one_typo_is_one_error() {
    check_text(
        "note \"a\" fiel=\"n.txt\"\ncount \"c\" { off \":a\"; }\neverything \"e\" { limit maxx=\"1KB\"; }\n",
        expect![[r#"
            error[schema::unknown-attribute]: `note` has no attribute `fiel`
             --> package.kdl:1:10
              |
            1 | note "a" fiel="n.txt"
              |          ^^^^
              = help: Did you mean `file`?
            error[schema::unknown-attribute]: `count` has no attribute `off`
             --> package.kdl:2:13
              |
            2 | count "c" { off ":a"; }
              |             ^^^
              = help: Did you mean `of`?
            error[schema::unknown-attribute]: `limit` has no attribute `maxx`
             --> package.kdl:3:24
              |
            3 | everything "e" { limit maxx="1KB"; }
              |                        ^^^^
              = help: Did you mean `max`?
        "#]],
    );
}

#[test]
fn forbidden_operations_of_a_rule_are_reported_at_its_target() {
    check_text(
        "note \"a\" file=\"n.txt\"\nrogue \"asks\"\nrogue \"declares\"\nrogue \"invents\"\nrogue \"reads\"\n",
        expect![[r#"
            error[analysis::undeclared]: The rule `rogue` requests `//:a`, which the target does not name
             --> package.kdl:2:1
              |
            2 | rogue "asks"
              | ^^^^^
            error[package::expansion]: `declares` expands into `//elsewhere:part`, which this package cannot declare
             --> package.kdl:3:1
              |
            3 | rogue "declares"
              | ^^^^^^^^^^^^^^^^
            error[analysis::rule]: `//:part` expands into a target of the rule `no-such-rule`, which does not exist
             --> package.kdl:4:1
              |
            4 | rogue "invents"
              | ^^^^^
            error[rogue::read]: `../../etc/passwd` is not a path inside the package: it leaves the package with `..`
             --> package.kdl:5:1
              |
            5 | rogue "reads"
              | ^^^^^
        "#]],
    );
}
