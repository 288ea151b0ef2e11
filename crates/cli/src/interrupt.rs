//! Ctrl-C: the first one ends the work in good order, the second one at once.

use std::sync::atomic::{AtomicBool, Ordering};

use maoocr_engine::pipeline::Observer;

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that Ctrl-C ended.
pub const EXIT_CODE: u8 = 130;

/// Starts to listen.
pub fn listen() {
    // Elsewhere somebody may listen already; then Ctrl-C does what it did.
    let _ = ctrlc::set_handler(|| {
        if STOPPED.swap(true, Ordering::Relaxed) {
            crate::draft::discard();
            std::process::exit(EXIT_CODE.into());
        }
        eprintln!(
            "maoocr: stopping; finished work is kept. Press Ctrl-C again to quit immediately."
        );
    });
}

/// Whether Ctrl-C was pressed.
pub fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Cancels what is being read.
pub struct UntilStopped;

impl Observer for UntilStopped {
    fn cancelled(&mut self) -> bool {
        stopped()
    }
}
