//! `maoocr models`: lists, fetches and verifies models.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use maoocr_models::manifest::{Manifest, ModelEntry, Task, Tier};
use maoocr_models::{Options, Progress, Store};
use sha2::{Digest, Sha256};

use crate::{Outcome, Usage};

/// Options of `models`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Folder of the models [default: MAOOCR_MODELS, else the user's cache folder].
    #[arg(long, value_name = "DIR", global = true)]
    models: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// List all models and show which are installed.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetch models [default: PP-OCRv6 tiny and small and the orientation classifiers].
    Pull {
        /// Names, as `list` shows them; `all` fetches everything.
        names: Vec<String>,
        /// Never use the network; report what is missing.
        #[arg(long)]
        offline: bool,
    },
    /// Check the installed files against their hashes.
    Verify {
        /// Names [default: every installed model].
        names: Vec<String>,
    },
    /// Write models with 16-bit weights, at half the size, for clients that download them.
    Compact {
        /// Names, as `list` shows them.
        #[arg(required = true)]
        names: Vec<String>,
        /// Output folder; files are named NAME.onnx.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print the folder of the models, or the path of one model.
    Path {
        /// A model's name.
        name: Option<String>,
    },
}

/// Opens the store at `folder`, or at the default location.
pub fn store(folder: Option<PathBuf>) -> Result<Store> {
    let folder = match folder {
        Some(folder) => folder,
        None => maoocr_models::default_dir()?,
    };
    Ok(Store::open(folder)?)
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    let store = store(arguments.models)?;
    let manifest = Manifest::built_in();
    match arguments.action {
        Action::List { json } => list(&store, &manifest, json),
        Action::Pull { names, offline } => pull(&store, &manifest, &names, offline),
        Action::Verify { names } => verify(&store, &manifest, &names),
        Action::Compact { names, out } => compact(&store, &manifest, &names, &out),
        Action::Path { name } => {
            match name {
                Some(name) => println!("{}", store.path(&known(&manifest, &name)?.name).display()),
                None => println!("{}", store.folder().display()),
            }
            Ok(Outcome::Complete)
        }
    }
}

fn known<'a>(manifest: &'a Manifest, name: &str) -> Result<&'a ModelEntry> {
    match manifest.get(name) {
        Some(entry) => Ok(entry),
        None => bail!(Usage(format!(
            "there is no model `{name}`; `maoocr models list` shows the names"
        ))),
    }
}

fn compact(store: &Store, manifest: &Manifest, names: &[String], out: &Path) -> Result<Outcome> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for name in names {
        let entry = known(manifest, name)?;
        let name = &entry.name;
        let onnx = store.read(name)?;
        let small = maoocr_runtime::onnx::compact(&onnx).with_context(|| name.clone())?;
        if let Some(wanted) = &entry.compact {
            let hash: String = Sha256::digest(&small)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            if hash != wanted.sha256 || small.len() as u64 != wanted.bytes {
                bail!(
                    "{name}: the result has {} bytes and SHA-256 {hash}, but the manifest's compact file has {} bytes and {}",
                    small.len(),
                    wanted.bytes,
                    wanted.sha256
                );
            }
        }
        let path = out.join(format!("{name}.onnx"));
        std::fs::write(&path, &small).with_context(|| path.display().to_string())?;
        println!(
            "{}: {:.2} MB instead of {:.2} MB",
            path.display(),
            small.len() as f64 * 1e-6,
            onnx.len() as f64 * 1e-6
        );
    }
    Ok(Outcome::Complete)
}

fn list(store: &Store, manifest: &Manifest, json: bool) -> Result<Outcome> {
    if json {
        let entries: Vec<_> = manifest
            .models
            .iter()
            .map(|m| serde_json::json!({"model": m, "installed": store.has(&m.name)}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(Outcome::Complete);
    }
    println!(
        "{:<28} {:<17} {:<7} {:>9}  installed",
        "name", "task", "tier", "size"
    );
    for m in &manifest.models {
        let tier = m.tier.map_or("-".into(), |t| t.to_string());
        let here = if store.has(&m.name) { "yes" } else { "" };
        println!(
            "{:<28} {:<17} {:<7} {:>6.1} MB  {here}",
            m.name,
            task(m.task),
            tier,
            m.bytes as f64 / 1e6
        );
    }
    Ok(Outcome::Complete)
}

fn task(task: Task) -> &'static str {
    match task {
        Task::Detection => "detection",
        Task::Recognition => "recognition",
        Task::LineOrientation => "line-orientation",
        Task::PageOrientation => "page-orientation",
        Task::Layout => "layout",
        Task::Dictionary => "dictionary",
    }
}

/// Whether a plan on an ordinary machine can choose it.
fn by_default(entry: &ModelEntry) -> bool {
    match entry.task {
        Task::LineOrientation | Task::PageOrientation => true,
        Task::Detection | Task::Recognition => entry.general && entry.tier != Some(Tier::Medium),
        Task::Layout | Task::Dictionary => false,
    }
}

/// Fetches models; the default ones if none is named.
pub fn pull(
    store: &Store,
    manifest: &Manifest,
    names: &[String],
    offline: bool,
) -> Result<Outcome> {
    let mut entries = Vec::new();
    if names.is_empty() {
        entries.extend(manifest.models.iter().filter(|m| by_default(m)));
    } else if names.iter().any(|n| n == "all") {
        entries.extend(&manifest.models);
    } else {
        for name in names {
            entries.push(known(manifest, name)?);
        }
    }
    let mut wanted: Vec<&str> = Vec::new();
    for entry in entries {
        for name in std::iter::once(&entry.name).chain(&entry.dictionary) {
            if !wanted.contains(&name.as_str()) {
                wanted.push(name);
            }
        }
    }
    let options = Options {
        offline,
        ..Options::default()
    };
    let mut bars = Bars::default();
    store.pull(&wanted, &mut bars, &options)?;
    eprintln!("{} files in {}", wanted.len(), store.folder().display());
    Ok(Outcome::Complete)
}

fn verify(store: &Store, manifest: &Manifest, names: &[String]) -> Result<Outcome> {
    let mut outcome = Outcome::Complete;
    let entries: Vec<&ModelEntry> = if names.is_empty() {
        manifest
            .models
            .iter()
            .filter(|m| store.path(&m.name).exists())
            .collect()
    } else {
        names
            .iter()
            .map(|n| known(manifest, n))
            .collect::<Result<_>>()?
    };
    for entry in entries {
        match store.verify(&entry.name) {
            Ok(()) => println!("{}: OK", entry.name),
            Err(error) => {
                crate::print_error(&error.into());
                outcome = Outcome::SomeFailed;
            }
        }
    }
    Ok(outcome)
}

/// A progress bar per file.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    by_name: HashMap<String, ProgressBar>,
}

impl Progress for Bars {
    fn advance(&mut self, name: &str, done: u64, total: u64) {
        let bar = self.by_name.entry(name.to_string()).or_insert_with(|| {
            let style = ProgressStyle::with_template(
                "{msg:<28} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}",
            );
            let bar = self.all.add(ProgressBar::new(total));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(name.to_string());
            bar
        });
        bar.set_position(done);
        if done >= total {
            bar.finish();
        }
    }

    fn note(&mut self, message: &str) {
        if self.all.is_hidden() || self.all.println(message).is_err() {
            eprintln!("{message}");
        }
    }
}
