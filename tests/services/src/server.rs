//! A program that serves until its keeper is gone.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Starts the program and waits for the end of its own standard input, which comes with the end of the process that
/// holds the other end of the pipe. Then it stops the program.
const KEEPER: &str = r#""$@" </dev/null & read -r _; kill -INT $!; wait $!"#;

/// How long a program may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// A running program.
pub struct Server(Child);

impl Server {
    /// Starts it and waits until `ready`.
    pub fn start(command: &[String], log: &Path, ready: impl Fn() -> bool) -> Result<Self> {
        let output = std::fs::File::create(log)?;
        let child = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", command.join(" ")))?;
        let server = Self(child);
        let start = Instant::now();
        while !ready() {
            if start.elapsed() > READY {
                let mut said = String::new();
                std::fs::File::open(log)?.read_to_string(&mut said)?;
                bail!("`{}` is not ready:\n{said}", command.join(" "));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    /// Stops it and waits until it is gone.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // A keeper that can't be waited for is no longer there.
        let _ = self.0.wait();
    }
}

/// A port nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// A program on `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
