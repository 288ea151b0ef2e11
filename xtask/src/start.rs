//! `cargo xtask start`: from a fresh checkout to a read picture, then to a server, then to the web app.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, command};
use crate::machine::{self, Purpose};
use crate::stage::Stage;
use crate::steps::{self, beside, step, words};
use crate::{PROFILE, node, npm, root, target, wasm, web};

/// Whether the executor for GPUs is built, which takes several times as long.
#[derive(Clone, Copy, PartialEq)]
pub enum Gpu {
    /// Where a GPU is seen.
    Seen,
    Wanted,
    Unwanted,
}

const SAMPLES: [&str; 2] = ["receipt.jpg", "chinese.jpg"];
/// Steps that the web app is built in, as its page tells them.
const STEPS: [&str; 3] = [
    "the engine for browsers (WebAssembly)",
    "packages from npm",
    "the app",
];

/// Builds, reads, serves; ends with the server.
pub fn run(gpu: Gpu, started: Instant) -> Result<()> {
    let gpu = choose(gpu);
    machine::prepare(Purpose::Run)?;
    let reader = step("maoocr, which reads", "2 min", || build("threads"))?;
    let features = if gpu {
        "threads,serve-alone,gpu"
    } else {
        "threads,serve-alone"
    };
    let first = if gpu { "12 min" } else { "3 min" };
    let serving = beside("maoocr, which serves too", first, move || build(features));
    step("models", "30 s", || {
        command(&reader).args(["models", "pull"]).run()
    })?;
    step("two samples", "", || {
        let folder = root()?.join("tests/samples");
        command(&reader)
            .arg("recognize")
            .args(SAMPLES.map(|name| folder.join(name)))
            .run()
    })?;
    eprintln!(
        "== the first text was there after {}",
        words(started.elapsed())
    );

    let maoocr = serving.wait()?;
    let built = root()?.join("www/app/dist");
    let mut stage = Stage::create(target()?.join("start-web"), &built, STEPS.len())?;
    let mut server = Server(
        command(&maoocr)
            .args(["serve", "--web"])
            .arg(stage.folder())
            .spawn()?,
    );
    server.wait_for(&maoocr)?;
    eprintln!(
        "== the API answers after {}; Ctrl-C ends it. From another terminal:\n     \
         curl -F image=@tests/samples/receipt.jpg http://{}/api/ocr/recognize",
        words(started.elapsed()),
        address(),
    );
    eprintln!(
        "== http://{}/ shows how far the web app is, and opens it",
        address()
    );
    match app(&maoocr, &mut stage).and_then(|()| stage.open(&built)) {
        Ok(()) => eprintln!(
            "== the web app is at http://{}/ after {}",
            address(),
            words(started.elapsed())
        ),
        Err(error) => {
            eprintln!("xtask: {error:#}; going on without the web app");
            stage.fail(&format!("It can't be built here: {error:#}"))?;
        }
    }
    steps::print_table(started.elapsed());
    server.wait()
}

/// Says what is built and why.
fn choose(gpu: Gpu) -> bool {
    let (built, why) = match gpu {
        Gpu::Wanted => (true, "as asked"),
        Gpu::Unwanted => (false, "as asked"),
        Gpu::Seen if cfg!(any(target_os = "macos", windows)) => (true, "this system has one"),
        Gpu::Seen if gpu_seen(Path::new("/dev")) => (true, "there is one in /dev"),
        Gpu::Seen => (false, "there is no GPU in /dev"),
    };
    if built {
        eprintln!(
            "== maoocr for CPUs and GPUs, {why}; `cargo xtask start --cpu` takes a third of the time"
        );
    } else {
        eprintln!(
            "== maoocr for CPUs, {why}; `cargo xtask start --gpu` builds the executor for GPUs too"
        );
    }
    eprintln!(
        "   The server goes without PostgreSQL, Redis and OpenTelemetry; `cargo build --release` has them all"
    );
    built
}

/// Whether a folder of devices has a GPU's: DRM's render nodes, NVIDIA's own, or that of Windows' subsystem for Linux.
fn gpu_seen(devices: &Path) -> bool {
    let starts = |folder: PathBuf, start: &str| {
        folder.read_dir().is_ok_and(|entries| {
            let mut names = entries.flatten().map(|entry| entry.file_name());
            names.any(|name| name.to_string_lossy().starts_with(start))
        })
    };
    starts(devices.join("dri"), "renderD")
        || starts(devices.into(), "nvidia")
        || devices.join("dxg").exists()
}

/// Builds the command with some of its features, and says where it is.
fn build(features: &str) -> Result<PathBuf> {
    // The server and its features are chosen even where the command goes without: cargo then gives the dependencies
    // the same features, and compiles them once.
    cargo(&["build", "--locked", "--profile", PROFILE, "--bin", "maoocr"])
        .args(["--package", "maoocr-cli", "--package", "maoocr-server"])
        .args(["--no-default-features", "--features"])
        .arg(format!("sqlite,{features}"))
        .run()?;
    // A copy: the next build puts its own in this one's place while it runs.
    let folder = target()?.join(PROFILE);
    let name = |stem: &str| format!("{stem}{}", std::env::consts::EXE_SUFFIX);
    let copy = folder.join(name(&format!("maoocr-{}", features.replace(',', "-"))));
    fs::copy(folder.join(name("maoocr")), &copy).with_context(|| copy.display().to_string())?;
    Ok(copy)
}

/// Builds the web app with modules for this machine, in a fresh checkout.
fn app(maoocr: &Path, stage: &mut Stage) -> Result<()> {
    stage.begin(STEPS[0])?;
    // Only now: until the server answers, every core compiles it.
    let packages = beside("packages from npm", "30 s", || {
        node::prepare()?;
        wasm::packages()?;
        npm::install(&root()?.join("www"), &[]).map(drop)
    });
    let bindgen = beside(
        "what writes the modules' JavaScript",
        "1 min",
        wasm::bindgen,
    );
    wasm::build_for_here()?;
    bindgen.wait()?;
    // The app takes it where it was built before: then it must be of the same source.
    if root()?.join("pkg/web-relaxed").exists() {
        wasm::RELAXED.build()?;
    }
    stage.begin(STEPS[1])?;
    packages.wait()?;
    stage.begin(STEPS[2])?;
    web::build(maoocr)
}

/// Where the server listens.
fn address() -> String {
    std::env::var("MAOOCR_LISTEN").unwrap_or_else(|_| "127.0.0.1:8787".into())
}

/// A server that ends with this program.
struct Server(Child);

impl Server {
    /// Waits until it takes work.
    fn wait_for(&mut self, maoocr: &Path) -> Result<()> {
        let address: SocketAddr = address().parse().context("MAOOCR_LISTEN")?;
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(status) = self.0.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            let listens = TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
            if listens && command(maoocr).arg("health").succeeds() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the server doesn't answer at {address}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn wait(&mut self) -> Result<()> {
        let status = self.0.wait()?;
        if !status.success() {
            bail!("maoocr serve: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_seen_by_their_devices() {
        for (device, seen) in [
            ("dri/renderD128", true),
            ("nvidia0", true),
            ("dxg", true),
            ("dri/card0", false),
            ("null", false),
        ] {
            let devices = tempfile::tempdir().unwrap();
            let path = devices.path().join(device);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
            assert_eq!(gpu_seen(devices.path()), seen, "{device}");
        }
    }
}
