//! Runs the ONNX models of an OCR pipeline.
//!
//! A model is loaded once into a [`Session`] and then shared: sessions are `Send + Sync` and take any input
//! shape that the model allows. What executes it (Burn on a GPU, this project's own CPU kernels, tract) is
//! chosen with the device and hidden behind the trait.

#[cfg(feature = "burn")]
pub mod burn;
pub mod cpu;
mod device;
mod error;
pub mod graph;
pub mod launches;
pub mod onnx;
pub mod rewrite;
mod session;
pub mod specialise;
mod tensor;
#[cfg(feature = "tract")]
pub mod tract;

pub use device::Device;
pub use error::RuntimeError;
pub use session::{BestPath, RunFuture, Session};
pub use tensor::{Layout, Tensor};
