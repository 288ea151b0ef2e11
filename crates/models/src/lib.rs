//! From `models/manifest.toml` to verified model files.
//!
//! [`manifest`] describes the models. It is plain data and works on every platform, WebAssembly included:
//!
//! ```
//! use maoocr_models::Manifest;
//! use maoocr_models::manifest::{Task, Tier};
//!
//! let manifest = Manifest::built_in();
//! let japanese: Vec<&str> = manifest
//!     .models
//!     .iter()
//!     .filter(|m| m.task == Task::Recognition && m.languages.iter().any(|l| l == "ja"))
//!     .map(|m| m.name.as_str())
//!     .collect();
//! assert!(japanese.contains(&"ppocrv6-small-rec"));
//! let tiny = manifest.get("ppocrv6-tiny-det").expect("the manifest has the tiny detector");
//! assert_eq!(tiny.tier, Some(Tier::Tiny));
//! ```
//!
//! Fetching and storing the files needs the feature `pull` (on by default):
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
#[cfg(feature = "pull")]
mod index;
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
