//! Watches the largest single allocation of this thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::readers::Reader;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, watched. To be made the global one by whoever asks [`largest`].
pub struct Watched;

fn note(n_bytes: usize) {
    let told = LARGEST.try_with(|largest| largest.set(largest.get().max(n_bytes)));
    // A thread that is ending has no value any more, and nobody asks it.
    told.unwrap_or_default();
}

#[expect(unsafe_code, reason = "an allocator can only be watched from inside")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        note(n_bytes);
        // SAFETY: the caller keeps `realloc`'s contract, and the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, n_bytes) }
    }
}

/// The largest single allocation of this thread while `work` ran, in bytes; 0 when [`Watched`] is not the allocator.
pub fn largest(work: impl FnOnce()) -> usize {
    LARGEST.with(|largest| largest.set(0));
    work();
    LARGEST.with(Cell::get)
}

/// Runs a reader on `bytes`.
///
/// # Panics
/// If the reader does, or allocates at once more than twice the input and more than its floor.
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
