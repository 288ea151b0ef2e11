//! Lines spread over the engines of other threads: a batch is parted, each thread reads its share.

use std::cell::RefCell;
use std::sync::Arc;

use js_sys::{Array, Function, Reflect};
use maoocr_runtime::{BestPath, RunFuture, RuntimeError, Session, Tensor};
use maoocr_wasm_base::{Fault, lines};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::error::Failure;

/// Lines that each thread gets of a batch: fewer would leave it waiting for messages.
const LINES: usize = 2;

thread_local! {
    /// Ask other threads for the lines of the picture that is being read: `(recogniser, input, shape)` to a promise.
    static HELPERS: RefCell<Vec<Function>> = const { RefCell::new(Vec::new()) };
}

/// Helpers as long as it lives.
pub struct Helpers(());

impl Drop for Helpers {
    fn drop(&mut self) {
        HELPERS.with_borrow_mut(Vec::clear);
    }
}

/// Takes the functions in the options' `helpers`. With several pictures at once in one thread the last ones are taken:
/// whoever reads a line, it says the same.
pub fn help(options: &JsValue) -> Result<Helpers, Failure> {
    let wrong = || Fault::Argument("`helpers` is no array of functions".into());
    if options.is_object() {
        let given = Reflect::get(options, &"helpers".into()).map_err(Fault::Thrown)?;
        if !given.is_undefined() && !given.is_null() {
            let given: Array = given.dyn_into().map_err(|_| wrong())?;
            let functions = given.iter().map(JsCast::dyn_into);
            let functions = functions.collect::<Result<_, _>>().map_err(|_| wrong())?;
            HELPERS.set(functions);
        }
    }
    Ok(Helpers(()))
}

/// A recogniser whose batches helpers read too.
pub struct Spread {
    name: String,
    session: Arc<dyn Session>,
}

impl Spread {
    /// `name` is the recogniser's, as helpers know it.
    pub fn new(name: &str, session: Arc<dyn Session>) -> Self {
        Self {
            name: name.into(),
            session,
        }
    }
}

impl Session for Spread {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        self.session.run(input)
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        self.session.run_all(input)
    }

    fn outputs(&self) -> Vec<String> {
        self.session.outputs()
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move {
            let helpers = HELPERS.with_borrow(Vec::clone);
            let mut parts = parted(input, helpers.len() + 1)?.into_iter();
            let Some(own) = parts.next() else {
                return Ok(BestPath::default());
            };
            // The others begin before this thread is busy with its share.
            let asked: Vec<(Option<JsFuture>, Tensor)> = helpers
                .iter()
                .zip(parts)
                .map(|(helper, part)| (lines::ask(helper, &self.name, &part), part))
                .collect();
            let mut best = self.session.run_best(own).await?;
            for (answer, part) in asked {
                let answer = match answer {
                    Some(answer) => answer.await.ok(),
                    None => None,
                };
                let answer = answer.and_then(|answer| lines::from_js(&answer, part.shape()[0]));
                // What a helper couldn't do is done here.
                let more = match answer {
                    Some(more) if more.steps == best.steps => more,
                    _ => self.session.run_best(part).await?,
                };
                best.batch += more.batch;
                best.classes.extend(more.classes);
                best.probabilities.extend(more.probabilities);
                best.last_class.extend(more.last_class);
            }
            Ok(best)
        })
    }

    fn batch(&self) -> usize {
        match HELPERS.with_borrow(Vec::len) {
            0 => self.session.batch(),
            helpers => (helpers + 1) * LINES,
        }
    }

    fn executor(&self) -> String {
        self.session.executor()
    }

    fn fallback(&self) -> Option<&str> {
        self.session.fallback()
    }
}

/// A batch in at most `count` parts, as equal as may be.
fn parted(input: Tensor, count: usize) -> Result<Vec<Tensor>, RuntimeError> {
    match input.shape().first() {
        Some(&batch) if batch > 1 && count > 1 => input.chunks(batch.div_ceil(count)),
        _ => Ok(vec![input]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_parted_evenly_and_completely() {
        let batch = |n: usize| {
            let numbers = (0..n * 6).map(|v| v as f32).collect();
            Tensor::channels_last([n, 3, 1, 2], numbers)
        };
        for (lines, count, shares) in [
            (1, 4, vec![1]),
            (5, 1, vec![5]),
            (4, 2, vec![2, 2]),
            (5, 2, vec![3, 2]),
            (3, 8, vec![1, 1, 1]),
            (7, 3, vec![3, 3, 1]),
        ] {
            let parts = parted(batch(lines).unwrap(), count).unwrap();
            assert_eq!(
                parts.iter().map(|p| p.shape()[0]).collect::<Vec<_>>(),
                shares
            );
            assert_eq!(Tensor::concat(parts).unwrap(), batch(lines).unwrap());
        }
    }
}
