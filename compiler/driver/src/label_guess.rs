//! Guesses the label that a user meant by a text that is not a label: a path, or a label without its `//`.

use mc_analysis::database::Database;
use mc_analysis::packages::{package_of, packages};
use mc_ir::label::{Label, PackageId};

use crate::workspace::{OUT, Workspace};

/// Files that are not targets.
const DECLARATIONS: &str = "package.kdl";

/// The most likely label or pattern; `None` if nothing is similar.
pub(crate) fn guess(db: &Database, workspace: &Workspace, text: &str) -> Option<String> {
    if text.contains(':') && !text.starts_with(['/', ':', '.']) {
        return Some(format!("//{text}"));
    }
    if !text.contains(['/', ':', '.']) && !packages(db).iter().any(|id| id.0 == text) {
        return named(db, workspace, text);
    }
    let path = below_root(workspace, text)?;
    let path = path.strip_prefix(OUT).map_or(path.as_str(), |path| path.trim_start_matches('/'));
    let path = path.strip_suffix(DECLARATIONS).map_or(path, |folder| folder.trim_end_matches('/'));
    let known = packages(db);
    if known.iter().any(|id| id.0 == path) {
        return Some(format!("//{path}:all"));
    }
    // `models/app`, or a file below `mc-out/models/app/`.
    path.match_indices('/').rev().map(|(at, _)| path.split_at(at)).find_map(|(package, rest)| {
        let id = PackageId(package.to_owned());
        let name = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_target = package_of(db, &id).names().any(|known| known == name);
        is_target.then(|| Label::new(id, name).to_string())
    })
}

/// The label of a target of that name, in the package of the current folder or else in the first one that has it.
fn named(db: &Database, workspace: &Workspace, name: &str) -> Option<String> {
    let declares = |id: &&PackageId| package_of(db, id).names().any(|known| known == name);
    if declares(&&workspace.here) {
        return Some(format!(":{name}"));
    }
    let id = packages(db).iter().find(declares).cloned()?;
    Some(Label::new(id, name).to_string())
}

/// A path relative to the root of the workspace, with `/` between its parts.
fn below_root(workspace: &Workspace, text: &str) -> Option<String> {
    let path = match text.strip_prefix(workspace.root.to_str()?) {
        Some(below) => below.to_owned(),
        None if text.starts_with('/') => text.trim_start_matches('/').to_owned(),
        None => format!("{}/{text}", workspace.here.0),
    };
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
