//! Set-up, build and test as plain Rust: `cargo xtask …`.

mod check;
mod command;
mod context;
mod deny;
mod deploy;
mod dist;
mod edge;
mod extension;
mod files;
mod links;
mod lints;
mod machine;
mod node;
mod npm;
mod python;
mod sqlx;
mod stage;
mod start;
mod steps;
mod test;
mod wasm;
mod web;
mod wheel;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use command::{Step, cargo, command};
use machine::Purpose;
use steps::step;

const HELP: &str = "\
cargo xtask <command>

  start   build what this machine can use, fetch the models, read two samples, serve the API and the web app
          --gpu, --cpu: build with or without the GPU executor, whether or not a GPU is seen
  test    run everything a change must pass: set-up, formatting, lints, licences, tests on every executor
          --quick: formatting, lints, unit tests and the texts of the samples, in a few minutes
  check   check formatting, spelling, links, workflows, lints and licences, without the tests
  dist    build the command for release and pack it with notices, checksums and a bill of materials in target/dist
          --gpu: with the GPU executor
  wheel   build the Python package for release into target/wheels/dist
          wheel models: build the package of its models into target/wheels/models
          wheel test: build both for tests and run them
  sqlx    update what the server's queries are checked against, after changing queries or tables
  wasm    build the engine for JavaScript into pkg/; the module for GPUs takes ten minutes the first time
          wasm documents: only the module for PDFs, structure and exports
  package build the npm package into pkg/: modules, client, models
  extension
          build the browser extension into www/extension/dist, with an archive for each store
  web     build the web app with its models into www/app/dist
  edge    build the Cloudflare Worker with its files into worker-edge/build
          edge dev: and run it in workerd, in front of a server, on 127.0.0.1:8787
          edge test: and run its tests
  deploy-check
          lint what deploy/ ships and run it with nginx, Prometheus, PostgreSQL and Redis from packages
  setup   only prepare this machine for `test`
";

fn main() -> ExitCode {
    if let Some(code) = wasm::wrapped().or_else(lints::wrapped) {
        return code;
    }
    let started = Instant::now();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start"] => start::run(start::Gpu::Seen, started),
        ["start", "--gpu"] => start::run(start::Gpu::Wanted, started),
        ["start", "--cpu"] => start::run(start::Gpu::Unwanted, started),
        ["test"] => test::run(),
        ["test", "--quick"] => test::quick(),
        ["check"] => python::CHECK.prepare().and_then(|()| check::run()),
        ["dist"] => dist::run(false),
        ["dist", "--gpu"] => dist::run(true),
        ["wheel"] => wheel_for_release(),
        ["wheel", "models"] => wheel_of_models(),
        ["wheel", "test"] => wheel_test(),
        ["sqlx"] => sqlx::prepare(),
        ["wasm"] => {
            let bundles = [wasm::RELAXED, wasm::CPU, wasm::DOCUMENTS, wasm::GPU];
            bundles.iter().try_for_each(wasm::Bundle::build)
        }
        ["wasm", "documents"] => wasm::DOCUMENTS.build(),
        ["package"] => packaged(&[wasm::RELAXED, wasm::CPU], web::package),
        ["extension"] => packaged(
            &[wasm::RELAXED, wasm::CPU, wasm::DOCUMENTS],
            extension::build,
        ),
        ["web"] => web(),
        ["edge"] | ["edge", "build"] => edge_for(edge::build),
        ["edge", "dev"] => edge_for(edge::dev),
        ["edge", "test"] => edge_for(edge::test),
        ["deploy-check"] => deploy_check(),
        ["setup"] => test::set_up(),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!(
                "`cargo xtask {}`: no such command.\n\n{HELP}",
                arguments.join(" ")
            );
            return ExitCode::from(2);
        }
    };
    steps::print_table(started.elapsed());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The web app from a fresh checkout, with every module and the models that it offers.
fn web() -> Result<()> {
    let maoocr = prepared()?;
    for bundle in [wasm::RELAXED, wasm::CPU, wasm::DOCUMENTS, wasm::GPU] {
        bundle.build()?;
    }
    web::build(&maoocr)
}

/// The npm package, or the extension, from a fresh checkout, with the modules in it.
fn packaged(bundles: &[wasm::Bundle], build: fn(&Path) -> Result<()>) -> Result<()> {
    let maoocr = prepared()?;
    bundles.iter().try_for_each(wasm::Bundle::build)?;
    build(&maoocr)
}

/// The Worker from a fresh checkout, and then some.
fn edge_for(then: fn(&Path) -> Result<()>) -> Result<()> {
    then(&prepared()?)
}

/// The files of `deploy/` alone, with what they need.
fn deploy_check() -> Result<()> {
    machine::prepare(Purpose::Test)?;
    python::DEPLOY.prepare()?;
    deploy::check(&prepared()?)
}

/// The Python package as users get it.
fn wheel_for_release() -> Result<()> {
    machine::prepare(Purpose::Python)?;
    python::PACKAGE.prepare()?;
    println!("{}", wheel::build("dist")?.display());
    Ok(())
}

/// The models that the Python package fetches otherwise.
fn wheel_of_models() -> Result<()> {
    machine::prepare(Purpose::Python)?;
    python::PACKAGE.prepare()?;
    println!("{}", wheel::models(&prepared()?)?.display());
    Ok(())
}

/// The Python package's tests alone, with what they need.
fn wheel_test() -> Result<()> {
    machine::prepare(Purpose::Test)?;
    python::PACKAGE.prepare()?;
    wheel::test(&prepared()?)
}

/// The command with its usual models: the one that `MAOOCR_BIN` names, else from a fresh checkout.
fn prepared() -> Result<PathBuf> {
    machine::prepare(Purpose::Run)?;
    let maoocr = match env::var_os("MAOOCR_BIN") {
        Some(built) => built.into(),
        None => binary(PROFILE, &["--package", "maoocr-cli"])?,
    };
    step("models", "30 s", || {
        command(&maoocr).args(["models", "pull"]).run()
    })?;
    Ok(maoocr)
}

/// The profile of everything that is built where it runs: what reads is as fast as in a release, the rest compiles fast.
const PROFILE: &str = "start";

/// Builds `maoocr`, as part of what `selection` names, and says where it is.
fn binary(profile: &str, selection: &[&str]) -> Result<PathBuf> {
    let build = cargo(&["build", "--locked", "--profile", profile]).args(selection);
    step("maoocr", "6 min", || built(build, profile))
}

/// Runs what builds `maoocr` in a profile and says where it is.
fn built(build: Step, profile: &str) -> Result<PathBuf> {
    build.run()?;
    let name = format!("maoocr{}", env::consts::EXE_SUFFIX);
    let path = target()?.join(profile).join(name);
    if !path.exists() {
        bail!("cargo built maoocr, but not as {}", path.display());
    }
    Ok(path)
}

/// The repository's root.
fn root() -> Result<PathBuf> {
    // Cargo says at run time which checkout it works on: with a target folder of several, the program may have been built
    // in another.
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = own
        .ancestors()
        .find(|f| f.join("xtask/Cargo.toml").is_file());
    Ok(root
        .context("xtask lies in the repository's root")?
        .to_path_buf())
}

/// Where cargo builds.
fn target() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR").filter(|v| !v.is_empty()) {
        return std::path::absolute(folder).context("CARGO_TARGET_DIR");
    }
    Ok(root()?.join("target"))
}

/// Where tools are kept between runs: beside the build folder, so that whoever caches the one keeps the other.
fn tools() -> Result<PathBuf> {
    let target = target()?;
    match env::var_os("CARGO_TARGET_DIR") {
        Some(_) => Ok(target
            .parent()
            .context("CARGO_TARGET_DIR is the root folder")?
            .join("tools")),
        None => Ok(target.join("tools")),
    }
}
