//! Where the tests find what they test, and how they run it.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The folder with the sample pictures.
pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// The folder with the models, as `maoocr models pull` leaves it.
pub fn models() -> Result<PathBuf> {
    let path = run(&["models", "path"], &Limits::default())?;
    Ok(PathBuf::from(path.stdout.trim()))
}

/// `maoocr` as built for release: `$MAOOCR_BIN`, else beside this test.
pub fn binary() -> Result<PathBuf> {
    let path = match env::var_os("MAOOCR_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = env::current_exe()?;
            let release = own
                .ancestors()
                .nth(2)
                .context("a test lies in the deps folder of its profile")?;
            release.join(format!("maoocr{}", env::consts::EXE_SUFFIX))
        }
    };
    if !path.is_file() {
        bail!(
            "{} is not there: cargo build --release --package maoocr-cli",
            path.display()
        );
    }
    Ok(path)
}

/// What a run may use before it is ended.
pub struct Limits {
    /// Time from start to end.
    pub time: Duration,
    /// Address space in KiB; only Unix can limit it.
    pub memory: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(600),
            memory: None,
        }
    }
}

/// How a run of `maoocr` ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs `maoocr` to its end; an error when it takes longer than it may.
pub fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S], limits: &Limits) -> Result<Ended> {
    let binary = binary()?;
    let mut command = match limits.memory {
        Some(kib) if cfg!(unix) => {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", "ulimit -v \"$0\" && exec \"$@\""])
                .arg(kib.to_string())
                .arg(binary);
            shell
        }
        _ => Command::new(binary),
    };
    // Files, not pipes: a pipe that nobody empties stops the writer and would look like a hang.
    let folder = tempfile::tempdir()?;
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?)
        .spawn()
        .context("starting maoocr")?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if began.elapsed() > limits.time {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (stdout, stderr) = (text(&out)?, text(&err)?);
    match status {
        Some(status) => Ok(Ended {
            status,
            stdout,
            stderr,
        }),
        None => bail!(
            "still running after {:?}; so far on standard error: {stderr}",
            limits.time
        ),
    }
}
