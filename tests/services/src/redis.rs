//! Redis.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::server::{Server, free_port, on_path};

/// An empty server that keeps everything in memory: after a restart it is empty again.
pub struct Redis {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Redis {
    /// Starts it.
    ///
    /// # Errors
    /// Redis isn't installed, or doesn't start.
    pub fn start() -> Result<Self> {
        let program = on_path("redis-server")
            .context("Redis is not installed: apt-get install redis-server")?;
        let mut redis = Self {
            program,
            folder: tempfile::Builder::new().prefix("maoocr-redis-").tempdir()?,
            port: free_port()?,
            server: None,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends one command without spaces in its words and returns what it answers, as the protocol has it.
    ///
    /// # Errors
    /// Redis doesn't answer.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("{}\r\n", words.join(" ")).as_bytes())?;
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again on the same port, and stops it before where it runs.
    ///
    /// # Errors
    /// It doesn't start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let command = [
            &self.program.display().to_string(),
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &self.folder.path().display().to_string(),
        ]
        .map(String::from);
        let ready = || {
            self.command(&["PING"])
                .is_ok_and(|answer| answer == "+PONG\r\n")
        };
        let log = self.folder.path().join("log");
        self.server = Some(Server::start(&command, &log, ready)?);
        Ok(())
    }
}
