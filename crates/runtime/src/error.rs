use thiserror::Error;

/// Why a model could not be loaded or run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bytes are not an ONNX model this runtime can read.
    #[error("not a readable ONNX model: {reason}")]
    Malformed {
        /// What was wrong, in words.
        reason: String,
    },
    /// A node uses an operator, or an attribute of one, that the executor does not know.
    #[error("node `{node}` ({op}): {reason}")]
    Unsupported {
        /// The node's name in the file, or its first output's name where it has none.
        node: String,
        /// The ONNX operator, e.g. `Conv`.
        op: String,
        /// What is not supported.
        reason: String,
    },
    /// The input does not fit the model.
    #[error("input of shape {shape:?} does not fit the model: {reason}")]
    Input {
        /// The shape that was given.
        shape: Vec<usize>,
        /// What the model needs.
        reason: String,
    },
    /// No device of the kind that was asked for.
    #[error("no such device: {reason}")]
    Device {
        /// What was asked for and what there is.
        reason: String,
    },
    /// The executor failed while running; the session may be used again.
    #[error("run failed: {reason}")]
    Run {
        /// What the executor said.
        reason: String,
    },
}
