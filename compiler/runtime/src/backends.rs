//! The backends in this binary, and the chosen one.
//!
//! The id of the chosen backend is part of the key of every measurement, so numbers of two backends never mix.

use std::sync::{Arc, OnceLock};

use crate::backend::{Backend, BackendId};
use crate::candle_backend::{self, CandleBackend};
use crate::cpu_exact::{CPU_EXACT, CpuExact};
use crate::error::RuntimeError;

/// A backend in the table.
#[derive(Clone, Copy, Debug)]
pub struct BackendEntry {
    /// Its name and version.
    pub id: BackendId,
    /// A sentence for the manual.
    pub doc: &'static str,
    open: fn() -> candle_core::Result<Arc<dyn Backend>>,
}

/// Every backend of this binary; the first is the default.
pub const BACKENDS: &[BackendEntry] = &[
    BackendEntry {
        id: CPU_EXACT,
        doc: "The same bits on every CPU and for every number of threads.",
        open: || Ok(Arc::new(CpuExact::new())),
    },
    BackendEntry {
        id: candle_backend::CPU,
        doc: "Candle's operators on the CPU.",
        open: || Ok(Arc::new(CandleBackend::cpu())),
    },
    #[cfg(feature = "cuda")]
    BackendEntry {
        id: candle_backend::CUDA,
        doc: "Candle's operators on the first CUDA device.",
        open: || Ok(Arc::new(CandleBackend::cuda()?)),
    },
    #[cfg(feature = "metal")]
    BackendEntry {
        id: candle_backend::METAL,
        doc: "Candle's operators on the first Metal device.",
        open: || Ok(Arc::new(CandleBackend::metal()?)),
    },
];

static CHOSEN: OnceLock<&'static BackendEntry> = OnceLock::new();

/// The backend with this name.
pub fn by_name(name: &str) -> Option<&'static BackendEntry> {
    BACKENDS.iter().find(|backend| backend.id.name == name)
}

/// Chooses the backend of this process; only the first call has an effect.
pub fn choose(backend: &'static BackendEntry) {
    CHOSEN.get_or_init(|| backend);
}

/// The chosen backend, or else the first.
pub fn chosen() -> &'static BackendEntry {
    CHOSEN.get().copied().unwrap_or(&BACKENDS[0])
}

impl BackendEntry {
    /// Opens the backend.
    ///
    /// # Errors
    /// If its device does not exist.
    pub fn open(&self) -> Result<Arc<dyn Backend>, RuntimeError> {
        (self.open)().map_err(RuntimeError::Tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_has_the_id_of_its_row() {
        for backend in
            BACKENDS.iter().filter(|backend| backend.id.name.ends_with("cpu") || backend.id == CPU_EXACT)
        {
            assert_eq!(backend.open().unwrap().id(), backend.id);
            assert_eq!(by_name(backend.id.name).map(|found| found.id), Some(backend.id));
        }
        assert_eq!(chosen().id, CPU_EXACT);
    }
}
