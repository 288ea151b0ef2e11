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
    /// The GPU is gone: reset, unplugged, taken away. Models have to be loaded again, on another device.
    #[error("the GPU was lost: {reason}")]
    Lost {
        /// What the driver or browser said.
        reason: String,
    },
    /// The GPU's memory ran out; models on it are not to be used any more.
    #[error("the GPU's memory ran out: {reason}")]
    Memory {
        /// What the driver or browser said.
        reason: String,
    },
    /// The executor failed while running; the session may be used again.
    #[error("run failed: {reason}")]
    Run {
        /// What the executor said.
        reason: String,
    },
}

impl RuntimeError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Device { .. } => "no_such_device",
            Self::Lost { .. } => "device_lost",
            Self::Memory { .. } => "device_out_of_memory",
            Self::Malformed { .. }
            | Self::Unsupported { .. }
            | Self::Input { .. }
            | Self::Run { .. } => "model_failed",
        }
    }
}
