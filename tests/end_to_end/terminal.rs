//! Foreign names and texts in all output of `mc`: none of them controls the terminal, and JSON round-trips.

use std::fs;
use std::path::Path;

use crate::sandbox::{GGUF, Ran, Sandbox, Template, run};

/// Clears the screen, sets the title and colors, reverses the text, hides characters and rings the bell.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{202e}\u{2066}\u{feff}\u{7f}\rz";

/// The escaped form of its beginning.
const SHOWN: &str = "a\\u{1b}[2J\\u{1b}]0;t";

/// The same part in JSON.
const IN_JSON: &str = "a\\u001b[2J\\u001b]0;t";

const PACKAGE: &str = "models/package.kdl";

const MERGE: &str = "merge_method: linear\nmodels:\n  - model: a\n    parameters: {weight: 1.0}\n  - model: b\n    \
                     parameters: {weight: 1.0}\ndtype: float16\n";

/// Returns true if a terminal would interpret the character. Implemented independently, so that a gap in `mc`'s own
/// list is detected.
fn steers(character: char) -> bool {
    let is_control = character.is_control() && !matches!(character, '\n' | '\t');
    is_control
        || matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
                | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text without `mc`'s own color codes.
fn without_colors(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut left = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (code, text) = piece.split_once('m').unwrap();
        assert!(["0", "1", "4", "31", "32", "33", "36", "1;31", "1;33", "1;34"].contains(&code), "{code}");
        left.push_str(text);
    }
    left
}

/// Asserts that no output controls a terminal, and that control characters are shown escaped.
#[track_caller]
fn check_shown(ran: &Ran) {
    let reported = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!reported.chars().any(steers), "{reported:?}");
    assert!(reported.contains(SHOWN) || reported.contains(IN_JSON), "{reported}");
}

/// Runs a command as text, in colors and as JSON.
#[track_caller]
fn check(sandbox: &Sandbox, arguments: &[&str]) {
    check_shown(&sandbox.mc(arguments));
    let mut colored = sandbox.mc(&[&["--color", "always"], arguments].concat());
    colored.stdout = without_colors(&colored.stdout);
    colored.stderr = without_colors(&colored.stderr);
    check_shown(&colored);
    let json = sandbox.mc(&[&["--output", "json"], arguments].concat());
    assert!(!format!("{}{}", json.stdout, json.stderr).chars().any(steers), "{json:?}");
    if !json.stdout.is_empty() {
        json.json();
    }
}

#[test]
fn control_characters_in_declarations_are_escaped() {
    let sandbox = Sandbox::new();
    let declarations = [
        format!("\"{HOSTILE}\" \"x\"\n"),
        format!("dataset \"{HOSTILE}\" {{ files \"x\" }}\n"),
        format!("dataset \"x\" {{ \"{HOSTILE}\" 1; files 5 \"{HOSTILE}\" }}\n"),
        format!("// {HOSTILE}\ndataset \"x\" {{ files \"{HOSTILE}\"; format \"{HOSTILE}\" }}\n"),
        format!(
            "model \"x\" {{ base \"//{HOSTILE}:x\"; quantize \"{HOSTILE}\" }} = {HOSTILE} \"\"\"{HOSTILE}"
        ),
    ];
    for declaration in declarations {
        fs::write(sandbox.path(PACKAGE), &declaration).unwrap();
        check(&sandbox, &["check"]);
        check(&sandbox, &["build", "//models/..."]);
        // As KDL escapes, which give the same text from a document without such characters.
        let escaped: String =
            declaration.replace(HOSTILE, &HOSTILE.escape_unicode().to_string()).replace("// \\u", "// ");
        fs::write(sandbox.path(PACKAGE), escaped).unwrap();
        let ran = sandbox.mc(&["check"]).exits(2);
        assert!(!ran.stderr.chars().any(steers), "{}", ran.stderr);
    }
    fs::write(sandbox.path("workspace.kdl"), format!("workspace \"x\"\ncache {{ \"{HOSTILE}\" }}\n"))
        .unwrap();
    check(&sandbox, &["check"]);
}

#[test]
fn control_characters_in_arguments_and_paths_are_escaped() {
    let sandbox = Sandbox::new();
    let label = format!("//models:{HOSTILE}");
    let option = format!("--{HOSTILE}");
    let file = format!("{HOSTILE}.gguf");
    let query = format!("deps({HOSTILE})");
    let merge = format!("{HOSTILE}.yaml");
    fs::write(
        sandbox.path(&merge),
        format!("merge_method: \"{HOSTILE}\"\nmodels: [{{model: \"{HOSTILE}\"}}]\n").replace('\u{7f}', ""),
    )
    .unwrap();
    let folder = sandbox.path(HOSTILE);
    fs::create_dir_all(folder.join("w")).unwrap();
    fs::write(folder.join("w/workspace.kdl"), "workspace \"w\"\n").unwrap();
    fs::create_dir_all(folder.join("w/mc-out")).unwrap();
    let folder = folder.to_str().unwrap();
    for arguments in [
        &["build", &label][..],
        &["build", &option],
        &["build", "x", "--jobs", HOSTILE],
        &[HOSTILE],
        &["run", &file, "--", "hello"],
        &["inspect", &file],
        &["diff", &file, &file],
        &["query", &query],
        &["query", HOSTILE],
        &["import", "mergekit", &file],
        &["import", "mergekit", &merge],
        &["check", "--workspace", folder],
        &["clean", "--dry-run", "--workspace", &format!("{folder}/w")],
        &["cache", "stats", "--cache-dir", folder],
        &["action", HOSTILE],
        &["action", "tensor@2", HOSTILE],
        &["info", "--workspace", &format!("{folder}/w")],
        &["fetch", HOSTILE],
    ] {
        check(&sandbox, arguments);
    }
    // A URL appears in a warning, and in an error if the cache is required.
    let address = format!("--remote-cache=http://127.0.0.1:1/{HOSTILE}");
    check(&sandbox, &["build", &address, "--remote-cache-required", "//models:roadtrip-f16.gguf"]);
    check(&sandbox, &["info", "remote", &address]);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_is_escaped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let sandbox = Sandbox::new();
    let path = OsStr::from_bytes(b"\xff\x1b[2J\x9b\xc2.yaml");
    let ran = run(sandbox.command(&["import", "mergekit"]).arg(path)).exits(1);
    assert!(ran.stderr.contains("\u{fffd}\\u{1b}[2J"), "{}", ran.stderr);
    assert!(!ran.stderr.chars().any(steers), "{}", ran.stderr);
    for arguments in [&["inspect"][..], &["--color", "always", "check", "--jobs"]] {
        let ran = run(sandbox.command(arguments).arg(path)).exits(2);
        assert!(!without_colors(&ran.stderr).chars().any(steers), "{}", ran.stderr);
    }
    // Neither a workspace nor a store in such a folder breaks the JSON output.
    let mut sandbox = Sandbox::warm_gguf();
    let folder = sandbox.dir().join(OsStr::from_bytes(b"w\xff\x1b[2J"));
    fs::rename(&sandbox.workspace, &folder).unwrap();
    sandbox.workspace = folder;
    let cache = sandbox.dir().join(OsStr::from_bytes(b"c\xff\x1b[2J"));
    fs::rename(&sandbox.cache, &cache).unwrap();
    sandbox.cache = cache;
    fs::write(sandbox.path("merge.yaml"), MERGE).unwrap();
    for arguments in
        [&["build", GGUF][..], &["info"], &["cache", "stats"], &["clean", "--cache", "--dry-run"], &["check"]]
    {
        for ran in [sandbox.mc(arguments), sandbox.mc(&[&["--output", "json"], arguments].concat())] {
            let ran = ran.exits(0);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).chars().any(steers), "{ran:?}");
        }
    }
    let mut command = sandbox.command(&["--output", "json", "import", "mergekit", "merge.yaml", "--to"]);
    run(command.arg(OsStr::from_bytes(b"\xff\x1b.kdl"))).exits(0).json();
}

/// Replaces every occurrence of a text in a file by another, padded to the same length.
#[track_caller]
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert!(to.len() <= from.len(), "{} and {}", from.len(), to.len());
    let to = format!("{to}{}", "x".repeat(from.len() - to.len()));
    let mut bytes = bytes.to_vec();
    let found: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, at)| *at == from.as_bytes())
        .map(|at| at.0)
        .collect();
    assert!(!found.is_empty(), "{from}");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn control_characters_in_gguf_metadata_are_escaped() {
    let sandbox = Sandbox::new();
    let whole = &Template::get().gguf_files[0].1;
    let hostile = replaced(whole, "blk.1.ffn_up.weight", "a\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}");
    let hostile = replaced(&hostile, "general.architecture", "a\u{1b}[2J\u{1b}]0;t\u{202e}");
    let hostile = replaced(&hostile, "Roadtrip", "\u{9b}2\u{7f}\r\n\u{1b}");
    for (name, bytes) in [("a.gguf", whole), ("b.gguf", &hostile)] {
        fs::write(sandbox.path(name), bytes).unwrap();
    }
    check(&sandbox, &["inspect", "b.gguf"]);
    check(&sandbox, &["diff", "a.gguf", "b.gguf"]);
    check(&sandbox, &["diff", "b.gguf", "a.gguf"]);
}

#[test]
fn control_characters_in_vocabulary_pieces_are_escaped() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("model.gguf");
    // In the vocabulary, `Ġ` stands for a space and `ě` for the escape byte. They are swapped.
    let mut bytes = Template::get().gguf_files[0].1.clone();
    let end = bytes.windows(6).position(|window| window == b"blk.0.").unwrap();
    for at in 0..end {
        match &bytes[at..at + 2] {
            b"\xc4\xa0" => bytes[at + 1] = 0x9b,
            b"\xc4\x9b" => bytes[at + 1] = 0xa0,
            _ => {}
        }
    }
    fs::write(&file, bytes).unwrap();
    let arguments =
        ["run", "model.gguf", "--raw", "--temperature", "100", "--max-tokens", "60", "--", "hello"];
    let ran = sandbox.mc(&arguments).exits(0);
    assert!(ran.stdout.contains("\\u{1b}"), "{ran:?}");
    assert!(!ran.stdout.chars().any(steers), "{ran:?}");
    let json = sandbox.mc(&[&["--output", "json"], &arguments[..]].concat()).exits(0);
    assert!(!json.stdout.chars().any(steers), "{json:?}");
    assert!(json.json()["text"].as_str().unwrap().contains('\u{1b}'), "{json:?}");
}

#[test]
fn control_characters_in_chat_template_errors_are_escaped() {
    let sandbox = Sandbox::warm_gguf();
    let path = sandbox.path("models/base/tokenizer_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["chat_template"] = format!("{{{{ raise_exception('{HOSTILE}') }}}}").into();
    fs::write(&path, config.to_string()).unwrap();
    let ran = sandbox.mc(&["run", GGUF, "--", "hello"]);
    check_shown(&ran.exits(1));
}

#[test]
fn control_characters_in_data_names_and_lines_are_escaped() {
    let sandbox = Sandbox::new();
    let text = format!("{HOSTILE} is a line that both have in common\n").replace('\r', "");
    let calibration = sandbox.path("models/data/calibration").join(format!("{HOSTILE}.txt"));
    fs::write(calibration, &text).unwrap();
    fs::write(sandbox.path("models/data/evaluation").join(format!("{HOSTILE}.txt")), &text).unwrap();
    check_shown(&sandbox.mc(&["build", "//models:roadtrip-q4km-ios.gate"]).exits(1));
    // A file that is not text is reported by name.
    fs::write(sandbox.path("models/data/evaluation").join(format!("{HOSTILE}.txt")), b"\xff\x1b[2J").unwrap();
    check_shown(&sandbox.mc(&["build", "//models:roadtrip-q4km-ios.gate"]).exits(1));
    // So is a malformed line of questions.
    sandbox.edit(PACKAGE, "\"data/intents.jsonl\"", &format!("\"data/{}.jsonl\"", HOSTILE.escape_unicode()));
    fs::write(sandbox.path("models/data").join(format!("{HOSTILE}.jsonl")), format!("{{\"{HOSTILE}\"}}\n"))
        .unwrap();
    check_shown(&sandbox.mc(&["build", "//models:intents"]).exits(1));
}

#[test]
fn control_characters_do_not_get_into_written_files() {
    let sandbox = Sandbox::new();
    let merge = sandbox.path("merge.yaml");
    let model = HOSTILE.escape_unicode().to_string().replace("\\u{", "\\U").replace('}', "");
    let model = model.split("\\U").filter(|code| !code.is_empty());
    let model: String = model.map(|code| format!("\\U{code:0>8}")).collect();
    fs::write(&merge, format!("# \u{202e}\nmerge_method: linear\nmodels:\n  - model: \"{model}\"\n    parameters: {{weight: 1.0}}\n  - model: b\n    parameters: {{weight: 1.0}}\ndtype: float16\n")).unwrap();
    let printed = sandbox.mc(&["import", "mergekit", "merge.yaml"]);
    assert!(!printed.stdout.chars().any(steers), "{}", printed.stdout);
    assert!(printed.stdout.contains("\\u{1b}[2J"), "{printed:?}");
    let written = sandbox.mc(&["import", "mergekit", "merge.yaml", "--to", "new.kdl"]).exits(0);
    assert!(!written.stdout.chars().any(steers));
    assert_eq!(fs::read_to_string(sandbox.path("new.kdl")).unwrap(), printed.stdout);
    assert!(Path::new(&sandbox.path("new.kdl")).exists());
}

#[test]
fn shell_scripts_are_printed_unchanged() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.mc(&["completions", shell]).exits(0).stdout;
        assert!(!script.contains("\\u{"), "{shell}");
        assert!(script.lines().count() > 5, "{shell}");
    }
}
