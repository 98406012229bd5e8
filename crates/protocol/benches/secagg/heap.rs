//! The system's allocator, with a count of what is in use: how much more memory one call needs at its peak.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts bytes in use, and the most since [`Heap::extra`] began.
#[derive(Debug)]
pub(crate) struct Heap {
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self {
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What the call gives, and how many more bytes than before were in use at its peak.
    pub(crate) fn extra<T>(&self, call: impl FnOnce() -> T) -> (T, usize) {
        let before = self.used();
        self.peak.store(before, Ordering::Relaxed);
        let result = call();
        (result, self.peak.load(Ordering::Relaxed) - before)
    }
}

// SAFETY: every call goes to the system's allocator as it came.
#[expect(unsafe_code, reason = "allocators are unsafe to write")]
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = self.used.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.peak.fetch_max(used, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let used = self.used.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.peak.fetch_max(used, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
