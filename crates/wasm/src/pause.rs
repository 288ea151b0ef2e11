//! Pauses between the runs of a network, so that the thread hears its messages: without them nobody could cancel.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use js_sys::Promise;
use maoocr_runtime::{BestPath, RunFuture, Session, Tensor};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;
use web_time::Instant;

/// Time between pauses: short enough for a person who waits for `cancel`, long enough not to be felt.
const INTERVAL: Duration = Duration::from_millis(30);

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A session that pauses before its runs.
pub struct Pausing(pub Arc<dyn Session>);

impl Session for Pausing {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move {
            pause().await;
            self.0.run(input).await
        })
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async move {
            pause().await;
            self.0.run_all(input).await
        })
    }

    fn outputs(&self) -> Vec<String> {
        self.0.outputs()
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move {
            pause().await;
            self.0.run_best(input).await
        })
    }

    fn batch(&self) -> usize {
        self.0.batch()
    }

    fn executor(&self) -> String {
        self.0.executor()
    }

    fn fallback(&self) -> Option<&str> {
        self.0.fallback()
    }
}

/// Lets waiting messages and timers run, where the last pause is a while ago.
async fn pause() {
    let now = Instant::now();
    if LAST.get().is_some_and(|last| now - last < INTERVAL) {
        return;
    }
    // A message to oneself: timers wait 4 ms or more, promises don't let messages through. Where there are no
    // channels there is no pause.
    if let Ok(channel) = MessageChannel::new() {
        let (here, there) = (channel.port1(), channel.port2());
        let heard = Promise::new(&mut |resolve, _| here.set_onmessage(Some(&resolve)));
        if there.post_message(&JsValue::NULL).is_ok() {
            JsFuture::from(heard).await.ok();
        }
        // An open port keeps a Node process alive.
        here.close();
    }
    LAST.set(Some(Instant::now()));
}
