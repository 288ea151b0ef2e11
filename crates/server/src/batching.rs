//! Lines of several pictures, recognised together.
//!
//! A GPU runs sixteen lines in hardly more time than one. While it runs a batch, lines of other pictures arrive, and the
//! next batch takes all of them. So batches grow with the load, and nobody waits for one to fill.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};

use maoocr_runtime::{BestPath, RunFuture, RuntimeError, Session, Tensor};

use crate::metrics;

/// A session that joins concurrent runs of the same shape.
pub struct Batching {
    session: Arc<dyn Session>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Whether some thread is running a batch and will hand over the lead.
    running: bool,
}

struct Waiting {
    input: Tensor,
    turn: SyncSender<Turn>,
}

/// What a waiting thread is told.
enum Turn {
    /// Run a batch that begins with its own input.
    Lead,
    /// The result for its input.
    Answer(Result<BestPath, String>),
}

impl Batching {
    /// Joins runs of this session, up to its [`Session::batch`] inputs at a time.
    pub fn new(session: Arc<dyn Session>) -> Self {
        Self {
            session,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The first waiting input, and those of its shape and layout that fit into one batch with it.
    fn next(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        let Some(first) = state.waiting.pop_front() else {
            return Vec::new();
        };
        let (shape, layout) = (first.input.shape()[1..].to_vec(), first.input.layout());
        let mut size = first.input.shape()[0];
        let mut batch = vec![first];
        let mut index = 0;
        while index < state.waiting.len() {
            let next = &state.waiting[index].input;
            let (count, alike) = (
                next.shape()[0],
                next.shape()[1..] == shape && next.layout() == layout,
            );
            if alike && size + count <= self.session.batch() {
                size += count;
                batch.extend(state.waiting.remove(index));
            } else {
                index += 1;
            }
        }
        batch
    }

    /// Runs one batch and reports the results.
    async fn run_batch(&self) {
        // Even if the run panics: nobody may wait for ever.
        let _hand_on = HandOn(self);
        let batch = self.next();
        let sizes: Vec<usize> = batch.iter().map(|w| w.input.shape()[0]).collect();
        metrics::batch(sizes.iter().sum());
        let (inputs, turns): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|w| (w.input, w.turn)).unzip();
        let result = match Tensor::concat(inputs) {
            Ok(input) => self.session.run_best(input).await,
            Err(error) => Err(error),
        };
        let answers: Vec<Result<BestPath, String>> = match result {
            Ok(best) => split(&best, &sizes).into_iter().map(Ok).collect(),
            Err(error) => turns.iter().map(|_| Err(error.to_string())).collect(),
        };
        for (turn, answer) in turns.into_iter().zip(answers) {
            // Those who stopped waiting need no answer.
            let _ = turn.send(Turn::Answer(answer));
        }
    }
}

impl Session for Batching {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        self.session.run(input)
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        self.session.run_all(input)
    }

    fn outputs(&self) -> Vec<String> {
        self.session.outputs()
    }

    /// Blocks the thread while another runs its batch.
    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move {
            if input.shape().is_empty() {
                return self.session.run_best(input).await;
            }
            // Two messages at most: the lead and the answer.
            let (turn, turns) = sync_channel(2);
            let leads = {
                let mut state = self.lock();
                state.waiting.push_back(Waiting { input, turn });
                !std::mem::replace(&mut state.running, true)
            };
            if leads {
                self.run_batch().await;
            }
            loop {
                match turns.recv() {
                    Ok(Turn::Lead) => self.run_batch().await,
                    Ok(Turn::Answer(answer)) => {
                        return answer.map_err(|reason| RuntimeError::Run { reason });
                    }
                    Err(_) => {
                        return Err(RuntimeError::Run {
                            reason: "the thread that ran the batch ended".into(),
                        });
                    }
                }
            }
        })
    }

    fn batch(&self) -> usize {
        self.session.batch()
    }

    fn executor(&self) -> String {
        self.session.executor()
    }

    fn fallback(&self) -> Option<&str> {
        self.session.fallback()
    }
}

/// Gives the lead to the thread that has waited longest.
struct HandOn<'a>(&'a Batching);

impl Drop for HandOn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        while let Some(next) = state.waiting.front() {
            if next.turn.send(Turn::Lead).is_ok() {
                return;
            }
            state.waiting.pop_front();
        }
        state.running = false;
    }
}

/// The paths of batches of these sizes.
fn split(best: &BestPath, sizes: &[usize]) -> Vec<BestPath> {
    let mut from = 0;
    sizes
        .iter()
        .map(|&batch| {
            let range = from * best.steps..(from + batch) * best.steps;
            from += batch;
            BestPath {
                batch,
                steps: best.steps,
                classes: best.classes[range.clone()].to_vec(),
                probabilities: best.probabilities[range.clone()].to_vec(),
                last_class: best.last_class[range].to_vec(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Answers each input with the class its first number names.
    struct Echo {
        runs: AtomicUsize,
        largest: AtomicUsize,
    }

    impl Session for Echo {
        fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
            Box::pin(async move {
                self.runs.fetch_add(1, Ordering::SeqCst);
                let batch = input.shape()[0];
                self.largest.fetch_max(batch, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                if input.data()[0] < 0.0 {
                    return Err(RuntimeError::Run {
                        reason: "negative".into(),
                    });
                }
                let mut scores = Tensor::zeros([batch, 1, 100]);
                for (row, value) in input.data().iter().enumerate() {
                    scores.data_mut()[row * 100 + *value as usize] = 1.0;
                }
                Ok(scores)
            })
        }

        fn batch(&self) -> usize {
            8
        }

        fn executor(&self) -> String {
            "echo".into()
        }
    }

    fn echo() -> (Arc<Echo>, Batching) {
        let echo = Arc::new(Echo {
            runs: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
        });
        (echo.clone(), Batching::new(echo))
    }

    #[test]
    fn concurrent_runs_are_joined_and_everyone_gets_their_own() {
        let (echo, batching) = echo();
        std::thread::scope(|scope| {
            for value in 0..32u32 {
                let batching = &batching;
                scope.spawn(move || {
                    let input = Tensor::new([1, 1], vec![value as f32]).unwrap();
                    let best = pollster::block_on(batching.run_best(input)).unwrap();
                    assert_eq!(best.classes, [value]);
                });
            }
        });
        assert!(echo.runs.load(Ordering::SeqCst) < 32);
        let largest = echo.largest.load(Ordering::SeqCst);
        assert!((2..=8).contains(&largest), "{largest}");
    }

    #[test]
    fn other_shapes_are_not_joined_and_a_failure_reaches_its_callers() {
        let (_, batching) = echo();
        std::thread::scope(|scope| {
            for value in [3.0, -1.0] {
                let batching = &batching;
                scope.spawn(move || {
                    let width = if value < 0.0 { 2 } else { 1 };
                    let input = Tensor::new([1, width], vec![value; width]).unwrap();
                    let best = pollster::block_on(batching.run_best(input));
                    assert_eq!(best.is_err(), value < 0.0, "{best:?}");
                });
            }
        });
    }
}
