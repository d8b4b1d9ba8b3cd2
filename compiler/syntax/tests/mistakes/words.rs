//! Diagnostics about keywords, numbers and types.

use expect_test::expect;

use crate::check;

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
          = help: The keywords are `#true #false #null #inf #-inf #nan`; put text with `#` in quotes
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
              = help: A number has at most one dot; put text in quotes: `"1.2.3"`
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
              = help: Hexadecimal digits are `0` to `9` and `a` to `f`; put text in quotes: `"0x"`

            error[kdl::number]: Expected a binary digit, found `2`
             --> package.kdl:1:11
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |           ^
              = help: Binary digits are `0` and `1`; put text in quotes: `"0b2"`

            error[kdl::number]: Expected a decimal digit, found the end of the number
             --> package.kdl:1:15
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |               ^
              = help: Numbers look like `10`, `1_000`, `-2.5` or `1e10`; put text in quotes: `"1e"`

            error[kdl::number]: Expected a digit before `.`
             --> package.kdl:1:16
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |                ^
              = help: Write a `0` before the dot; put text in quotes: `".5"`

            error[kdl::number]: Expected a decimal digit, found the end of the number
             --> package.kdl:1:21
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |                     ^
              = help: Numbers look like `10`, `1_000`, `-2.5` or `1e10`; put text in quotes: `"1."`

            error[kdl::number]: Expected the number to end, found `X`
             --> package.kdl:1:30
              |
            1 | node 0x 0b2 1e .5 1. 1_000_ 0XFF
              |                              ^
              = help: The prefixes `0x`, `0o` and `0b` are written in lower case; put text in quotes: `"0XFF"`
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
              = help: A number has no unit and no letters; put text in quotes: `"50GB"`
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
          = help: A type annotation is a name in parentheses: `(type)value`; put text with `(` in quotes
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
        error[kdl::type]: Expected an entry, found an unmatched `)`
         --> package.kdl:1:7
          |
        1 | node a) b
          |       ^
          = help: Remove it, or add the `(` that it closes
    "#]],
    );
}
