//! `mc.lock`: the files of every origin, pinned by digest. A sorted text with a single canonical form, for review.

use std::collections::BTreeMap;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::origin::{Origin, check_file_name};
use mc_syntax::tree::{Node, Value};

/// The name of the file, at the root of a workspace.
pub const LOCK_FILE: &str = "mc.lock";

/// Limit on the size of the file.
pub const MAX_LOCK: u64 = 16 << 20;

const HEAD: &str = "// Written by `mc lock`: every file of every origin by its digest. Keep it under version control.\n\
                    version 1\n";

/// All pins of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFile {
    /// The files of each origin.
    pub entries: BTreeMap<Origin, Vec<LockedFile>>,
}

/// A pinned file of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedFile {
    /// Its name below the folder.
    pub name: String,
    /// Its digest.
    pub digest: BlobDigest,
    /// SHA-256, if the server reported it; registries address blobs by it.
    pub sha256: Option<String>,
    /// Git object id, if the server reported it.
    pub git: Option<String>,
}

/// A syntax error in a lock file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{LOCK_FILE}` line {line}: {what}")]
pub struct LockError {
    /// The line, from 1.
    pub line: usize,
    /// The expected and the found text.
    pub what: String,
}

impl LockFile {
    /// Parses the text of a lock file.
    ///
    /// # Errors
    /// [`LockError`] for the first error; nothing is guessed.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let parsed = mc_syntax::parse::parse(text);
        let at = |start: usize| text.get(..start).unwrap_or(text).matches('\n').count() + 1;
        if let Some(diagnostic) = parsed.diagnostics.first() {
            return Err(LockError { line: at(diagnostic.span.start), what: diagnostic.message.clone() });
        }
        let mut nodes = parsed.document.nodes.iter();
        let version = nodes.next().filter(|node| node.name.text == "version");
        let version =
            version.and_then(|node| node.arguments().next()).and_then(|value| integer(&value.value));
        if version != Some(1) {
            let what = "Expected `version 1` at the beginning; use the `mc` that wrote it, or run `mc lock --update`";
            return Err(LockError { line: 1, what: what.to_owned() });
        }
        let mut entries = BTreeMap::new();
        for node in nodes {
            let wrong = |what: String| LockError { line: at(node.name.span.start), what };
            let (origin, files) = entry(node).map_err(wrong)?;
            let shown = origin.to_string();
            if entries.insert(origin, files).is_some() {
                return Err(wrong(format!("{shown} is listed twice")));
            }
        }
        Ok(Self { entries })
    }

    /// The canonical text: equal pins give equal text.
    pub fn text(&self) -> String {
        let entries = self.entries.iter().map(|(origin, files)| format!("\n{}", entry_text(origin, files)));
        HEAD.to_owned() + &entries.collect::<String>()
    }
}

/// Digest of an entry: the origin and all of its files.
pub fn entry_digest(origin: &Origin, files: &[LockedFile]) -> Digest {
    Digest::of(entry_text(origin, files).as_bytes())
}

fn entry_text(origin: &Origin, files: &[LockedFile]) -> String {
    let mut text = format!("{origin} {{\n");
    if let Origin::HuggingFace { files: patterns, .. } = origin
        && !patterns.is_empty()
    {
        let patterns: Vec<String> = patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect();
        text.push_str(&format!("    files {}\n", patterns.join(" ")));
    }
    for file in files {
        let LockedFile { name, digest, sha256, git } = file;
        text.push_str(&format!("    file \"{name}\" size={} blake3=\"{}\"", digest.n_bytes, digest.hash));
        for (key, value) in [("sha256", sha256), ("git", git)] {
            if let Some(value) = value {
                text.push_str(&format!(" {key}=\"{value}\""));
            }
        }
        text.push('\n');
    }
    text + "}\n"
}

fn entry(node: &Node) -> Result<(Origin, Vec<LockedFile>), String> {
    let argument = node.arguments().next().and_then(|value| text(&value.value));
    let argument = argument.ok_or_else(|| format!("`{}` needs a name", node.name.text))?;
    let mut patterns = Vec::new();
    let mut files = Vec::new();
    for child in node.child_nodes() {
        match child.name.text.as_str() {
            "files" => {
                patterns.extend(child.arguments().filter_map(|value| text(&value.value)).map(str::to_owned));
            }
            "file" => files.push(file(child)?),
            other => return Err(format!("`{other}` is not allowed here")),
        }
    }
    if files.is_empty() {
        return Err("The origin has no file".to_owned());
    }
    if let Some(pair) = files.windows(2).find(|pair| pair[0].name >= pair[1].name) {
        return Err(format!(
            "`{}` follows `{}`; expected sorted names without duplicates",
            pair[1].name, pair[0].name
        ));
    }
    let names = || files.iter().map(|file: &LockedFile| file.name.clone()).collect();
    let origin = match node.name.text.as_str() {
        "hf" => {
            let revision = node.property("revision").and_then(|entry| text(&entry.value.value));
            Origin::hugging_face(argument, revision.ok_or("`hf` needs `revision=`")?, patterns)
        }
        "http" => Origin::http(argument, names()),
        "oci" => Origin::oci(argument),
        other => return Err(format!("`{other}` is not a kind of origin; expected `hf`, `http` or `oci`")),
    };
    origin.check().map_err(|error| error.message)?;
    Ok((origin, files))
}

fn file(node: &Node) -> Result<LockedFile, String> {
    let name = node.arguments().next().and_then(|value| text(&value.value)).ok_or("`file` needs a name")?;
    check_file_name(name).map_err(|error| error.message)?;
    let property = |key: &str| node.property(key).map(|entry| &entry.value.value);
    let n_bytes = property("size").and_then(integer).ok_or_else(|| format!("`{name}` needs `size=`"))?;
    let hash = property("blake3").and_then(text).and_then(|hex| hex.parse().ok());
    let hash = hash.ok_or_else(|| format!("`{name}` needs `blake3=` with 64 hexadecimal digits"))?;
    let hex = |key: &str, n_digits: usize| match property(key).and_then(text) {
        Some(hex) if hex.len() == n_digits && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Some(hex.to_owned()))
        }
        None if property(key).is_none() => Ok(None),
        _ => Err(format!("`{key}` of `{name}` is not {n_digits} hexadecimal digits")),
    };
    Ok(LockedFile {
        name: name.to_owned(),
        digest: BlobDigest::new(hash, n_bytes),
        sha256: hex("sha256", 64)?,
        git: hex("git", 40)?,
    })
}

fn text(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn integer(value: &Value) -> Option<u64> {
    if let Value::Integer(integer) = value { u64::try_from(integer.to_i64()?).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> LockedFile {
        LockedFile { name: name.to_owned(), digest: BlobDigest::of(name.as_bytes()), sha256: None, git: None }
    }

    fn example() -> LockFile {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let sha256 = Some("ab".repeat(32));
        let oci = format!("ghcr.io/org/model@sha256:{}", "0".repeat(64));
        let patterns = vec!["*.json".to_owned(), "*.safetensors".to_owned()];
        LockFile {
            entries: BTreeMap::from([
                (Origin::hugging_face("org/name", commit, Vec::new()), vec![file("a"), file("b")]),
                (Origin::hugging_face("org/name", commit, patterns), vec![file("a")]),
                (Origin::http("https://host/x/", vec!["c/d".to_owned()]), vec![file("c/d")]),
                (Origin::oci(&oci), vec![LockedFile { sha256, ..file("model") }]),
            ]),
        }
    }

    #[test]
    fn a_lock_file_survives_a_round_trip() {
        let text = example().text();
        let read = LockFile::parse(&text).unwrap();
        assert_eq!(read, example());
        assert_eq!(read.text(), text);
        assert_eq!(LockFile::parse(HEAD).unwrap(), LockFile::default());
    }

    #[test]
    fn errors_are_reported_with_their_line() {
        let right = example().text();
        for (from, to, expected) in [
            ("version 1", "version 2", "line 1: Expected `version 1`"),
            ("file \"a\"", "file \"../a\"", "line 4: `../a` is not a valid file name"),
            ("size=1", "", "`a` needs `size=`"),
            ("file \"b\"", "file \"a\"", "`a` follows `a`"),
            ("0123456789abcdef0123456789abcdef01234567", "main", "is not a commit"),
            ("oci ", "ftp ", "`ftp` is not a kind of origin"),
            ("{", "", "`mc.lock` line"),
            ("blake3=\"", "blake3=\"x", "needs `blake3=`"),
        ] {
            let error = LockFile::parse(&right.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{from} → {to}: {error}");
        }
        assert!(LockFile::parse("").is_err());
    }

    #[test]
    fn a_truncated_or_changed_file_is_parsed_or_rejected() {
        let right = example().text();
        for end in (0..right.len()).filter(|&end| right.is_char_boundary(end)) {
            drop(LockFile::parse(&right[..end]));
        }
        for (index, _) in right.char_indices() {
            for other in ["\"", "{", "}", "\n", "9", "\\", ""] {
                let mut changed = right.clone();
                changed.replace_range(index..=index, other);
                if let Ok(lock) = LockFile::parse(&changed) {
                    assert_eq!(LockFile::parse(&lock.text()), Ok(lock));
                }
            }
        }
    }

    #[test]
    fn every_part_of_an_entry_affects_its_digest() {
        let origin = Origin::http("https://host/x/", vec!["a".to_owned()]);
        let digest = entry_digest(&origin, &[file("a")]);
        assert_ne!(digest, entry_digest(&origin, &[file("b")]));
        assert_ne!(
            digest,
            entry_digest(&Origin::http("https://host/y/", vec!["a".to_owned()]), &[file("a")])
        );
        let other = LockedFile { digest: BlobDigest::of(b"x"), ..file("a") };
        assert_ne!(digest, entry_digest(&origin, &[other]));
    }
}
