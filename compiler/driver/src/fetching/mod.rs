//! Files of declared origins: pinned in `mc.lock`, and downloaded before the analysis reads them.

pub mod error;
pub mod files;
pub mod lock;
pub mod lock_file;
