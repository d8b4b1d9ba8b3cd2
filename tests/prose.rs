//! A lint for prose: words and phrases that messages, help and the manual do not use, and the share of documentation
//! blocks that open without a subject.
//!
//! It finds patterns, not meaning; CONTRIBUTING.md says how text should read.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A pattern that must not occur, and the text to write instead.
const PATTERNS: &[(&str, &str)] = &[
    // One word per thing.
    (r"(?i)\bteam's cache\b|\bcache of the team\b", "remote cache"),
    (r"(?i)\bmistakes?\b", "error or diagnostic"),
    (r"(?i)\b(weaver|errand|seat of a tensor)s?\b", "the field's word"),
    // American spelling.
    (r"\b[Ll]icence", "license"),
    (r"(?i)\bcolour", "color"),
    (r"(?i)\bneighbour", "neighbor"),
    (r"(?i)\bbehaviour", "behavior"),
    (r"(?i)\b(quant|serial|normal|material|optim|initial)is(e|ed|es|ing|ation)\b", "-ize"),
    // Nobody acts in a sentence like this.
    (r"(?i)\bin vain\b", "say that it failed"),
    (r"(?i)\bfor so long\b", "name the duration"),
    (r"(?i)\b(whoever|whomever)\b", "name the actor"),
    (r"(?i)\b(nobody|somebody|everybody)\b", "name the actor"),
    (r"(?i)\bis told of\b|\bare told of\b|\bis told about\b", "is reported"),
    // Prepositions at the end.
    (r"(?i)\b(asked for|waited for|looked for|meant for|known by|made of|spoken of)[.;]", "name the object"),
];

/// A noun after `is no` is a translation; `there is no` and `is no longer` are English.
const IS_NO: &str = r"(?i)\b(\w+|`) (?:is|are|was) no (\w+)";

/// The largest share of documentation blocks that may open with a headless clause.
const MAX_HEADLESS: f64 = 0.05;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            if name != "target" && name != ".git" && name != "mc-out" {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

fn files_in(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    folders.iter().for_each(|folder| files(&root().join(folder), extension, &mut found));
    found.sort();
    found
}

/// String literals and option help of a source file, with their lines; its tests are left out.
fn shown(text: &str) -> Vec<(usize, String)> {
    let program = text.split("#[cfg(test)]").next().unwrap_or_default();
    let literal = Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap();
    let mut found = Vec::new();
    for (number, line) in (1..).zip(program.lines()) {
        let code = line.trim_start();
        if code.starts_with("//") && !code.starts_with("///") {
            continue;
        }
        found.extend(literal.captures_iter(line).map(|it| (number, it[1].to_owned())));
    }
    found
}

/// Doc comments of the command line, which clap shows as help.
fn help(text: &str) -> Vec<(usize, String)> {
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(number, line)| {
            line.trim_start().strip_prefix("/// ").map(|help| (number, help.to_owned()))
        })
        .collect()
}

/// Prose of a Markdown page: no code.
fn prose(text: &str) -> Vec<(usize, String)> {
    let code = Regex::new("`[^`]*`").unwrap();
    let mut is_code = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            found.push((number, code.replace_all(line, "`x`").into_owned()));
        }
    }
    found
}

/// The patterns, compiled.
struct Lint {
    patterns: Vec<(Regex, &'static str)>,
    is_no: Regex,
    found: Vec<String>,
}

impl Lint {
    fn new() -> Self {
        let patterns = PATTERNS.iter().map(|(pattern, instead)| (Regex::new(pattern).unwrap(), *instead));
        Self { patterns: patterns.collect(), is_no: Regex::new(IS_NO).unwrap(), found: Vec::new() }
    }

    fn check(&mut self, path: &Path, texts: Vec<(usize, String)>) {
        for (number, text) in texts {
            let words =
                self.patterns.iter().filter_map(|(pattern, instead)| Some((pattern.find(&text)?, *instead)));
            let is_no = self.is_no.captures_iter(&text).filter(|hit| {
                !hit[1].eq_ignore_ascii_case("there") && !hit[2].eq_ignore_ascii_case("longer")
            });
            let is_no = is_no.filter_map(|hit| Some((hit.get(0)?, "is not a …")));
            for (hit, instead) in words.chain(is_no) {
                let place = path.strip_prefix(root()).unwrap_or(path).display();
                self.found.push(format!("{place}:{number}: `{}` → {instead}", hit.as_str().trim()));
            }
        }
    }
}

#[test]
fn messages_help_and_manual_are_plain_english() {
    let mut lint = Lint::new();
    for path in files_in(&["compiler", "cache", "rules", "formats"], "rs") {
        if path.components().any(|part| part.as_os_str() == "src") {
            lint.check(&path, shown(&fs::read_to_string(&path).unwrap()));
        }
    }
    for path in files_in(&["compiler/cli/src"], "rs") {
        lint.check(&path, help(&fs::read_to_string(&path).unwrap()));
    }
    let mut pages = files_in(&["docs", "tests/suite"], "md");
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)),
    );
    for path in pages {
        lint.check(&path, prose(&fs::read_to_string(&path).unwrap()));
    }
    assert!(lint.found.is_empty(), "{}\n{} places", lint.found.join("\n"), lint.found.len());
}

#[test]
fn documentation_opens_with_a_noun_or_a_verb() {
    let opening = Regex::new(r"^\s*//[/!] ?(.*)").unwrap();
    let headless = Regex::new(r"^(What|Whether|Who|Where)\b").unwrap();
    let (mut n_blocks, mut found) = (0_usize, Vec::new());
    for path in files_in(&["compiler", "cache", "rules", "formats", "tests", "fuzz"], "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let mut is_inside = false;
        for (number, line) in (1..).zip(text.lines()) {
            let Some(doc) = opening.captures(line) else {
                is_inside = false;
                continue;
            };
            if !is_inside {
                n_blocks += 1;
                if headless.is_match(&doc[1]) {
                    found.push(format!("{}:{number}: {}", path.display(), &doc[1]));
                }
            }
            is_inside = true;
        }
    }
    let share = found.len() as f64 / n_blocks as f64;
    assert!(share < MAX_HEADLESS, "{}\n{} of {n_blocks} blocks", found.join("\n"), found.len());
}
