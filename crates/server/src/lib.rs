//! The engine as a service: HTTP, WebSocket, jobs, history.
//!
//! A request goes one way: [`app`] (router and layers) → [`auth`] → a module of [`api`] → [`input`] (its picture) →
//! [`reading`] (plan, cache, history) → [`pool`] (queue and threads) → the engine. [`jobs`] comes in at `reading`.

pub mod api;
pub mod app;
pub mod auth;
pub mod batching;
pub mod cache;
pub mod config;
pub mod drain;
pub mod edge;
pub mod etag;
pub mod fetch;
pub mod files;
pub mod input;
pub mod jobs;
pub mod keys;
pub mod listen;
pub mod metrics;
pub mod models;
pub mod pool;
pub mod problem;
pub mod reading;
pub mod serve;
pub mod store;
pub mod telemetry;

pub use config::Config;
pub use serve::{ServeError, database, serve};
