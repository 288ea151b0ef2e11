//! What the server's queries are checked against when it is built: `crates/server/.sqlx`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maoocr_services::Postgres;

use crate::command::{cargo, command};
use crate::machine::{self, Purpose};

/// Applies SQL to a new SQLite file. Python is there for the tests anyway, and brings SQLite.
const APPLY: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
for path in sys.argv[2:]:
    database.executescript(open(path, encoding='utf-8').read())
";

/// Asks real databases about every query, and notes what they answer.
pub fn prepare() -> Result<()> {
    machine::prepare(Purpose::Test)?;
    let server = crate::root()?.join("crates/server");
    let folder = tempfile::tempdir()?;
    let answers = folder.path().join("answers");
    fs::create_dir(&answers)?;

    let file = folder.path().join("sqlite.db");
    command("python3")
        .args(["-c", APPLY])
        .arg(&file)
        .args(migrations(&server.join("migrations/sqlite"))?)
        .run()?;
    ask("sqlite", &format!("sqlite:{}", file.display()), &answers)?;

    let postgres = Postgres::start()?;
    let address = postgres.database()?;
    for migration in migrations(&server.join("migrations/postgres"))? {
        postgres.execute(&address, &migration)?;
    }
    ask("postgres", &address, &answers)?;

    let kept = server.join(".sqlx");
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir(&kept)?;
    let mut queries = 0;
    for answer in fs::read_dir(&answers)? {
        let answer = answer?;
        fs::copy(answer.path(), kept.join(answer.file_name()))?;
        queries += 1;
    }
    println!("{}: {queries} queries", kept.display());
    Ok(())
}

/// Compiles the server with one database, whose address the queries' macros are given.
fn ask(database: &str, address: &str, answers: &Path) -> Result<()> {
    cargo(&[
        "check",
        "--release",
        "--locked",
        "--package",
        "maoocr-server",
    ])
    .args(["--lib", "--no-default-features", "--features", database])
    .env("MAOOCR_SQLX_ASK", stamp()?)
    .env("DATABASE_URL", address)
    .env("SQLX_OFFLINE", "false")
    .env("SQLX_OFFLINE_DIR", answers)
    .run()
}

/// Never the same twice: cargo compiles again, though no file has changed.
fn stamp() -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!("{}-{}", std::process::id(), now.as_nanos()))
}

fn migrations(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = files
        .map(|file| Ok(file?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
