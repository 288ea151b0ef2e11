//! Real PostgreSQL, PgBouncer and Redis for tests: private ones in a temporary folder, on a port of their own, gone with the
//! value that stands for them, and with the process, however it ends.

mod pgbouncer;
mod postgres;
mod redis;
mod server;

pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use redis::Redis;
