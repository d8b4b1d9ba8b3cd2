//! The open folder of a store, shared by [`super::blobs`] and [`super::actions`].

use crate::duration_notes::DurationNotes;
use crate::error::StoreError;
use crate::input_memo::InputMemo;
use crate::local::corruption::Corruption;
use crate::local::layout::Layout;
use crate::local::sync_group::SyncGroup;
use crate::local::use_notes::UseNotes;
use crate::local::verified::VerifiedMemo;
use crate::session::LazySession;
use mc_files::file_observer::FileObserver;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A store in a folder. Cheap to open; open it once per process and share it among threads.
#[derive(Debug)]
pub struct LocalStore {
    pub(crate) layout: Layout,
    pub(crate) session: Arc<LazySession>,
    pub(crate) verified: VerifiedMemo,
    pub(crate) group: SyncGroup,
    pub(crate) uses: UseNotes,
    input_memo: InputMemo,
    durations: DurationNotes,
    corruptions: Mutex<Vec<Corruption>>,
}

impl LocalStore {
    /// Opens the store in `root`; creates one if the folder is empty or absent. Nothing else is written until something
    /// is stored, so a read-only store can be read.
    ///
    /// # Errors
    /// Fails if the folder cannot be used, holds a store of another format, or holds something else.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_watched(root, None)
    }

    /// Same as [`Self::open`], with an observer of file operations in the store and in folders of outputs.
    ///
    /// # Errors
    /// Same as [`Self::open`].
    pub fn open_watched(root: &Path, observer: Option<Arc<dyn FileObserver>>) -> Result<Self, StoreError> {
        let layout = Layout::prepare(root, observer)?;
        let folder = layout.folder();
        let session = Arc::new(LazySession::new(Arc::clone(folder), layout.unfinished()));
        let verified = VerifiedMemo::open(folder, layout.verified_log(), &session)?;
        let input_memo = InputMemo::new(Arc::clone(folder), layout.inputs(), Arc::clone(&session));
        let durations = DurationNotes::new(Arc::clone(folder), layout.durations(), Arc::clone(&session));
        let (group, uses, corruptions) = (SyncGroup::new(), UseNotes::default(), Mutex::default());
        Ok(Self { layout, session, verified, group, uses, input_memo, durations, corruptions })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// The paths in the folder.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The digests of input files.
    pub fn input_memo(&self) -> &InputMemo {
        &self.input_memo
    }

    /// The durations of actions.
    pub fn durations(&self) -> &DurationNotes {
        &self.durations
    }

    /// The damage found since the last call, for a warning to the user.
    pub fn take_corruptions(&self) -> Vec<Corruption> {
        std::mem::take(&mut *self.corruptions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signals to collections in other processes that this one is running. A store without write permission is used
    /// without the signal, because no process can collect in it.
    pub fn announce(&self) {
        drop(self.session.get());
    }

    /// Returns true if this process has written to the store or asked for a blob in it.
    pub fn is_used(&self) -> bool {
        self.session.started().is_some()
    }

    pub(crate) fn report(&self, corruption: Corruption) {
        self.corruptions.lock().unwrap_or_else(PoisonError::into_inner).push(corruption);
    }
}
