//! What a person sees who made a mistake.

use expect_test::{Expect, expect};
use mc_syntax::parse::parse;
use mc_syntax::render::render;

#[expect(clippy::needless_pass_by_value, reason = "a call reads better without a reference")]
fn check(text: &str, expected: Expect) {
    let diagnostics = parse(text).diagnostics;
    let rendered: Vec<String> = diagnostics.iter().map(|it| render("package.kdl", text, it, false)).collect();
    expected.assert_eq(&rendered.join("\n"));
}

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
          = help: Add `"`; a text of several lines stands between `"""` and `"""`, each on a line of its own
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
          = help: Add `"`; a text of several lines stands between `"""` and `"""`, each on a line of its own

        error[kdl::string]: Expected `"` to close the string, found the end of the line
         --> package.kdl:3:1
          |
        3 | "
          | ^
          = help: Add `"`; a text of several lines stands between `"""` and `"""`, each on a line of its own
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
          = help: Put `"""` on a new line; the spaces before it are taken off every line of the text
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
          | ---- These spaces are taken off every line
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
          = help: Add `"##`; a text of several lines stands between `##"""` and `"""##`, each on a line of its own
    "###]],
    );
}

#[test]
fn a_block_without_closing_brace() {
    check(
        "model \"a\" {\n    base \":b\"\n\nmodel \"c\"\n",
        expect![[r#"
        error[kdl::block]: Expected `}` to close the block, found the end of the file
         --> package.kdl:1:11
          |
        1 | model "a" {
          |           ^
          = help: Add a `}` where the block ends
    "#]],
    );
}

#[test]
fn a_closing_brace_without_block() {
    check(
        "model \"a\"\n}\nmodel \"b\"\n",
        expect![[r#"
        error[kdl::block]: Expected a node, found `}` that closes nothing
         --> package.kdl:2:1
          |
        2 | }
          | ^
          = help: Remove it, or add the `{` that it closes
    "#]],
    );
}

#[test]
fn two_blocks() {
    check(
        "node { a } { b }\n",
        expect![[r#"
        error[kdl::block]: Expected the node to end after its block, found a second block
         --> package.kdl:1:12
          |
        1 | node { a } { b }
          |      - The first block
          |            ^
          = help: Put the nodes of both into one block
    "#]],
    );
}

#[test]
fn an_entry_after_a_block() {
    check(
        "node { a } b\n",
        expect![[r#"
        error[kdl::block]: Expected the end of the node after its block, found `b`
         --> package.kdl:1:12
          |
        1 | node { a } b
          |            ^
          = help: Begin the next node on a new line, or write `;` after the `}`
    "#]],
    );
}

#[test]
fn a_dropped_entry_after_a_block() {
    check(
        "node { a } /- b c\n",
        expect![[r#"
        error[kdl::block]: Expected the end of the node after its block, found `b`
         --> package.kdl:1:15
          |
        1 | node { a } /- b c
          |               ^
          = help: Begin the next node on a new line, or write `;` after the `}`

        error[kdl::block]: Expected the end of the node after its block, found `c`
         --> package.kdl:1:17
          |
        1 | node { a } /- b c
          |                 ^
          = help: Begin the next node on a new line, or write `;` after the `}`
    "#]],
    );
}

#[test]
fn an_entry_after_a_dropped_block() {
    check(
        "node /-{ a } b { c }\n",
        expect![[r#"
        error[kdl::block]: Expected a block or the end of the node, found `b`
         --> package.kdl:1:14
          |
        1 | node /-{ a } b { c }
          |      ------- After this dropped block
          |              ^
          = help: Arguments and properties come before the blocks of a node
    "#]],
    );
}

#[test]
fn a_block_without_node() {
    check(
        "{ a }\n",
        expect![[r#"
        error[kdl::node]: Expected a node name, found `{`
         --> package.kdl:1:1
          |
        1 | { a }
          | ^
          = help: A node begins with its name: a bare word, or text in quotes
    "#]],
    );
}

#[test]
fn a_property_without_value() {
    check(
        "adapter \":a\" scale= \n",
        expect![[r#"
            error[kdl::entry]: Expected a value after `=`, found the end of the line
             --> package.kdl:1:19
              |
            1 | adapter ":a" scale=
              |                   ^
              = help: Write the value of `scale` after `=`, or remove the `=`
        "#]],
    );
}

#[test]
fn a_comment_where_a_value_should_be() {
    check(
        "adapter base=//models:base\n",
        expect![[r#"
        error[kdl::entry]: Expected a value after `=`, found a comment
         --> package.kdl:1:13
          |
        1 | adapter base=//models:base
          |             ^
          = help: `//` begins a comment; text with `//` in it goes in quotes
    "#]],
    );
}

#[test]
fn a_node_written_like_a_property() {
    check(
        "model \"a\" {\n    base = \":b\"\n}\n",
        expect![[r#"
        error[kdl::entry]: Expected an argument after the node name, found `=`
         --> package.kdl:2:10
          |
        2 |     base = ":b"
          |          ^
          = help: The value of a node follows its name without `=`
    "#]],
    );
}

#[test]
fn a_type_without_name_and_value() {
    check(
        "node (\n",
        expect![[r#"
        error[kdl::type]: Expected a type name after `(`, found the end of the line
         --> package.kdl:1:6
          |
        1 | node (
          |      ^
          = help: A type annotation is a name in parentheses: `(type)value`; text with `(` in it goes in quotes
    "#]],
    );
}

#[test]
fn a_property_with_two_equals_signs() {
    check(
        "adapter scale==1.0\n",
        expect![[r#"
        error[kdl::entry]: Expected a value after `=`, found a second `=`
         --> package.kdl:1:15
          |
        1 | adapter scale==1.0
          |               ^
          = help: A property is written `name=value`
    "#]],
    );
}

#[test]
fn a_property_without_name() {
    check(
        "adapter =1.0\n",
        expect![[r#"
            error[kdl::entry]: Expected an argument after the node name, found `=`
             --> package.kdl:1:9
              |
            1 | adapter =1.0
              |         ^
              = help: The value of a node follows its name without `=`
        "#]],
    );
}

#[test]
fn a_property_name_that_is_a_number() {
    check(
        "node 1=2\n",
        expect![[r#"
        error[kdl::name]: Expected a property name, found `1`
         --> package.kdl:1:6
          |
        1 | node 1=2
          |      ^
          = help: Names are text; put it in quotes: `"1"`
    "#]],
    );
}

#[test]
fn entries_without_a_space_between_them() {
    check(
        "node \"a\"\"b\"c=\"d\"e=1\n",
        expect![[r##"
        error[kdl::entry]: Expected a space before `"b"`, found none
         --> package.kdl:1:9
          |
        1 | node "a""b"c="d"e=1
          |         ^^^
          = help: Entries are separated by spaces; text with any of `(){}[]/\"#;=` in it goes in quotes

        error[kdl::entry]: Expected a space before `c`, found none
         --> package.kdl:1:12
          |
        1 | node "a""b"c="d"e=1
          |            ^
          = help: Entries are separated by spaces; text with any of `(){}[]/\"#;=` in it goes in quotes

        error[kdl::entry]: Expected a space before `e`, found none
         --> package.kdl:1:17
          |
        1 | node "a""b"c="d"e=1
          |                 ^
          = help: Entries are separated by spaces; text with any of `(){}[]/\"#;=` in it goes in quotes
    "##]],
    );
}

#[test]
fn a_node_name_without_a_space_after_it() {
    check(
        "node\"a\"\n",
        expect![[r##"
        error[kdl::entry]: Expected a space before `"a"`, found none
         --> package.kdl:1:5
          |
        1 | node"a"
          |     ^^^
          = help: Entries are separated by spaces; text with any of `(){}[]/\"#;=` in it goes in quotes
    "##]],
    );
}

#[test]
fn a_bare_true() {
    check(
        "remote upload=true\n",
        expect![[r#"
            error[kdl::keyword]: Expected text or a value, found the reserved word `true`
             --> package.kdl:1:15
              |
            1 | remote upload=true
              |               ^^^^
              = help: KDL 2 writes the value as `#true` and the text as `"true"`
        "#]],
    );
}

#[test]
fn a_bare_null_and_inf() {
    check(
        "node null -inf\n",
        expect![[r#"
            error[kdl::keyword]: Expected text or a value, found the reserved word `null`
             --> package.kdl:1:6
              |
            1 | node null -inf
              |      ^^^^
              = help: KDL 2 writes the value as `#null` and the text as `"null"`

            error[kdl::keyword]: Expected text or a value, found the reserved word `-inf`
             --> package.kdl:1:11
              |
            1 | node null -inf
              |           ^^^^
              = help: KDL 2 writes the value as `#-inf` and the text as `"-inf"`
        "#]],
    );
}

#[test]
fn a_bare_keyword_as_a_name() {
    check(
        "true 1\nnode false=1\n",
        expect![[r#"
            error[kdl::keyword]: Expected text or a value, found the reserved word `true`
             --> package.kdl:1:1
              |
            1 | true 1
              | ^^^^
              = help: KDL 2 writes the value as `#true` and the text as `"true"`

            error[kdl::keyword]: Expected text or a value, found the reserved word `false`
             --> package.kdl:2:6
              |
            2 | node false=1
              |      ^^^^^
              = help: KDL 2 writes the value as `#false` and the text as `"false"`
        "#]],
    );
}

#[test]
fn an_unknown_keyword() {
    check(
        "remote upload=#ture mode=#yes\n",
        expect![[r#"
        error[kdl::keyword]: Expected a keyword, found `#ture`
         --> package.kdl:1:15
          |
        1 | remote upload=#ture mode=#yes
          |               ^^^^^
          = help: Did you mean `#true`?

        error[kdl::keyword]: Expected a keyword, found `#yes`
         --> package.kdl:1:26
          |
        1 | remote upload=#ture mode=#yes
          |                          ^^^^
          = help: The keywords are `#true #false #null #inf #-inf #nan`; text with `#` goes in quotes
    "#]],
    );
}

#[test]
fn a_raw_string_of_kdl_1() {
    check(
        "node r\"C:\\dir\"\nnode r#\"a\"b\"#\n",
        expect![[r##"
        error[kdl::string]: Expected a value, found a raw string as KDL 1 writes it
         --> package.kdl:1:6
          |
        1 | node r"C:\dir"
          |      ^^^^^^^^^
          = help: KDL 2 writes a raw string without `r`: `#"..."#`

        error[kdl::string]: Expected a value, found a raw string as KDL 1 writes it
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

#[test]
fn a_number_with_two_dots() {
    check(
        "version 1.2.3\n",
        expect![[r#"
            error[kdl::number]: Expected the number to end, found `.`
             --> package.kdl:1:12
              |
            1 | version 1.2.3
              |            ^
              = help: A number has one dot at most; text goes in quotes: `"1.2.3"`
        "#]],
    );
}

#[test]
fn a_number_without_digits() {
    check(
        "node 0x 0b2 1e .5 1. 1_000_ 0XFF\n",
        expect![[r#"
            error[kdl::number]: Expected a hexadecimal digit, found the end of the number
             --> package.kdl:1:8
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |        ^
              = help: Hexadecimal digits are `0` to `9` and `a` to `f`; text goes in quotes: `"0x"`

            error[kdl::number]: Expected a binary digit, found `2`
             --> package.kdl:1:11
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |           ^
              = help: Binary digits are `0` and `1`; text goes in quotes: `"0b2"`

            error[kdl::number]: Expected a decimal digit, found the end of the number
             --> package.kdl:1:15
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |               ^
              = help: Numbers look like `10`, `1_000`, `-2.5` or `1e10`; text goes in quotes: `"1e"`

            error[kdl::number]: Expected a digit before `.`
             --> package.kdl:1:16
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |                ^
              = help: Write a `0` before the dot; text goes in quotes: `".5"`

            error[kdl::number]: Expected a decimal digit, found the end of the number
             --> package.kdl:1:21
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |                     ^
              = help: Numbers look like `10`, `1_000`, `-2.5` or `1e10`; text goes in quotes: `"1."`

            error[kdl::number]: Expected the number to end, found `X`
             --> package.kdl:1:30
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |                              ^
              = help: The prefixes `0x`, `0o` and `0b` are written in lower case; text goes in quotes: `"0XFF"`
        "#]],
    );
}

#[test]
fn a_word_that_begins_with_a_digit() {
    check(
        "size 50GB\n",
        expect![[r#"
            error[kdl::number]: Expected the number to end, found `G`
             --> package.kdl:1:8
              |
            1 | size 50GB
              |        ^
              = help: A number has no unit and no letters; text goes in quotes: `"50GB"`
        "#]],
    );
}

#[test]
fn a_number_as_node_name() {
    check(
        "7 \"a\"\n",
        expect![[r#"
        error[kdl::name]: Expected a node name, found `7`
         --> package.kdl:1:1
          |
        1 | 7 "a"
          | ^
          = help: Names are text; put it in quotes: `"7"`
    "#]],
    );
}

#[test]
fn an_empty_type() {
    check(
        "node ()1\n",
        expect![[r#"
        error[kdl::type]: Expected a type name after `(`, found `)`
         --> package.kdl:1:6
          |
        1 | node ()1
          |      ^
          = help: A type annotation is a name in parentheses: `(type)value`; text with `(` in it goes in quotes
    "#]],
    );
}

#[test]
fn a_type_without_value() {
    check(
        "node (u8) b=(u8)\n(type)\n",
        expect![[r#"
        error[kdl::type]: Expected a value after the type annotation, found a property
         --> package.kdl:1:6
          |
        1 | node (u8) b=(u8)
          |      ^^^^^^^
          = help: The type belongs to the value: `name=(type)value`

        error[kdl::type]: Expected a value after the type annotation, found the end of the line
         --> package.kdl:1:13
          |
        1 | node (u8) b=(u8)
          |             ^^^^
          = help: A type annotation stands before a value: `(type)value`

        error[kdl::node]: Expected a node name, found the end of the line
         --> package.kdl:2:7
          |
        2 | (type)
          |       ^
          = help: A node begins with its name: a bare word, or text in quotes
    "#]],
    );
}

#[test]
fn a_type_that_is_not_closed() {
    check(
        "node (u8 1\nother\n",
        expect![[r#"
            error[kdl::type]: Expected `)` after the type name, found `1`
             --> package.kdl:1:6
              |
            1 | node (u8 1
              |      ^
              = help: A type annotation is one name in parentheses: `(type)value`
        "#]],
    );
}

#[test]
fn a_type_before_a_property() {
    check(
        "node (u8)a=1\n",
        expect![[r#"
        error[kdl::type]: Expected a value after the type annotation, found a property
         --> package.kdl:1:6
          |
        1 | node (u8)a=1
          |      ^^^^^^
          = help: The type belongs to the value: `name=(type)value`
    "#]],
    );
}

#[test]
fn a_parenthesis_without_type() {
    check(
        "node a) b\n",
        expect![[r#"
        error[kdl::type]: Expected an entry, found `)` that closes nothing
         --> package.kdl:1:7
          |
        1 | node a) b
          |       ^
          = help: Remove it, or add the `(` that it closes
    "#]],
    );
}

#[test]
fn a_list_in_brackets() {
    check(
        "formats [\"gguf\", \"coreml\"]\n",
        expect![[r#"
            error[kdl::character]: Expected an entry or the end of the node, found `[`
             --> package.kdl:1:9
              |
            1 | formats ["gguf", "coreml"]
              |         ^
              = help: Lists have no brackets, and spaces between their values; text with brackets in it goes in quotes

            error[kdl::entry]: Expected a space before `,`, found none
             --> package.kdl:1:16
              |
            1 | formats ["gguf", "coreml"]
              |                ^
              = help: Entries are separated by spaces, without commas

            error[kdl::character]: Expected an entry or the end of the node, found `]`
             --> package.kdl:1:26
              |
            1 | formats ["gguf", "coreml"]
              |                          ^
              = help: Lists have no brackets, and spaces between their values; text with brackets in it goes in quotes
        "#]],
    );
}

#[test]
fn a_slash_in_a_bare_word() {
    check(
        "base models/base\n",
        expect![[r#"
            error[kdl::character]: Expected an entry or the end of the node, found `/`
             --> package.kdl:1:12
              |
            1 | base models/base
              |            ^
              = help: Text with `/` in it, such as a path, goes in quotes; a comment begins with `//` or `/*`
        "#]],
    );
}

#[test]
fn a_backslash_in_the_middle_of_a_line() {
    check(
        "node a \\ b\n",
        expect![[r#"
            error[kdl::character]: Expected an entry or the end of the node, found `\`
             --> package.kdl:1:8
              |
            1 | node a \ b
              |        ^
              = help: `\` at the end of a line continues the node on the next one; text with `\` in it goes in quotes
        "#]],
    );
}

#[test]
fn nothing_after_a_slashdash() {
    check(
        "node { a; /- }\nb /-;\nc /-",
        expect![[r#"
        error[kdl::slashdash]: Expected something to drop after `/-`, found `}`
         --> package.kdl:1:11
          |
        1 | node { a; /- }
          |           ^^
          = help: `/-` drops the node, value or block that follows it; remove it if there is none

        error[kdl::slashdash]: Expected something to drop after `/-`, found `;`
         --> package.kdl:2:3
          |
        2 | b /-;
          |   ^^
          = help: `/-` drops the node, value or block that follows it; remove it if there is none

        error[kdl::slashdash]: Expected something to drop after `/-`, found the end of the file
         --> package.kdl:3:3
          |
        3 | c /-
          |   ^^
          = help: `/-` drops the node, value or block that follows it; remove it if there is none
    "#]],
    );
}

#[test]
fn a_semicolon_without_node() {
    check(
        "a;; b\n",
        expect![[r#"
        error[kdl::node]: Expected a node, found `;`
         --> package.kdl:1:3
          |
        1 | a;; b
          |   ^
          = help: Remove the `;`; one ends a node, and there is none before it
    "#]],
    );
}

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
fn a_character_that_turns_the_text() {
    check(
        "node \u{202E}\"a\"\n",
        expect![[r#"
        error[kdl::character]: Expected text, found the character U+202E, which is not allowed
         --> package.kdl:1:6
          |
        1 | node �"a"
          |      ^
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
        1 | node �a
          |      ^
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
fn mistakes_on_many_lines_are_all_shown() {
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
              = help: A number has one dot at most; text goes in quotes: `"1.0.0"`

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
              = help: Add `"`; a text of several lines stands between `"""` and `"""`, each on a line of its own

            error[kdl::character]: Expected an entry or the end of the node, found `]`
             --> package.kdl:7:11
              |
            7 | model "b" ]
              |           ^
              = help: Lists have no brackets, and spaces between their values; text with brackets in it goes in quotes

            error[kdl::block]: Expected a node, found `}` that closes nothing
             --> package.kdl:8:1
              |
            8 | }
              | ^
              = help: Remove it, or add the `{` that it closes
        "#]],
    );
}

#[test]
fn a_mistake_after_a_tab_and_wide_characters() {
    check(
        "\tノード\t1.0.0\n",
        expect![[r#"
            error[kdl::number]: Expected the number to end, found `.`
             --> package.kdl:1:9
              |
            1 |     ノード    1.0.0
              |                  ^
              = help: A number has one dot at most; text goes in quotes: `"1.0.0"`
        "#]],
    );
}

#[test]
fn a_mistake_at_the_end_of_the_file() {
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
        error[kdl::depth]: Expected at most 128 blocks inside each other, found one more
           --> package.kdl:129:3
            |
        129 | a {
            |   ^
            = help: Move the inner nodes out of the block
    "#]],
    );
}

#[test]
fn a_mistake_in_a_long_line_is_shown_with_what_is_around_it() {
    let text = format!("node {} 1.0.0 {}", "abcdefghi ".repeat(30), "jklmnopqr ".repeat(30));
    check(
        &text,
        expect![[r#"
            error[kdl::number]: Expected the number to end, found `.`
             --> package.kdl:1:310
              |
            1 | ...efghi abcdefghi abcdefghi abcdefghi  1.0.0 jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklmnopqr jklm...
              |                                            ^
              = help: A number has one dot at most; text goes in quotes: `"1.0.0"`
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
fn colors_mark_the_mistake_and_the_help() {
    let text = "node 1.0.0\n";
    let rendered = render("package.kdl", text, &parse(text).diagnostics[0], true);
    expect![[r#"
        ESC[1;31merror[kdl::number]ESC[0mESC[1m: Expected the number to end, found `.`ESC[0m
         ESC[1;34m-->ESC[0m package.kdl:1:9
        ESC[1;34m  |ESC[0m
        ESC[1;34m1 |ESC[0m node 1.0.0
        ESC[1;34m  |ESC[0m         ESC[1;31m^ESC[0m
        ESC[1;34m  =ESC[0mESC[1m help:ESC[0m A number has one dot at most; text goes in quotes: `"1.0.0"`
    "#]]
    .assert_eq(&rendered.replace('\u{1B}', "ESC"));
}

#[test]
fn no_more_than_a_thousand_mistakes_are_kept() {
    assert_eq!(parse(&"= ".repeat(5000)).diagnostics.len(), 1001);
}
