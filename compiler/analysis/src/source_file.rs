//! File system answers as salsa inputs: one input for each request.
//!
//! A weight file is never read whole, only its head; a folder is its list of names; a pattern is the list of its
//! matches. So a change that the analysis cannot see re-runs nothing.
#![expect(missing_docs, reason = "salsa's macro makes functions that cannot be given documentation")]

use std::sync::Arc;

use mc_ir::origin::Origin;
use mc_ir::rule::{Head, HeadFormat, SourceError};

use crate::discover;
use crate::file_system::{FileSystem, Outside, Stamp, unusable};
use crate::glob::glob;

/// Maximum number of bytes of a file that a rule reads whole, such as a tokenizer.
const MAX_WHOLE: u64 = 256 << 20;

/// Maximum number of bytes of a `.kdl` file.
const MAX_DECLARATIONS: u64 = 16 << 20;

/// The limit that the safetensors format sets for its header.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// Number of bytes of the head of a file that does not state the length of its head.
const BEGINNING: u64 = 64 << 20;

/// A request to the file system. Paths are relative to the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// A `.kdl` file.
    Declarations(String),
    /// The bytes of a file.
    Whole(String),
    /// The head of a container.
    Head(String, HeadFormat),
    /// The names of the files in a folder.
    List(String),
    /// The files that a pattern matches.
    Glob {
        /// The folder to which the pattern and the matches are relative.
        folder: String,
        /// The pattern.
        pattern: String,
    },
    /// The links on a path that lead out of the workspace.
    Outside(String),
    /// All folders with a `package.kdl`.
    Packages,
    /// The folder with the fetched files of an origin; the answer is one name, an absolute path.
    Fetched(Origin),
}

/// An answer of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of a file.
    Bytes(Arc<[u8]>),
    /// The head of a container.
    Head(Head),
    /// Names or paths, sorted.
    Names(Arc<[String]>),
    /// Links that lead out of the workspace.
    Outside(Arc<[Outside]>),
}

/// A request with its latest answer.
#[salsa::input(debug)]
pub struct SourceFile {
    /// The request.
    #[returns(ref)]
    pub request: Request,
    /// The answer.
    #[returns(ref)]
    pub content: Result<Content, SourceError>,
}

impl Request {
    /// The file that the answer describes, to check its stamp; `None` if the answer describes several files.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Declarations(path) | Self::Whole(path) | Self::Head(path, _) => Some(path),
            Self::List(_) | Self::Glob { .. } | Self::Outside(_) | Self::Packages | Self::Fetched(_) => None,
        }
    }
}

/// The stamp of the file of a request, if it has a reliable one.
pub(crate) fn stamp(files: &dyn FileSystem, request: &Request) -> Option<Stamp> {
    request.file().and_then(|path| files.stat(path).ok()).and_then(|stat| stat.stamp)
}

/// Sends the request to the file system.
pub(crate) fn load(files: &dyn FileSystem, request: &Request) -> Result<Content, SourceError> {
    match request {
        Request::Declarations(path) => read_whole(files, path, MAX_DECLARATIONS),
        Request::Whole(path) => read_whole(files, path, MAX_WHOLE),
        Request::Head(path, format) => {
            let head = read_head(files, path, *format)?;
            // The weights are not on this machine, but the declaration of them may be right.
            let absent = |error| SourceError { is_missing: true, ..error };
            refuse_pointer(path, &head.bytes).map(|()| Content::Head(head)).map_err(absent)
        }
        Request::List(folder) => {
            let entries = files.list(folder)?;
            Ok(names(entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.name).collect()))
        }
        Request::Glob { folder, pattern } => glob(files, folder, pattern).map(names),
        Request::Outside(path) => files.outside(path).map(|found| Content::Outside(found.into())),
        Request::Packages => discover::packages(files).map(names),
        Request::Fetched(origin) => files.fetched(origin).map(|folder| names(vec![folder])),
    }
}

fn names(names: Vec<String>) -> Content {
    Content::Names(names.into())
}

fn read_whole(files: &dyn FileSystem, path: &str, limit: u64) -> Result<Content, SourceError> {
    // One byte above the limit shows whether the file is longer, even if it grows while it is read.
    let bytes = files.read_start(path, limit + 1)?;
    if bytes.len() as u64 > limit {
        return Err(unusable(
            path,
            &format!("has more than {limit} bytes, which is the limit for such a file"),
        ));
    }
    refuse_pointer(path, &bytes)?;
    Ok(Content::Bytes(bytes.into()))
}

/// Refuses a git-lfs pointer, which a clone without git-lfs has in place of a large file.
///
/// Source: the specification of pointer files in git-lfs, `docs/spec.md`.
fn refuse_pointer(path: &str, bytes: &[u8]) -> Result<(), SourceError> {
    if !bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Ok(());
    }
    let error = unusable(path, "is a git-lfs pointer, not the file itself");
    Err(SourceError {
        help: Some("Run `git lfs install` and `git lfs pull` in the repository of the file"),
        ..error
    })
}

fn read_head(files: &dyn FileSystem, path: &str, format: HeadFormat) -> Result<Head, SourceError> {
    let n_bytes = files.stat(path)?.n_bytes;
    let wanted = match format {
        HeadFormat::Nothing => 0,
        HeadFormat::Beginning => BEGINNING,
        HeadFormat::Safetensors => {
            let start = files.read_start(path, 8)?;
            // A file of less than eight bytes, or with a header above the limit, is passed on as it is: the format's
            // reader reports the error.
            let length = <[u8; 8]>::try_from(start.as_slice()).map_or(0, u64::from_le_bytes);
            8 + length.min(MAX_SAFETENSORS_HEADER)
        }
    };
    Ok(Head { bytes: files.read_start(path, wanted.min(n_bytes))?.into(), n_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn head(bytes: &[u8], format: HeadFormat) -> Head {
        let files = Memory::default();
        files.write("x", bytes);
        read_head(&files, "x", format).unwrap()
    }

    #[test]
    fn the_head_of_safetensors_is_its_header_and_no_weight() {
        let bytes = [&3_u64.to_le_bytes()[..], b"{ }weights"].concat();
        let head = head(&bytes, HeadFormat::Safetensors);
        assert_eq!((&*head.bytes, head.n_bytes), (&bytes[..11], 18));
    }

    #[test]
    fn a_wrong_header_length_reads_no_more_than_the_file() {
        let bytes = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        assert_eq!(&*head(&bytes, HeadFormat::Safetensors).bytes, bytes);
        assert_eq!(&*head(b"abc", HeadFormat::Safetensors).bytes, b"abc");
        assert_eq!(&*head(b"", HeadFormat::Beginning).bytes, b"");
        assert_eq!(head(b"abc", HeadFormat::Nothing), Head { bytes: [].into(), n_bytes: 3 });
    }

    #[test]
    fn a_git_lfs_pointer_is_refused() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n";
        let files = Memory::new(&[("x", pointer)]);
        let head = |format| load(&files, &Request::Head("x".to_owned(), format));
        for loaded in [
            head(HeadFormat::Safetensors),
            head(HeadFormat::Beginning),
            load(&files, &Request::Whole("x".to_owned())),
        ] {
            let error = loaded.unwrap_err();
            assert_eq!(error.to_string(), "`x` is a git-lfs pointer, not the file itself");
            assert!(error.help.is_some_and(|help| help.contains("git lfs pull")));
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let files = Memory::new(&[("a/b", "")]);
        let error = load(&files, &Request::Whole("a".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "`a` is a folder, expected a file");
        assert!(!error.is_missing);
    }
}
