//! Counts allocated bytes in all threads. The test servers send from small buffers and add nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static MEASURING: Mutex<()> = Mutex::new(());

/// The system's allocator with a counter.
pub(crate) struct Counted;

fn add(n_bytes: usize) {
    let live = LIVE.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

fn remove(n_bytes: usize) {
    LIVE.fetch_sub(n_bytes, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator can only be counted from inside")]
// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: the caller keeps `dealloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        add(n_bytes);
        remove(layout.size());
        // SAFETY: the caller keeps `realloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, n_bytes) }
    }
}

/// Lets one test run at a time, because allocations of all threads are counted together.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs some work, and returns its peak of allocated bytes above the initial number.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let given = work();
    (given, PEAK.load(Ordering::Relaxed).saturating_sub(before))
}
