use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::cpu::{CpuSession, DotIsa, Isa};
use crate::{BestPath, RunFuture, RuntimeError, Session, Tensor};

/// What a model is to run on, as a person names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// A real GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// This project's own CPU executor.
    Cpu,
    /// The same with 8-bit weights, where the processor multiplies small integers faster than floats: not quite as
    /// exact.
    CpuInt8,
    /// The GPU with this number, or the first real one. A number may name a software rasteriser too.
    Gpu(Option<usize>),
    /// Burn's portable CPU backend: slow, there to check the GPU's results.
    Flex,
    /// tract: any model, the second opinion.
    Tract,
}

impl Device {
    /// Reads `auto`, `cpu`, `cpu:int8`, `gpu`, `gpu:N`, `flex` or `tract`.
    ///
    /// # Errors
    /// [`RuntimeError::Device`], which lists these, for any other name.
    pub fn parse(name: &str) -> Result<Self, RuntimeError> {
        let unknown = || RuntimeError::Device {
            reason: format!(
                "`{name}` is not one of auto, cpu, cpu:int8, gpu, gpu:N, flex and tract"
            ),
        };
        Ok(match name.trim() {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "cpu:int8" => Self::CpuInt8,
            "gpu" => Self::Gpu(None),
            "flex" => Self::Flex,
            "tract" => Self::Tract,
            other => {
                let number = other.strip_prefix("gpu:").ok_or_else(unknown)?;
                Self::Gpu(Some(number.parse().map_err(|_| unknown())?))
            }
        })
    }

    /// Brings up a GPU where loading can't wait for it: in a browser, where this comes before the first [`load`].
    /// Elsewhere it only says whether there is one. `Auto` takes the CPU where that fails.
    ///
    /// # Errors
    /// [`RuntimeError::Device`] where a GPU was asked for by name and there is none.
    ///
    /// [`load`]: Self::load
    pub async fn start(&self) -> Result<(), RuntimeError> {
        match self {
            Self::Gpu(number) => {
                gpu::start().await?;
                gpu::pick(*number).map(drop)
            }
            Self::Auto => {
                gpu::start().await.ok();
                Ok(())
            }
            Self::Cpu | Self::CpuInt8 | Self::Flex | Self::Tract => Ok(()),
        }
    }

    /// Loads an ONNX model onto this device.
    ///
    /// `Auto` takes the CPU where there is no GPU, and for a model that the GPU can't load; the CPU takes tract, in a
    /// build that has it, for a model that this project's own executor does not know. Such a session says why in
    /// [`Session::fallback`].
    ///
    /// # Errors
    /// [`RuntimeError::Malformed`] where the bytes are no model, [`RuntimeError::Unsupported`] where no executor of this
    /// build knows an operator in it, [`RuntimeError::Device`] where there is no such device.
    pub fn load(&self, onnx: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        match self {
            Self::Auto => match gpu::look() {
                Ok(adapter) => or_else(gpu::load(onnx, &adapter), &gpu::describe(&adapter), || {
                    Self::Cpu.load(onnx)
                }),
                Err(_) => Self::Cpu.load(onnx),
            },
            Self::Cpu | Self::CpuInt8 => {
                let loaded = match self {
                    Self::CpuInt8 => CpuSession::load_int8(onnx),
                    _ => CpuSession::load(onnx),
                };
                match loaded {
                    Ok(session) => Ok(Arc::new(session)),
                    Err(error @ RuntimeError::Unsupported { .. }) => {
                        or_else(Err(error), &self.describe(), || tract::load(onnx))
                    }
                    Err(error) => Err(error),
                }
            }
            Self::Tract => tract::load(onnx),
            Self::Gpu(number) => gpu::load(onnx, &gpu::pick(*number)?),
            Self::Flex => flex::load(onnx),
        }
    }

    /// Whether this choice comes to a GPU on this machine, as far as can be told before a model is loaded.
    pub fn is_gpu(&self) -> bool {
        match self {
            Self::Auto => gpu::look().is_ok(),
            Self::Gpu(_) => true,
            Self::Cpu | Self::CpuInt8 | Self::Flex | Self::Tract => false,
        }
    }

    /// What this choice comes to on this machine, for people.
    pub fn describe(&self) -> String {
        let cpu = || format!("CPU ({})", Isa::best().name());
        match self {
            Self::Auto => gpu::look().map_or_else(|_| cpu(), |adapter| gpu::describe(&adapter)),
            Self::Cpu => cpu(),
            Self::CpuInt8 => match DotIsa::best() {
                Some(dot) => format!("CPU ({}, int8)", dot.name()),
                None => format!("CPU ({}, which has no int8)", Isa::best().name()),
            },
            Self::Tract => tract::describe().to_string(),
            Self::Gpu(number) => {
                gpu::pick(*number).map_or_else(|e| e.to_string(), |adapter| gpu::describe(&adapter))
            }
            Self::Flex => "CPU (burn flex)".into(),
        }
    }
}

/// A session of the device that was tried first, else another one that says why.
fn or_else(
    first: Result<Arc<dyn Session>, RuntimeError>,
    device: &str,
    other: impl FnOnce() -> Result<Arc<dyn Session>, RuntimeError>,
) -> Result<Arc<dyn Session>, RuntimeError> {
    first.or_else(|error| {
        let reason = format!("{device}: {error}");
        match other() {
            Ok(session) => Ok(Arc::new(Fallback { session, reason }) as Arc<dyn Session>),
            Err(second) => Err(both(error, second)),
        }
    })
}

/// Why neither the first nor the second choice loads a model. What the first one does not know is told by its name, as
/// the person may look for it in the model.
fn both(first: RuntimeError, second: RuntimeError) -> RuntimeError {
    match first {
        RuntimeError::Unsupported { node, op, reason } => RuntimeError::Unsupported {
            node,
            op,
            reason: format!("{reason}; {second}"),
        },
        _ => second,
    }
}

/// A session of a device that was not the first choice.
struct Fallback {
    session: Arc<dyn Session>,
    reason: String,
}

impl Session for Fallback {
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
        self.session.run_best(input)
    }

    fn batch(&self) -> usize {
        self.session.batch()
    }

    fn executor(&self) -> String {
        self.session.executor()
    }

    fn fallback(&self) -> Option<&str> {
        Some(&self.reason)
    }
}

#[cfg(feature = "burn")]
mod gpu {
    use super::{Arc, RuntimeError, Session};
    use crate::burn::{Adapter, adapters, load_gpu, possible};

    #[cfg(target_family = "wasm")]
    pub(super) use crate::burn::start;

    /// Adapters are looked for when they are needed.
    #[cfg(not(target_family = "wasm"))]
    pub(super) async fn start() -> Result<(), RuntimeError> {
        Ok(())
    }

    /// A real one, where there is one.
    pub(super) fn look() -> Result<Adapter, RuntimeError> {
        if !possible() {
            return Err(RuntimeError::Device {
                reason: "this machine has no GPU".into(),
            });
        }
        pick(None)
    }

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
            reason:
                "this build has no executor for GPUs; `cargo xtask start --gpu` makes one that has"
                    .into(),
        })
    }

    pub(super) async fn start() -> Result<(), RuntimeError> {
        not_built()
    }

    pub(super) fn look() -> Result<Adapter, RuntimeError> {
        not_built()
    }

    pub(super) fn pick(_: Option<usize>) -> Result<Adapter, RuntimeError> {
        not_built()
    }

    pub(super) fn load(_: &[u8], adapter: &Adapter) -> Result<Arc<dyn Session>, RuntimeError> {
        match *adapter {}
    }

    pub(super) fn describe(adapter: &Adapter) -> String {
        match *adapter {}
    }
}

#[cfg(feature = "flex")]
mod flex {
    use super::{Arc, RuntimeError, Session};

    pub(super) fn load(onnx: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        Ok(Arc::new(crate::burn::load_flex(onnx)?))
    }
}

#[cfg(not(feature = "flex"))]
mod flex {
    use super::{Arc, RuntimeError, Session};

    pub(super) fn load(_: &[u8]) -> Result<Arc<dyn Session>, RuntimeError> {
        Err(RuntimeError::Device {
            reason: "flex needs a build with the feature `flex`".into(),
        })
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
            reason: "tract needs a build with the feature `tract`".into(),
        })
    }

    pub(super) fn describe() -> &'static str {
        "tract, which this build lacks"
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::CpuInt8 => f.write_str("cpu:int8"),
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

    struct Nothing;

    impl Session for Nothing {
        fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
            Box::pin(async move { Ok(input) })
        }

        fn executor(&self) -> String {
            "nothing".into()
        }
    }

    #[test]
    fn a_second_choice_says_why() {
        let session = || -> Result<Arc<dyn Session>, RuntimeError> { Ok(Arc::new(Nothing)) };
        let failed = || RuntimeError::Unsupported {
            node: "n".into(),
            op: "Einsum".into(),
            reason: "not known".into(),
        };
        let first = or_else(session(), "GPU (X)", || Err(failed())).unwrap();
        assert_eq!(first.fallback(), None);
        let second = or_else(Err(failed()), "GPU (X)", session).unwrap();
        let reason = second.fallback().expect("it is the second choice");
        assert!(
            reason.contains("GPU (X)") && reason.contains("Einsum"),
            "{reason}"
        );
        assert_eq!(second.executor(), "nothing");
        let lost = || RuntimeError::Device {
            reason: "tract needs another build".into(),
        };
        let neither = or_else(Err(failed()), "CPU (X)", || Err(lost()))
            .err()
            .unwrap();
        let neither = neither.to_string();
        assert!(neither.contains("Einsum"), "{neither}");
        assert!(neither.contains("another build"), "{neither}");
    }

    #[test]
    fn names_survive_a_round_trip() {
        for name in [
            "auto", "cpu", "cpu:int8", "gpu", "gpu:0", "gpu:12", "flex", "tract",
        ] {
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
