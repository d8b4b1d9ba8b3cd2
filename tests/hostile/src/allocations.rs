//! Measures the largest single allocation of this thread, and the memory of all threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::readers::Reader;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Bytes allocated by all threads now, and their maximum since [`peak`] began.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, measured. Must be the global allocator of a test that uses [`largest`].
pub struct Watched;

fn note(n_bytes: usize) {
    let reported = LARGEST.try_with(|largest| largest.set(largest.get().max(n_bytes)));
    // An ending thread no longer has the counter, and its count is not read.
    reported.unwrap_or_default();
    let live = LIVE.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator can only be watched from inside")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller upholds `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds `dealloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller upholds `alloc_zeroed`'s contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        note(n_bytes);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds `realloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, n_bytes) }
    }
}

/// The largest single allocation of this thread during `work`, in bytes; 0 if [`Watched`] is not the allocator.
pub fn largest(work: impl FnOnce()) -> usize {
    LARGEST.with(|largest| largest.set(0));
    work();
    LARGEST.with(Cell::get)
}

/// The peak memory of all threads during `work` minus that before, in bytes; 0 if [`Watched`] is not the allocator.
pub fn peak(work: impl FnOnce()) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed).saturating_sub(before)
}

/// Runs a reader on `bytes`.
///
/// # Panics
/// If the reader panics, or makes a single allocation of more than twice the input and more than its floor.
#[track_caller]
pub fn watch(reader: &Reader, bytes: &[u8]) {
    let allowed = (2 * bytes.len()).max(reader.floor);
    let largest = largest(|| (reader.read)(bytes));
    assert!(
        largest <= allowed,
        "{} bytes of input made a reader allocate {largest} bytes at once",
        bytes.len()
    );
}
