//! Everything that can be set, in one place: options of `maoocr serve`, or environment variables of the same name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use maoocr_engine::imaging::Limits;

/// Options of the server.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address and port to listen on. Only this machine reaches the default.
    #[arg(long, env = "MAOOCR_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Folder for the database (default: the user's data folder).
    #[arg(long, env = "MAOOCR_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep jobs, history and keys in PostgreSQL (postgres://…) or in another SQLite file (sqlite:PATH).
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Share the result cache and rate limits through Redis (redis://…).
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// What runs the models: auto, cpu, cpu:int8, gpu, gpu:N, flex, tract.
    #[arg(long, env = "MAOOCR_DEVICE", default_value = "auto")]
    pub device: String,
    /// Folder with the models (default: MAOOCR_MODELS, else the user's cache).
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Never fetch models: they must be there already.
    #[arg(long, env = "MAOOCR_OFFLINE")]
    pub offline: bool,
    /// Memory for networks, MiB of their files: beyond it the least recently used one is unloaded.
    #[arg(
        long,
        env = "MAOOCR_MODEL_MEMORY",
        value_name = "MIB",
        default_value_t = 512
    )]
    pub model_memory: u64,
    /// Pictures read at the same time (default: the processor's cores; 4 for a GPU).
    #[arg(long, env = "MAOOCR_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Threads that share one picture on a CPU.
    #[arg(long, env = "MAOOCR_THREADS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// Pictures that may wait for a worker; more are refused (default: 8 a worker).
    #[arg(long, env = "MAOOCR_QUEUE", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub queue: Option<u16>,
    /// Seconds a picture may take from its last byte to its answer. A caller may ask for less with the header
    /// `x-maoocr-deadline-ms`.
    #[arg(long, env = "MAOOCR_DEADLINE", value_name = "S", default_value = "30", value_parser = seconds)]
    pub deadline: Duration,
    /// Pages of jobs need not be quick: seconds a picture of a job may take.
    #[arg(long, env = "MAOOCR_JOB_DEADLINE", value_name = "S", default_value = "300", value_parser = seconds)]
    pub job_deadline: Duration,
    /// Seconds a replica may be silent before others take over its pictures.
    #[arg(long, env = "MAOOCR_LEASE", value_name = "S", default_value = "30", value_parser = seconds)]
    pub lease: Duration,

    /// Size of a picture's file, MiB.
    #[arg(long, env = "MAOOCR_MAX_FILE", value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub max_file: u64,
    /// Pixels of a page, millions.
    #[arg(long, env = "MAOOCR_MAX_MEGAPIXELS", value_name = "MP", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub max_megapixels: u64,
    /// Pages of a file.
    #[arg(long, env = "MAOOCR_MAX_PAGES", value_name = "N", default_value_t = 50)]
    pub max_pages: u16,
    /// Memory to decode one picture in, MiB.
    #[arg(
        long,
        env = "MAOOCR_MAX_DECODE",
        value_name = "MIB",
        default_value_t = 512
    )]
    pub max_decode: u64,
    /// Pictures of a job.
    #[arg(
        long,
        env = "MAOOCR_MAX_BATCH",
        value_name = "N",
        default_value_t = 1000
    )]
    pub max_batch: u32,
    /// Size of a job's request, MiB.
    #[arg(
        long,
        env = "MAOOCR_MAX_BATCH_SIZE",
        value_name = "MIB",
        default_value_t = 1024
    )]
    pub max_batch_size: u64,
    /// Memory for pictures that are arriving or waiting, MiB; more are refused.
    #[arg(long, env = "MAOOCR_UPLOAD_MEMORY", value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub upload_memory: u64,
    /// Seconds in which a picture must have arrived.
    #[arg(long, env = "MAOOCR_UPLOAD_TIMEOUT", value_name = "S", default_value = "60", value_parser = seconds)]
    pub upload_timeout: Duration,
    /// Connections at the same time; more wait to be accepted.
    #[arg(
        long,
        env = "MAOOCR_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 1024
    )]
    pub max_connections: u32,
    /// WebSockets at the same time.
    #[arg(
        long,
        env = "MAOOCR_MAX_WEBSOCKETS",
        value_name = "N",
        default_value_t = 64
    )]
    pub max_websockets: u32,

    /// Who may call: anyone who reaches the server, or holders of a key (`maoocr keys create`). Default: anyone on a
    /// loopback address, holders of a key on any other.
    #[arg(long, env = "MAOOCR_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// Keys with every right, beside those in the database: at least 24 characters each, separated by commas.
    #[arg(
        long,
        env = "MAOOCR_API_KEYS",
        value_name = "KEY,…",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub api_keys: Vec<String>,
    /// Answer an edge function only, which signs what it passes on with one of these secrets: at least 32 characters
    /// each, separated by commas (two while they are changed). Keys are the edge's matter then.
    #[arg(
        long = "edge-secret",
        env = "MAOOCR_EDGE_SECRET",
        value_name = "SECRET,…",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub edge_secrets: Vec<String>,
    /// Requests a minute for each key, or for each address where no keys are needed; 0 for no limit. Default: no
    /// limit on a loopback address without keys, else 120.
    #[arg(long, env = "MAOOCR_RATE", value_name = "N")]
    pub rate: Option<u32>,
    /// Names by which the server may be called while it is open on a loopback address, beside localhost: a web page
    /// elsewhere can't reach it under a name of its own then.
    #[arg(
        long,
        env = "MAOOCR_ALLOWED_HOSTS",
        value_name = "HOST,…",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, `*` for any (default: the server's own).
    #[arg(
        long,
        env = "MAOOCR_CORS",
        value_name = "ORIGIN,…",
        value_delimiter = ','
    )]
    pub cors: Vec<String>,
    /// Networks of proxies whose `x-forwarded-for` is believed, as ADDRESS/BITS.
    #[arg(
        long,
        env = "MAOOCR_TRUSTED_PROXIES",
        value_name = "NET,…",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<Network>,

    /// Hosts from which `image_url` is fetched; none: it is off.
    #[arg(
        long,
        env = "MAOOCR_URL_HOSTS",
        value_name = "HOST,…",
        value_delimiter = ','
    )]
    pub url_hosts: Vec<String>,
    /// Folder in which `image_path` is looked up; none: it is off.
    #[arg(long, env = "MAOOCR_FILE_ROOT", value_name = "DIR")]
    pub file_root: Option<PathBuf>,

    /// Whether answers are remembered.
    #[arg(long, env = "MAOOCR_HISTORY", value_enum, default_value = "on")]
    pub history: Switch,
    /// Keep the pictures of remembered answers too.
    #[arg(long, env = "MAOOCR_KEEP_ORIGINALS")]
    pub keep_originals: bool,
    /// Days after which answers are forgotten; 0: never.
    #[arg(
        long,
        env = "MAOOCR_KEEP_HISTORY",
        value_name = "DAYS",
        default_value_t = 30
    )]
    pub keep_history: u32,
    /// Days after which finished jobs are deleted; 0: never.
    #[arg(
        long,
        env = "MAOOCR_KEEP_JOBS",
        value_name = "DAYS",
        default_value_t = 7
    )]
    pub keep_jobs: u32,
    /// Memory for the result cache, MiB; 0: none.
    #[arg(long, env = "MAOOCR_CACHE", value_name = "MIB", default_value_t = 64)]
    pub cache: u64,
    /// Seconds an answer stays in the result cache.
    #[arg(long, env = "MAOOCR_CACHE_TIME", value_name = "S", default_value = "3600", value_parser = seconds)]
    pub cache_time: Duration,

    /// Folder with the built web app (default: www/app/dist where the server is started, if it is there).
    #[arg(long, env = "MAOOCR_WEB", value_name = "DIR")]
    pub web: Option<PathBuf>,
    /// Serve /metrics on this address only, to anyone who reaches it; else it is served beside the API, for keys with
    /// the right `metrics`.
    #[arg(long, env = "MAOOCR_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// How the log is written. RUST_LOG says how much (default: info).
    #[arg(long, env = "MAOOCR_LOG", value_enum, default_value = "text")]
    pub log: LogFormat,
    /// Send traces to this OpenTelemetry collector (OTLP over HTTP).
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp: Option<String>,
    /// Seconds a shutdown waits for what is being read.
    #[arg(long, env = "MAOOCR_DRAIN", value_name = "S", default_value = "30", value_parser = seconds)]
    pub drain: Duration,
}

/// Who may call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Auth {
    /// Holders of a key.
    Keys,
    /// Anyone who reaches the server.
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

/// How the log is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the options can't be used together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Looks for options that contradict each other, and for values that can't be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let error = |text: String| Err(ConfigError(text));
        if let Some(key) = self.api_keys.iter().find(|k| k.len() < 24) {
            return error(format!(
                "a key of --api-keys has {} characters; it needs 24 or more that nobody can guess",
                key.len()
            ));
        }
        let shortest = maoocr_signature::SHORTEST_SECRET;
        if let Some(secret) = self.edge_secrets.iter().find(|s| s.len() < shortest) {
            return error(format!(
                "a secret of --edge-secret has {} characters; it needs {shortest} or more that nobody can guess",
                secret.len()
            ));
        }
        if !self.edge_secrets.is_empty() && self.auth.is_some() {
            return error(
                "--auth and --edge-secret contradict each other: behind an edge, the edge says who calls".into(),
            );
        }
        if self.cors.len() > 1 && self.cors.iter().any(|o| o == "*") {
            return error("--cors: `*` allows every origin already; give it alone".into());
        }
        if let Some(root) = &self.file_root
            && !root.is_dir()
        {
            return error(format!("--file-root: {} is no folder", root.display()));
        }
        if let Some(web) = &self.web
            && !web.join("index.html").is_file()
        {
            return error(format!("--web: {} has no index.html", web.display()));
        }
        if self.upload_memory < 2 * self.max_file {
            return error(format!(
                "--upload-memory {} is less than two pictures of --max-file {}: nobody could send one while another \
                 is being read",
                self.upload_memory, self.max_file
            ));
        }
        Ok(())
    }

    /// Whether callers need a key of this server.
    pub fn needs_keys(&self) -> bool {
        match self.auth {
            Some(auth) => auth == Auth::Keys,
            None => !self.listen.ip().is_loopback() && self.edge_secrets.is_empty(),
        }
    }

    /// Whether it is open to this machine only, and so must beware of web pages that a browser here shows.
    pub fn is_private(&self) -> bool {
        !self.needs_keys() && self.edge_secrets.is_empty() && self.listen.ip().is_loopback()
    }

    /// Requests a minute for whoever has no rate of their own; none: no limit.
    pub fn usual_rate(&self) -> Option<u32> {
        match self.rate {
            Some(0) => None,
            Some(rate) => Some(rate),
            None => (!self.is_private()).then_some(120),
        }
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

    /// What one picture may cost.
    pub fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.file_bytes(),
            max_pixels: self.max_megapixels * 1_000_000,
            max_pages: self.max_pages.into(),
            max_memory: self.max_decode << 20,
        }
    }

    /// Size of a picture's file, bytes.
    pub fn file_bytes(&self) -> usize {
        (self.max_file << 20) as usize
    }

    /// Whether an address is a proxy whose word counts.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|n| n.contains(address))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds between 0 and 86400".into()),
    }
}

/// A network: addresses that share their first bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    /// Whether the address is in it. IPv4 counts as ::ffff:a.b.c.d.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = 128 - self.bits;
        shift == 128 || number(address) >> shift == self.address >> shift
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no ADDRESS or ADDRESS/BITS");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (width, before) = if address.is_ipv4() {
            (32, 96)
        } else {
            (128, 0)
        };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(wrong());
        }
        Ok(Self {
            address: number(address),
            bits: before + bits,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config: Config,
    }

    fn config(arguments: &[&str]) -> Config {
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

    #[test]
    fn networks_hold_their_addresses() {
        let has = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(has("10.0.0.0/8", "10.200.3.4"));
        assert!(!has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("127.0.0.1", "127.0.0.1"));
        assert!(!has("127.0.0.1", "127.0.0.2"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(has("0.0.0.0/0", "8.8.8.8"));
        assert!(has("fd00::/8", "fd12::1"));
        assert!(!has("fd00::/8", "fe80::1"));
        for wrong in ["", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
