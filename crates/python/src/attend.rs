//! Work beside Python: the caller's thread waits without holding the interpreter's lock, and answers Ctrl-C.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use maoocr_engine::pipeline::Observer;
use pyo3::prelude::*;

use crate::fault::Fault;

/// How long a signal may go unnoticed.
const NOTICE: Duration = Duration::from_millis(50);

/// Ends work from another thread. A call that was cancelled raises `Cancelled`; one that comes later is refused.
#[pyclass(frozen, module = "maoocr._maoocr")]
#[derive(Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

#[pymethods]
impl Cancel {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Ends the work: at once where it waits, within a part of a second where it computes.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    #[getter]
    pub fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Observer for Cancel {
    fn cancelled(&mut self) -> bool {
        Self::cancelled(self)
    }
}

/// Runs `work` where `spawn` puts it and waits for its result.
///
/// # Errors
/// What `work` says; what a signal's handler raises, which also cancels the work.
pub fn attend<T: Send + 'static>(
    py: Python<'_>,
    cancel: &Cancel,
    spawn: impl FnOnce(Box<dyn FnOnce() + Send>),
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = sync_channel(1);
    spawn(Box::new(move || {
        // Whoever was interrupted waits no more.
        let _ = sender.send(guarded(work));
    }));
    let result = next(py, cancel, &receiver)?;
    let ended = || Err(Fault::panic(&"the thread ended"));
    Ok(result.unwrap_or_else(ended)?)
}

/// A result, and a fault where `work` panics.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(Fault::panic(&*cause)))
}

/// The next message; none where no more will come.
///
/// # Errors
/// What a signal's handler raises, which also cancels the work.
pub fn next<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    receiver: &Receiver<T>,
) -> PyResult<Option<T>> {
    // `Receiver` may not be shared, but it may be used by the one thread that waits here.
    struct Only<'a, T>(&'a Receiver<T>);
    // SAFETY: the reference does not leave this call, which blocks until the closure that has it returns.
    unsafe impl<T: Send> Send for Only<'_, T> {}
    loop {
        let only = Only(receiver);
        let waited = py.detach(move || {
            let only = only;
            only.0.recv_timeout(NOTICE)
        });
        match waited {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(raised) = py.check_signals() {
                    cancel.cancel();
                    return Err(raised);
                }
            }
        }
    }
}

/// Runs work on a thread of its own.
pub fn on_thread(work: Box<dyn FnOnce() + Send>) {
    // Where no thread is to be had the channel closes, which the waiting side reports.
    drop(
        std::thread::Builder::new()
            .name("maoocr".into())
            .spawn(work),
    );
}
