//! The real file system below a folder, and the folders of fetched files.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mc_files::regular;
use mc_ir::origin::Origin;
use mc_ir::rule::SourceError;

use crate::file_system::{Entry, FileSystem, Outside, Stamp, Stat, missing, not_utf8, unusable};

/// A file written less than this long before it was inspected may be written again without a new time stamp. Two
/// seconds is the coarsest clock of the file systems in use (FAT).
const RACY: Duration = Duration::from_secs(2);

/// The files below a folder.
#[derive(Clone)]
pub struct Disk {
    root: PathBuf,
    fetched: Arc<FetchedFolders>,
}

/// Returns the folder with the fetched files of an origin, or the reason why there is none.
pub type FetchedFolders = dyn Fn(&Origin) -> Result<PathBuf, NotFetched> + Send + Sync;

/// An origin without a folder of fetched files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFetched {
    /// The reason.
    pub message: String,
    /// True if the files only need to be fetched: the declaration and the pins are correct.
    pub is_pinned: bool,
}

impl Disk {
    /// The files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            fetched: Arc::new(|origin| {
                Err(NotFetched { message: format!("{origin} is not fetched"), is_pinned: true })
            }),
        }
    }

    /// Same as [`Self::new`], with a function that locates the folders of fetched files.
    #[must_use]
    pub fn with_fetched(
        self,
        fetched: impl Fn(&Origin) -> Result<PathBuf, NotFetched> + Send + Sync + 'static,
    ) -> Self {
        Self { fetched: Arc::new(fetched), ..self }
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    /// The links among the components of a path, each with its target as written.
    fn links<'a>(&self, path: &'a str) -> impl Iterator<Item = (&'a str, PathBuf)> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        ends.filter_map(|end| Some((&path[..end], fs::read_link(self.at(&path[..end])).ok()?)))
    }
}

impl FileSystem for Disk {
    fn stat(&self, path: &str) -> Result<Stat, SourceError> {
        let metadata = fs::metadata(self.at(path)).map_err(|error| source_error(path, &error))?;
        let is_folder = metadata.is_dir();
        if !is_folder && !metadata.is_file() {
            // A pipe or a device would block, or return other bytes each time.
            return Err(unusable(path, "is neither a file nor a folder"));
        }
        Ok(Stat { is_folder, n_bytes: if is_folder { 0 } else { metadata.len() }, stamp: stamp(&metadata) })
    }

    fn outside(&self, path: &str) -> Result<Vec<Outside>, SourceError> {
        let mut found = Vec::new();
        for (link, target) in self.links(path) {
            let resolve =
                |path: &Path| fs::canonicalize(path).map_err(|error| link_error(link, &target, &error));
            let (root, resolved) = (resolve(&self.root)?, resolve(&self.at(link))?);
            if !resolved.starts_with(root) {
                let target = target.display().to_string();
                found.push(Outside { link: link.to_owned(), target, resolved });
            }
        }
        Ok(found)
    }

    fn read_start(&self, path: &str, n_bytes: u64) -> Result<Vec<u8>, SourceError> {
        if self.stat(path)?.is_folder {
            return Err(unusable(path, "is a folder, expected a file"));
        }
        let mut bytes = Vec::new();
        // It may have become a pipe since the check, and opening a pipe would block.
        let opened = regular::open(&self.at(path));
        let read = opened.and_then(|file| file.take(n_bytes).read_to_end(&mut bytes));
        read.map_err(|error| source_error(path, &error))?;
        Ok(bytes)
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, SourceError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(folder)).map_err(|error| source_error(folder, &error))? {
            let entry = entry.map_err(|error| source_error(folder, &error))?;
            let (name, not_utf8) = match entry.file_name().into_string() {
                Ok(name) => (name, None),
                Err(name) => (name.to_string_lossy().into_owned(), Some(escaped(&name))),
            };
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            // A dangling link is listed as a file, so that reading it reports the error.
            let is_folder = if is_link {
                fs::metadata(entry.path()).is_ok_and(|target| target.is_dir())
            } else {
                entry.file_type().is_ok_and(|kind| kind.is_dir())
            };
            entries.push(Entry { name, not_utf8, is_folder, is_link });
        }
        entries.sort();
        Ok(entries)
    }

    fn fetched(&self, origin: &Origin) -> Result<String, SourceError> {
        let refused =
            |message, is_missing| SourceError { path: String::new(), message, is_missing, help: None };
        let folder = (self.fetched)(origin)
            .map_err(|NotFetched { message, is_pinned }| refused(message, is_pinned))?;
        folder.into_os_string().into_string().map_err(|folder| {
            refused(format!("The store's folder `{}` has a name that is not UTF-8", folder.display()), false)
        })
    }
}

fn link_error(link: &str, target: &Path, error: &io::Error) -> SourceError {
    let target = target.display();
    let what = match error.kind() {
        io::ErrorKind::NotFound => format!("is a link to `{target}`, which does not exist"),
        _ => format!("is a link to `{target}`, which cannot be followed: {error}"),
    };
    unusable(link, &what)
}

/// A name with each byte that is not valid UTF-8 as `\xE9`.
fn escaped(name: &OsStr) -> String {
    let mut escaped = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        escaped.push_str(chunk.valid());
        escaped.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    escaped
}

fn source_error(path: &str, error: &io::Error) -> SourceError {
    match error.kind() {
        // A folder listing returns such names.
        io::ErrorKind::NotFound if path.contains(char::REPLACEMENT_CHARACTER) => not_utf8(path),
        io::ErrorKind::NotFound => missing(path),
        io::ErrorKind::NotADirectory => unusable(path, "is not below a folder, or is not a folder itself"),
        _ => unusable(path, &format!("cannot be read: {error}")),
    }
}

#[cfg(unix)]
fn stamp(metadata: &Metadata) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let nanoseconds = |seconds: i64, rest: i64| {
        u128::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(rest)).unwrap_or(0)
    };
    let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
    (age > RACY).then(|| {
        Stamp([
            u128::from(metadata.dev()),
            u128::from(metadata.ino()),
            u128::from(metadata.len()),
            nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        ])
    })
}

#[cfg(not(unix))]
fn stamp(metadata: &Metadata) -> Option<Stamp> {
    let modified = metadata.modified().ok()?;
    let age = SystemTime::now().duration_since(modified).ok()?;
    let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
    (age > RACY).then(|| Stamp([0, 0, u128::from(metadata.len()), since_epoch, 0]))
}
