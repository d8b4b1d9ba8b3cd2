//! The official test cases of KDL 2.0, if their folder exists; `grammar` tests the same rules without it.

use std::fs;
use std::path::{Path, PathBuf};

use mc_syntax::lex::tokens;
use mc_syntax::parse::parse;
use mc_syntax::print::print;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kdl-suite");

#[test]
fn every_case_prints_as_expected_or_is_refused() {
    let inputs = inputs();
    let wrong: Vec<String> = inputs.iter().filter_map(|path| check(path).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), inputs.len(), wrong.join("\n"));
}

#[test]
fn the_tokens_of_every_case_give_its_text_back() {
    for path in inputs() {
        let text = fs::read_to_string(&path).unwrap();
        let joined: String = tokens(&text).map(|token| token.span.of(&text)).collect();
        assert_eq!(joined, text, "{}", path.display());
    }
}

#[expect(clippy::print_stderr, reason = "a run without the folder says so")]
fn inputs() -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(Path::new(FOLDER).join("input")) else {
        eprintln!("The official test cases are not at `{FOLDER}`; skipped");
        return Vec::new();
    };
    let mut inputs: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
    inputs.sort();
    inputs
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let parse = parse(&text);
    if name.ends_with("_fail") {
        let is_refused = !parse.diagnostics.is_empty();
        return is_refused.then_some(()).ok_or_else(|| format!("{name}: parsed, should be refused"));
    }
    if let Some(first) = parse.diagnostics.first() {
        return Err(format!("{name}: {} at {}", first.message, first.span));
    }
    let expected =
        fs::read_to_string(path.parent().unwrap().with_file_name("expected").join(format!("{name}.kdl")));
    let (printed, expected) = (print(&parse.document), expected.unwrap());
    if printed == expected {
        Ok(())
    } else {
        Err(format!("{name}: expected {expected:?}, printed {printed:?}"))
    }
}
