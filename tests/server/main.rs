//! The service as its callers meet it: the real binary over HTTP and WebSocket, with SQLite and again with real
//! PostgreSQL and Redis.

mod api;
mod attacks;
mod bodies;
mod contract;
mod documents;
mod edge;
mod failures;
mod jobs;
mod keys;
mod lines;
mod load;
mod mcp;
mod pages;
mod pdfs;
mod quotas;
mod recovery;
mod stand;
mod telemetry;
mod vision;
mod webhooks;
mod ws;
