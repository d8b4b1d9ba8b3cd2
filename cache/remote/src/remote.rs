//! What a build does with a server: it looks results up, brings their blobs here, and sends what was made here.
//!
//! Outside, digests are of the server's function; inside, of the store's. This is the only place that knows both.

use std::collections::BTreeSet;
use std::io;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi::{self, EncodedAction};
use mc_store::traits::BlobStore;

use crate::breaker::Breaker;
use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::known::Known;
use crate::transport::Transport;

/// How often a stream that brought nothing more is opened again.
const MAX_RETRIES: u32 = 3;
/// How often in all: a server that gives a byte at a time is as good as none.
const MAX_OPENED: u32 = 50;
/// The longest `Tree`: a million parts.
const MAX_TREE: u64 = 128 << 20;

/// A team's cache.
pub struct Remote {
    transport: Box<dyn Transport>,
    known: Known,
    reading: Breaker,
    /// Apart, because a server that may only be read is of use all the same.
    sending: Breaker,
    /// Blobs that the server sent wrongly: they are sent anew, whatever it says that it has.
    lied_about: Mutex<BTreeSet<BlobDigest>>,
}

/// An action as this machine knows it.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// The action.
    pub node: &'a ActionNode,
    /// The digests of its inputs.
    pub inputs: &'a [Output],
    /// The bytes of an input that is no blob of the store, by its number.
    pub source: &'a dyn Fn(usize) -> Option<Content>,
}

impl Remote {
    /// The cache behind a transport; `known` are digests that were computed before.
    pub fn new(transport: Box<dyn Transport>, known: Known) -> Self {
        Self {
            transport,
            known,
            reading: Breaker::default(),
            sending: Breaker::default(),
            lied_about: Mutex::default(),
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        self.transport.name()
    }

    /// How its digests are made.
    pub fn function(&self) -> DigestFunction {
        self.transport.function()
    }

    /// Why it is not asked any more, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.reading.reason()
    }

    /// Why nothing is sent any more, if it did not take something.
    pub fn send_failure(&self) -> Option<String> {
        self.sending.reason()
    }

    /// The outputs of an action, all their blobs brought into the store; `None` when they are not known there, or one
    /// of them is gone.
    ///
    /// # Errors
    /// When the server fails or lies.
    pub fn lookup(&self, store: &dyn BlobStore, made: &Made<'_>) -> Result<Option<Outputs>, RemoteError> {
        let action = self.encoded(store, made)?;
        let key = BlobDigest::new(action.digest.hash, action.digest.n_bytes);
        let Some(entry) = self.reading.ask(|| self.transport.result(&key))? else { return Ok(None) };
        let mut failure = None;
        let decoded = reapi::decode_result(&entry, &mut |tree| match self.small(tree) {
            Ok(bytes) => bytes,
            Err(error) => {
                failure = Some(error);
                None
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        // What is no result of ours is a miss, and will be replaced.
        let Ok(theirs) = decoded else { return Ok(None) };
        let mut outputs = Outputs::new();
        for (name, output) in theirs {
            let mut parts = Vec::new();
            for part in output.parts() {
                let Some(blob) = self.bring(store, part)? else { return Ok(None) };
                parts.push(blob);
            }
            outputs.insert(name, renamed(&output, parts));
        }
        Ok(Some(outputs))
    }

    /// Sends what an action gave: blobs that are missing there, and the result last, so that it never promises what is
    /// not there.
    ///
    /// # Errors
    /// When the server fails.
    pub fn upload(
        &self,
        store: &dyn BlobStore,
        made: &Made<'_>,
        outputs: &Outputs,
    ) -> Result<(), RemoteError> {
        let action = self.encoded(store, made)?;
        let mut theirs = Outputs::new();
        for (name, output) in outputs {
            let parts = output.parts().iter().map(|part| self.theirs(store, part, &|| None));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            for (ours, blob) in output.parts().iter().zip(&parts) {
                self.send(blob, &mut || {
                    let content = store.open(ours)?;
                    content.ok_or_else(|| RemoteError::Local(format!("Blob {ours} is gone")))
                })?;
            }
            theirs.insert(name.clone(), renamed(output, parts));
        }
        let (result, trees) = reapi::encode_result_with(&|bytes| self.function().digest(bytes), &theirs);
        let mut named: Vec<BlobDigest> = theirs.values().flat_map(|output| output.parts().to_vec()).collect();
        for bytes in trees.iter().chain([&action.command, &action.action]) {
            let blob = self.function().digest(bytes);
            self.send(&blob, &mut || Ok(bytes.as_slice()))?;
            named.push(blob);
        }
        let key = BlobDigest::new(action.digest.hash, action.digest.n_bytes);
        self.sending.ask(|| self.transport.put_result(&key, &result, &named))
    }

    fn encoded(&self, store: &dyn BlobStore, made: &Made<'_>) -> Result<EncodedAction, RemoteError> {
        let mut inputs = Vec::new();
        for (index, input) in made.inputs.iter().enumerate() {
            let parts = input.parts().iter().map(|part| self.theirs(store, part, &|| (made.source)(index)));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            inputs.push(renamed(input, parts));
        }
        Ok(reapi::encode_action_with(&|bytes| self.function().digest(bytes), made.node, &inputs))
    }

    /// What the server calls a blob; computed once for all times.
    fn theirs(
        &self,
        store: &dyn BlobStore,
        ours: &BlobDigest,
        source: &dyn Fn() -> Option<Content>,
    ) -> Result<BlobDigest, RemoteError> {
        if self.function() == DigestFunction::Blake3 {
            return Ok(*ours);
        }
        if let Some(known) = self.known.theirs(ours) {
            return Ok(known);
        }
        let mut hashing = Hashing::new(self.function());
        match store.open(ours)? {
            Some(blob) => hashing.update(&blob),
            None => {
                let content = source().ok_or_else(|| RemoteError::Local(format!("Blob {ours} is gone")))?;
                content.parts.iter().for_each(|piece| hashing.update(piece.as_slice()));
            }
        }
        let theirs = hashing.finish();
        if theirs.n_bytes != ours.n_bytes {
            return Err(RemoteError::Local(format!("An input changed while it was read: {ours}")));
        }
        self.known.add(*ours, theirs);
        Ok(theirs)
    }

    /// A blob of the server as one of the store; `None` when it is not there.
    fn bring(&self, store: &dyn BlobStore, theirs: &BlobDigest) -> Result<Option<BlobDigest>, RemoteError> {
        let ours = match self.function() {
            DigestFunction::Blake3 => Some(*theirs),
            DigestFunction::Sha256 => self.known.ours(theirs),
        };
        if let Some(ours) = ours
            && store.contains(&ours)?
        {
            return Ok(Some(ours));
        }
        let mut writer = store.writer()?;
        if !self.stream(theirs, &mut |bytes| writer.write_all(bytes))? {
            return Ok(None);
        }
        let ours = writer.finish()?;
        if self.function() == DigestFunction::Sha256 {
            self.known.add(ours, *theirs);
        }
        Ok(Some(ours))
    }

    /// A whole blob in memory; `None` when it is not there.
    fn small(&self, theirs: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        if theirs.n_bytes > MAX_TREE {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let is_there = self.stream(theirs, &mut |more| {
            bytes.extend_from_slice(more);
            Ok(())
        })?;
        Ok(is_there.then_some(bytes))
    }

    /// Gives the bytes of a blob to `take` and checks them; what `take` did with them is void after an error. A stream
    /// that breaks is opened again where it broke. `false` when the blob is not there.
    fn stream(
        &self,
        theirs: &BlobDigest,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, RemoteError> {
        let mut hashing = Hashing::new(self.function());
        let mut buffer = vec![0; 1 << 18];
        let (mut n_bytes, mut n_vain, mut n_opened, mut reason) = (0, 0, 0, String::new());
        while n_bytes < theirs.n_bytes {
            n_opened += 1;
            if n_vain > MAX_RETRIES || n_opened > MAX_OPENED {
                let expected = format!("blob {theirs}");
                let found = format!("{n_bytes} bytes{reason}");
                return Err(RemoteError::Lie { server: self.name(), expected, found });
            }
            let before = n_bytes;
            let Some(mut reader) = self.reading.ask(|| self.transport.read(theirs, n_bytes))? else {
                return Ok(false);
            };
            loop {
                let n_read = match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n_read) => n_read,
                    Err(error) => {
                        reason = format!(" ({error})");
                        break;
                    }
                };
                n_bytes += n_read as u64;
                if n_bytes > theirs.n_bytes {
                    break;
                }
                hashing.update(&buffer[..n_read]);
                take(&buffer[..n_read]).map_err(|error| RemoteError::Local(error.to_string()))?;
            }
            n_vain = if n_bytes == before { n_vain + 1 } else { 0 };
        }
        let found = hashing.finish();
        if n_bytes != theirs.n_bytes || found != *theirs {
            let found =
                if n_bytes > theirs.n_bytes { "more bytes".to_owned() } else { format!("blob {found}") };
            self.lied_about.lock().unwrap_or_else(PoisonError::into_inner).insert(*theirs);
            let expected = format!("blob {theirs}");
            return Err(RemoteError::Lie { server: self.name(), expected, found });
        }
        Ok(true)
    }

    /// Whether the server needs not be sent a blob.
    fn is_there(&self, theirs: &BlobDigest) -> Result<bool, RemoteError> {
        let is_wrong = self.lied_about.lock().unwrap_or_else(PoisonError::into_inner).contains(theirs);
        // The empty blob is everywhere.
        Ok(theirs.n_bytes == 0 || !is_wrong && self.sending.ask(|| self.transport.has(theirs))?)
    }

    /// Sends a blob that is not there; `open` gives its bytes.
    fn send<B: Deref<Target = [u8]>>(
        &self,
        theirs: &BlobDigest,
        open: &mut dyn FnMut() -> Result<B, RemoteError>,
    ) -> Result<(), RemoteError> {
        if self.is_there(theirs)? {
            return Ok(());
        }
        let bytes = open()?;
        self.sending.ask(|| self.transport.write(theirs, &mut &bytes[..]))
    }
}

/// An output of the same kind whose blobs have other names.
fn renamed(output: &Output, parts: Vec<BlobDigest>) -> Output {
    match (output, parts.first()) {
        (Output::File(_), Some(blob)) => Output::File(*blob),
        _ => Output::Composite(parts),
    }
}
