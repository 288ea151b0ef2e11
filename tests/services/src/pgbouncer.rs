//! PgBouncer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::postgres::{as_user, is_root, run};
use crate::server::{Server, free_port, on_path};

/// A pooler in front of a database, which gives a client a connection for one transaction only.
pub struct PgBouncer {
    address: String,
    _server: Server,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts it in front of a database, with so many connections to it.
    ///
    /// # Errors
    /// PgBouncer isn't installed, or doesn't start.
    pub fn start(database: &str, connections: u32) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("maoocr-pgbouncer-")
            .tempdir()?;
        let (place, port) = (folder.path().display(), free_port()?);
        let (user, rest) = database
            .strip_prefix("postgres://")
            .and_then(|rest| rest.split_once('@'))
            .context("no address of a database")?;
        let (user, password) = user.split_once(':').context("no password")?;
        let (host, name) = rest.split_once('/').context("no name of a database")?;
        let (host, behind) = host.split_once(':').context("no port")?;
        let statements = match version()? >= (1, 21) {
            true => "max_prepared_statements = 100\n",
            false => "",
        };
        std::fs::write(
            folder.path().join("pgbouncer.ini"),
            format!(
                "[databases]\n{name} = host={host} port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {place}/users\n\
                 pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 200\n\
                 ignore_startup_parameters = extra_float_digits\n{statements}"
            ),
        )?;
        std::fs::write(
            folder.path().join("users"),
            format!("\"{user}\" \"{password}\"\n"),
        )?;
        if is_root() {
            run(&["chown", "-R", "postgres", &place.to_string()])?;
        }
        let command = as_user(&[
            &program()?.display().to_string(),
            &format!("{place}/pgbouncer.ini"),
        ]);
        let ready = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        let server = Server::start(&command, &folder.path().join("log"), ready)?;
        Ok(Self {
            address: format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}"),
            _server: server,
            _folder: folder,
        })
    }

    /// Whether the installed one keeps prepared statements, as it does from version 1.21 on.
    ///
    /// # Errors
    /// It isn't installed.
    pub fn keeps_statements() -> Result<bool> {
        Ok(version()? >= (1, 21))
    }

    /// The database's address through it.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Debian keeps it off an ordinary user's `PATH`.
fn program() -> Result<PathBuf> {
    let debian =
        || Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|p: &PathBuf| Path::is_file(p));
    on_path("pgbouncer")
        .or_else(debian)
        .context("PgBouncer is not installed: apt-get install pgbouncer")
}

fn version() -> Result<(u32, u32)> {
    let output = Command::new(program()?).arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let parse = || {
        let mut numbers = said.split_whitespace().nth(1)?.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    parse().with_context(|| format!("PgBouncer's version in {said:?}"))
}
