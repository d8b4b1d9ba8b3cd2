//! Diagnostics about the structure of nodes, entries and blocks.

use expect_test::expect;

use crate::check;

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
        error[kdl::block]: Expected a node, found an unmatched `}`
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
          = help: `//` begins a comment; put text with `//` in quotes
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
          = help: A type annotation is a name in parentheses: `(type)value`; put text with `(` in quotes
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
          = help: Entries are separated by spaces; put text with any of `(){}[]/\"#;=` in quotes

        error[kdl::entry]: Expected a space before `c`, found none
         --> package.kdl:1:12
          |
        1 | node "a""b"c="d"e=1
          |            ^
          = help: Entries are separated by spaces; put text with any of `(){}[]/\"#;=` in quotes

        error[kdl::entry]: Expected a space before `e`, found none
         --> package.kdl:1:17
          |
        1 | node "a""b"c="d"e=1
          |                 ^
          = help: Entries are separated by spaces; put text with any of `(){}[]/\"#;=` in quotes
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
          = help: Entries are separated by spaces; put text with any of `(){}[]/\"#;=` in quotes
    "##]],
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
              = help: Lists have no brackets and are separated by spaces; put text with brackets in quotes

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
              = help: Lists have no brackets and are separated by spaces; put text with brackets in quotes
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
              = help: Put text with `/`, such as a path, in quotes; a comment begins with `//` or `/*`
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
              = help: `\` at the end of a line continues the node on the next one; put text with `\` in quotes
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
          = help: Remove the `;`: it ends a node, and there is no node before it
    "#]],
    );
}
