//! The store's folder, opened: what its faces ([`super::blobs`], [`super::actions`]) share.

use crate::error::StoreError;
use crate::input_memo::InputMemo;
use crate::local::corruption::Corruption;
use crate::local::layout::Layout;
use crate::local::verified::VerifiedMemo;
use crate::session::LazySession;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A store in a folder. Cheap to open; meant to be opened once per process and shared by its threads.
#[derive(Debug)]
pub struct LocalStore {
    pub(crate) layout: Layout,
    pub(crate) session: Arc<LazySession>,
    pub(crate) verified: VerifiedMemo,
    input_memo: InputMemo,
    corruptions: Mutex<Vec<Corruption>>,
}

impl LocalStore {
    /// Opens the store in `root`; makes one if the folder is empty or absent. Nothing else is written before something
    /// is stored, so a store that cannot be written to gives what it has.
    ///
    /// # Errors
    /// If the folder cannot be used, holds a store of another format, or holds something else.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let layout = Layout::prepare(root)?;
        let folder = layout.folder();
        let session = Arc::new(LazySession::new(Arc::clone(folder), layout.unfinished()));
        let verified = VerifiedMemo::open(folder, layout.verified_log(), &session)?;
        let input_memo = InputMemo::new(Arc::clone(folder), layout.inputs(), Arc::clone(&session));
        Ok(Self { layout, session, verified, input_memo, corruptions: Mutex::default() })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Where things are in the folder.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The digests of input files.
    pub fn input_memo(&self) -> &InputMemo {
        &self.input_memo
    }

    /// The damage found since the last call, for a warning to the user.
    pub fn take_corruptions(&self) -> Vec<Corruption> {
        std::mem::take(&mut *self.corruptions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn report(&self, corruption: Corruption) {
        self.corruptions.lock().unwrap_or_else(PoisonError::into_inner).push(corruption);
    }
}
