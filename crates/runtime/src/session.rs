use std::future::Future;
use std::pin::Pin;

use crate::{RuntimeError, Tensor};

/// The future of a run. It need not be `Send`: a caller with threads waits for it where it made it.
pub type RunFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, RuntimeError>> + 'a>>;

/// A loaded model with one input and one output or several.
///
/// Runs are asynchronous because a browser's GPU can't be waited for; on CPU executors the future is ready at
/// its first poll.
pub trait Session: Send + Sync {
    /// Runs the model on `input`, in whichever layout, and reads its whole output back, row-major; of several outputs
    /// the first.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] where the input does not fit the model, [`RuntimeError::Lost`] and
    /// [`RuntimeError::Memory`] from a GPU, else [`RuntimeError::Run`].
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor>;

    /// Runs the model and reads all its outputs back, row-major, in the order of [`outputs`](Self::outputs). A session
    /// around another one must pass this on: by itself it gives the first output only.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async move { Ok(vec![self.run(input).await?]) })
    }

    /// Names of the outputs as the file states them, in its order. Empty where a session knows none.
    fn outputs(&self) -> Vec<String> {
        Vec::new()
    }

    /// Runs a model whose output is a probability distribution over its last axis, `[N, T, V]`, and reads back
    /// only what greedy decoding needs. Executors reduce on the device, so that the `V` scores of a step never
    /// leave it.
    ///
    /// # Errors
    /// As for [`run`](Self::run), and [`RuntimeError::Run`] where the output is of another rank.
    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move { BestPath::from_scores(&self.run(input).await?) })
    }

    /// How many inputs of one shape it likes to run at once. A CPU is as fast with one after the other; a GPU stands
    /// idle then. Each input of a batch gets the numbers it would get alone.
    fn batch(&self) -> usize {
        1
    }

    /// What runs it, for people: `tract`, `burn flex`, `burn wgpu (NVIDIA H100, Vulkan)`.
    fn executor(&self) -> String;

    /// Why something else runs it than was looked for first, where that is so.
    fn fallback(&self) -> Option<&str> {
        None
    }
}

/// The first of a run's outputs.
pub(crate) fn only(outputs: Vec<Tensor>) -> Result<Tensor, RuntimeError> {
    let first = outputs.into_iter().next();
    first.ok_or_else(|| RuntimeError::Run {
        reason: "the model has no output".into(),
    })
}

/// The best class of each step of a batch of sequences, and the probability of the last class there.
///
/// All three vectors hold `batch × steps` values, sequence after sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BestPath {
    /// Sequences in the batch (`N`).
    pub batch: usize,
    /// Steps of each sequence (`T`).
    pub steps: usize,
    /// Index of the most probable class; the lowest one on a tie.
    pub classes: Vec<u32>,
    /// Its probability, 0 to 1.
    pub probabilities: Vec<f32>,
    /// Probability of the last class (`V - 1`), which PP-OCR's recognisers use for the space.
    pub last_class: Vec<f32>,
}

impl BestPath {
    /// Reduces `[N, T, V]` scores on the host.
    ///
    /// # Errors
    /// [`RuntimeError::Run`] where they are of another rank, or of no class.
    pub fn from_scores(scores: &Tensor) -> Result<Self, RuntimeError> {
        let &[batch, steps, classes @ 1..=usize::MAX] = scores.shape() else {
            return Err(RuntimeError::Run {
                reason: format!(
                    "expected scores of shape [N, T, V], got {:?}",
                    scores.shape()
                ),
            });
        };
        let mut best = Self {
            batch,
            steps,
            ..Self::default()
        };
        for step in scores.data().chunks_exact(classes) {
            let (class, &probability) =
                step.iter().enumerate().fold((0, &step[0]), |best, next| {
                    if next.1 > best.1 { next } else { best }
                });
            best.classes.push(class as u32);
            best.probabilities.push(probability);
            best.last_class.push(step[classes - 1]);
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_path_takes_the_first_of_equal_classes() {
        let scores = Tensor::new([1, 2, 3], vec![0.2, 0.4, 0.4, 0.1, 0.1, 0.8]).unwrap();
        let best = BestPath::from_scores(&scores).unwrap();
        assert_eq!(best.classes, [1, 2]);
        assert_eq!(best.probabilities, [0.4, 0.8]);
        assert_eq!(best.last_class, [0.4, 0.8]);
    }

    #[test]
    fn scores_of_another_rank_are_an_error() {
        assert!(BestPath::from_scores(&Tensor::zeros([2, 3])).is_err());
        assert!(BestPath::from_scores(&Tensor::zeros([2, 3, 0])).is_err());
    }
}
