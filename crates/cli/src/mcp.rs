//! `maoocr mcp`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::Outcome;

/// Options of `mcp`.
#[derive(Args)]
#[cfg_attr(not(feature = "mcp"), allow(dead_code))]
pub struct Arguments {
    /// Folder whose files may be read and in which PDFs may be written.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Maximum number of pages of a document that one call reads.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    max_pages: u16,
    /// Hosts from which documents may be fetched [default: none].
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    url_hosts: Vec<String>,
    /// Device that runs the models: auto, cpu, cpu:int8, gpu, gpu:N, flex, tract.
    #[arg(long, default_value = "auto")]
    device: String,
    /// CPU threads per page [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Folder of the models [default: MAOOCR_MODELS, else the user's cache folder].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Never fetch models; fail if they are missing.
    #[arg(long, env = "MAOOCR_OFFLINE")]
    offline: bool,
}

/// Says that it can't.
#[cfg(not(feature = "mcp"))]
pub fn run(_: Arguments) -> Result<Outcome> {
    anyhow::bail!(crate::Usage(
        "this maoocr was built without the Model Context Protocol: build it with `cargo build --release -p maoocr-cli`".into()
    ))
}

/// Fetches the default models if they are missing, then answers until standard input ends.
#[cfg(feature = "mcp")]
pub fn run(arguments: Arguments) -> Result<Outcome> {
    use std::time::Duration;

    use anyhow::Context;
    use clap::Parser;
    use maoocr_models::Manifest;
    use maoocr_server::Config;
    use maoocr_server::config::Switch;

    use crate::load::NotReady;
    use crate::models;

    /// The server's options as they are by themselves.
    #[derive(Parser)]
    struct Usual {
        #[command(flatten)]
        config: Config,
    }

    let root = arguments.root.canonicalize();
    let root = root.with_context(|| format!("--root {}", arguments.root.display()))?;
    let store = models::store(arguments.models.clone())?;
    models::pull(&store, &Manifest::built_in(), &[], arguments.offline)
        .map_err(|e| NotReady(format!("{e:#}")))?;
    // What tools made is gone when they end.
    let data = tempfile::tempdir().context("a folder for results")?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u16);
    let usual = Usual::try_parse_from(["mcp"])?.config;
    let config = Config {
        data: Some(data.path().to_path_buf()),
        database_url: None,
        redis_url: None,
        metrics_listen: None,
        history: Switch::Off,
        file_root: Some(root),
        url_hosts: arguments.url_hosts,
        device: arguments.device,
        models: arguments.models,
        offline: arguments.offline,
        workers: Some(1),
        threads: arguments.threads.unwrap_or(cores.min(256)),
        max_pages: arguments.max_pages,
        max_pages_at_once: arguments.max_pages,
        // Files are at hand, and whoever waits can cancel.
        max_file: 512,
        upload_memory: 2048,
        deadline: Duration::from_secs(86_400),
        ..usual
    };
    match maoocr_server::mcp::serve(config, store) {
        Ok(()) => Ok(Outcome::Complete),
        Err(error @ maoocr_server::ServeError::Device(_)) => {
            Err(NotReady(error.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}
