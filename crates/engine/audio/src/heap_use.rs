//! This crate's unit tests count what the callbacks ask of the heap.

pub(crate) use hyperzoom_testkit::heap_calls;

#[global_allocator]
static HEAP: hyperzoom_testkit::CountingHeap = hyperzoom_testkit::CountingHeap;

#[test]
fn the_counter_counts() {
    assert_eq!(heap_calls(|| drop(std::hint::black_box(Box::new(1)))), 2);
}
