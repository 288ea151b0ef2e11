use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::tract::TractSession;
use crate::{RuntimeError, Session};

/// What a model is to run on, as a person names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// A real GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The fastest CPU executor of this build.
    Cpu,
    /// The GPU with this number, or the first real one. A number may name a software rasteriser too.
    Gpu(Option<usize>),
    /// Burn's portable CPU backend: slow, there to check the GPU's results.
    Flex,
    /// tract: any model, the second opinion.
    Tract,
}

impl Device {
    /// Reads `auto`, `cpu`, `gpu`, `gpu:N`, `flex` or `tract`.
    pub fn parse(name: &str) -> Result<Self, RuntimeError> {
        let unknown = || RuntimeError::Device {
            reason: format!("`{name}` is none of auto, cpu, gpu, gpu:N, flex and tract"),
        };
        Ok(match name.trim() {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu(None),
            "flex" => Self::Flex,
            "tract" => Self::Tract,
            other => {
                let number = other.strip_prefix("gpu:").ok_or_else(unknown)?;
                Self::Gpu(Some(number.parse().map_err(|_| unknown())?))
            }
        })
    }

    /// Loads an ONNX model onto this device.
    pub fn load(&self, onnx: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        match self {
            Self::Auto | Self::Cpu | Self::Tract => Ok(Arc::new(TractSession::load(onnx)?)),
            Self::Gpu(_) | Self::Flex => Err(self.not_built()),
        }
    }

    /// What this choice comes to on this machine, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Auto | Self::Cpu | Self::Tract => "CPU (tract)".into(),
            Self::Gpu(_) | Self::Flex => self.not_built().to_string(),
        }
    }

    fn not_built(self) -> RuntimeError {
        RuntimeError::Device {
            reason: format!("`{self}` needs a build with the feature `burn`"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(None) => f.write_str("gpu"),
            Self::Gpu(Some(number)) => write!(f, "gpu:{number}"),
            Self::Flex => f.write_str("flex"),
            Self::Tract => f.write_str("tract"),
        }
    }
}

impl FromStr for Device {
    type Err = RuntimeError;

    fn from_str(name: &str) -> Result<Self, RuntimeError> {
        Self::parse(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in ["auto", "cpu", "gpu", "gpu:0", "gpu:12", "flex", "tract"] {
            assert_eq!(Device::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_names_are_an_error_that_lists_the_right_ones() {
        for name in ["", "cuda", "gpu:", "gpu:-1", "gpu:x", "GPU"] {
            let error = Device::parse(name).unwrap_err().to_string();
            assert!(error.contains("gpu:N"), "{error}");
        }
    }
}
