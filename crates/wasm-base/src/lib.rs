//! What the WebAssembly modules share. It exports nothing to JavaScript itself.
//!
//! [`fence`] makes faults of a module errors of the call they happened in; [`value`] takes and gives what crosses,
//! [`lines`] has another thread read.

mod fault;
pub mod fence;
pub mod lines;
pub mod value;

pub use fault::{Fault, coded, set};
