//! A store in a temporary folder and a fetcher for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mc_digest::digest::BlobDigest;
use mc_fetch::area::Area;
use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::error::FetchError;
use mc_fetch::fetcher::{Event, Fetcher};
use mc_fetch::lock_file::LockedFile;
use mc_fetch::proxies::Proxies;
use mc_fetch::stall_limit::StallLimit;
use mc_fetch::url::Url;
use mc_ir::origin::Origin;
use tempfile::TempDir;

use crate::server::Server;

/// A store and a fetcher for it.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) fetcher: Fetcher,
}

/// Short timeouts, so that tests end soon.
pub(crate) const PATIENCE: StallLimit = StallLimit {
    connect: Duration::from_millis(400),
    idle: Duration::from_millis(400),
    n_retries: 3,
    asks_silent: true,
    first_delay: Duration::from_millis(1),
    longest_delay: Duration::from_secs(2),
};

impl World {
    pub(crate) fn new(server: &Server) -> Self {
        Self::with(server, Credentials::default())
    }

    pub(crate) fn with(server: &Server, credentials: Credentials) -> Self {
        Self::in_dir(server, credentials, tempfile::tempdir().unwrap())
    }

    /// The same store with other credentials.
    pub(crate) fn of(server: &Server, credentials: Credentials, before: Self) -> Self {
        Self::in_dir(server, credentials, before.dir)
    }

    fn in_dir(server: &Server, credentials: Credentials, dir: TempDir) -> Self {
        let client = Client::new(credentials, PATIENCE, &Proxies::default()).unwrap();
        let endpoint = Url::parse(&server.root()).unwrap();
        Self { fetcher: Fetcher { client, area: Area::new(dir.path()), endpoint }, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn lock(&self, origin: &Origin) -> Result<Vec<LockedFile>, FetchError> {
        self.fetcher.lock(origin, None, &|_| {})
    }

    pub(crate) fn fetch(&self, origin: &Origin, files: &[LockedFile]) -> Result<PathBuf, FetchError> {
        self.fetcher.fetch(origin, files, &|_| {})
    }

    /// Fetches one file `a` that is pinned to these bytes, and reads it.
    pub(crate) fn fetch_a(&self, server: &Server, bytes: &[u8]) -> Result<Vec<u8>, FetchError> {
        let folder = self.fetch(&one(server), &[locked("a", bytes)])?;
        Ok(fs::read(folder.join("a")).unwrap())
    }

    /// Pins one file `a` without an expected digest, and reads it.
    pub(crate) fn lock_a(&self, server: &Server) -> Result<Vec<u8>, FetchError> {
        let files = self.lock(&one(server))?;
        let folder = self.fetcher.area.folder(&one(server), &files);
        Ok(fs::read(folder.join("a")).unwrap())
    }

    /// Path of the partly downloaded `a`.
    pub(crate) fn part(&self, server: &Server) -> PathBuf {
        let work = self.fetcher.area.begin(&one(server), || ()).unwrap();
        work.part("a").unwrap().path()
    }

    /// Number of bytes that a second fetch downloads.
    pub(crate) fn n_fetched(&self, origin: &Origin, files: &[LockedFile]) -> Result<u64, FetchError> {
        let n_bytes = std::sync::atomic::AtomicU64::new(0);
        let watch = |event: &Event<'_>| {
            if let Event::Bytes(more) = event {
                n_bytes.fetch_add(*more, std::sync::atomic::Ordering::Relaxed);
            }
        };
        self.fetcher.fetch(origin, files, &watch)?;
        Ok(n_bytes.into_inner())
    }

    /// The names of all files and folders in the store.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                names.push(entry.path().strip_prefix(self.path()).unwrap().display().to_string());
                if entry.path().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        names
    }

    /// Returns true if the content or name of any file in the store contains a text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.names().iter().any(|name| {
            let bytes = fs::read(self.path().join(name)).unwrap_or_default();
            name.contains(text) || bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

/// The origin with one file `a`.
pub(crate) fn one(server: &Server) -> Origin {
    Origin::http(&format!("{}/x/", server.root()), vec!["a".to_owned()])
}

pub(crate) fn locked(name: &str, bytes: &[u8]) -> LockedFile {
    LockedFile { name: name.to_owned(), digest: BlobDigest::of(bytes), sha256: None, git: None }
}

/// Bytes without repetitions.
pub(crate) fn noise(n_bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..n_bytes).map(|_| next()).collect()
}
