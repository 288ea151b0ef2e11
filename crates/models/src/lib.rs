//! From `models/manifest.toml` to verified model files.
//!
//! [`manifest`] describes the models and holds nothing but data, so it is there on every platform. Fetching and
//! keeping the files needs the feature `pull` (on by default):
//!
//! ```no_run
//! # #[cfg(feature = "pull")]
//! # fn main() -> Result<(), maoocr_models::Error> {
//! use maoocr_models::{Options, Store, default_dir};
//!
//! let store = Store::open(default_dir()?)?;
//! store.pull(&["ppocrv6-tiny-det", "ppocrv6-tiny-rec"], &mut (), &Options::default())?;
//! let onnx = store.read("ppocrv6-tiny-det")?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "pull"))]
//! # fn main() {}
//! ```

#[cfg(feature = "pull")]
mod error;
#[cfg(feature = "pull")]
mod http;
pub mod manifest;
#[cfg(feature = "pull")]
mod part;
#[cfg(feature = "pull")]
mod pull;
#[cfg(feature = "pull")]
mod store;
#[cfg(feature = "pull")]
mod wheel;

#[cfg(feature = "pull")]
pub use error::{Error, Failure};
pub use manifest::Manifest;
#[cfg(feature = "pull")]
pub use pull::{Options, Progress};
#[cfg(feature = "pull")]
pub use store::{Store, default_dir};
