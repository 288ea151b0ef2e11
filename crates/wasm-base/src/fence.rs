//! Panics and traps become errors of the call they happened in.
//!
//! A panic ends in a trap here, and a trap unwinds to the nearest `catch` of JavaScript. So work is called through
//! JavaScript, which catches. Frames in between are left without dropping what they own: memory leaks, nothing else
//! changes, and other calls go on.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use js_sys::{Function, Promise};
use wasm_bindgen::closure::ScopedClosure;
use wasm_bindgen::{JsCast, JsValue};

use crate::coded;

thread_local! {
    /// What the last panic said.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static EXPLAIN: Cell<Option<Explain>> = const { Cell::new(None) };
}

/// An explanation of why work ended in the middle.
pub type Explain = fn() -> Option<JsValue>;

/// Has `explain` asked first when work ends in the middle: what ends it so may be a limit, not a fault.
pub fn explain(explain: Explain) {
    EXPLAIN.set(Some(explain));
}

/// Keeps what panics say, and shows it on the console.
pub fn hear_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        web_sys::console::error_1(&message.as_str().into());
        LAST_PANIC.with(|last| *last.borrow_mut() = Some(message));
    }));
}

/// Does `work`; a panic, a trap or an exception in it is an error with the code `internal`.
fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, JsValue> {
    let mut work = Some(work);
    let mut done = None;
    let mut call = || {
        if let Some(work) = work.take() {
            done = Some(work());
        }
    };
    let closure = ScopedClosure::<dyn FnMut()>::borrow_mut(&mut call);
    let called = closure
        .as_ref()
        .unchecked_ref::<Function>()
        .call0(&JsValue::UNDEFINED);
    drop(closure);
    match (called, done) {
        (Ok(_), Some(done)) => Ok(done),
        (thrown, _) => Err(internal(thrown.err())),
    }
}

fn internal(thrown: Option<JsValue>) -> JsValue {
    if let Some(why) = EXPLAIN.get().and_then(|explain| explain()) {
        return why;
    }
    let panic = LAST_PANIC.with(|last| last.borrow_mut().take());
    let message = panic.unwrap_or_else(|| {
        let trap = thrown.as_ref().and_then(|t| t.dyn_ref::<js_sys::Error>());
        trap.map_or("unknown".into(), |t| t.message().into())
    });
    coded(
        "internal",
        &format!("a fault of MaoOCR's, not yours: {message}"),
    )
}

/// Does work at once, and throws what goes wrong.
pub fn now<T, E: Into<JsValue>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, JsValue> {
    fenced(work)?.map_err(E::into)
}

/// A promise of what `work` comes to.
pub fn promise<E: Into<JsValue> + 'static>(
    work: impl Future<Output = Result<JsValue, E>> + 'static,
) -> Promise {
    wasm_bindgen_futures::future_to_promise(Fenced(Some(Box::pin(async move {
        work.await.map_err(E::into)
    }))))
}

/// A future whose polls are fenced; none once it has ended.
struct Fenced(Option<Work>);

type Work = Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>;

impl Future for Fenced {
    type Output = Result<JsValue, JsValue>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut work) = self.0.take() else {
            return Poll::Ready(Err(internal(None)));
        };
        match fenced(|| work.as_mut().poll(context)) {
            Ok(Poll::Ready(done)) => Poll::Ready(done),
            Ok(Poll::Pending) => {
                self.0 = Some(work);
                Poll::Pending
            }
            Err(internal) => {
                // It was left in the middle: what it owns may be half dropped already.
                std::mem::forget(work);
                Poll::Ready(Err(internal))
            }
        }
    }
}
