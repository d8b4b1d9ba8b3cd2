//! Each rule of the grammar, as a text with its canonical form, or as a text that is refused.

use mc_syntax::lex::tokens;
use mc_syntax::parse::parse;
use mc_syntax::print::print;

/// A text, and its canonical form without the last line break.
const VALID: &[(&str, &str)] = &[
    // Documents and nodes.
    ("", ""),
    (" \t\n\r\n\u{B}\u{C}\u{85}\u{2028}\u{2029}\r", ""),
    ("\u{FEFF}", ""),
    ("\u{FEFF}model", "model"),
    ("model", "model"),
    ("model\n", "model"),
    ("one\ntwo\r\nthree\rfour\u{85}five", "one\ntwo\nthree\nfour\nfive"),
    ("one;two ; three;\n", "one\ntwo\nthree"),
    ("one; // note\ntwo // note", "one\ntwo"),
    ("\"two words\" 1", "\"two words\" 1"),
    ("#\"raw\"# 1", "raw 1"),
    ("\"\"\"\n  long\n  \"\"\" 1", "long 1"),
    ("モデル\u{3000}値", "モデル 値"),
    // The version marker.
    ("/- kdl-version 2\nnode", "node"),
    ("\u{FEFF}/-kdl-version 2\nnode", "node"),
    ("/- kdl-versions 3\nnode", "node"),
    // Bare words.
    (
        "node - -- -a +a . .. .a -. -.a +inf infinity trues",
        "node - -- -a +a . .. .a -. -.a +inf infinity trues",
    ),
    ("node a-1 _1 ~!@$%^&*|?:'<>,` a.b", "node a-1 _1 ~!@$%^&*|?:'<>,` a.b"),
    (
        "node \"1\" \"-1\" \"-.1\" \"true\" \"-inf\" \"a b\" \"a=b\"",
        "node \"1\" \"-1\" \"-.1\" \"true\" \"-inf\" \"a b\" \"a=b\"",
    ),
    // Integers.
    ("node 0 -0 +0 007 1_000 -12 +12", "node 0 0 0 7 1000 -12 12"),
    ("node 0xFf -0xff 0o17 0b101 +0b1_", "node 255 -255 15 5 1"),
    ("node 0x0 0x00ff 0o0_0 0b0", "node 0 255 0 0"),
    ("node 123456789012345678901234567890", "node 123456789012345678901234567890"),
    ("node 0xffffffffffffffffffffffffffffffff", "node 340282366920938463463374607431768211455"),
    ("node -0x10000000000000000", "node -18446744073709551616"),
    (
        "node 0b1000000000000000000000000000000000000000000000000000000000000000000",
        "node 73786976294838206464",
    ),
    ("node 0o7777777777777777777777777", "node 37778931862957161709567"),
    // Floats.
    ("node 1.5 -1.50 +0.0 -0.0 00.5", "node 1.5 -1.50 0.0 -0.0 0.5"),
    ("node 1e3 1E3 1e+3 1e-3 1.5e03 -2e0", "node 1E+3 1E+3 1E+3 1E-3 1.5E+3 -2E+0"),
    ("node 1_0.2_5e1_0", "node 10.25E+10"),
    ("node 1e99999999999999999999", "node 1E+99999999999999999999"),
    // Keywords.
    ("node #true #false #null #inf #-inf #nan", "node #true #false #null #inf #-inf #nan"),
    ("node a=#true b=#null", "node a=#true b=#null"),
    // Quoted strings.
    (r#"node "" "a" "a b""#, r#"node "" a "a b""#),
    (r#"node "\n\r\t\\\"\b\f\s""#, r#"node "\n\r\t\\\"\b\f ""#),
    (r#"node "\u{41}\u{1F600}\u{00007}x""#, "node \"A😀\\u{7}x\""),
    (r#"node "\u{200E}""#, r#"node "\u{200e}""#),
    ("node \"a\\   b\" \"a\\\n\n   b\" \"\\ \"", "node ab ab \"\""),
    (r#"node "// /* { } ; = # no""#, r#"node "// /* { } ; = # no""#),
    ("node \"a\tb\"", "node \"a\\tb\""),
    // Multi-line strings.
    ("node \"\"\"\n\"\"\"", "node \"\""),
    ("node \"\"\"\n    \"\"\"", "node \"\""),
    ("node \"\"\"\na\n\"\"\"", "node a"),
    ("node \"\"\"\n  a\n    b\n  \"\"\"", "node \"a\\n  b\""),
    ("node \"\"\"\r\n\ta\r\n\r\tb\u{2028}\t\"\"\"", "node \"a\\n\\nb\""),
    ("node \"\"\"\n  a\n\n \n  b\n  \"\"\"", "node \"a\\n\\n\\nb\""),
    ("node \"\"\"\n\n\"\"\"", "node \"\""),
    ("node \"\"\"\n\n\n\"\"\"", "node \"\\n\""),
    ("node \"\"\"\n  \"quoted\" \"\" \\\"\"\"\n  \"\"\"", r#"node "\"quoted\" \"\" \"\"\"""#),
    ("node \"\"\"\n  a\\nb\\tc\n  \"\"\"", r#"node "a\nb\tc""#),
    ("node \"\"\"\n  one \\\n      two\n  \"\"\"", "node \"one two\""),
    ("node \"\"\"\n  a\n  \\\n  \"\"\"", "node a"),
    ("node \"\"\"\n  \\s\n  \"\"\"", "node \" \""),
    ("node key=\"\"\"\n  a\n  \"\"\" b", "node b key=a"),
    // Raw strings.
    (r###"node #""# #"a"# ##"a"#b"## #"\n"#"###, r##"node "" a "a\"#b" "\\n""##),
    (r###"node #"a"b"# #""a""#"###, r#"node "a\"b" "\"a\"""#),
    ("node #\"\"\"\n  a\\n\n  \"\"\"#", r#"node "a\\n""#),
    ("node ##\"\"\"\n  \"\"\"#\n  \"\"\"##", r##"node "\"\"\"#""##),
    ("node #\"\"\"\n    a\n   \n    b \\\n    \"\"\"#", r#"node "a\n\nb \\""#),
    // Arguments and properties.
    ("node 1 a=2 b 3 c=d", "node 1 b 3 a=2 c=d"),
    ("node b=1 a=2 b=3", "node a=2 b=3"),
    ("node a = 1 b= 2 c =3", "node a=1 b=2 c=3"),
    ("node a \\\n = \\\n 1", "node a=1"),
    ("node a /* x */ = /* y */ 1", "node a=1"),
    ("node \"a b\"=1 #\"c\"#=2", "node \"a b\"=1 c=2"),
    ("node\t1\u{A0}2\u{2003}3", "node 1 2 3"),
    // Type annotations.
    ("(type)node (u8)1 a=(f32)2.0", "(type)node (u8)1 a=(f32)2.0"),
    ("( type ) node ( u8 ) 1 a = ( f32 ) 2.0", "(type)node (u8)1 a=(f32)2.0"),
    ("(\"a b\")node (#\"c\"#)#true", "(\"a b\")node (c)#true"),
    ("(/*x*/type/*y*/)/*z*/node", "(type)node"),
    ("(type)\\\nnode (a)\\\nb", "(type)node (a)b"),
    // Children.
    ("a {}", "a"),
    ("a {\n}", "a"),
    ("a { b }", "a {\n    b\n}"),
    ("a{b}", "a {\n    b\n}"),
    ("a 1{b 2{c 3}}", "a 1 {\n    b 2 {\n        c 3\n    }\n}"),
    ("a { b; c; }; d", "a {\n    b\n    c\n}\nd"),
    ("a {\n    b // note\n    c\n} // note\nd", "a {\n    b\n    c\n}\nd"),
    ("a \\\n{\n b\n}", "a {\n    b\n}"),
    ("a /* x */ { b } /* y */\nc", "a {\n    b\n}\nc"),
    // Comments.
    ("// one\n// two\nnode // three", "node"),
    ("/* a /* b */ c */ node /**/ 1 /* * / */", "node 1"),
    ("node /*\n\n*/ 1", "node 1"),
    ("/***/node", "node"),
    // Continued lines.
    ("node \\\n  1 \\ // note\n  2 \\ /* note */ \n  3", "node 1 2 3"),
    ("node \\\r\n1", "node 1"),
    ("node 1 \\", "node 1"),
    ("node 1\\\n2", "node 1 2"),
    // Slashdash.
    ("/- a\nb", "b"),
    ("/- a; b", "b"),
    ("/-a 1 { c }\nb", "b"),
    ("/-\n\n// note\n/* note */ a\nb", "b"),
    ("a { /- b\n c }", "a {\n    c\n}"),
    ("a { /-b }", "a"),
    ("a /- 1 2 /-b=3 4", "a 2 4"),
    ("a 1/-2 /-3/-4", "a 1"),
    ("a /- (u8)1 /- b=(u8)2 3", "a 3"),
    ("a b=1 /- b=2", "a b=1"),
    ("a /-\n1 2 /- // note\n 3 4", "a 2 4"),
    ("a /- { b } { c }", "a {\n    c\n}"),
    ("a { b } /- { c } /-{ d }", "a {\n    b\n}"),
    ("a 1/-{ b }\nc", "a 1\nc"),
    ("/- a /- 1 { /- b }\nc", "c"),
    ("/- \"kdl\" \"\"\"\n  a\n  \"\"\"\nc", "c"),
];

const REFUSED: &[&str] = &[
    "{}",
    "}",
    "a {",
    "a { b",
    "a { } }",
    "a { b } c",
    "a { b } { c }",
    "a { b } 1",
    "a { b } /-1",
    "a /-{ b } 1",
    ";",
    "a;;",
    "1",
    "#true",
    "(a)",
    "()a",
    "(a b)c",
    "(a",
    "(1)a",
    "(a)(b)c",
    "a )",
    "a (",
    "a (b)",
    "a ()1",
    "a (b)(c)1",
    "a b=",
    "a =1",
    "a b==1",
    "a b=c=d",
    "a 1=2",
    "a #true=2",
    "a (b)c=1",
    "a b=/-1",
    "a /-",
    "a { /- }",
    "/-",
    "/-;",
    "/- /- a",
    "a true",
    "a null",
    "a inf",
    "a nan=1",
    "false",
    "a #",
    "a #True",
    "a #trues",
    "a b#true",
    "a \"b",
    "a \"b\nc\"",
    "a \"b\"c",
    "a b\"c\"",
    "a\"b\"",
    "a \"\"\"b\"\"\"",
    "a \"\"\"\n b\"\"\"",
    "a \"\"\"\n b\n  \"\"\"",
    "a \"\"\"\n\tb\n  \"\"\"",
    "a \"\"\"\n b\n",
    "a #\"b\"",
    "a #\"b\nc\"#",
    "a #\"\"\"b\"\"\"#",
    "a ##\"b\"#",
    "a \"\\q\"",
    "a \"\\u0041\"",
    "a \"\\u{}\"",
    "a \"\\u{110000}\"",
    "a \"\\u{DFFF}\"",
    "a \"\\u{g}\"",
    "a r\"b\"",
    "a r#\"b\"#",
    "a 1.",
    "a .1",
    "a +.1",
    "a 1.2.3",
    "a 1e",
    "a 1e1.5",
    "a 1e1e1",
    "a 1_._1",
    "a 0x",
    "a 0xg",
    "a 0x_1",
    "a 0b2",
    "a 0o8",
    "a 0XFF",
    "a 1a",
    "a -1a",
    "a [1]",
    "a b/c",
    "a b\\c",
    "a \\ b",
    "a /* b",
    "a /* /* b */",
    "a \u{0}",
    "a \"\u{7F}\"",
    "// \u{202E}",
    "a \u{FEFF}",
    "/- kdl-version 1\na",
];

#[test]
fn valid_texts_print_in_canonical_form() {
    for (text, expected) in VALID {
        let parse = parse(text);
        assert_eq!(parse.diagnostics, [], "{text:?}");
        assert_eq!(print(&parse.document), format!("{expected}\n"), "{text:?}");
    }
}

#[test]
fn a_canonical_form_prints_as_itself() {
    for (_, expected) in VALID {
        let parse = parse(expected);
        assert_eq!(parse.diagnostics, [], "{expected:?}");
        assert_eq!(print(&parse.document), format!("{expected}\n"), "{expected:?}");
    }
}

#[test]
fn the_kdl_crate_accepts_the_same_texts_with_known_exceptions() {
    // It has no integers beyond 128 bits, no slashdash right after a number, and no `;` after a dropped node; the
    // specification allows all three.
    let known = ["node 0xffffffffffffffffffffffffffffffff", "/- a; b", "a 1/-2 /-3/-4", "a 1/-{ b }\nc"];
    let refused: Vec<&str> = VALID
        .iter()
        .map(|(text, _)| *text)
        .filter(|text| kdl::KdlDocument::parse_v2(text).is_err())
        .collect();
    assert_eq!(refused, known);
}

#[test]
fn wrong_texts_are_refused() {
    for text in REFUSED {
        assert!(!parse(text).diagnostics.is_empty(), "{text:?}");
    }
}

#[test]
fn tokens_joined_give_the_text_back() {
    for text in VALID.iter().map(|(text, _)| text).chain(REFUSED) {
        let joined: String = tokens(text).map(|token| token.span.of(text)).collect();
        assert_eq!(&joined, text);
    }
}

#[test]
fn blocks_may_be_nested_to_the_limit() {
    let text = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert_eq!(parse(&text(128)).diagnostics, []);
    assert_eq!(parse(&text(129)).diagnostics.len(), 1);
    assert_eq!(parse(&"a {".repeat(1_000_000)).diagnostics.len(), 1);
}

#[test]
fn time_is_linear_in_texts_that_provoke_rescanning() {
    // Each takes minutes if a part of it is read repeatedly.
    for piece in
        ["/* ", "\\ ", "\"\"\"", "#", "#\"", "##\"\"\"\n", "(", "a=", "/-", "{", "\\ /**/", "\"\\", "a \\\n"]
    {
        let text = piece.repeat(300_000 / piece.len());
        let parse = parse(&text);
        assert!(parse.diagnostics.len() <= 1001, "{piece:?}");
    }
}
