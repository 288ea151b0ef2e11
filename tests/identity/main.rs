//! The whole pipeline must read the same text with the project's CPU executor as with ONNX Runtime.
//!
//! The sample pictures always; with `MAOOCR_PICTURES` the pictures that this file names too, one a line, relative to
//! its folder.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};
use maoocr_engine::imaging::Limits;
use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, Plan, Requirements};
use maoocr_models::manifest::Tier;
use maoocr_models::{Manifest, Store};
use maoocr_runtime::cpu::CpuSession;
use maoocr_runtime::{RunFuture, RuntimeError, Session, Tensor};

/// ONNX Runtime in a process of its own.
struct Reference {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reference {
    fn start() -> Result<Self> {
        let python = std::env::var_os("MAOOCR_PYTHON").unwrap_or_else(|| "python3".into());
        let mut process = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("identity/serve.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", python.display()))?;
        let requests = process.stdin.take().context("its input")?;
        let answers = BufReader::new(process.stdout.take().context("its output")?);
        Ok(Self {
            process,
            requests,
            answers,
        })
    }

    fn run(&mut self, model: &Path, input: &Tensor) -> Result<Tensor> {
        let request = serde_json::json!({"model": model, "shape": input.shape()});
        writeln!(self.requests, "{request}")?;
        let bytes: Vec<u8> = input.data().iter().flat_map(|v| v.to_le_bytes()).collect();
        self.requests.write_all(&bytes)?;
        self.requests.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "ONNX Runtime ended");
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        let shape: Vec<usize> = serde_json::from_value(answer["shape"].clone())?;
        let mut bytes = vec![0; 4 * shape.iter().product::<usize>()];
        self.answers.read_exact(&mut bytes)?;
        let data = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Ok(Tensor::new(shape, data)?)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A model run by it.
struct ReferenceSession {
    reference: Arc<Mutex<Reference>>,
    model: PathBuf,
}

impl Session for ReferenceSession {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move {
            let mut reference = self.reference.lock().unwrap_or_else(|e| e.into_inner());
            let output = reference.run(&self.model, &input.into_row_major());
            output.map_err(|error| RuntimeError::Run {
                reason: format!("{error:#}"),
            })
        })
    }

    fn executor(&self) -> String {
        "onnxruntime".into()
    }
}

type Load<'a> = &'a dyn Fn(&Path) -> Result<Arc<dyn Session>>;

/// An engine of a tier whose models `load` loads.
fn engine(tier: Tier, load: Load<'_>) -> Result<(Engine, Plan)> {
    let store = Store::open(maoocr_tests::models()?)?;
    let manifest = Manifest::built_in();
    let installed: Vec<_> = manifest
        .models
        .iter()
        .filter(|m| store.has(&m.name) && (m.tier.is_none() || m.tier == Some(tier)))
        .collect();
    let engine = Engine::new(DeviceClass::Cpu);
    let plan = engine.plan(&Requirements::default(), &installed)?;
    for name in plan.models() {
        let entry = manifest.get(name).context("a model of the manifest")?;
        let dictionary = entry.dictionary.as_deref().map(|d| store.read(d));
        let dictionary = dictionary.transpose()?;
        let session = load(&store.path(name))?;
        engine.install_files(
            entry.clone(),
            session,
            &store.read(name)?,
            dictionary.as_deref(),
        )?;
    }
    Ok((engine, plan))
}

/// The sample pictures and those that the caller names.
fn pictures() -> Result<Vec<PathBuf>> {
    let golden = std::fs::read_to_string(maoocr_tests::samples().join("golden.jsonl"))?;
    let mut pictures = Vec::new();
    for line in golden.lines() {
        let sample: serde_json::Value = serde_json::from_str(line)?;
        let file = sample["file"].as_str().context("a sample has a file")?;
        pictures.push(maoocr_tests::samples().join(file));
    }
    if let Some(list) = std::env::var_os("MAOOCR_PICTURES").map(PathBuf::from) {
        let folder = list.parent().unwrap_or(Path::new("."));
        let names = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        let names = names.lines().filter(|l| !l.trim().is_empty());
        pictures.extend(names.map(|name| folder.join(name.trim())));
    }
    Ok(pictures)
}

fn read(engine: &(Engine, Plan), bytes: &[u8]) -> Result<String> {
    let pages = pollster::block_on(engine.0.read_file(
        bytes,
        &Limits::default(),
        &engine.1,
        &mut (),
    ))?;
    let pages: Vec<String> = pages.into_iter().map(|page| page.text).collect();
    Ok(pages.join("\n\n"))
}

fn compare(tier: Tier) -> Result<()> {
    let reference = Arc::new(Mutex::new(Reference::start()?));
    let theirs = engine(tier, &|path| {
        Ok(Arc::new(ReferenceSession {
            reference: reference.clone(),
            model: path.to_path_buf(),
        }))
    })?;
    let ours = engine(tier, &|path| {
        Ok(Arc::new(CpuSession::load(&std::fs::read(path)?)?))
    })?;
    let pictures = pictures()?;
    ensure!(!pictures.is_empty(), "no pictures");
    let mut different = Vec::new();
    let mut characters = 0;
    for picture in &pictures {
        let name = picture.display();
        let bytes = std::fs::read(picture).with_context(|| name.to_string())?;
        match (read(&ours, &bytes), read(&theirs, &bytes)) {
            (Ok(ours), Ok(theirs)) => {
                characters += theirs.chars().count();
                for (a, b) in ours.lines().zip(theirs.lines()) {
                    if a != b {
                        different.push(format!("{name}: {a:?} instead of {b:?}"));
                    }
                }
                if ours.lines().count() != theirs.lines().count() {
                    different.push(format!("{name}: another number of lines"));
                }
            }
            (Err(ours), Err(theirs)) if ours.to_string() == theirs.to_string() => {}
            (ours, theirs) => bail!("{name}: {ours:?} instead of {theirs:?}"),
        }
    }
    eprintln!(
        "{} pictures, {characters} characters, {tier:?}",
        pictures.len()
    );
    ensure!(characters > 0, "nothing was read");
    ensure!(different.is_empty(), "\n{}", different.join("\n"));
    Ok(())
}

#[test]
fn tiny_reads_as_with_onnx_runtime() -> Result<()> {
    compare(Tier::Tiny)
}

#[test]
fn small_reads_as_with_onnx_runtime() -> Result<()> {
    compare(Tier::Small)
}
