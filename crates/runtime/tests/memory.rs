//! A second run on the same shape allocates its output and a few bytes: the arena is kept.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use maoocr_runtime::Session;
use maoocr_runtime::cpu::{CpuSession, set_threads};

/// Counts bytes.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_second_run_allocates_its_output_only() {
    set_threads(1);
    for (name, shape, best) in [
        ("ppocrv6-tiny-det", [1, 3, 320, 320], false),
        ("ppocrv6-small-det", [1, 3, 320, 320], false),
        ("ppocrv6-tiny-rec", [1, 3, 48, 320], true),
        ("ppocrv6-small-rec", [1, 3, 48, 320], true),
    ] {
        let onnx = common::model(name);
        let session = CpuSession::load(&onnx).unwrap();
        let mut spent = [0; 2];
        let mut output = 0;
        for spent in &mut spent {
            let input = common::noise(&shape);
            let before = ALLOCATED.load(Ordering::Relaxed);
            if best {
                pollster::block_on(session.run_best(input)).unwrap();
            } else {
                output = 4 * pollster::block_on(session.run(input)).unwrap().data().len();
            }
            *spent = ALLOCATED.load(Ordering::Relaxed) - before;
        }
        eprintln!("{name}: {} bytes, then {}", spent[0], spent[1]);
        // What is known of each step's classes, chunk by chunk.
        assert!(spent[1] < output + (1 << 16), "{name}: {spent:?}");
        assert!(spent[0] > output + (1 << 18), "{name}: {spent:?}");
    }
}
