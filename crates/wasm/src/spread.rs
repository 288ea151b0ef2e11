//! Lines spread over the engines of other threads: a batch is parted, each thread reads its share.

use std::cell::RefCell;
use std::sync::Arc;

use js_sys::{Array, Float32Array, Function, Object, Promise, Reflect, Uint32Array};
use maoocr_runtime::{BestPath, Layout, RunFuture, RuntimeError, Session, Tensor};
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
    let wrong = || Failure::Argument("`helpers` is no array of functions".into());
    if options.is_object() {
        let given = Reflect::get(options, &"helpers".into()).map_err(Failure::Thrown)?;
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

    /// Asks a helper for the lines of `part`. The answer is listened to from the start: a promise that is rejected before
    /// would be reported as nobody's.
    fn ask(&self, helper: &Function, part: &Tensor) -> Option<JsFuture> {
        // The one layout that helpers take.
        if part.layout() != Layout::ChannelsLast {
            return None;
        }
        let shape: Array = part.shape().iter().map(|&s| JsValue::from(s)).collect();
        let input = Float32Array::from(part.data());
        let name = JsValue::from_str(&self.name);
        let asked = helper.call3(&JsValue::UNDEFINED, &name, &input, &shape);
        Some(asked.ok()?.dyn_into::<Promise>().ok()?.into())
    }
}

impl Session for Spread {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        self.session.run(input)
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
                .map(|(helper, part)| (self.ask(helper, &part), part))
                .collect();
            let mut best = self.session.run_best(own).await?;
            for (answer, part) in asked {
                let answer = match answer {
                    Some(answer) => answer.await.ok(),
                    None => None,
                };
                let answer = answer.and_then(|answer| from_js(&answer, part.shape()[0]));
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

/// `{batch, steps, classes, probabilities, lastClass}`.
pub fn to_js(best: &BestPath) -> Result<Object, Failure> {
    let object = Object::new();
    for (name, value) in [
        ("batch", JsValue::from(best.batch)),
        ("steps", best.steps.into()),
        ("classes", Uint32Array::from(&best.classes[..]).into()),
        (
            "probabilities",
            Float32Array::from(&best.probabilities[..]).into(),
        ),
        ("lastClass", Float32Array::from(&best.last_class[..]).into()),
    ] {
        Reflect::set(&object, &name.into(), &value).map_err(Failure::Thrown)?;
    }
    Ok(object)
}

/// None for what is no answer for so many lines.
fn from_js(object: &JsValue, lines: usize) -> Option<BestPath> {
    let field = |name: &str| Reflect::get(object, &name.into()).ok();
    let number = |name: &str| Some(field(name)?.as_f64()? as usize);
    let best = BestPath {
        batch: number("batch")?,
        steps: number("steps")?,
        classes: field("classes")?.dyn_into::<Uint32Array>().ok()?.to_vec(),
        probabilities: field("probabilities")?
            .dyn_into::<Float32Array>()
            .ok()?
            .to_vec(),
        last_class: field("lastClass")?
            .dyn_into::<Float32Array>()
            .ok()?
            .to_vec(),
    };
    let length = lines * best.steps;
    let whole = best.batch == lines
        && [
            best.classes.len(),
            best.probabilities.len(),
            best.last_class.len(),
        ] == [length; 3];
    whole.then_some(best)
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
