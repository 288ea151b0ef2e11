//! The engine as a service: HTTP, WebSocket, jobs, history.

pub mod cache;
pub mod store;
