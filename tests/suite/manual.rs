//! The manual under `docs/`: each rule has a page, and its examples together are a package without a mistake.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::command::Command;
use crate::sandbox::Sandbox;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The rules that the binary knows.
fn rules(sandbox: &Sandbox) -> Vec<String> {
    let info = sandbox.run("mc info | grep rules");
    let names = info.strip_prefix("rules").unwrap_or_else(|| panic!("expected the rules, found `{info}`"));
    names.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The KDL blocks of a page, joined.
fn examples(page: &str) -> String {
    let blocks = page.split("```kdl\n").skip(1);
    blocks.filter_map(|block| block.split_once("\n```")).map(|(block, _)| format!("{block}\n")).collect()
}

#[test]
fn every_rule_has_a_page_in_the_manual_and_in_the_suite() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/suite");
    let contents = fs::read_to_string(docs().join("rules/README.md")).unwrap();
    for rule in rules(&Sandbox::new()) {
        assert!(docs().join(format!("rules/{rule}.md")).exists(), "There is no docs/rules/{rule}.md");
        assert!(suite.join(format!("{rule}.md")).exists(), "There is no tests/suite/{rule}.md");
        assert!(
            contents.contains(&format!("[`{rule}`]({rule}.md)")),
            "docs/rules/README.md does not list {rule}"
        );
    }
}

#[test]
fn the_examples_of_the_rules_are_one_package_without_a_mistake() {
    let sandbox = Sandbox::new();
    let pages = rules(&sandbox).into_iter().map(|rule| docs().join(format!("rules/{rule}.md")));
    let examples: String = pages.map(|page| examples(&fs::read_to_string(page).unwrap())).collect();
    sandbox.write("models/data/calibration/a.txt", "a line\n");
    sandbox.write("models/data/evaluation/a.txt", "another line\n");
    sandbox.write("models/data/intents.jsonl", "{\"utterance\": \"a\", \"answer\": \"b\"}\n");
    for command in ["mv models/toy models/base", "mv models/toy-adapter models/adapter"] {
        assert_eq!(sandbox.run(command), "");
    }
    let published =
        "checkpoint \"base\" dir=\"base\"\ngguf \"published\" { model \":base\"; quantize \"Q8_0\" }\n";
    sandbox.write("models/package.kdl", published);
    sandbox.run("mc build --quiet //models:published");
    sandbox.run("cp mc-out/models/published/published.gguf models/published.gguf");
    sandbox.write("models/package.kdl", &examples);
    let found = sandbox.run("mc check");
    assert!(found.starts_with("ok: 1 package, "), "{found}");
}

#[test]
fn the_table_of_a_rule_has_every_attribute() {
    let sandbox = Sandbox::new();
    for rule in rules(&sandbox) {
        // The diagnostic about a name that is like no other lists those that are known.
        sandbox.write("models/package.kdl", &format!("{rule} \"name\" qqqqqqqqqqqq=1\n"));
        let reported = sandbox.run("mc check");
        let is_list = |line: &&str| line.contains("Known: ") || line.contains("The only attribute is ");
        let list = reported.lines().find(is_list).unwrap_or_default();
        let known: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        assert!(!known.is_empty(), "`{rule}` has no attributes: {reported}");
        let page = fs::read_to_string(docs().join(format!("rules/{rule}.md"))).unwrap();
        for attribute in known {
            assert!(
                page.contains(&format!("\n| `{attribute}` |")),
                "docs/rules/{rule}.md lacks `{attribute}`"
            );
        }
    }
}

#[test]
fn links_of_the_manual_lead_somewhere() {
    let mut folders = vec![docs()];
    let mut broken = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let links =
                text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
            for link in links.filter(|link| !link.contains("://")) {
                let file = link.split('#').next().unwrap_or(link);
                if !folder.join(file).exists() {
                    broken.push(format!("{}: {link}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every command line of the manual that begins with `mc`, with the page that it is on.
fn command_lines() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in markdown(&docs()).into_iter().chain([docs().join("../README.md")]) {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.split("```").skip(1).step_by(2);
        let shell = blocks.filter_map(|block| block.strip_prefix("console\n").or(block.strip_prefix("sh\n")));
        for line in shell.flat_map(str::lines) {
            let line = line.strip_prefix("$ ").unwrap_or(line).replace("cargo run -- ", "mc ");
            if line.starts_with("mc ") {
                found.push((path.display().to_string(), line));
            }
        }
    }
    found
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => pages.extend(markdown(&path)),
            Some(extension) if extension == "md" => pages.push(path),
            _ => {}
        }
    }
    pages
}

/// The words of a command line before a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let is_end = |word: &String| matches!(word.as_str(), "|" | ">" | "&&") || word.starts_with('#');
    Command::parse(line.split(" | ").next().unwrap_or(line))
        .map(|command| command.words.into_iter().take_while(|word| !is_end(word)).collect())
        .unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn every_command_of_the_manual_is_one_that_mc_takes() {
    // Outside a workspace, a command that is spelled right fails for the lack of one and does nothing.
    let empty = tempfile::tempdir().unwrap();
    let lines = command_lines();
    assert!(lines.len() > 30, "expected the manual's commands, found {lines:?}");
    for (page, line) in lines {
        let words = words(&line);
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_mc"));
        command.current_dir(empty.path()).args(&words[1..]).args(["--cache-dir", "store"]);
        let output = command.stdin(process::Stdio::null()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("Usage: ") && !stderr.contains("invalid value"), "{page}: {line}\n{stderr}");
    }
}
