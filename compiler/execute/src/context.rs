//! Environment of a running action: access to its inputs, and writing of blobs.
//!
//! Each input is mapped once, and of a source file only the range that is read: an action that reads each tensor of a
//! file separately uses no more address space than the file has bytes.
//!
//! After the action ran, its inputs are hashed again and compared with its key (`RunContext::check_inputs`). File
//! stamps do not suffice: a write through a shared memory map changes neither the size nor, until the system writes the
//! page back, the times; and bit rot on a disk never changes any of them. The hash covers the very mapping that the
//! action read, not the file under the same path, which may be another one by now. A truncated file is detected by its
//! stamp before its mapping is accessed. Bytes that changed and changed back before the comparison are not detected.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mc_digest::digest::BlobDigest;
use mc_digest::hasher::Hasher;
use mc_ir::action::{ActionContext, ActionError, ActionNode, Content, Input, Piece, Source};
use mc_ir::output::Output;
use mc_ir::work::Progress;
use mc_store::error::StoreError;
use mc_store::mapping::MappedFile;

use crate::event::{Event, EventSink};
use crate::fetch::{content_of, gone};
use crate::lookup::store_failed;
use crate::services::{Services, source_file};

/// Number of input bytes of one action that stay mapped until they are compared: mapping 2.5 GB a second time took as
/// long as hashing it.
const HELD: usize = 64 << 20;

/// Number of bytes that are hashed before their memory is released.
const STRETCH: usize = 4 << 20;

/// Number of bytes that are compared even after the build was cancelled: a second of work that saves the result of a
/// finished action.
const PATIENCE: u64 = 1 << 30;

/// Minimum time between two progress events: the refresh interval of a screen.
const BETWEEN_REPORTS: Duration = Duration::from_millis(100);

/// One run of one action.
pub(crate) struct RunContext<'a> {
    services: &'a Services<'a>,
    node: &'a Arc<ActionNode>,
    inputs: &'a [Input],
    digests: &'a [Output],
    events: &'a EventSink<'a>,
    /// Time of the last progress event.
    reported: Mutex<Option<Instant>>,
    /// Inputs that were read so far, in one file for each of their parts.
    mapped: Mutex<BTreeMap<usize, Vec<MappedFile>>>,
    /// True if an input could not be read, or an output could not be written.
    has_failed: AtomicBool,
}

impl<'a> RunContext<'a> {
    pub(crate) fn new(
        services: &'a Services<'a>,
        node: &'a Arc<ActionNode>,
        digests: &'a [Output],
        events: &'a EventSink<'a>,
    ) -> Self {
        Self {
            services,
            node,
            inputs: &node.inputs,
            digests,
            events,
            reported: Mutex::default(),
            mapped: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Returns true if this machine could not read an input or write an output. Then the input data is not the cause of
    /// a failure.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The indices of the inputs that were read.
    pub(crate) fn read(&self) -> Vec<usize> {
        self.mapped().keys().copied().collect()
    }

    /// Compares all bytes of the inputs that were read with the digests in the action's key. On a difference, the
    /// remembered digest of a source file is dropped, and a blob of the store is moved to the quarantine.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn check_inputs(&self) -> Result<(), ActionError> {
        let (mut first, mut n_bytes) = (None, 0);
        let mapped = self.mapped();
        let is_much = is_much(&mapped);
        for (&index, files) in &*mapped {
            for (file, expected) in files.iter().zip(self.digests[index].parts()) {
                if n_bytes > PATIENCE && self.services.is_cancelled() {
                    return Err(ActionError::Cancelled);
                }
                n_bytes += expected.n_bytes;
                let found = digest_of(file, is_much);
                if found != *expected {
                    let error = self.differs(&self.inputs[index], expected, &found)?;
                    first.get_or_insert(error);
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Drops the record of an input whose bytes differ, and returns the error.
    fn differs(
        &self,
        input: &Input,
        expected: &BlobDigest,
        found: &BlobDigest,
    ) -> Result<ActionError, ActionError> {
        match input {
            Input::Source(source) => {
                self.services.memo.forget(&source.path);
                Ok(changed(source, "changed without a change of its size or times", expected, found))
            }
            Input::Artifact(_) => {
                self.services.store.doubt(expected).map_err(store_failed)?;
                self.services.suspects.lost();
                Ok(ActionError::failed(format!(
                    "The stored blob `{expected}` had bytes with digest `{found}` when it was read"
                ))
                .with_help("Build again to remake it; check the disk and the memory of this machine"))
            }
        }
    }

    fn open(&self, index: usize) -> Result<Vec<MappedFile>, ActionError> {
        match &self.inputs[index] {
            Input::Source(source) => Ok(vec![source_file(source)?]),
            Input::Artifact(_) => {
                let open = |part| {
                    self.services.store.open(part).map_err(store_failed)?.ok_or_else(|| {
                        self.services.suspects.lost();
                        gone(part)
                    })
                };
                self.digests[index].parts().iter().map(open).collect()
            }
        }
    }

    fn mapped(&self) -> MutexGuard<'_, BTreeMap<usize, Vec<MappedFile>>> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActionContext for RunContext<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        let known = self.mapped().get(&index).cloned();
        let files = match known {
            Some(files) => files,
            None => {
                let files =
                    self.open(index).inspect_err(|_| self.has_failed.store(true, Ordering::Relaxed))?;
                // If another thread was faster, it has mapped the same bytes.
                self.mapped().entry(index).or_insert(files).clone()
            }
        };
        Ok(match &self.inputs[index] {
            Input::Source(_) => Content { parts: files.into_iter().map(whole).collect() },
            Input::Artifact(_) => content_of(files),
        })
    }

    fn input_digest(&self, index: usize) -> Output {
        self.digests[index].clone()
    }

    fn release_inputs(&self) {
        let mapped = self.mapped();
        if is_much(&mapped) {
            mapped.values().flatten().for_each(|file| file.release(file.len()));
        }
    }

    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        let failed = |error| {
            self.has_failed.store(true, Ordering::Relaxed);
            store_failed(error)
        };
        let mut writer = self.services.store.writer().map_err(failed)?;
        match write(&mut writer) {
            Ok(()) => writer.finish().map_err(failed),
            // The store wraps its own error (a full disk, for example) in the `io::Error` that `Write` requires.
            Err(ActionError::Io(error)) => Err(match StoreError::from_writer(error) {
                Ok(error) => failed(error),
                Err(error) => ActionError::Io(error),
            }),
            Err(error) => Err(error),
        }
    }

    fn progress(&self, progress: Progress) {
        let now = Instant::now();
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let is_soon = reported.is_some_and(|last| now.duration_since(last) < BETWEEN_REPORTS);
        if !is_soon || progress.n_done >= progress.n_total {
            *reported = Some(now);
            drop(reported);
            (self.events)(Event::Progressed { node: Arc::clone(self.node), progress });
        }
    }

    fn is_cancelled(&self) -> bool {
        self.services.is_cancelled()
    }
}

fn whole(file: MappedFile) -> Piece {
    Piece::whole(Arc::new(file))
}

/// Returns true if the inputs are too large to stay in memory.
fn is_much(mapped: &BTreeMap<usize, Vec<MappedFile>>) -> bool {
    mapped.values().flatten().map(|file| file.len()).sum::<usize>() > HELD
}

/// Hashes mapped bytes.
///
/// * `is_much`: if true, at most [`STRETCH`] bytes stay in memory
fn digest_of(file: &MappedFile, is_much: bool) -> BlobDigest {
    let mut hasher = Hasher::new();
    for stretch in file.chunks(STRETCH) {
        hasher.update(stretch);
        if is_much {
            file.release(hasher.n_bytes() as usize);
        }
    }
    hasher.finish()
}

/// The error for a source whose bytes do not match the digest in the key.
///
/// * `how`: predicate that describes the change
pub(crate) fn changed(source: &Source, how: &str, expected: &BlobDigest, found: &BlobDigest) -> ActionError {
    let which = source.range.map(|range| format!(" in bytes {} to {}", range.start, range.end));
    let which = which.unwrap_or_default();
    let message = format!("{how}: expected digest `{expected}`{which}, found `{found}`");
    ActionError::Changed { path: Arc::clone(&source.path), message }
}
