//! PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::server::{Server, free_port, on_path};

/// The user who owns everything.
const USER: &str = "maoocr";
/// And the password, so that tests may look for it where it must not be.
const PASSWORD: &str = "hunter2-in-tests";

/// A server with nothing in it. It makes a database without a locale: what works there works everywhere.
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    server: Option<Server>,
    databases: AtomicU32,
}

impl Postgres {
    /// Makes and starts it.
    ///
    /// # Errors
    /// PostgreSQL isn't installed, or doesn't start.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("maoocr-pg-").tempdir()?;
        let mut postgres = Self {
            programs: programs()?,
            folder,
            port: free_port()?,
            server: None,
            databases: AtomicU32::new(0),
        };
        postgres.initialise()?;
        postgres.restart()?;
        Ok(postgres)
    }

    /// The password in [`Self::database`]'s address.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The address of a new database.
    ///
    /// # Errors
    /// The server doesn't make it.
    pub fn database(&self) -> Result<String> {
        self.database_with(&[])
    }

    /// The address of a new database, made with these arguments of `createdb`.
    ///
    /// # Errors
    /// The server doesn't make it.
    pub fn database_with(&self, arguments: &[&str]) -> Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let status = Command::new(self.programs.join("createdb"))
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--username", USER, "--no-password"])
            .args(arguments)
            .arg(&name)
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .status()
            .context("createdb")?;
        if !status.success() {
            bail!("createdb: {status}");
        }
        Ok(format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{name}",
            self.port
        ))
    }

    /// Executes a file of SQL in a database.
    ///
    /// # Errors
    /// A statement fails.
    pub fn execute(&self, address: &str, file: &Path) -> Result<()> {
        let status = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"])
            .arg("--file")
            .arg(file)
            .arg(address)
            .stdin(Stdio::null())
            .status()
            .context("psql")?;
        if !status.success() {
            bail!("psql on {}: {status}", file.display());
        }
        Ok(())
    }

    /// What a statement gives in a database: rows as lines, columns between bars.
    ///
    /// # Errors
    /// The statement fails.
    pub fn query(&self, address: &str, statement: &str) -> Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--command", statement])
            .arg(address)
            .stdin(Stdio::null())
            .output()
            .context("psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    /// What it has logged.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Stops it; what it stored stays.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again on the same port, and stops it before where it runs.
    ///
    /// # Errors
    /// It doesn't start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let (port, folder) = (self.port.to_string(), self.folder.path().display());
        let command = as_user(&[
            &self.programs.join("postgres").display().to_string(),
            "-D",
            &format!("{folder}/data"),
            "-p",
            &port,
            "-h",
            "127.0.0.1",
            "-k",
            &folder.to_string(),
            // Tests don't lose power.
            "-F",
            "-c",
            "max_connections=200",
        ]);
        let ready = || {
            Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()
                .is_ok_and(|status| status.success())
        };
        let log = self.folder.path().join("log");
        self.server = Some(Server::start(&command, &log, ready)?);
        Ok(())
    }

    fn initialise(&self) -> Result<()> {
        let folder = self.folder.path();
        let secret = folder.join("password");
        std::fs::write(&secret, PASSWORD)?;
        if is_root() {
            run(&["chown", "-R", "postgres", &folder.display().to_string()])?;
        }
        let command = as_user(&[
            &self.programs.join("initdb").display().to_string(),
            "--pgdata",
            &folder.join("data").display().to_string(),
            "--username",
            USER,
            "--pwfile",
            &secret.display().to_string(),
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        run(&command.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A command as a user who may run it: neither PostgreSQL nor PgBouncer runs as root.
pub fn as_user(command: &[&str]) -> Vec<String> {
    let before: &[&str] = if is_root() {
        &[
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ]
    } else {
        &[]
    };
    [before, command]
        .concat()
        .into_iter()
        .map(String::from)
        .collect()
}

/// Where PostgreSQL's programs are: Debian keeps them off `PATH`, by version; elsewhere they are on it.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let debian = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    let mut folders: Vec<PathBuf> = debian.collect();
    folders.sort();
    folders.reverse();
    folders.extend(on_path("postgres").and_then(|p| p.parent().map(Path::to_path_buf)));
    let complete = |folder: &PathBuf| {
        let mut programs = ["postgres", "initdb", "pg_isready", "createdb", "psql"].iter();
        programs.all(|program| folder.join(program).is_file())
    };
    folders
        .into_iter()
        .find(complete)
        .context("PostgreSQL is not installed: apt-get install postgresql")
}

pub fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}

pub fn run(command: &[&str]) -> Result<()> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", command[0]))?;
    if !output.status.success() {
        bail!(
            "`{}`: {}\n{}",
            command.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
