//! Origins of files outside the workspace: Hugging Face, a web server, an OCI registry.
//!
//! An origin is what a declaration says, no more: which bytes those are is for `mc.lock` to pin, and how they come
//! here for `cache/fetch`. It enters the digests of those actions alone that write it into a file.

use std::fmt;

/// The source of downloaded files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A Hugging Face repository, or one on a server with the same API.
    HuggingFace {
        /// `org/name`.
        repository: String,
        /// The commit, 40 hexadecimal digits; before it is pinned, a branch or a tag.
        revision: String,
        /// Patterns of the files to download, sorted. If empty, the files that a checkpoint needs.
        files: Vec<String>,
    },
    /// Files below a URL.
    Http {
        /// The URL, ending in `/`.
        base: String,
        /// Their names below the URL, sorted.
        files: Vec<String>,
    },
    /// An artifact of an OCI registry whose layers have titles.
    Oci {
        /// `registry/repository@sha256:…`; before it is pinned, a tag in place of the digest.
        reference: String,
    },
}

impl Origin {
    /// A Hugging Face repository. Without patterns, the files that a checkpoint needs.
    pub fn hugging_face(repository: &str, revision: &str, files: Vec<String>) -> Self {
        Self::HuggingFace {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            files: sorted(files),
        }
    }

    /// Files below a URL.
    pub fn http(base: &str, files: Vec<String>) -> Self {
        Self::Http { base: base.to_owned(), files: sorted(files) }
    }

    /// An artifact of an OCI registry.
    pub fn oci(reference: &str) -> Self {
        Self::Oci { reference: reference.to_owned() }
    }

    /// Checks that the origin is well-formed and immutable: it can never refer to other files.
    ///
    /// # Errors
    /// The reason, and how to write it instead.
    pub fn check(&self) -> Result<(), OriginError> {
        self.check_form()?;
        match self {
            Self::HuggingFace { revision, .. } if !is_commit(revision) => Err(OriginError::moves(format!(
                "`{revision}` is not a commit; a branch can move, expected `revision=` with 40 hexadecimal digits"
            ))),
            Self::Oci { reference } if digest_of(reference).is_none() => Err(OriginError::moves(format!(
                "`{reference}` has no digest; a tag can move, expected `registry/repository@sha256:…`"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks that the origin is well-formed, pinned or not.
    ///
    /// # Errors
    /// The reason for which it is not well-formed.
    pub fn check_form(&self) -> Result<(), OriginError> {
        match self {
            Self::HuggingFace { repository, revision, files } => {
                check_repository(repository)?;
                if revision.is_empty() || !revision.bytes().all(is_plain) || revision.contains("..") {
                    return Err(OriginError::new(format!("`{revision}` is not a revision")));
                }
                files.iter().try_for_each(|pattern| check_file_name(pattern))
            }
            Self::Http { base, files } => {
                check_base(base)?;
                if files.is_empty() {
                    return Err(OriginError::new(format!(
                        "`{base}` names no file; add `file \"config.json\"`"
                    )));
                }
                files.iter().try_for_each(|name| check_file_name(name))
            }
            Self::Oci { reference } => check_reference(reference),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuggingFace { repository, revision, .. } => {
                write!(f, "hf \"{repository}\" revision=\"{revision}\"")
            }
            Self::Http { base, .. } => write!(f, "http \"{base}\""),
            Self::Oci { reference } => write!(f, "oci \"{reference}\""),
        }
    }
}

/// An origin that cannot be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OriginError {
    /// The expected and the found value.
    pub message: String,
    /// True if the only problem is that the origin may refer to other files later.
    pub moves: bool,
}

impl OriginError {
    fn new(message: String) -> Self {
        Self { message, moves: false }
    }

    fn moves(message: String) -> Self {
        Self { message, moves: true }
    }
}

/// Splits an OCI reference into registry, repository, and digest or tag.
pub fn reference_parts(reference: &str) -> Option<(&str, &str, &str)> {
    let (registry, rest) = reference.split_once('/')?;
    let (repository, version) = match rest.split_once('@') {
        Some(parts) => parts,
        None => rest.rsplit_once(':')?,
    };
    Some((registry, repository, version))
}

/// Checks that a file of this name can be written below a folder on every operating system: relative, without `..`,
/// `\`, control characters, quotes and similar characters.
///
/// # Errors
/// The reason for which the name is not allowed.
pub fn check_file_name(name: &str) -> Result<(), OriginError> {
    let wrong = |what: &str| {
        let shown: String = name.chars().take(120).flat_map(char::escape_debug).collect();
        Err(OriginError::new(format!("`{shown}` is not a valid file name: {what}")))
    };
    if name.is_empty() || name.len() > 255 {
        return wrong("expected 1 to 255 bytes");
    }
    if name.starts_with('/') {
        return wrong("it is absolute");
    }
    if name.chars().any(|letter| letter.is_control() || "\\\":<>|".contains(letter)) {
        return wrong("it contains a character that some systems do not allow");
    }
    for part in name.split('/') {
        match part {
            "" => return wrong("a part of it is empty"),
            "." | ".." => return wrong("it leaves its folder"),
            _ if part.ends_with([' ', '.']) => return wrong("a part of it ends with a dot or a space"),
            _ => {}
        }
    }
    Ok(())
}

/// Returns true for a full commit id; false for a branch, a tag or a short id.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(is_lower_hex)
}

/// The digest of a reference, if it has one.
fn digest_of(reference: &str) -> Option<&str> {
    let (_, digest) = reference.split_once('@')?;
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(is_lower_hex)).then_some(hex)
}

fn check_repository(repository: &str) -> Result<(), OriginError> {
    let parts: Vec<&str> = repository.split('/').collect();
    let is_part = |part: &&str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with('.')
            && part.bytes().all(|byte| is_word(byte) || byte == b'.')
    };
    if parts.len() <= 2 && parts.iter().all(is_part) {
        return Ok(());
    }
    Err(OriginError::new(format!("`{repository}` is not a repository; expected `organization/name`")))
}

fn check_base(base: &str) -> Result<(), OriginError> {
    let wrong = |what: &str| Err(OriginError::new(format!("`{base}` {what}")));
    let Some(rest) = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")) else {
        return wrong("is not a URL; expected `https://host/folder/`");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(OriginError::new(
            "The URL contains a user name or a password; remove it, and put it into `~/.netrc` or a credential helper"
                .to_owned(),
        ));
    }
    if host.is_empty() || !rest.ends_with('/') {
        return wrong("is not a folder; expected `https://host/folder/`, with a `/` at its end");
    }
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['?', '#', '\\', '"']) {
        return wrong("contains a character that the URL of a folder cannot have");
    }
    if rest.split('/').any(|part| part == "..") {
        return wrong("leads upward with `..`");
    }
    Ok(())
}

fn check_reference(reference: &str) -> Result<(), OriginError> {
    let wrong = || {
        Err(OriginError::new(format!(
            "`{reference}` is not an artifact; expected `registry/repository@sha256:…`, the digest with 64 hexadecimal digits"
        )))
    };
    let Some((registry, repository, version)) = reference_parts(reference) else { return wrong() };
    let is_registry = !registry.is_empty()
        && registry.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let is_repository = repository.split('/').all(|part| {
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(|byte| is_word(byte) || byte == b'.')
    });
    let is_version = match reference.contains('@') {
        true => digest_of(reference).is_some(),
        false => !version.is_empty() && version.bytes().all(|byte| is_word(byte) || byte == b'.'),
    };
    if is_registry && is_repository && is_version { Ok(()) } else { wrong() }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn is_plain(byte: u8) -> bool {
    is_word(byte) || byte == b'.' || byte == b'/'
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_and_a_tag_are_not_immutable() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Origin::hugging_face("org/name", commit, Vec::new()).check(), Ok(()));
        for revision in ["main", "v1.0", &commit[..39], &commit.to_uppercase()] {
            let error = Origin::hugging_face("org/name", revision, Vec::new()).check().unwrap_err();
            assert!(error.moves, "{error}");
        }
        let digest = "0".repeat(64);
        assert_eq!(Origin::oci(&format!("ghcr.io/org/model@sha256:{digest}")).check(), Ok(()));
        assert!(Origin::oci("ghcr.io/org/model:latest").check().unwrap_err().moves);
        assert!(Origin::oci("localhost:5000/model:1").check().unwrap_err().moves);
        for wrong in
            ["model", "ghcr.io/org/model", "ghcr.io/../a:1", "ghcr.io/a@sha256:12", "/a:1", "a b/c:1"]
        {
            assert!(!Origin::oci(wrong).check().unwrap_err().moves, "{wrong}");
        }
    }

    #[test]
    fn repositories_and_addresses_are_checked() {
        for wrong in ["", "a/b/c", "../b", "a/", "a b/c", "a/.git"] {
            assert!(Origin::hugging_face(wrong, "main", Vec::new()).check_form().is_err(), "{wrong}");
        }
        let files = || vec!["config.json".to_owned()];
        assert_eq!(Origin::http("https://host/a/", files()).check(), Ok(()));
        for wrong in [
            "ftp://host/",
            "https://host/a",
            "https:///",
            "https://me:secret@host/",
            "https://host/?a/",
            "https://host/../",
        ] {
            let error = Origin::http(wrong, files()).check().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(Origin::http("https://host/", Vec::new()).check().is_err());
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for right in ["a", "a/b.c", "..a", ".gitattributes", "a b"] {
            assert_eq!(check_file_name(right), Ok(()), "{right}");
        }
        let long = "x".repeat(256);
        for wrong in
            ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "C:a", "a\0", "a\nb", "a.", &long]
        {
            assert!(check_file_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
