//! Servers to test against.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use maoocr_services::{Postgres, Redis};
use maoocr_tests::{binary, samples};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where servers keep what they must keep.
pub struct Stand {
    folder: TempDir,
    pub postgres: Option<Postgres>,
    pub redis: Option<Redis>,
    database: Option<String>,
}

impl Stand {
    /// A folder of its own, and SQLite in it.
    pub fn sqlite() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            postgres: None,
            redis: None,
            database: None,
        }
    }

    /// PostgreSQL and Redis of its own.
    pub fn postgres() -> Self {
        let postgres = Postgres::start().unwrap();
        let database = postgres.database().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            redis: Some(Redis::start().unwrap()),
            database: Some(database),
            postgres: Some(postgres),
        }
    }

    /// One of each, for tests that must hold on both.
    pub fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres()]
    }

    /// Its folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What a statement gives in its PostgreSQL.
    pub fn query(&self, statement: &str) -> String {
        let (postgres, address) = (self.postgres.as_ref().unwrap(), self.database.as_ref());
        postgres.query(address.unwrap(), statement).unwrap()
    }

    /// Transactions that its PostgreSQL has ended in this database.
    pub fn transactions(&self) -> u64 {
        // A backend reports what it did a second later at most.
        std::thread::sleep(Duration::from_millis(1100));
        let count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        self.query(count).parse().unwrap()
    }

    /// Whether its PostgreSQL has this word in any answer, of the history or of a job.
    pub fn holds(&self, word: &str) -> bool {
        let found = self.query(&format!(
            "SELECT (SELECT count(*) FROM items WHERE result LIKE '%{word}%')
                 + (SELECT count(*) FROM pages WHERE result LIKE '%{word}%')
                 + (SELECT count(*) FROM entries WHERE document || words LIKE '%{word}%')"
        ));
        found != "0"
    }

    /// Whether its Redis has an answer.
    pub fn redis_holds_answers(&self) -> bool {
        let keys = self
            .redis
            .as_ref()
            .unwrap()
            .command(&["KEYS", "maoocr:answer:*"]);
        keys.unwrap() != "*0\r\n"
    }

    /// `maoocr` with this stand's places.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary().unwrap());
        command.env("MAOOCR_DATA", self.folder.path().join("data"));
        if let Some(database) = &self.database {
            command.env("DATABASE_URL", database);
        }
        if let Some(redis) = &self.redis {
            command.env("REDIS_URL", redis.address());
        }
        command
    }

    /// A server that is ready.
    pub async fn server(&self, options: &[&str]) -> Server {
        let server = self.cold_server(options).unwrap();
        server.ready().await.unwrap();
        server
    }

    /// A server that has begun to listen.
    pub fn cold_server(&self, options: &[&str]) -> Result<Server> {
        self.server_at("127.0.0.1:0", options)
    }

    /// A server that has begun to listen at this address.
    pub fn server_at(&self, address: &str, options: &[&str]) -> Result<Server> {
        let mut command = self.command();
        command
            .args(["serve", "--listen", address, "--offline", "--device", "cpu"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Server::start(command)
    }
}

/// A running server, killed when dropped.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub base: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    pub client: Client,
}

impl Server {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.spawn().context("starting maoocr serve")?;
        let stderr = child.stderr.take().context("its log")?;
        let mut lines = BufReader::new(stderr).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let base = loop {
            let Some(Ok(line)) = lines.next() else {
                child.wait()?;
                bail!("maoocr serve ended:\n{}", log.lock().unwrap());
            };
            let place = line.split("listening on ").nth(1);
            let place = place.and_then(|l| l.split(',').next()).map(String::from);
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
            if let Some(place) = place {
                break place;
            }
        };
        let rest = log.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = rest.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        // One provider for every TLS client of this process; the first call has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            child,
            base,
            log,
            reader: Some(reader),
            client: Client::builder().timeout(PATIENCE).no_proxy().build()?,
        })
    }

    /// Waits until it can take work.
    pub async fn ready(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(response) = self.get("/ready").send().await
                && response.status() == 200
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        bail!("it is not ready:\n{}", self.log())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.base.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    /// What is answered to a `GET`, which must be JSON.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(format!("{}{path}", self.base))
    }

    /// Sends a picture as a form.
    pub async fn recognize(&self, picture: Vec<u8>) -> Response {
        let form = Form::new().part("image", Part::bytes(picture).file_name("picture"));
        let request = self.post("/api/ocr/recognize").multipart(form);
        request.send().await.unwrap()
    }

    /// The value of a counter, over all its labels or those with this text in them.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.get("/metrics").send().await.unwrap();
        let text = text.text().await.unwrap();
        let lines = text.lines().filter(|l| {
            l.starts_with(name) && l[name.len()..].starts_with(['{', ' ']) && l.contains(label)
        });
        lines
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "log of {}:\n{}", self.base, self.log());
        }
    }
}

/// A sample picture's bytes.
pub fn sample(name: &str) -> Vec<u8> {
    std::fs::read(samples().join(name)).unwrap()
}

/// A status and a problem's code.
pub async fn problem(response: Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").cloned();
    let text = response.text().await.unwrap();
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    assert_eq!(
        kind.as_ref().and_then(|k| k.to_str().ok()),
        Some("application/problem+json"),
        "{status} {text}"
    );
    assert_eq!(value["status"], status, "{text}");
    let code = value["code"].as_str().unwrap_or("").to_string();
    assert!(!value["detail"].as_str().unwrap_or("").is_empty(), "{text}");
    (status, code, value)
}

/// A page as large as a photo of a small text, distinct for each number, so that no cache knows it.
pub fn numbered(number: u32) -> Vec<u8> {
    let picture = image::load_from_memory(&sample("photo.png")).unwrap();
    let mut picture = picture.to_rgb8();
    let [a, b, c, _] = number.to_le_bytes();
    picture.put_pixel(0, 0, image::Rgb([a, b, c]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}
