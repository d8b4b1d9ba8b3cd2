//! Opens, creates and removes files.
//!
//! [`folder::Folder`] is a directory handle. `mc` writes and removes everything through such a handle, by a path below
//! it that must not contain a symbolic link. So a link planted in the store or under `mc-out/` causes an error that
//! names it, and never redirects a write or a removal.
//!
//! [`regular`] opens the files that `mc` reads: regular files only, without blocking, and with a size limit if the
//! whole file is read into memory.
//!
//! Files are made durable many at a time ([`folder::Folder::sync`]). For tests, a [`file_observer::FileObserver`]
//! receives every operation.
//!
//! This crate knows nothing of stores, formats or rules.

pub mod file_observer;
pub mod folder;
pub mod path_error;
pub mod regular;
mod removal;
mod rename;
mod resolve;
pub mod status;
mod sync;
