//! MaoOCR near its users: a Cloudflare Worker that reads light pictures and small PDFs itself and passes the
//! rest to servers.
//!
//! What decides is plain functions, tested on any machine; `host` holds what talks to the runtime.

pub mod caller;
pub mod config;
pub mod cors;
pub mod intake;
pub mod job;
pub mod ledger;
pub mod origins;
pub mod place;
pub mod problem;
pub mod quota;
pub mod route;
pub mod wishes;

#[cfg(target_arch = "wasm32")]
mod host;
