//! Keys of actions contain no `Debug` text: it changes with the names of fields, and may omit fields.

use std::fs;
use std::path::Path;

#[test]
fn no_parameter_of_an_action_is_debug_text() {
    let mut n_actions = 0;
    let mut wrong = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path, text| {
        for (_, rest) in text.match_indices("fn parameters(&self)").map(|(at, _)| text.split_at(at)) {
            n_actions += 1;
            // A method of an implementation ends with the first brace at its own indentation.
            let body = rest.split("\n    }\n").next().unwrap_or(rest);
            if body.contains(":?}") || body.contains(":#?}") {
                wrong.push(path.display().to_string());
            }
        }
    });
    assert!(n_actions > 10, "{n_actions} actions were found");
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, look);
        } else {
            look(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
