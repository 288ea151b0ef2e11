//! Runs a graph with Burn's tensor primitives, on a GPU (wgpu, WGSL) or, with the feature `flex`, on Burn's CPU backend
//! of that name.

mod cube;
#[cfg(feature = "flex")]
mod flex;
mod fuse;
mod kernels;
mod session;
mod step;
mod wgpu;

use std::sync::Arc;

use crate::{RuntimeError, Session};

#[cfg(target_family = "wasm")]
pub use self::wgpu::start;
pub use self::wgpu::{Adapter, adapters, possible};
pub use session::BurnSession;

/// Loads a model onto Burn's CPU backend.
#[cfg(feature = "flex")]
pub fn load_flex(onnx: &[u8]) -> Result<BurnSession<burn_flex::Flex>, RuntimeError> {
    BurnSession::load(onnx, burn_flex::FlexDevice, "burn flex".into())
}

/// Loads a model onto a GPU of [`adapters`].
pub fn load_gpu(onnx: &[u8], adapter: &Adapter) -> Result<Arc<dyn Session>, RuntimeError> {
    Ok(Arc::new(wgpu::load(onnx, adapter)?))
}
