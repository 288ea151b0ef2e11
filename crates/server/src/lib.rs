//! The engine as a service: HTTP, WebSocket, jobs, history.
//!
//! A request takes one path: [`app`] (router and layers) → [`auth`] → a module of [`api`] → [`input`] (its picture) →
//! [`reading`] (plan, cache, history) → [`pool`] (queue and threads) → the engine. [`jobs`] join at `reading`.

pub mod activity;
pub mod api;
pub mod app;
pub mod auth;
pub mod batching;
pub mod body;
pub mod cache;
pub mod callers;
pub mod config;
pub mod docs;
pub mod document;
pub mod drain;
pub mod edge;
pub mod etag;
pub mod export;
pub mod fetch;
pub mod files;
pub mod fitness;
pub mod followers;
pub mod foreign;
pub mod input;
pub mod jobs;
pub mod json;
pub mod kept;
pub mod keys;
pub mod lines;
pub mod listen;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod metrics;
pub mod models;
pub mod multipart;
pub mod network;
pub mod opened;
pub mod outside;
pub mod pictures;
pub mod pool;
pub mod problem;
pub mod reading;
pub mod refused;
pub mod retention;
pub mod searchable;
pub mod serve;
pub mod split;
pub mod stop;
pub mod store;
pub mod telemetry;
pub mod usual;
pub mod vision;
pub mod webhook_secret;
pub mod webhooks;
pub mod wishes;

pub use config::Config;
pub use serve::{ServeError, database, serve};
