//! A store whose disk returns corrupt bytes: such a blob gets no server digest, is not uploaded, and is in no result.

use std::sync::Mutex;

use mc_digest::digest::BlobDigest;
use mc_fetch::credentials::Credentials;
use mc_fetch::url::Url;
use mc_remote::download::Fetching;
use mc_remote::transport::Transport;
use mc_remote::transports::folder::Folder;
use mc_remote::transports::http::Http;
use mc_store::error::StoreError;
use mc_store::mapping::MappedFile;
use mc_store::memory::MemoryStore;
use mc_store::traits::{BlobStore, BlobWriter};

use crate::action::{Machine, client};
use crate::server::Server;

/// A store with one corrupt blob.
struct CorruptBlob<'a> {
    store: &'a MemoryStore,
    blob: BlobDigest,
    doubted: Mutex<Vec<BlobDigest>>,
}

impl BlobStore for CorruptBlob<'_> {
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError> {
        self.store.contains(digest)
    }

    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError> {
        let blob = self.store.open(digest)?;
        let rotten =
            |blob: &MappedFile| MappedFile::from(blob.iter().map(|byte| byte ^ 1).collect::<Vec<_>>());
        Ok(if *digest == self.blob { blob.as_ref().map(rotten) } else { blob })
    }

    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError> {
        self.store.writer()
    }

    fn doubt(&self, digest: &BlobDigest) -> Result<(), StoreError> {
        self.doubted.lock().unwrap().push(*digest);
        Ok(())
    }
}

/// Tries to upload a result with one corrupt blob, as an input or as an output.
fn sends_nothing_wrong(transport: impl Fn() -> Box<dyn Transport>) {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::of(transport(), &folder.path().join("a"), Fetching::AtOnce);
    let outputs = machine.run();
    let output = outputs["whole"].parts()[0];
    let rotten = CorruptBlob { store: &machine.store, blob: output, doubted: Mutex::default() };
    let error = machine.remote.upload(&rotten, &machine.made(), &outputs).unwrap_err().to_string();
    assert!(error.contains(&format!("`{output}` has other bytes than its digest says")), "{error}");
    assert_eq!(rotten.doubted.lock().unwrap().first(), Some(&output));
    // No result names it, and no other machine gets it.
    let other = Machine::of(transport(), &folder.path().join("b"), Fetching::AtOnce);
    assert_eq!(other.lookup().unwrap(), None);
    // Rebuilt, it is uploaded under its own digest.
    machine.upload(&outputs).unwrap();
    assert_eq!(other.lookup().unwrap(), Some(outputs.clone()));
    assert!(other.holds(&outputs));
}

#[test]
fn a_corrupt_blob_is_neither_uploaded_nor_named() {
    let team = tempfile::tempdir().unwrap();
    sends_nothing_wrong(|| Box::new(Folder::open(team.path()).unwrap()));
    // The same with digests that have to be computed.
    let server = Server::new();
    sends_nothing_wrong(|| {
        Box::new(Http::new(client(Credentials::default()), Url::parse(&server.root()).unwrap()))
    });
}
