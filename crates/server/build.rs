//! Keeps builds from asking a database: queries are checked against `.sqlx`, which `cargo xtask sqlx` renews.

use std::env;

/// Set by `cargo xtask sqlx`, which wants the database of `DATABASE_URL` to be asked.
const ASK: &str = "MAOOCR_SQLX_ASK";

fn main() {
    println!("cargo::rerun-if-env-changed={ASK}");
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=.sqlx");
    if env::var_os(ASK).is_none() {
        // An operator who builds may have the server's own DATABASE_URL set.
        println!("cargo::rustc-env=SQLX_OFFLINE=true");
    }
}
