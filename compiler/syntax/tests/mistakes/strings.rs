//! Diagnostics about wrongly quoted text.

use expect_test::expect;

use crate::check;

#[test]
fn a_string_without_closing_quote() {
    check(
        "model \"roadtrip\n    base \":base\"\n",
        expect![[r#"
        error[kdl::string]: Expected `"` to close the string, found the end of the line
         --> package.kdl:1:7
          |
        1 | model "roadtrip
          |       ^^^^^^^^^
          = help: Add `"`; put text of several lines between `"""` and `"""`, each on a line of its own
    "#]],
    );
}

#[test]
fn a_string_of_several_lines_in_single_quotes() {
    check(
        "node \"\nhey\n\"\n",
        expect![[r#"
        error[kdl::string]: Expected `"` to close the string, found the end of the line
         --> package.kdl:1:6
          |
        1 | node "
          |      ^
          = help: Add `"`; put text of several lines between `"""` and `"""`, each on a line of its own

        error[kdl::string]: Expected `"` to close the string, found the end of the line
         --> package.kdl:3:1
          |
        3 | "
          | ^
          = help: Add `"`; put text of several lines between `"""` and `"""`, each on a line of its own
    "#]],
    );
}

#[test]
fn a_multi_line_string_without_end() {
    check(
        "node \"\"\"\n  hey\nother\n",
        expect![[r#"
        error[kdl::string]: Expected `"""` to close the string, found the end of the file
         --> package.kdl:1:6
          |
        1 | node """
          |      ^^^
          = help: Write `"""` on a line of its own after the text
    "#]],
    );
}

#[test]
fn a_multi_line_string_that_begins_on_the_line_of_its_quotes() {
    check(
        "node \"\"\"hey\n  you\n  \"\"\"\n",
        expect![[r#"
        error[kdl::string]: Expected a line break after `"""`, found text on the same line
         --> package.kdl:1:6
          |
        1 | node """hey
          |      ^^^^^^
          = help: Begin the text on the next line, or use one quote for a string of one line
    "#]],
    );
}

#[test]
fn a_multi_line_string_that_ends_on_the_line_of_its_text() {
    check(
        "node \"\"\"\n  hey\n  you\"\"\"\n",
        expect![[r#"
        error[kdl::string]: Expected the closing `"""` on a line of its own, found text before it
         --> package.kdl:3:1
          |
        3 |   you"""
          | ^^^^^
          = help: Put `"""` on a new line; the spaces before it are removed from every line of the text
    "#]],
    );
}

#[test]
fn a_line_of_a_multi_line_string_indented_less_than_its_end() {
    check(
        "node \"\"\"\n    hey\n  you\n    \"\"\"\n",
        expect![[r#"
        error[kdl::string]: Expected the line to begin with the same spaces as the closing `"""`
         --> package.kdl:3:1
          |
        3 |   you
          | ^^
        4 |     """
          | ---- These spaces are removed from every line
          = help: Indent the line at least as far as the closing quotes, with the same spaces or tabs
    "#]],
    );
}

#[test]
fn a_raw_string_without_enough_hashes() {
    check(
        "node ##\"a\"# b\n",
        expect![[r###"
        error[kdl::string]: Expected `"##` to close the string, found the end of the line
         --> package.kdl:1:6
          |
        1 | node ##"a"# b
          |      ^^^^^^^^
          = help: Add `"##`; put text of several lines between `##"""` and `"""##`, each on a line of its own
    "###]],
    );
}

#[test]
fn a_raw_string_of_kdl_1() {
    check(
        "node r\"C:\\dir\"\nnode r#\"a\"b\"#\n",
        expect![[r##"
        error[kdl::string]: Expected a value, found a raw string of KDL 1
         --> package.kdl:1:6
          |
        1 | node r"C:\dir"
          |      ^^^^^^^^^
          = help: KDL 2 writes a raw string without `r`: `#"..."#`

        error[kdl::string]: Expected a value, found a raw string of KDL 1
         --> package.kdl:2:6
          |
        2 | node r#"a"b"#
          |      ^^^^^^^^
          = help: KDL 2 writes a raw string without `r`: `#"..."#`
    "##]],
    );
}

#[test]
fn an_unknown_escape() {
    check(
        "node \"C:\\Users\" \"a\\/b\" \"\\x41\"\n",
        expect![[r##"
        error[kdl::escape]: Expected an escape, found `\U`
         --> package.kdl:1:9
          |
        1 | node "C:\Users" "a\/b" "\x41"
          |         ^^
          = help: The escapes are `\n \r \t \\ \" \b \f \s \u{...}`; write `\\` for a backslash, or use a raw string `#"..."#`

        error[kdl::escape]: Expected an escape, found `\/`
         --> package.kdl:1:19
          |
        1 | node "C:\Users" "a\/b" "\x41"
          |                   ^^
          = help: KDL 2 has no escape for `/`; write it without the backslash

        error[kdl::escape]: Expected an escape, found `\x`
         --> package.kdl:1:25
          |
        1 | node "C:\Users" "a\/b" "\x41"
          |                         ^^
          = help: Write a character by its number as `\u{41}`
    "##]],
    );
}

#[test]
fn a_wrong_unicode_escape() {
    check(
        "node \"\\u0041\" \"\\u{}\" \"\\u{D800}\" \"\\u{1234567}\" \"\\u{12\"\n",
        expect![[r#"
        error[kdl::escape]: Expected `{` after `\u`
         --> package.kdl:1:7
          |
        1 | node "\u0041" "\u{}" "\u{D800}" "\u{1234567}" "\u{12"
          |       ^^
          = help: A character is written by its number, with 1 to 6 hexadecimal digits in braces: `\u{1F600}`

        error[kdl::escape]: Expected 1 to 6 hexadecimal digits in `\u{...}`, found 0
         --> package.kdl:1:16
          |
        1 | node "\u0041" "\u{}" "\u{D800}" "\u{1234567}" "\u{12"
          |                ^^^^
          = help: A character is written by its number, with 1 to 6 hexadecimal digits in braces: `\u{1F600}`

        error[kdl::escape]: Expected the number of a character, found `D800`
         --> package.kdl:1:23
          |
        1 | node "\u0041" "\u{}" "\u{D800}" "\u{1234567}" "\u{12"
          |                       ^^^^^^^^
          = help: Characters have the numbers `0` to `D7FF` and `E000` to `10FFFF`

        error[kdl::escape]: Expected 1 to 6 hexadecimal digits in `\u{...}`, found 7
         --> package.kdl:1:34
          |
        1 | node "\u0041" "\u{}" "\u{D800}" "\u{1234567}" "\u{12"
          |                                  ^^^^^^^^^^^
          = help: A character is written by its number, with 1 to 6 hexadecimal digits in braces: `\u{1F600}`

        error[kdl::escape]: Expected hexadecimal digits and `}` after `\u{`
         --> package.kdl:1:48
          |
        1 | node "\u0041" "\u{}" "\u{D800}" "\u{1234567}" "\u{12"
          |                                                ^^^^^
          = help: A character is written by its number, with 1 to 6 hexadecimal digits in braces: `\u{1F600}`
    "#]],
    );
}
