use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::cpu::{CpuSession, Isa};
use crate::{RuntimeError, Session};

/// What a model is to run on, as a person names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// A real GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// This project's own CPU executor.
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
    ///
    /// `Auto` takes the CPU for a model that the GPU's executor does not know, and the CPU tract for one that this
    /// project's own executor does not; the others say what they lack.
    pub fn load(&self, onnx: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        match self {
            Self::Auto => match gpu::pick(None).and_then(|adapter| gpu::load(onnx, &adapter)) {
                Ok(session) => Ok(session),
                Err(_) => Self::Cpu.load(onnx),
            },
            Self::Cpu => match CpuSession::load(onnx) {
                Ok(session) => Ok(Arc::new(session)),
                Err(error @ RuntimeError::Unsupported { .. }) => {
                    tract::load(onnx).map_err(|_| error)
                }
                Err(error) => Err(error),
            },
            Self::Tract => tract::load(onnx),
            Self::Gpu(number) => gpu::load(onnx, &gpu::pick(*number)?),
            Self::Flex => gpu::load_flex(onnx),
        }
    }

    /// What this choice comes to on this machine, for people.
    pub fn describe(&self) -> String {
        let cpu = || format!("CPU ({})", Isa::best().name());
        match self {
            Self::Auto => gpu::pick(None).map_or_else(|_| cpu(), |adapter| gpu::describe(&adapter)),
            Self::Cpu => cpu(),
            Self::Tract => tract::describe().to_string(),
            Self::Gpu(number) => {
                gpu::pick(*number).map_or_else(|e| e.to_string(), |adapter| gpu::describe(&adapter))
            }
            Self::Flex => "CPU (burn flex)".into(),
        }
    }
}

#[cfg(feature = "burn")]
mod gpu {
    use super::{Arc, RuntimeError, Session};
    use crate::burn::{Adapter, adapters, load_flex as flex, load_gpu};

    /// The adapter of this number, or the first that is no software.
    pub(super) fn pick(number: Option<usize>) -> Result<Adapter, RuntimeError> {
        let adapters = adapters();
        let found = match number {
            Some(number) => adapters.get(number),
            None => adapters.iter().find(|a| !a.software),
        };
        found.cloned().ok_or_else(|| {
            let wanted = number.map_or("a GPU".into(), |n| format!("GPU {n}"));
            let list = adapters
                .iter()
                .enumerate()
                .map(|(i, a)| format!("gpu:{i} ({})", a.name))
                .collect::<Vec<_>>()
                .join("; ");
            let reason = match (adapters.is_empty(), number) {
                (true, _) => format!("{wanted} was asked for, and there is no adapter"),
                (_, None) => format!(
                    "{wanted} was asked for, and there is only software, taken when named: {list}"
                ),
                (_, Some(_)) => format!("{wanted} was asked for, and there is only: {list}"),
            };
            RuntimeError::Device { reason }
        })
    }

    pub(super) fn load(onnx: &[u8], adapter: &Adapter) -> Result<Arc<dyn Session>, RuntimeError> {
        load_gpu(onnx, adapter)
    }

    pub(super) fn load_flex(onnx: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        Ok(Arc::new(flex(onnx)?))
    }

    pub(super) fn describe(adapter: &Adapter) -> String {
        format!("GPU ({})", adapter.name)
    }
}

#[cfg(not(feature = "burn"))]
mod gpu {
    use super::{Arc, RuntimeError, Session};

    /// There is none to pick.
    pub(super) enum Adapter {}

    fn not_built<T>() -> Result<T, RuntimeError> {
        Err(RuntimeError::Device {
            reason: "GPUs and flex need a build with the feature `burn`".into(),
        })
    }

    pub(super) fn pick(_: Option<usize>) -> Result<Adapter, RuntimeError> {
        not_built()
    }

    pub(super) fn load(_: &[u8], adapter: &Adapter) -> Result<Arc<dyn Session>, RuntimeError> {
        match *adapter {}
    }

    pub(super) fn load_flex(_: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        not_built()
    }

    pub(super) fn describe(adapter: &Adapter) -> String {
        match *adapter {}
    }
}

#[cfg(feature = "tract")]
mod tract {
    use super::{Arc, RuntimeError, Session};
    use crate::tract::TractSession;

    pub(super) fn load(onnx: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        Ok(Arc::new(TractSession::load(onnx)?))
    }

    pub(super) fn describe() -> &'static str {
        "CPU (tract)"
    }
}

#[cfg(not(feature = "tract"))]
mod tract {
    use super::{Arc, RuntimeError, Session};

    pub(super) fn load(_: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        Err(RuntimeError::Device {
            reason: "the CPU's executor needs a build with the feature `tract`".into(),
        })
    }

    pub(super) fn describe() -> &'static str {
        "no CPU executor in this build"
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
