//! `cargo xtask test`: the whole truth, in the order that finds faults soonest.

use std::path::Path;

use anyhow::Result;

use crate::command::{Step, cargo, command};
use crate::machine::{self, Purpose};
use crate::steps::{Beside, beside, step};
use crate::{
    PROFILE, binary, built, check, deploy, edge, extension, lints, node, npm, python, root, wasm,
    web, wheel,
};

/// The models that tests compare executors with, the layout network and PP-OCRv5 among them.
const MODELS: [&str; 9] = [
    "ppocrv6-tiny-det",
    "ppocrv6-tiny-rec",
    "ppocrv6-small-det",
    "ppocrv6-small-rec",
    "ppocrv5-mobile-det",
    "ppocrv5-mobile-rec",
    "ppocrv5-line-orientation",
    "page-orientation",
    "layout-cdla",
];

/// All packages but this program: it would be replaced while it runs, with other features of its dependencies.
const ALL: [&str; 3] = ["--workspace", "--exclude", "xtask"];

/// All of it.
pub fn run() -> Result<()> {
    step("packages of the system", "2 min", || {
        machine::prepare(Purpose::Test)
    })?;
    step("linters", "30 s", || python::CHECK.prepare())?;
    let packages = fetch();
    check::files()?;
    step("lints of xtask", "", || {
        check::lints(&["--package", "xtask"])
    })?;
    // All targets at once: cargo chooses the dependencies' features for what it is asked to build, and another choice
    // would compile Burn a second time for the tests.
    let maoocr = step("maoocr and its tests, with lints", "25 min", || {
        let build = cargo(&["build", "--locked", "--profile", PROFILE, "--all-targets"]);
        built(lints::with(build.args(ALL))?, PROFILE)
    })?;
    step("models", "30 s", || {
        command(&maoocr).args(["models", "pull"]).args(MODELS).run()
    })?;
    packages.wait()?;
    // They are linked on one core for minutes, and the tests often wait for something.
    let modules = beside("WebAssembly modules", "16 min", || {
        let bundles = [wasm::RELAXED, wasm::CPU, wasm::DOCUMENTS, wasm::GPU];
        bundles.iter().try_for_each(wasm::Bundle::build)?;
        edge::compile().map(drop)
    });
    step("tests in Rust", "", || {
        cargo_test(&maoocr, &[], lints::with)
    })?;
    step("deploy/", "", || deploy::check(&maoocr))?;
    // One test after the other, on one core.
    let read_by = maoocr.clone();
    let wheel = beside("Python package", "", move || wheel::test(&read_by));
    modules.wait()?;
    let read_by = maoocr.clone();
    let module = beside("WebAssembly module in Node.js", "", move || {
        wasm::test(&read_by)
    });
    step("npm package", "", || web::package(&maoocr))?;
    step("web app", "", || web::build(&maoocr))?;
    step("browser extension", "", || extension::build(&maoocr))?;
    step("what is built from www/, in browsers", "", || {
        web::test(&maoocr)
    })?;
    module.wait()?;
    wheel.wait()?;
    // Alone: some of them are about how long a server takes.
    step("edge", "", || edge::test(&maoocr))
}

/// What a change is most likely to break. The models are there from an earlier run of all tests.
pub fn quick() -> Result<()> {
    step("formatting", "", check::formatting)?;
    step("lints", "10 min", || check::lints(&["--workspace"]))?;
    // A test is among what is built, so that cargo chooses the features that all the tests are built with.
    let which = [&["--bins", "--test", "golden"], &ALL[..]].concat();
    let maoocr = binary(PROFILE, &which)?;
    step("unit tests and samples", "5 min", || {
        cargo_test(&maoocr, &["--lib", "--bins", "--test", "golden"], Ok)
    })
}

/// The machine as the tests need it.
pub fn set_up() -> Result<()> {
    machine::prepare(Purpose::Test)?;
    python::CHECK.prepare()?;
    fetch().wait()
}

/// Python's and npm's packages, beside what compiles.
fn fetch() -> Beside<()> {
    beside("packages of Python and npm", "1 min", || {
        node::prepare()?;
        for environment in [
            &python::PARITY,
            &python::API,
            &python::DEPLOY,
            &python::PACKAGE,
        ] {
            environment.prepare()?;
        }
        npm::install(&root()?.join("www"), &[])?;
        wasm::packages()?;
        npm::install(&root()?.join("tests/server/clients"), &["--ignore-scripts"])?;
        npm::install(&root()?.join("tests/edge"), &[]).map(drop)
    })
}

/// `as_built` gives cargo what the build was given: with other variables it would build everything anew.
fn cargo_test(maoocr: &Path, which: &[&str], as_built: fn(Step) -> Result<Step>) -> Result<()> {
    let test = cargo(&["test", "--profile", PROFILE, "--locked"]);
    as_built(test.args(["--package", "xtask"]))?.run()?;
    let test = cargo(&["test", "--profile", PROFILE, "--locked", "--no-fail-fast"]);
    as_built(test.args(ALL).args(which))?
        .env("MAOOCR_PYTHON", python::PARITY.interpreter()?)
        .env("MAOOCR_API_PYTHON", python::API.interpreter()?)
        .env("MAOOCR_BIN", maoocr)
        .run()
}
