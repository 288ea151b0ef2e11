//! The OCR pipeline: from the bytes of a picture to its text.
//!
//! Each stage is a module with plain functions over plain structs, in the order data flows:
//! [`imaging`] → [`detect`] → [`crop`] → [`orient`] → [`recognise`] → [`document`]. [`pipeline`] strings them
//! together as a [`plan::Plan`] says. Nothing here needs a thread, a file or the network.

pub mod answer;
pub mod crop;
pub mod detect;
pub mod document;
pub mod export;
pub mod geometry;
pub mod imaging;
pub mod layer;
mod load;
mod normalise;
pub mod orient;
pub mod page;
pub mod pipeline;
pub mod plan;
pub mod reading;
pub mod recognise;
mod scale;
pub mod structure;
mod table;
mod veil;
pub mod vertical;
