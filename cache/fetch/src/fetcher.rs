//! Pins origins, and downloads pinned files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mc_digest::digest::BlobDigest;
use mc_ir::origin::Origin;

use crate::area::{Area, Presence};
use crate::checksum::{Expected, ServerDigest};
use crate::client::Client;
use crate::download::download;
use crate::error::FetchError;
use crate::lock_file::LockedFile;
use crate::origins::listing::RemoteFile;
use crate::origins::{http_files, hugging_face, oci};
use crate::url::Url;

/// Parallel downloads. More would only compete for bandwidth.
const N_CONNECTIONS: usize = 4;

/// Pins origins, and downloads pinned files.
#[derive(Debug)]
pub struct Fetcher {
    /// The client for requests.
    pub client: Client,
    /// The folders of fetched files.
    pub area: Area,
    /// Address of Hugging Face.
    pub endpoint: Url,
}

/// A progress event.
#[derive(Debug)]
pub enum Event<'a> {
    /// Another process is fetching the same origin; this one waits for it.
    Waiting {
        /// The origin.
        origin: &'a Origin,
    },
    /// The list of files is known.
    Listed {
        /// The origin.
        origin: &'a Origin,
        /// Their total size, as far as it is known.
        n_bytes: u64,
    },
    /// More bytes have arrived.
    Bytes(u64),
    /// A file is complete and verified.
    Finished {
        /// The origin.
        origin: &'a Origin,
        /// The file.
        name: &'a str,
        /// Its digest.
        digest: BlobDigest,
        /// Number of its bytes that were downloaded now.
        n_fetched: u64,
        /// Duration.
        elapsed: Duration,
    },
}

/// Receives events, from several threads.
pub type Watch<'a> = dyn Fn(&Event<'_>) + Sync + 'a;

impl Fetcher {
    /// Returns the pin for an origin that moves: its current commit or digest.
    ///
    /// # Errors
    /// Fails if the server does not report it.
    pub fn pin(&self, origin: &Origin) -> Result<String, FetchError> {
        match origin {
            Origin::HuggingFace { repository, revision, .. } => {
                let commit = hugging_face::commit(&self.client, &self.endpoint, repository, revision)?;
                Ok(format!("hf \"{repository}\" revision=\"{commit}\""))
            }
            Origin::Oci { reference } => {
                let digest = oci::digest(&self.client, origin, reference)?;
                let name = reference.rsplit_once(':').map_or(reference.as_str(), |(name, _)| name);
                Ok(format!("oci \"{name}@{digest}\""))
            }
            Origin::Http { .. } => Ok(origin.to_string()),
        }
    }

    /// Downloads every file of an origin and returns the content for its lock file entry.
    ///
    /// * `before`: the previous pins; unchanged files are not downloaded again
    ///
    /// # Errors
    /// Fails if the origin is not pinned to a commit or digest, or its server cannot be reached or contradicts itself.
    pub fn lock(
        &self,
        origin: &Origin,
        before: Option<&[LockedFile]>,
        watch: &Watch<'_>,
    ) -> Result<Vec<LockedFile>, FetchError> {
        let wrong = |what: String| FetchError::Listing { origin: origin.to_string(), what };
        origin.check().map_err(|error| wrong(error.message))?;
        let files = match origin {
            Origin::HuggingFace { repository, revision, files } => {
                hugging_face::files(&self.client, &self.endpoint, origin, (repository, revision, files))?
            }
            Origin::Http { base, files } => http_files::files(origin, base, files)?,
            Origin::Oci { reference } => oci::files(&self.client, origin, reference)?,
        };
        let work = self.area.begin(origin, || watch(&Event::Waiting { origin }))?;
        if let Some(before) = before.filter(|before| self.area.holds(origin, before)) {
            self.area.take_back(&work, origin, before)?;
        }
        let digests = self.download_all(&work, origin, &files, watch)?;
        let locked: Vec<LockedFile> = files
            .iter()
            .map(|file| {
                let (sha256, git) = match &file.expected.server {
                    Some(ServerDigest::Sha256(hex)) => (Some(hex.clone()), None),
                    // Without a length git's digest was not checked, so it is not recorded.
                    Some(ServerDigest::GitBlob(hex)) if file.expected.n_bytes.is_some() => {
                        (None, Some(hex.clone()))
                    }
                    _ => (None, None),
                };
                LockedFile { name: file.name.clone(), digest: digests[&file.name], sha256, git }
            })
            .collect();
        self.area.finish(work, origin, &locked)?;
        Ok(locked)
    }

    /// Downloads the missing files of a pinned origin and returns their folder.
    ///
    /// # Errors
    /// Fails if a server cannot be reached, or sends bytes that differ from the pins.
    pub fn fetch(
        &self,
        origin: &Origin,
        files: &[LockedFile],
        watch: &Watch<'_>,
    ) -> Result<PathBuf, FetchError> {
        if let Presence::Whole(folder) = self.area.presence(origin, files)? {
            return Ok(folder);
        }
        let work = self.area.begin(origin, || watch(&Event::Waiting { origin }))?;
        // The previous holder of the lock may have fetched everything.
        match self.area.presence(origin, files)? {
            Presence::Whole(folder) => return Ok(folder),
            Presence::Damaged(names) => {
                self.area.take_back(&work, origin, files)?;
                names.iter().try_for_each(|name| work.part(name)?.forget())?;
            }
            Presence::Missing => {}
        }
        let wanted = |file: &LockedFile| {
            let expected =
                Expected { n_bytes: Some(file.digest.n_bytes), digest: Some(file.digest.hash), server: None };
            Ok(RemoteFile { name: file.name.clone(), url: self.address(origin, file)?, expected })
        };
        let wanted = files.iter().map(wanted).collect::<Result<Vec<_>, FetchError>>()?;
        self.download_all(&work, origin, &wanted, watch)?;
        self.area.finish(work, origin, files)
    }

    fn address(&self, origin: &Origin, file: &LockedFile) -> Result<Url, FetchError> {
        match origin {
            Origin::HuggingFace { repository, revision, .. } => {
                Ok(hugging_face::address(&self.endpoint, repository, revision, &file.name))
            }
            Origin::Http { base, .. } => http_files::address(origin, base, &file.name),
            Origin::Oci { reference } => {
                let sha256 = file.sha256.as_deref().ok_or_else(|| FetchError::Listing {
                    origin: origin.to_string(),
                    what: format!("`{}` has no `sha256` in `mc.lock`, which a registry needs", file.name),
                })?;
                oci::address(origin, reference, &format!("sha256:{sha256}"))
            }
        }
    }

    /// Downloads several files in parallel. After a failure, downloads in progress are finished and no others start.
    fn download_all(
        &self,
        work: &crate::area::Work,
        origin: &Origin,
        files: &[RemoteFile],
        watch: &Watch<'_>,
    ) -> Result<BTreeMap<String, BlobDigest>, FetchError> {
        let n_bytes = files.iter().filter_map(|file| file.expected.n_bytes).sum();
        watch(&Event::Listed { origin, n_bytes });
        let queue = Mutex::new(files.iter());
        let digests = Mutex::new(BTreeMap::new());
        let failure = Mutex::new(None);
        let one = |file: &RemoteFile| -> Result<(), FetchError> {
            let start = Instant::now();
            let n_fetched = std::sync::atomic::AtomicU64::new(0);
            let reported = |n_bytes| {
                n_fetched.fetch_add(n_bytes, std::sync::atomic::Ordering::Relaxed);
                watch(&Event::Bytes(n_bytes));
            };
            let digest = download(&self.client, origin, file, &work.part(&file.name)?, &reported)?;
            let (name, elapsed) = (file.name.as_str(), start.elapsed());
            watch(&Event::Finished { origin, name, digest, n_fetched: n_fetched.into_inner(), elapsed });
            digests.lock().unwrap_or_else(PoisonError::into_inner).insert(file.name.clone(), digest);
            Ok(())
        };
        thread::scope(|scope| {
            for _ in 0..N_CONNECTIONS.min(files.len()) {
                scope.spawn(|| {
                    loop {
                        let has_failed = failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(file) = next.filter(|_| !has_failed) else { return };
                        if let Err(error) = one(file) {
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                });
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(digests.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}
