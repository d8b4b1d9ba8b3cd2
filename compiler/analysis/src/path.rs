//! Paths in declarations: relative to the package, below it, with `/` separators.

use mc_ir::label::PackageId;

/// Removes `.` components and a `/` at the end; `.` itself becomes the empty path.
///
/// # Errors
/// The reason for which the path is invalid: empty, absolute, outside the package, or in Windows form.
pub fn normalize(path: &str) -> Result<String, &'static str> {
    if path.is_empty() {
        return Err("it is empty");
    }
    if path.starts_with("//") || path.starts_with(':') {
        return Err("it is a label");
    }
    if path.starts_with('/') {
        return Err("it is absolute");
    }
    if path.contains('\\') {
        return Err("its parts are separated by `\\`, not `/`");
    }
    if path.contains('\0') {
        return Err("it contains a zero byte");
    }
    if path.get(1..2) == Some(":") {
        return Err("it begins with a drive");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("it leaves the package with `..`");
    }
    Ok(parts.join("/"))
}

/// Joins two paths; either may be empty.
pub(crate) fn join(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("", path) => path.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// The `package.kdl` of a package, relative to the workspace.
pub(crate) fn package_file(package: &PackageId) -> String {
    join(&package.0, PACKAGE_FILE)
}

/// The file that makes a folder a package.
pub const PACKAGE_FILE: &str = "package.kdl";

/// The file that marks the root of a workspace.
pub const WORKSPACE_FILE: &str = "workspace.kdl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_the_package_are_normalized() {
        for (written, clean) in [
            ("a", "a"),
            ("./a/b", "a/b"),
            ("a//b/", "a/b"),
            (".", ""),
            ("a/./b", "a/b"),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(normalize(written), Ok(clean.to_owned()), "{written}");
        }
    }

    #[test]
    fn paths_that_leave_the_package_are_refused() {
        for path in ["", "/a", "..", "a/../../b", "a/..", "//a:b", ":a", "a\\b", "C:/a", "a\0b"] {
            assert!(normalize(path).is_err(), "{path}");
        }
    }
}
