//! What happens while a document is read, one event after the other.

use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use pyo3::prelude::*;

use crate::attend::{self, Cancel};
use crate::fault::Fault;
use crate::read::Message;
use crate::state::lock;

/// Yields `(name, JSON)`: `line`, `withdrawn` and `page`. Dropping it ends the reading.
#[pyclass(frozen, module = "maoocr._maoocr")]
pub struct Stream {
    process: u32,
    cancel: Cancel,
    /// None after the end.
    receiver: Mutex<Option<Receiver<Message>>>,
}

impl Stream {
    /// A stream of what comes through a channel.
    pub fn new(receiver: Receiver<Message>, cancel: Cancel) -> Self {
        Self {
            process: std::process::id(),
            cancel,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

#[pymethods]
impl Stream {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<(&'static str, String)>> {
        if self.process != std::process::id() {
            return Err(Fault::forked("the stream").into());
        }
        // Taken out while it waits: another thread that asks at the same time is told so instead of being held up.
        let Some(receiver) = lock(&self.receiver).take() else {
            return Ok(None);
        };
        match attend::next(py, &self.cancel, &receiver)? {
            Some(Ok((name, value))) => {
                *lock(&self.receiver) = Some(receiver);
                Ok(Some((name, value.to_string())))
            }
            Some(Err(fault)) => Err(fault.into()),
            None => Ok(None),
        }
    }

    /// Ends the reading.
    fn close(&self) {
        self.cancel.cancel();
        lock(&self.receiver).take();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
