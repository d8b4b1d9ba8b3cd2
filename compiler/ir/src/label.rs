//! Labels (`//package:target`) and patterns that match several of them.
//!
//! A label is a declared name and never a path. The analysis checks that the target exists.

use std::fmt;

/// A folder with a `package.kdl`, identified by its path from the workspace root, with `/` separators. The root package
/// is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub String);

impl fmt::Display for PackageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "//{}", self.0)
    }
}

/// The unique name of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// The package that declares it.
    pub package: PackageId,
    /// Its name in the package.
    pub name: String,
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.package, self.name)
    }
}

/// The text is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a label: {reason}; write `//package:target` or `:target`")]
pub struct LabelError {
    /// The text as found.
    pub text: String,
    /// The reason for which it is not a label.
    pub reason: &'static str,
}

impl Label {
    /// A label from a package and a name.
    pub fn new(package: PackageId, name: impl Into<String>) -> Self {
        Self { package, name: name.into() }
    }

    /// Parses `//package:target`, `//package` (the target with the name of the folder) or `:target` (in `here`).
    ///
    /// # Errors
    /// [`LabelError`] if the text is empty, a path, or has characters that are not allowed in names.
    pub fn parse(text: &str, here: &PackageId) -> Result<Self, LabelError> {
        let wrong = |reason| LabelError { text: text.to_owned(), reason };
        if let Some(name) = text.strip_prefix(':') {
            check_name(name).map_err(wrong)?;
            return Ok(Self::new(here.clone(), name));
        }
        let Some(rest) = text.strip_prefix("//") else {
            return Err(wrong("it begins with neither `//` nor `:`"));
        };
        let (package, name) = match rest.split_once(':') {
            Some((package, name)) => (package, name),
            None => (rest, rest.rsplit('/').next().unwrap_or(rest)),
        };
        check_package(package).map_err(wrong)?;
        check_name(name).map_err(wrong)?;
        Ok(Self::new(PackageId(package.to_owned()), name))
    }
}

/// A set of labels, as written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One target.
    Target(Label),
    /// `//package:all`, or `:all` for the package around: every target of one package.
    Package(PackageId),
    /// `//package/...`: every target of the package and of the packages below it; `//...` is everything.
    Below(PackageId),
}

impl Pattern {
    /// Reads a label or one of the patterns `//package:all`, `:all`, `//package/...`, `//...`.
    ///
    /// # Errors
    /// [`LabelError`], as for [`Label::parse`].
    pub fn parse(text: &str, here: &PackageId) -> Result<Self, LabelError> {
        let wrong = |reason| LabelError { text: text.to_owned(), reason };
        if text == "..." || text == "//..." {
            let package = if text == "..." { here.clone() } else { PackageId(String::new()) };
            return Ok(Self::Below(package));
        }
        if text == ":all" {
            return Ok(Self::Package(here.clone()));
        }
        if let Some(package) = text.strip_prefix("//").and_then(|rest| rest.strip_suffix("/...")) {
            check_package(package).map_err(wrong)?;
            return Ok(Self::Below(PackageId(package.to_owned())));
        }
        if let Some(package) = text.strip_prefix("//").and_then(|rest| rest.strip_suffix(":all")) {
            check_package(package).map_err(wrong)?;
            return Ok(Self::Package(PackageId(package.to_owned())));
        }
        Label::parse(text, here).map(Self::Target)
    }

    /// Returns true if the pattern matches the label.
    pub fn matches(&self, label: &Label) -> bool {
        match self {
            Self::Target(target) => target == label,
            Self::Package(package) => *package == label.package,
            Self::Below(package) => {
                package.0.is_empty()
                    || label.package == *package
                    || label.package.0.strip_prefix(&package.0).is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }
}

/// Checks a target name: letters, digits and `-_.+`, not beginning with `.` or `-`.
///
/// # Errors
/// The reason for which the name is not allowed.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("the target's name is empty");
    }
    if name.starts_with(['.', '-']) {
        return Err("a name may not begin with `.` or `-`");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c)) {
        return Err("a name has letters, digits and `-_.+` only");
    }
    Ok(())
}

fn check_package(package: &str) -> Result<(), &'static str> {
    if package.is_empty() {
        return Ok(());
    }
    for part in package.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err("a package is a path of plain folder names");
        }
        if !part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c)) {
            return Err("a package has letters, digits and `-_.+/` only");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> PackageId {
        PackageId("models".to_owned())
    }

    #[test]
    fn all_three_forms_of_labels_parse() {
        assert_eq!(Label::parse("//a/b:c", &here()).unwrap().to_string(), "//a/b:c");
        assert_eq!(Label::parse("//a/b", &here()).unwrap().to_string(), "//a/b:b");
        assert_eq!(Label::parse(":c", &here()).unwrap().to_string(), "//models:c");
    }

    #[test]
    fn paths_and_invalid_names_are_not_labels() {
        for text in ["", "a", "./a", "/a:b", "//a/../b:c", "//a:", ":", "//a:b c", "//a//b:c", ":-x"] {
            assert!(Label::parse(text, &here()).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_match_whole_folder_names_only() {
        let below = Pattern::parse("//mod/...", &here()).unwrap();
        assert!(!below.matches(&Label::parse("//models:a", &here()).unwrap()));
        assert!(below.matches(&Label::parse("//mod:a", &here()).unwrap()));
        assert!(below.matches(&Label::parse("//mod/x:a", &here()).unwrap()));
        assert!(Pattern::parse("//...", &here()).unwrap().matches(&Label::parse(":a", &here()).unwrap()));
        assert!(
            Pattern::parse("//models:all", &here()).unwrap().matches(&Label::parse(":a", &here()).unwrap())
        );
    }
}
