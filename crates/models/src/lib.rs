//! From `models/manifest.toml` to verified model files.
//!
//! [`manifest`] describes the models and holds nothing but data, so it is there on every platform. Fetching and
//! keeping the files needs the feature `pull` (on by default).

pub mod manifest;

pub use manifest::Manifest;
