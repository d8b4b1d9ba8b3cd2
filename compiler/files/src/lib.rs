//! Opens, makes and removes files.
//!
//! [`folder::Folder`] is a handle on a directory. Everything that `mc` writes or removes goes through one, by a path
//! below it on which no part may be a symbolic link: so a link that somebody planted in the store or under `mc-out/`
//! is an error that names it, and never leads a write or a removal elsewhere.
//!
//! [`regular`] opens the files that `mc` reads: regular files and nothing else, without blocking, and with a limit on
//! the size where all of a file is read into memory.
//!
//! Files are made durable many at a time ([`folder::Folder::sync`]). A [`observer::FileObserver`] sees what is done, for tests.
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
