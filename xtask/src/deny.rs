//! Licences, sources and known vulnerabilities of the dependencies, through cargo-deny.

use anyhow::Result;

use crate::command::command;
use crate::python;

/// Licences, bans and sources always; advisories when their database can be had.
pub fn check() -> Result<()> {
    let deny = python::CHECK.program("cargo-deny")?;
    let checked = |what: &[&str]| {
        command(&deny)
            .args([
                "--all-features",
                "--locked",
                "check",
                "--hide-inclusion-graph",
            ])
            .args(what)
    };
    checked(&["licenses", "bans", "sources"]).run()?;
    if command(&deny).args(["fetch", "db"]).succeeds() {
        checked(&["--disable-fetch", "advisories"]).run()
    } else {
        eprintln!(
            "xtask: the advisory database can't be reached: known vulnerabilities were NOT looked for"
        );
        Ok(())
    }
}
