//! Counts what a thread asks of the heap, to prove that real-time code asks nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator with a counter for each thread. A test binary that counts declares it:
///
/// ```
/// #[global_allocator]
/// static HEAP: hyperzoom_testkit::CountingHeap = hyperzoom_testkit::CountingHeap;
///
/// assert_eq!(hyperzoom_testkit::heap_calls(|| drop(std::hint::black_box(Box::new(1)))), 2);
/// ```
pub struct CountingHeap;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more, and nobody asks for it.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a const-initialised thread-local, which
// needs no heap.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps `dealloc`'s contract, and the pointer is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often `work` asked the heap for memory on this thread, or gave some back: 0 always where [`CountingHeap`] is not the
/// binary's allocator, so each binary that counts has a test of the counter itself.
pub fn heap_calls(work: impl FnOnce()) -> usize {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}
