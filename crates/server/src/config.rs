//! All settings in one place: options of `maoocr serve`, or the environment variables beside them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use maoocr_engine::imaging::Limits;

use crate::network::Network;
use crate::store::CONNECTIONS;
use crate::vision::VisionConfig;
use crate::webhook_secret::Secret;

/// Options of the server.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address and port to listen on. By default, only this machine can connect.
    #[arg(long, env = "MAOOCR_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Folder of the database [default: the user's data folder].
    #[arg(long, env = "MAOOCR_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep jobs, history and keys in PostgreSQL (postgres://…) or another SQLite file (sqlite:PATH).
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Connections to PostgreSQL.
    #[arg(long, env = "MAOOCR_DATABASE_CONNECTIONS", value_name = "N", default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_connections: u32,
    /// Share the result cache and rate limits through Redis (redis://…).
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// Device that runs the models: auto, cpu, cpu:int8, gpu, gpu:N, flex, tract.
    #[arg(long, env = "MAOOCR_DEVICE", default_value = "auto")]
    pub device: String,
    /// Folder of the models [default: MAOOCR_MODELS, else the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Never fetch models; fail if they are missing.
    #[arg(long, env = "MAOOCR_OFFLINE", value_parser = BoolishValueParser::new())]
    pub offline: bool,
    /// Memory for loaded models, measured by file size, MiB. Beyond it, the least recently used are unloaded.
    #[arg(
        long,
        env = "MAOOCR_MODEL_MEMORY",
        value_name = "MIB",
        default_value_t = 512
    )]
    pub model_memory: u64,
    /// Pictures read at the same time [default: one per core; 4 on a GPU].
    #[arg(long, env = "MAOOCR_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// CPU threads per picture.
    #[arg(long, env = "MAOOCR_THREADS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// Pictures that may wait for a worker; more are rejected [default: 8 per worker].
    #[arg(long, env = "MAOOCR_QUEUE", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub queue: Option<u16>,
    /// Seconds a request may take with all its pages, from its last byte to its answer. Callers can shorten it with the header
    /// `x-maoocr-deadline-ms`.
    #[arg(long, env = "MAOOCR_DEADLINE", value_name = "S", default_value = "30", value_parser = seconds)]
    pub deadline: Duration,
    /// Seconds a picture of a job, or a page of its PDFs, may take.
    #[arg(long, env = "MAOOCR_JOB_DEADLINE", value_name = "S", default_value = "300", value_parser = seconds)]
    pub job_deadline: Duration,
    /// Seconds without a sign of life from a replica before others take over its pictures.
    #[arg(long, env = "MAOOCR_LEASE", value_name = "S", default_value = "30", value_parser = seconds)]
    pub lease: Duration,

    /// A vision model that another server runs.
    #[command(flatten)]
    pub vision: VisionConfig,

    /// Largest picture file, MiB.
    #[arg(long, env = "MAOOCR_MAX_FILE", value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub max_file: u64,
    /// Largest page, millions of pixels.
    #[arg(long, env = "MAOOCR_MAX_MEGAPIXELS", value_name = "MP", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub max_megapixels: u64,
    /// Maximum number of pages per file.
    #[arg(long, env = "MAOOCR_MAX_PAGES", value_name = "N", default_value_t = 50)]
    pub max_pages: u16,
    /// Maximum number of pages that a request reads while its caller waits; a longer file becomes a job if the caller
    /// may create jobs.
    #[arg(
        long,
        env = "MAOOCR_MAX_PAGES_AT_ONCE",
        value_name = "N",
        default_value_t = 20
    )]
    pub max_pages_at_once: u16,
    /// Memory to decode one picture, MiB.
    #[arg(
        long,
        env = "MAOOCR_MAX_DECODE",
        value_name = "MIB",
        default_value_t = 512
    )]
    pub max_decode: u64,
    /// Maximum number of pictures per job.
    #[arg(
        long,
        env = "MAOOCR_MAX_BATCH",
        value_name = "N",
        default_value_t = 1000
    )]
    pub max_batch: u32,
    /// Largest request that creates a job, MiB.
    #[arg(
        long,
        env = "MAOOCR_MAX_BATCH_SIZE",
        value_name = "MIB",
        default_value_t = 1024
    )]
    pub max_batch_size: u64,
    /// Memory for pictures that are arriving or waiting, MiB; more are rejected.
    #[arg(long, env = "MAOOCR_UPLOAD_MEMORY", value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub upload_memory: u64,
    /// Seconds a picture may take to arrive.
    #[arg(long, env = "MAOOCR_UPLOAD_TIMEOUT", value_name = "S", default_value = "60", value_parser = seconds)]
    pub upload_timeout: Duration,
    /// Seconds the request of a job may take to arrive.
    #[arg(long, env = "MAOOCR_BATCH_UPLOAD_TIMEOUT", value_name = "S", default_value = "1800", value_parser = seconds)]
    pub batch_upload_timeout: Duration,
    /// Slowest upload, KiB per second; a slower one is aborted, after ten seconds at the earliest.
    #[arg(long, env = "MAOOCR_UPLOAD_RATE", value_name = "KIB", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub upload_rate: u64,
    /// Simultaneous connections; more wait to be accepted.
    #[arg(
        long,
        env = "MAOOCR_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 1024
    )]
    pub max_connections: u32,
    /// Simultaneous connections per address; trusted proxies are exempt [default: a quarter of all; all while open to
    /// this machine only].
    #[arg(long, env = "MAOOCR_MAX_CONNECTIONS_BY_ADDRESS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections_by_address: Option<u32>,
    /// Seconds a connection may stay open without a request, or while the client reads nothing of its answers.
    #[arg(long, env = "MAOOCR_IDLE_TIMEOUT", value_name = "S", default_value = "75", value_parser = seconds)]
    pub idle_timeout: Duration,
    /// Seconds a client may go without reading anything of what is sent to it.
    #[arg(long, env = "MAOOCR_WRITE_TIMEOUT", value_name = "S", default_value = "30", value_parser = seconds)]
    pub write_timeout: Duration,
    /// Simultaneous requests with pictures per caller [default: half of what may be read or wait, at least 4; no limit
    /// where there is no rate].
    #[arg(long, env = "MAOOCR_MAX_REQUESTS_BY_CALLER", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests_by_caller: Option<u32>,
    /// Simultaneous WebSockets per caller [default: a quarter of all; no limit where there is no rate].
    #[arg(long, env = "MAOOCR_MAX_WEBSOCKETS_BY_CALLER", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_websockets_by_caller: Option<u32>,
    /// Waiting pages in jobs per caller. A file counts as one page until it has been opened.
    #[arg(long, env = "MAOOCR_MAX_WAITING", value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_waiting: u64,
    /// Total size of the pictures in a caller's unfinished jobs, MiB.
    #[arg(long, env = "MAOOCR_MAX_WAITING_SIZE", value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub max_waiting_size: u64,
    /// Simultaneous WebSockets.
    #[arg(
        long,
        env = "MAOOCR_MAX_WEBSOCKETS",
        value_name = "N",
        default_value_t = 64
    )]
    pub max_websockets: u32,

    /// Who may call: holders of a key (`maoocr keys create`), or anyone who can reach the server [default: open on a
    /// loopback address, keys on any other].
    #[arg(long, env = "MAOOCR_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// Keys with every scope, in addition to those in the database: at least 24 characters each, separated by commas.
    #[arg(
        long,
        env = "MAOOCR_API_KEYS",
        value_name = "KEY,…",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub api_keys: Vec<String>,
    /// Answer only requests that an edge function signed with one of these secrets: at least 32 characters each,
    /// separated by commas (two during a rotation). The edge then checks the keys.
    #[arg(
        long = "edge-secret",
        env = "MAOOCR_EDGE_SECRET",
        value_name = "SECRET,…",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub edge_secrets: Vec<String>,
    /// Address by which the edge knows this server: the `url` of its entry in ORIGINS. Signatures for other servers are
    /// rejected [default: whatever a request's `Host` says].
    #[arg(
        long = "edge-origin",
        env = "MAOOCR_EDGE_ORIGIN",
        value_name = "URL,…",
        value_delimiter = ','
    )]
    pub edge_origins: Vec<String>,
    /// Requests per minute and key, or per address if no keys are required; 0: no limit [default: no limit on a loopback
    /// address without keys, else 120].
    #[arg(long, env = "MAOOCR_RATE", value_name = "N")]
    pub rate: Option<u32>,
    /// Address at which callers reach this server, for links in its answers, such as https://ocr.example [default: taken
    /// from the request].
    #[arg(long, env = "MAOOCR_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Pictures of jobs per minute and key, likewise; one job may exceed it, after which the next one waits [default: ten
    /// times the rate].
    #[arg(long, env = "MAOOCR_JOB_RATE", value_name = "N")]
    pub job_rate: Option<u32>,
    /// Host names, besides localhost, that a server without keys answers to. Rejecting all others keeps web pages from
    /// reaching it under a name of their own. On a non-loopback address, names are checked only if some are given.
    #[arg(
        long,
        env = "MAOOCR_ALLOWED_HOSTS",
        value_name = "HOST,…",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call; `*`: any [default: only the server's own].
    #[arg(
        long,
        env = "MAOOCR_CORS",
        value_name = "ORIGIN,…",
        value_delimiter = ','
    )]
    pub cors: Vec<String>,
    /// Networks of proxies whose `x-forwarded-for` is trusted, as ADDRESS/BITS.
    #[arg(
        long,
        env = "MAOOCR_TRUSTED_PROXIES",
        value_name = "NET,…",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<Network>,

    /// Hosts from which `image_url` may be fetched [default: none, the field is rejected].
    #[arg(
        long,
        env = "MAOOCR_URL_HOSTS",
        value_name = "HOST,…",
        value_delimiter = ','
    )]
    pub url_hosts: Vec<String>,
    /// Hosts that a job's `webhook` may name, to be notified when it finishes [default: none, the field is rejected].
    #[arg(
        long,
        env = "MAOOCR_WEBHOOK_HOSTS",
        value_name = "HOST,…",
        value_delimiter = ','
    )]
    pub webhook_hosts: Vec<String>,
    /// Networks, in addition to public addresses, in which those hosts may be, as ADDRESS/BITS.
    #[arg(
        long,
        env = "MAOOCR_WEBHOOK_NETWORKS",
        value_name = "NET,…",
        value_delimiter = ','
    )]
    pub webhook_networks: Vec<Network>,
    /// Secret for signing webhooks, in the format of Standard Webhooks: whsec_ and base64 of 24 to 64 bytes. Two,
    /// separated by a comma, during a rotation.
    #[arg(
        long = "webhook-secret",
        env = "MAOOCR_WEBHOOK_SECRET",
        value_name = "SECRET,…",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub webhook_secrets: Vec<String>,
    /// Folder that `image_path` is relative to [default: none, the field is rejected].
    #[arg(long, env = "MAOOCR_FILE_ROOT", value_name = "DIR")]
    pub file_root: Option<PathBuf>,
    /// Other names of that folder on the callers' side: absolute paths below one of them are paths below the folder
    /// [default: only its own path].
    #[arg(
        long,
        env = "MAOOCR_FILE_ROOT_NAMES",
        value_name = "PATH,…",
        value_delimiter = ','
    )]
    pub file_root_names: Vec<String>,

    /// Keep a history of answers.
    #[arg(long, env = "MAOOCR_HISTORY", value_enum, default_value = "on")]
    pub history: Switch,
    /// Keep the pictures in the history, too.
    #[arg(long, env = "MAOOCR_KEEP_ORIGINALS", value_parser = BoolishValueParser::new())]
    pub keep_originals: bool,
    /// Days until answers are deleted from the history; 0: never.
    #[arg(
        long,
        env = "MAOOCR_KEEP_HISTORY",
        value_name = "DAYS",
        default_value_t = 30
    )]
    pub keep_history: u32,
    /// Days until finished jobs are deleted; 0: never.
    #[arg(
        long,
        env = "MAOOCR_KEEP_JOBS",
        value_name = "DAYS",
        default_value_t = 7
    )]
    pub keep_jobs: u32,
    /// Hours until files that callers upload (`/v1/files`) or request are deleted.
    #[arg(long, env = "MAOOCR_KEEP_FILES", value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=8760))]
    pub keep_files: u16,
    /// Space for such files, MiB; one caller may use a quarter of it.
    #[arg(long, env = "MAOOCR_MAX_KEPT", value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub max_kept: u64,
    /// Share cached answers between callers. A hit then reveals that somebody has read the same file.
    #[arg(long, env = "MAOOCR_CACHE_SHARED", value_parser = BoolishValueParser::new())]
    pub cache_shared: bool,
    /// Memory of the result cache, MiB; 0 disables it, in Redis too.
    #[arg(long, env = "MAOOCR_CACHE", value_name = "MIB", default_value_t = 64)]
    pub cache: u64,
    /// Seconds an answer stays in the result cache.
    #[arg(long, env = "MAOOCR_CACHE_TIME", value_name = "S", default_value = "3600", value_parser = seconds)]
    pub cache_time: Duration,

    /// Folder of the built web app [default: www/app/dist in the working directory, if it exists].
    #[arg(long, env = "MAOOCR_WEB", value_name = "DIR")]
    pub web: Option<PathBuf>,
    /// Serve /metrics on this separate address, to anyone who can reach it [default: beside the API, for keys with the
    /// scope `metrics`].
    #[arg(long, env = "MAOOCR_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Format of the log. RUST_LOG sets its level [default: info].
    #[arg(long, env = "MAOOCR_LOG", value_enum, default_value = "text")]
    pub log: LogFormat,
    /// OpenTelemetry collector that receives traces (OTLP over HTTP).
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp: Option<String>,
    /// Seconds a shutdown waits for pictures that are being read.
    #[arg(long, env = "MAOOCR_DRAIN", value_name = "S", default_value = "30", value_parser = seconds)]
    pub drain: Duration,
}

/// Who may call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Auth {
    /// Holders of a key.
    Keys,
    /// Anyone who can reach the server.
    Open,
}

/// On or off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Plain text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the options are invalid.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Checks that the values are valid and don't contradict each other.
    ///
    /// # Errors
    /// Names the option at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        let error = |text: String| Err(ConfigError(text));
        if let Some(key) = self.api_keys.iter().find(|k| k.len() < 24) {
            return error(format!(
                "a key in --api-keys has {} characters; it needs at least 24 that nobody can guess",
                key.len()
            ));
        }
        let shortest = maoocr_signature::SHORTEST_SECRET;
        if let Some(secret) = self.edge_secrets.iter().find(|s| s.len() < shortest) {
            return error(format!(
                "a secret in --edge-secret has {} characters; it needs at least {shortest} that nobody can guess",
                secret.len()
            ));
        }
        if !self.edge_secrets.is_empty() && self.auth.is_some() {
            return error(
                "--auth and --edge-secret exclude each other: behind an edge, the edge decides who may call".into(),
            );
        }
        if self.cors.len() > 1 && self.cors.iter().any(|o| o == "*") {
            return error("--cors: `*` already allows every origin; use it alone".into());
        }
        if let Some(url) = &self.public_url
            && !url::Url::parse(url)
                .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
        {
            return error(format!(
                "--public-url: {url} is not an address such as https://ocr.example"
            ));
        }
        if let Some(root) = &self.file_root
            && !root.is_dir()
        {
            return error(format!("--file-root: {} is not a folder", root.display()));
        }
        let whole = |name: &String| name.starts_with(['/', '\\']) || name.get(1..2) == Some(":");
        if let Some(name) = self.file_root_names.iter().find(|n| !whole(n)) {
            return error(format!(
                "--file-root-names: {name} is not an absolute path such as /home/me/scans or C:\\scans"
            ));
        }
        if !self.file_root_names.is_empty() && self.file_root.is_none() {
            return error("--file-root-names has no effect alone: set --file-root, too".into());
        }
        self.check_webhooks()?;
        self.vision.target()?;
        if let Some(web) = &self.web
            && !web.join("index.html").is_file()
        {
            return error(format!("--web: {} has no index.html", web.display()));
        }
        if self.upload_memory < 2 * self.max_file {
            return error(format!(
                "--upload-memory {} holds fewer than two pictures of --max-file {}: nobody could send one while \
                 another is being read",
                self.upload_memory, self.max_file
            ));
        }
        Ok(())
    }

    fn check_webhooks(&self) -> Result<(), ConfigError> {
        for secret in &self.webhook_secrets {
            Secret::parse(secret)
                .map_err(|why| ConfigError(format!("a secret in --webhook-secret: {why}")))?;
        }
        let (hosts, secrets) = (&self.webhook_hosts, &self.webhook_secrets);
        let reason = if hosts.is_empty() && !secrets.is_empty() {
            "--webhook-secret has no effect without --webhook-hosts"
        } else if hosts.is_empty() && !self.webhook_networks.is_empty() {
            "--webhook-networks has no effect without --webhook-hosts"
        } else if !hosts.is_empty() && secrets.is_empty() {
            "--webhook-hosts needs --webhook-secret: receivers must be able to tell who calls"
        } else {
            return Ok(());
        };
        Err(ConfigError(reason.into()))
    }

    /// Whether callers need a key.
    pub fn needs_keys(&self) -> bool {
        match self.auth {
            Some(auth) => auth == Auth::Keys,
            None => !self.listen.ip().is_loopback() && self.edge_secrets.is_empty(),
        }
    }

    /// Whether the server is open without keys to this machine only. It must then guard against web pages in local
    /// browsers.
    pub fn is_private(&self) -> bool {
        !self.needs_keys() && self.edge_secrets.is_empty() && self.listen.ip().is_loopback()
    }

    /// Whether it answers to certain host names only.
    pub fn checks_hosts(&self) -> bool {
        let open = !self.needs_keys() && self.edge_secrets.is_empty();
        self.is_private() || (open && !self.allowed_hosts.is_empty())
    }

    /// Requests per minute for callers without a rate of their own; none: no limit.
    pub fn usual_rate(&self) -> Option<u32> {
        match self.rate {
            Some(0) => None,
            Some(rate) => Some(rate),
            None => (!self.is_private()).then_some(120),
        }
    }

    /// Pictures of jobs per minute for a caller with this rate; none: no limit.
    pub fn job_rate(&self, rate: Option<u32>) -> Option<u32> {
        match self.job_rate {
            Some(0) => None,
            Some(own) => Some(own),
            None => rate.map(|rate| rate.saturating_mul(10)),
        }
    }

    /// Simultaneous connections from one address; none: no limit of its own.
    pub fn connections_by_address(&self) -> Option<u32> {
        let usual = (!self.is_private()).then(|| (self.max_connections / 4).max(1));
        self.max_connections_by_address.or(usual)
    }

    /// Pictures read at the same time.
    pub fn worker_count(&self, gpu: bool) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        match self.workers {
            Some(workers) => workers.into(),
            None if gpu => 4,
            None => (cores() / usize::from(self.threads)).max(1),
        }
    }

    /// Pictures that may wait.
    pub fn queue_length(&self, workers: usize) -> usize {
        self.queue.map_or(workers * 8, usize::from)
    }

    /// Limits on one picture.
    pub fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.file_bytes(),
            max_pixels: self.max_megapixels * 1_000_000,
            max_pages: self.max_pages.into(),
            max_memory: self.max_decode << 20,
        }
    }

    /// Largest picture file, bytes.
    pub fn file_bytes(&self) -> usize {
        (self.max_file << 20) as usize
    }

    /// How long files are kept.
    pub fn file_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_files) * 3600)
    }

    /// Whether an address is a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|n| n.contains(address))
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds, more than 0 and at most 86400".into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config: Config,
    }

    /// The configuration that these arguments of `serve` make.
    pub(crate) fn config(arguments: &[&str]) -> Config {
        let arguments = [&["serve"], arguments].concat();
        Command::try_parse_from(arguments).unwrap().config
    }

    #[test]
    fn a_loopback_address_is_open_and_any_other_wants_keys() {
        assert!(!config(&[]).needs_keys());
        assert!(!config(&["--listen", "[::1]:1"]).needs_keys());
        assert!(config(&["--listen", "0.0.0.0:1"]).needs_keys());
        assert!(config(&["--listen", "192.168.1.1:1"]).needs_keys());
        assert!(config(&["--auth", "keys"]).needs_keys());
        assert!(!config(&["--listen", "0.0.0.0:1", "--auth", "open"]).needs_keys());
        assert!(!config(&["--listen", "0.0.0.0:1", "--auth", "open"]).is_private());
        let behind = ["--edge-secret", "a secret that is of 32 characters"];
        assert!(!config(&[&behind[..], &["--listen", "0.0.0.0:1"]].concat()).needs_keys());
        assert!(!config(&behind).is_private());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (arguments, word) in [
            (&["--api-keys", "short"][..], "24"),
            (&["--cors", "*,https://a.example"], "--cors"),
            (&["--file-root", "/no/such/folder"], "--file-root"),
            (&["--file-root-names", "/scans"], "set --file-root"),
            (&["--file-root-names", "scans"], "--file-root-names"),
            (&["--public-url", "ocr.example"], "--public-url"),
            (&["--webhook-hosts", "a.example"], "--webhook-secret"),
            (&["--webhook-networks", "10.0.0.0/8"], "--webhook-hosts"),
            (&["--webhook-secret", "whsec_short"], "--webhook-secret"),
            (&["--vlm-url", "http://vllm:8000/v1"], "--vlm-model"),
            (&["--vlm-model", "m"], "--vlm-url"),
            (&["--vlm-url", "vllm:8000", "--vlm-model", "m"], "--vlm-url"),
            (&["--web", "/no/such/folder"], "--web"),
            (&["--upload-memory", "8"], "--upload-memory"),
            (&["--edge-secret", "short"], "32"),
            (
                &[
                    "--edge-secret",
                    "a secret that is of 32 characters",
                    "--auth",
                    "open",
                ],
                "--auth",
            ),
        ] {
            let error = config(arguments).check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(config(&[]).check().is_ok());
    }
}
