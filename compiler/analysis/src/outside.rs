//! Source files behind links. A link may lead to any place in the workspace, but needs a permission to lead out of it.
//!
//! Contents of sources end up in outputs and in caches that others read: licenses are copied, data is kept as text. So
//! a link in a workspace from another author must not copy a private file of this machine there unnoticed. The
//! permission is `allow-outside` in `workspace.kdl`; folders of fetched files need none.
//!
//! The check inspects the path at the time of the analysis and does not notice a link that changes later. But all bytes
//! that an action reads are hashed, so its result is never taken for that of other bytes.

use std::path::{Component, Path, PathBuf};

use mc_ir::rule::SourceError;
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::span::Span;

use crate::db::Db;
use crate::file_system::{Outside, unusable};
use crate::parse::{Parsed, parse};
use crate::path::WORKSPACE_FILE;
use crate::source_file::{Content, Request};
use crate::workspace::workspace;

/// Refuses a path below the workspace that leads out of it without permission.
///
/// *Incremental:* depends on the permissions only if a path does lead out.
///
/// # Errors
/// [`SourceError`] with the link and a hint for fixing it.
pub(crate) fn check(db: &dyn Db, path: &str) -> Result<(), SourceError> {
    let Content::Outside(links) = db.source_file(Request::Outside(path.to_owned())).content(db).clone()?
    else {
        unreachable!("the question is answered by links")
    };
    match links.iter().find(|link| !is_permitted(db, &link.resolved)) {
        Some(link) => Err(refusal(link)),
        None => Ok(()),
    }
}

/// Parses the declaration file at `path`.
///
/// # Errors
/// A diagnostic if the file lies behind a link out of the workspace without permission. The diagnostic contains none of
/// the file's text, either.
pub(crate) fn parse_permitted<'db>(db: &'db dyn Db, path: &str) -> Result<&'db Parsed, Diagnostic> {
    // The file that grants the permission needs none.
    if path != WORKSPACE_FILE {
        let start = Span { start: 0, end: 0 };
        check(db, path).map_err(|error| Diagnostic::error("file::outside", error.message, start))?;
    }
    Ok(parse(db, db.source_file(Request::Declarations(path.to_owned()))))
}

fn is_permitted(db: &dyn Db, path: &Path) -> bool {
    workspace(db).allowed_outside.iter().any(|allowed| path.starts_with(absolute(db.root(), allowed)))
}

/// A permitted path (absolute or relative to the workspace) as an absolute path without `.` and `..`.
fn absolute(root: &Path, allowed: &str) -> PathBuf {
    let mut absolute = PathBuf::new();
    for part in root.join(allowed).components() {
        match part {
            Component::ParentDir => _ = absolute.pop(),
            Component::CurDir => {}
            part => absolute.push(part),
        }
    }
    absolute
}

fn refusal(outside: &Outside) -> SourceError {
    let Outside { link, target, resolved } = outside;
    let resolved = mc_syntax::print::quote(&resolved.display().to_string());
    let what = format!(
        "is a link to `{target}`, which leads out of the workspace; put the files into the workspace, or permit it by \
         `allow-outside {resolved}` in `workspace.kdl`"
    );
    unusable(link, &what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permitted_paths_are_absolute_or_relative_to_the_workspace() {
        let absolute = |allowed| absolute(Path::new("/w/x"), allowed);
        assert_eq!(absolute("/data"), Path::new("/data"));
        assert_eq!(absolute("../data/./a/.."), Path::new("/w/data"));
        assert_eq!(absolute("../../../.."), Path::new("/"));
    }
}
