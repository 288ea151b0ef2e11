//! The engine as a service: HTTP, WebSocket, jobs, history.

pub mod store;
