//! Diagnostics about the whole file or very large parts of it.

use expect_test::expect;
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::line_index::LineIndex;
use mc_syntax::parse::parse;
use mc_syntax::render::render;
use mc_syntax::span::Span;

use crate::check;

#[test]
fn a_comment_without_end() {
    check(
        "node { /* a /* b */\n}\n",
        expect![[r#"
        error[kdl::comment]: Expected `*/` to close the comment, found the end of the file
         --> package.kdl:1:8
          |
        1 | node { /* a /* b */
          |        ^^
          = help: Comments nest: every `/*` inside one needs its own `*/`
    "#]],
    );
}

#[test]
fn a_character_that_reverses_the_text() {
    check(
        "node \u{202E}\"a\"\n",
        expect![[r#"
            error[kdl::character]: Expected text, found the character U+202E, which is not allowed
             --> package.kdl:1:6
              |
            1 | node \u{202e}"a"
              |      ^^^^^^^^
              = help: Remove it, or write `\u{202E}` in a string
        "#]],
    );
}

#[test]
fn a_byte_order_mark_in_the_middle() {
    check(
        "node \u{FEFF}a\n",
        expect![[r#"
            error[kdl::character]: Expected text, found the character U+FEFF, which is not allowed
             --> package.kdl:1:6
              |
            1 | node \u{feff}a
              |      ^^^^^^^^
              = help: Remove it, or write `\u{FEFF}` in a string
        "#]],
    );
}

#[test]
fn a_file_of_kdl_1() {
    check(
        "/- kdl-version 1\nnode\n",
        expect![[r#"
        error[kdl::version]: Expected version `2` of KDL, found `1`
         --> package.kdl:1:16
          |
        1 | /- kdl-version 1
          |                ^
          = help: Write `/- kdl-version 2`, and the file in KDL 2
    "#]],
    );
}

#[test]
fn errors_on_many_lines_are_all_shown() {
    check(
        "model \"a\" {\n    base =\n    scale 1.0.0\n    upload true\n    name \"x\n}\nmodel \"b\" ]\n}\n",
        expect![[r#"
            error[kdl::entry]: Expected an argument after the node name, found `=`
             --> package.kdl:2:10
              |
            2 |     base =
              |          ^
              = help: The value of a node follows its name without `=`

            error[kdl::number]: Expected the number to end, found `.`
             --> package.kdl:3:14
              |
            3 |     scale 1.0.0
              |              ^
              = help: A number has at most one dot; put text in quotes: `"1.0.0"`

            error[kdl::keyword]: Expected text or a value, found the reserved word `true`
             --> package.kdl:4:12
              |
            4 |     upload true
              |            ^^^^
              = help: KDL 2 writes the value as `#true` and the text as `"true"`

            error[kdl::string]: Expected `"` to close the string, found the end of the line
             --> package.kdl:5:10
              |
            5 |     name "x
              |          ^^
              = help: Add `"`; put text of several lines between `"""` and `"""`, each on a line of its own

            error[kdl::character]: Expected an entry or the end of the node, found `]`
             --> package.kdl:7:11
              |
            7 | model "b" ]
              |           ^
              = help: Lists have no brackets and are separated by spaces; put text with brackets in quotes

            error[kdl::block]: Expected a node, found an unmatched `}`
             --> package.kdl:8:1
              |
            8 | }
              | ^
              = help: Remove it, or add the `{` that it closes
        "#]],
    );
}

#[test]
fn an_error_after_a_tab_and_wide_characters() {
    check(
        "\tノード\t1.0.0\n",
        expect![[r#"
            error[kdl::number]: Expected the number to end, found `.`
             --> package.kdl:1:9
              |
            1 |     ノード    1.0.0
              |                  ^
              = help: A number has at most one dot; put text in quotes: `"1.0.0"`
        "#]],
    );
}

#[test]
fn an_error_at_the_end_of_the_file() {
    check(
        "node a=",
        expect![[r#"
        error[kdl::entry]: Expected a value after `=`, found the end of the file
         --> package.kdl:1:7
          |
        1 | node a=
          |       ^
          = help: Write the value of `a` after `=`, or remove the `=`
    "#]],
    );
}

#[test]
fn blocks_too_deep_inside_each_other() {
    let text = format!("{}{}", "a {\n".repeat(130), "}\n".repeat(130));
    check(
        &text,
        expect![[r#"
        error[kdl::depth]: Expected at most 128 nested blocks, found one more
           --> package.kdl:129:3
            |
        129 | a {
            |   ^
            = help: Move the inner nodes out of the block
    "#]],
    );
}

#[test]
fn an_error_in_a_long_line_is_shown_with_its_context() {
    let text = format!("node {} 1.0.0 {}", "abcdefghi ".repeat(30), "jklmnopqr ".repeat(30));
    check(
        &text,
        expect![[r#"
            error[kdl::number]: Expected the number to end, found `.`
             --> package.kdl:1:310
              |
            1 | ...efghi abcdefghi abcdefghi abcdefghi  1.0.0 jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklm...
              |                                            ^
              = help: A number has at most one dot; put text in quotes: `"1.0.0"`
        "#]],
    );
}

#[test]
fn a_file_that_is_too_large() {
    check(
        &"a\n".repeat(9 << 20),
        expect![[r#"
        error[kdl::size]: Expected a file of at most 16777216 bytes, found 18874368
         --> package.kdl:1:1
          |
        1 | a
          | ^
          = help: Split the file
    "#]],
    );
}

#[test]
fn colors_mark_the_error_and_the_help() {
    let text = "node 1.0.0\n";
    let rendered = render("package.kdl", &LineIndex::new(text), &parse(text).diagnostics[0]).show(true);
    expect![[r#"
        ESC[1;31merror[kdl::number]ESC[0mESC[1m: Expected the number to end, found `.`ESC[0m
         ESC[1;34m-->ESC[0m package.kdl:1:9
        ESC[1;34m  |ESC[0m
        ESC[1;34m1 |ESC[0m node 1.0.0
        ESC[1;34m  |ESC[0m         ESC[1;31m^ESC[0m
        ESC[1;34m  =ESC[0mESC[1m help:ESC[0m A number has at most one dot; put text in quotes: `"1.0.0"`
    "#]]
    .assert_eq(&rendered.replace('\u{1B}', "ESC"));
}

#[test]
fn a_thousand_diagnostics_are_kept_and_the_rest_are_counted() {
    let parse = parse(&"= ".repeat(5000));
    assert_eq!((parse.diagnostics.len(), parse.n_more), (1000, 4001));
}

#[test]
fn control_characters_are_shown_as_escapes_with_the_caret_below_them() {
    check(
        "node \u{1B}[31m\"é\u{200E}\" x=\"\u{9B}日\" 1.0.0 // \u{7}\n",
        expect![[r##"
        error[kdl::character]: Expected text, found the character U+001B, which is not allowed
         --> package.kdl:1:6
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |      ^^^^^^
          = help: Remove it, or write `\u{1B}` in a string

        error[kdl::character]: Expected an entry or the end of the node, found `\u{1b}[`
         --> package.kdl:1:6
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |      ^^^^^^^
          = help: Lists have no brackets and are separated by spaces; put text with brackets in quotes

        error[kdl::number]: Expected the number to end, found `m`
         --> package.kdl:1:10
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |               ^
          = help: A number has no unit and no letters; put text in quotes: `"31m"`

        error[kdl::entry]: Expected a space before `"é\u{200e}"`, found none
         --> package.kdl:1:11
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |                ^^^^^^^^^^^
          = help: Entries are separated by spaces; put text with any of `(){}[]/\"#;=` in quotes

        error[kdl::character]: Expected text, found the character U+200E, which is not allowed
         --> package.kdl:1:13
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |                  ^^^^^^^^
          = help: Remove it, or write `\u{200E}` in a string

        error[kdl::number]: Expected the number to end, found `.`
         --> package.kdl:1:26
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |                                            ^
          = help: A number has at most one dot; put text in quotes: `"1.0.0"`

        error[kdl::character]: Expected text, found the character U+0007, which is not allowed
         --> package.kdl:1:32
          |
        1 | node \u{1b}[31m"é\u{200e}" x="\u{9b}日" 1.0.0 // \u{7}
          |                                                  ^^^^^
          = help: Remove it, or write `\u{7}` in a string
    "##]],
    );
}

#[test]
fn only_a_part_of_a_very_long_line_is_shown() {
    for piece in ["x", "\u{301}", "\u{1B}", "日", "\t", "a\u{200D}"] {
        let text = format!("node {} = x", piece.repeat(1 << 20));
        let lines = LineIndex::new(&text);
        for diagnostic in parse(&text).diagnostics.iter().take(20) {
            let rendered = render("package.kdl", &lines, diagnostic).to_string();
            assert!(rendered.len() < 8_000, "{piece:?}: {}", rendered.len());
        }
    }
}

#[test]
fn a_long_message_is_truncated_and_its_further_lines_are_indented() {
    let text = "node\n";
    let message = format!("Found `a\nerror: forged{}`", "x".repeat(10_000));
    let diagnostic = Diagnostic::error("kdl::x", message, Span::at(0)).with_help("Do\nthis");
    let rendered = render("package.kdl", &LineIndex::new(text), &diagnostic).to_string();
    assert!(rendered.len() < 4_200, "{}", rendered.len());
    assert!(rendered.contains("Found `a\n    error: forged"), "{rendered}");
    assert!(rendered.contains("help: Do\n    this\n"), "{rendered}");
}
