//! Runs the ONNX models of an OCR pipeline.
//!
//! A model is loaded once into a [`Session`] and then shared: sessions are `Send + Sync` and take any input
//! shape that the model allows. What executes it (Burn on a GPU, this project's own CPU kernels, tract) is
//! chosen with the device and hidden behind the trait.
//!
//! ```
//! use maoocr_runtime::{Device, RuntimeError, Tensor};
//!
//! # fn main() -> Result<(), RuntimeError> {
//! // Sobel's filter for what rises to the right, as an ONNX file.
//! let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sobel.onnx"));
//! let session = Device::Cpu.load(file)?;
//! // A picture of one row, `[N, C, H, W]`.
//! let picture = Tensor::new([1, 1, 1, 4], vec![0.0, 0.0, 1.0, 1.0])?;
//! let rising = pollster::block_on(session.run(picture))?;
//! assert_eq!(rising.shape(), [1, 1, 1, 4]);
//! assert_eq!(rising.data(), [0.0, 0.25, 0.25, 0.0]);
//! # Ok(())
//! # }
//! ```
//!
//! A model's way: [`onnx`] reads the file into a [`graph`], [`rewrite`] shortens it, [`specialise`] fixes the shapes for
//! one input, and an executor compiles that into its own steps, which it keeps for the next input of the same shape.

#[cfg(feature = "burn")]
pub mod burn;
pub mod cpu;
mod device;
mod error;
pub mod graph;
pub mod launches;
pub mod onnx;
mod programs;
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
