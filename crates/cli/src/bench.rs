//! `maoocr bench`: measures CPU time per stage, beside other engines on the same pictures.

mod networks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use maoocr_engine::imaging::Limits;
use maoocr_engine::pipeline::Engine;
use maoocr_runtime::launches::{Launched, Watch};
use maoocr_runtime::{BestPath, RunFuture, Session, Tensor};
use serde_json::{Value, json};

use crate::Outcome;
use crate::load::{EngineArguments, NotReady};

/// Options of `bench`.
#[derive(Args)]
pub struct Arguments {
    /// Pictures to read.
    #[arg(required_unless_present = "networks", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Time only the networks on the CPU executor, with their usual input shapes.
    #[arg(long, conflicts_with = "files")]
    networks: bool,
    /// With --networks: also show the time per kind of kernel.
    #[arg(long, requires = "networks")]
    profile: bool,
    /// Compare with ONNX Runtime on the same input shapes, and with RapidOCR on the same pictures and weights.
    #[arg(long, value_enum)]
    against: Option<Peer>,
    /// Rounds; each figure is the lowest of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    engine: EngineArguments,
}

/// What to compare with.
#[derive(Clone, Copy, ValueEnum)]
pub enum Peer {
    /// ONNX Runtime, and RapidOCR on top of it.
    Onnxruntime,
}

/// Times the same networks and pictures in Python; see the script for its input and output.
const PEERS: &str = include_str!("peers.py");
/// What the peers' environment holds.
const PEER_PACKAGES: [&str; 2] = ["onnxruntime==1.32.0", "rapidocr==3.10.0"];

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    arguments.engine.use_threads(Some(1));
    if arguments.networks {
        return networks::run(
            &arguments.engine,
            arguments.rounds,
            arguments.against.is_some(),
            arguments.profile,
        );
    }
    let runs: Runs = Arc::default();
    let engine =
        Engine::new(arguments.engine.class(arguments.engine.device)).with_clock(processor_time);
    let ready = arguments.engine.ready_with(engine, true, &|entry, onnx| {
        Ok(Arc::new(Recorder {
            inner: arguments.engine.load(entry, onnx)?,
            model: entry.name.clone(),
            runs: runs.clone(),
        }))
    })?;
    let limits = Limits::default();
    let mut stages: BTreeMap<&'static str, f64> = BTreeMap::new();
    let mut total = 0.0;
    let mut characters = 0;
    let mut executor = String::new();
    let mut pipelines = Vec::new();
    for file in &arguments.files {
        let bytes = crate::recognize::read(file, limits.max_bytes)
            .with_context(|| file.display().to_string())?;
        let mut best: Option<(f64, BTreeMap<&'static str, f64>)> = None;
        // An extra first round, not counted, makes plans and compiles kernels.
        for round in 0..=arguments.rounds {
            if round == 1 {
                lock(&runs).truncate_to_last_picture();
            }
            lock(&runs).begin(round > 1);
            let began = processor_time();
            let pages = pollster::block_on(ready.engine.read_file(
                &bytes,
                &limits,
                &ready.plan,
                &mut (),
            ))
            .with_context(|| file.display().to_string())?;
            let spent = (processor_time() - began).as_secs_f64();
            if round == 0 {
                characters += pages.iter().map(|p| p.text.chars().count()).sum::<usize>();
                if let Some(page) = pages.first() {
                    executor.clone_from(&page.device);
                }
                continue;
            }
            if best.as_ref().is_none_or(|(least, _)| spent < *least) {
                let mut laps = BTreeMap::new();
                for page in &pages {
                    for (&stage, seconds) in &page.timings {
                        *laps.entry(stage).or_insert(0.0) += seconds;
                    }
                }
                best = Some((spent, laps));
            }
        }
        pipelines.push(lock(&runs).pipelines().len());
        let (spent, laps) = best.context("no round was run")?;
        total += spent;
        for (stage, seconds) in laps {
            *stages.entry(stage).or_insert(0.0) += seconds;
        }
    }
    let shapes = lock(&runs).shapes.clone();
    let count = arguments.files.len();
    println!(
        "{count} pictures, {characters} characters, {executor}; CPU time, lowest of {} rounds",
        arguments.rounds
    );
    println!("models: {}", ready.plan.models().join(", "));
    for (model, shapes) in &shapes {
        let (used, padded): (u64, u64) = shapes
            .iter()
            .fold((0, 0), |(u, p), s| (u + s.used, p + s.total()));
        println!(
            "  {model}: {} runs, {} shapes, {:.1} MP in, {:.0} % of it padding",
            shapes.len(),
            distinct(shapes),
            padded as f64 / 3e6,
            100.0 * (1.0 - used as f64 / padded.max(1) as f64)
        );
        let launches: usize = shapes.iter().map(|s| s.launches).sum();
        if launches > 0 {
            println!(
                "    {:.0} launches a run, {} pipelines",
                launches as f64 / shapes.len() as f64,
                lock(&runs).compiled.get(model).map_or(0, BTreeSet::len)
            );
        }
    }
    if pipelines.last().is_some_and(|&n| n > 0) {
        let counts: Vec<String> = pipelines.iter().map(usize::to_string).collect();
        println!("pipelines after each picture: {}", counts.join(", "));
    }
    let peers = match arguments.against {
        Some(Peer::Onnxruntime) => Some(peers(&arguments, &ready.plan, &shapes)?),
        None => None,
    };
    println!(
        "{:<18} {:>10} {:>14} {:>8}",
        "stage", "MaoOCR s", "peer s", "ratio"
    );
    for (stage, seconds) in &stages {
        let model = match *stage {
            "detect" => Some(ready.plan.detector.as_str()),
            "recognise" => Some(ready.plan.recogniser.as_str()),
            "line_orientation" => ready.plan.line_orientation.as_deref(),
            "page_orientation" => ready.plan.page_orientation.as_deref(),
            _ => None,
        };
        let peer = model.and_then(|m| peers.as_ref()?["onnxruntime"][m].as_f64());
        row(stage, *seconds, peer);
    }
    let networks = peers.as_ref().map(|p| {
        shapes
            .keys()
            .filter_map(|m| p["onnxruntime"][m].as_f64())
            .sum()
    });
    row("all (ONNX Runtime)", total, networks);
    if let Some(seconds) = peers
        .as_ref()
        .and_then(|p| p["rapidocr"]["seconds"].as_f64())
    {
        row("all (RapidOCR)", total, Some(seconds));
        println!(
            "RapidOCR read {} characters",
            peers
                .as_ref()
                .map_or(0, |p| p["rapidocr"]["characters"].as_u64().unwrap_or(0))
        );
    }
    Ok(Outcome::Complete)
}

fn row(stage: &str, seconds: f64, peer: Option<f64>) {
    match peer {
        Some(peer) => println!(
            "{stage:<18} {seconds:>10.3} {peer:>14.3} {:>7.2}×",
            seconds / peer.max(1e-9)
        ),
        None => println!("{stage:<18} {seconds:>10.3} {:>14} {:>8}", "-", "-"),
    }
}

fn processor_time() -> Duration {
    cpu_time::ProcessTime::now().as_duration()
}

type Runs = Arc<Mutex<Record>>;

fn lock(runs: &Runs) -> std::sync::MutexGuard<'_, Record> {
    runs.lock().unwrap_or_else(|e| e.into_inner())
}

/// The shapes each model was run on, one round a picture.
#[derive(Default)]
struct Record {
    shapes: BTreeMap<String, Vec<Shape>>,
    /// The GPU pipelines each model needed, of all rounds.
    compiled: BTreeMap<String, BTreeSet<u128>>,
    paused: bool,
    before: BTreeMap<String, usize>,
}

impl Record {
    fn begin(&mut self, paused: bool) {
        self.paused = paused;
        self.before = self
            .shapes
            .iter()
            .map(|(m, s)| (m.clone(), s.len()))
            .collect();
    }

    fn pipelines(&self) -> BTreeSet<u128> {
        self.compiled.values().flatten().copied().collect()
    }

    /// Forgets the runs since the last `begin`.
    fn truncate_to_last_picture(&mut self) {
        for (model, shapes) in &mut self.shapes {
            shapes.truncate(self.before.get(model).copied().unwrap_or(0));
        }
    }
}

#[derive(Clone)]
struct Shape {
    shape: Vec<usize>,
    used: u64,
    /// On a GPU.
    launches: usize,
}

impl Shape {
    fn total(&self) -> u64 {
        self.shape.iter().product::<usize>() as u64
    }
}

fn distinct(shapes: &[Shape]) -> usize {
    shapes
        .iter()
        .map(|s| &s.shape)
        .collect::<BTreeSet<_>>()
        .len()
}

/// A session that notes what it is run on.
struct Recorder {
    inner: Arc<dyn Session>,
    model: String,
    runs: Runs,
}

impl Recorder {
    /// What a run on `input` is, apart from its launches.
    fn shape(&self, input: &Tensor) -> Shape {
        let shape = input.shape().to_vec();
        // Padding is written as zeros to the right of each row; anything else is picture.
        let row = shape.last().copied().unwrap_or(1).max(1);
        let used = input
            .data()
            .chunks_exact(row)
            .map(|r| row - r.iter().rev().take_while(|v| **v == 0.0).count());
        let used = used.sum::<usize>() as u64;
        Shape {
            shape,
            used,
            launches: 0,
        }
    }

    fn note(&self, shape: Shape, launched: Launched) {
        let mut record = lock(&self.runs);
        let launches = launched.count();
        record
            .compiled
            .entry(self.model.clone())
            .or_default()
            .extend(launched.pipelines);
        if !record.paused {
            let runs = record.shapes.entry(self.model.clone()).or_default();
            runs.push(Shape { launches, ..shape });
        }
    }
}

impl Session for Recorder {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move {
            let shape = self.shape(&input);
            let watch = Watch::new();
            let output = self.inner.run(input).await;
            self.note(shape, watch.finish());
            output
        })
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async move {
            let shape = self.shape(&input);
            let watch = Watch::new();
            let outputs = self.inner.run_all(input).await;
            self.note(shape, watch.finish());
            outputs
        })
    }

    fn outputs(&self) -> Vec<String> {
        self.inner.outputs()
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move {
            let shape = self.shape(&input);
            let watch = Watch::new();
            let output = self.inner.run_best(input).await;
            self.note(shape, watch.finish());
            output
        })
    }

    fn batch(&self) -> usize {
        self.inner.batch()
    }

    fn executor(&self) -> String {
        self.inner.executor()
    }

    fn fallback(&self) -> Option<&str> {
        self.inner.fallback()
    }
}

/// Runs the peers and returns what their script prints.
fn peers(
    arguments: &Arguments,
    plan: &maoocr_engine::plan::Plan,
    shapes: &BTreeMap<String, Vec<Shape>>,
) -> Result<Value> {
    let store = arguments.engine.store()?;
    let path = |name: &str| store.path(name).display().to_string();
    let models: BTreeMap<&String, Value> = shapes
        .iter()
        .map(|(model, shapes)| {
            let shapes: Vec<_> = shapes.iter().map(|s| &s.shape).collect();
            (model, json!({"path": path(model), "shapes": shapes}))
        })
        .collect();
    let dictionary = maoocr_models::Manifest::built_in()
        .get(&plan.recogniser)
        .and_then(|m| m.dictionary.clone());
    let files: Result<Vec<_>, _> = arguments.files.iter().map(std::fs::canonicalize).collect();
    let job = json!({
        "models": models,
        "rounds": arguments.rounds,
        "files": files?,
        "detector": path(&plan.detector),
        "recogniser": path(&plan.recogniser),
        "dictionary": dictionary.map(|d| path(&d)),
    });
    let folder = tempfile::tempdir()?;
    let (script, input) = (
        folder.path().join("peers.py"),
        folder.path().join("job.json"),
    );
    std::fs::write(&script, PEERS)?;
    std::fs::write(&input, job.to_string())?;
    let python = python(&arguments.engine)?;
    eprintln!("running the other engines …");
    let output = Command::new(&python)
        .args([&script, &input])
        .env("OMP_NUM_THREADS", "1")
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| python.display().to_string())?;
    if !output.status.success() {
        bail!("the script of the other engines failed: {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .with_context(|| format!("the script of the other engines printed {last:?}"))
}

/// A Python environment with the other engines, created beside the models on first use.
fn python(engine: &EngineArguments) -> Result<PathBuf> {
    let store = engine.store()?;
    let folder = store
        .folder()
        .parent()
        .unwrap_or(Path::new("."))
        .join("peers");
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    if ready.exists() {
        return Ok(python);
    }
    if engine.offline {
        bail!(NotReady(format!(
            "{} must be created first, which needs the network: run once without --offline",
            folder.display()
        )));
    }
    eprintln!(
        "creating {} with {} …",
        folder.display(),
        PEER_PACKAGES.join(" and ")
    );
    let run = |command: &mut Command| -> Result<()> {
        let status = command.stdout(std::process::Stdio::null()).status();
        match status.with_context(|| format!("{command:?}"))? {
            s if s.success() => Ok(()),
            s => bail!("{command:?}: {s}"),
        }
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(PEER_PACKAGES))?;
    std::fs::write(ready, "")?;
    Ok(python)
}
