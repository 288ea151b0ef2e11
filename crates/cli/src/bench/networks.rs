//! `maoocr bench --networks`: the networks alone, on the shapes they are usually run on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use maoocr_runtime::cpu::{CpuSession, Isa};
use maoocr_runtime::{Device, Session, Tensor};
use serde_json::{Value, json};

use super::{PEERS, processor_time, python};
use crate::Outcome;
use crate::load::{EngineArguments, NotReady};

/// A page as the detector sees it, a line and six long ones as the recogniser does.
const CASES: [(&str, [usize; 4]); 8] = [
    ("ppocrv6-tiny-det", [1, 3, 640, 640]),
    ("ppocrv6-tiny-det", [1, 3, 960, 960]),
    ("ppocrv6-small-det", [1, 3, 640, 640]),
    ("ppocrv6-small-det", [1, 3, 960, 960]),
    ("ppocrv6-tiny-rec", [1, 3, 48, 320]),
    ("ppocrv6-tiny-rec", [6, 3, 48, 640]),
    ("ppocrv6-small-rec", [1, 3, 48, 320]),
    ("ppocrv6-small-rec", [6, 3, 48, 640]),
];

/// Times the CPU executor, in turns with ONNX Runtime where `against` says so.
pub fn run(engine: &EngineArguments, rounds: u32, against: bool, profile: bool) -> Result<Outcome> {
    let int8 = engine.device == Device::CpuInt8;
    let store = engine.store()?;
    let mut peer = against.then(|| Peer::start(engine)).transpose()?;
    let isa = Isa::best();
    let peak = isa.peak();
    println!(
        "{}{}, one thread, {:.0} GFLOP/s at most; CPU time, lowest of {rounds} rounds",
        isa.name(),
        if int8 { " with int8" } else { "" },
        peak * 1e-9
    );
    println!(
        "{:<18} {:>13} {:>10} {:>8} {:>8} {:>9} {:>7}",
        "network", "shape", "MaoOCR ms", "GFLOP/s", "of peak", "ONNX R. ms", "ratio"
    );
    let mut sessions: BTreeMap<&str, CpuSession> = BTreeMap::new();
    for (name, shape) in CASES {
        if !sessions.contains_key(name) {
            let onnx = store.read(name)?;
            let session = if int8 {
                CpuSession::load_int8(&onnx)
            } else {
                CpuSession::load(&onnx)
            };
            sessions.insert(name, session.map_err(|e| NotReady(e.to_string()))?);
        }
        let session = &sessions[name];
        let input = input(&shape)?;
        let mut ours = f64::INFINITY;
        let mut theirs = f64::INFINITY;
        // One round more than is counted.
        for round in 0..=rounds {
            let input = input.clone();
            let began = processor_time();
            if name.ends_with("rec") {
                // What the pipeline asks for; ONNX Runtime's figure has no search for the best class in it.
                pollster::block_on(session.run_best(input))?;
            } else {
                pollster::block_on(session.run(input))?;
            }
            let spent = (processor_time() - began).as_secs_f64();
            let peer = match &mut peer {
                Some(peer) => peer.run(&store.path(name), &shape)?,
                None => f64::INFINITY,
            };
            if round > 0 {
                ours = ours.min(spent);
                theirs = theirs.min(peer);
            }
        }
        let costs = session.profile(&input, rounds as usize)?;
        let macs: u64 = costs.iter().map(|cost| cost.macs).sum();
        let speed = 2.0 * macs as f64 / ours;
        let compared = if theirs.is_finite() {
            format!("{:>10.2} {:>6.2}×", theirs * 1e3, ours / theirs)
        } else {
            format!("{:>10} {:>7}", "-", "-")
        };
        println!(
            "{name:<18} {:>13} {:>10.2} {:>8.0} {:>6.0} % {compared}",
            shape.map(|n| n.to_string()).join("x"),
            ours * 1e3,
            speed * 1e-9,
            100.0 * speed / peak
        );
        if profile {
            let mut kernels: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
            for cost in &costs {
                let kernel = kernels.entry(cost.kernel).or_default();
                kernel.0 += cost.time.as_secs_f64();
                kernel.1 += cost.macs;
            }
            let total: f64 = kernels.values().map(|k| k.0).sum();
            for (kernel, (seconds, macs)) in kernels {
                let speed = 2.0 * macs as f64 / seconds;
                println!(
                    "  {kernel:<29} {:>11.3} {:>8.0} {:>6.0} %   {:>4.1} % of the time",
                    seconds * 1e3,
                    speed * 1e-9,
                    100.0 * speed / peak,
                    100.0 * seconds / total
                );
            }
        }
    }
    Ok(Outcome::Complete)
}

/// Values as a normalised picture has them, the same on every machine, laid out as the pipeline does.
fn input(shape: &[usize; 4]) -> Result<Tensor> {
    let len = shape.iter().product::<usize>();
    let data = (0..len).map(|i| ((i * 7919) % 255) as f32 / 127.5 - 1.0);
    Ok(Tensor::channels_last(*shape, data.collect())?)
}

/// ONNX Runtime in a process that waits for its turn.
struct Peer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Keeps the script.
    _folder: tempfile::TempDir,
}

impl Peer {
    fn start(engine: &EngineArguments) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("peers.py");
        std::fs::write(&script, PEERS)?;
        let python = python(engine)?;
        let mut process = Command::new(&python)
            .arg(&script)
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| python.display().to_string())?;
        let requests = process.stdin.take().context("its input")?;
        let answers = BufReader::new(process.stdout.take().context("its output")?);
        Ok(Self {
            process,
            requests,
            answers,
            _folder: folder,
        })
    }

    /// Processor time of one run, s.
    fn run(&mut self, model: &Path, shape: &[usize]) -> Result<f64> {
        writeln!(self.requests, "{}", json!({"model": model, "shape": shape}))?;
        self.requests.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "ONNX Runtime ended");
        let answer: Value = serde_json::from_str(&line)?;
        answer["seconds"].as_f64().context("no time in its answer")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
