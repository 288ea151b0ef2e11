//! The engine as WebAssembly modules: `pkg/web` and `pkg/nodejs`; `pkg/web-relaxed`, which is faster; for GPUs
//! `pkg/web-gpu`. Documents have a module of their own: `pkg/web-documents`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::{before_compiler, cargo, command, status};
use crate::steps::step;
use crate::{PROFILE, machine, npm, root, target};

const TRIPLE: &str = "wasm32-unknown-unknown";
/// Says to this program that it stands before the compiler: see [`wrapped`].
const WRAPS: &str = "MAOOCR_RELAXED_SIMD";

/// A module that is built, and the packages it comes in.
pub struct Bundle {
    /// The crate.
    package: &'static str,
    /// Profile of cargo's, also the folder where it leaves the module.
    profile: &'static str,
    features: &'static [&'static str],
    /// Whether relaxed SIMD is used.
    relaxed: bool,
    /// Of the files.
    name: &'static str,
    /// How hard the optimiser tries; empty: it isn't run.
    level: &'static str,
    /// Folder in `pkg/`, target of wasm-bindgen and kind of module: an ES module over the network, a CommonJS one from
    /// a file.
    packages: &'static [(&'static str, &'static str, &'static str)],
    /// What it is, and about how long it takes the first time, on two cores.
    title: &'static str,
    first: &'static str,
}

/// The engine on a CPU.
pub const CPU: Bundle = Bundle {
    package: "maoocr-wasm",
    profile: "wasm",
    features: &[],
    relaxed: false,
    name: "maoocr",
    level: "-O3",
    packages: &[("web", "web", "module"), ("nodejs", "nodejs", "commonjs")],
    title: "WebAssembly module",
    first: "2 min",
};

/// The same for browsers with relaxed SIMD; those without refuse a module that has any of it.
pub const RELAXED: Bundle = Bundle {
    relaxed: true,
    name: "maoocr_relaxed",
    packages: &[("web-relaxed", "web", "module")],
    title: "WebAssembly module with relaxed SIMD",
    first: "1 min",
    ..CPU
};

/// The same with Burn, for browsers with WebGPU.
pub const GPU: Bundle = Bundle {
    package: "maoocr-wasm",
    profile: "wasm-gpu",
    features: &["--features", "gpu"],
    relaxed: false,
    name: "maoocr_gpu",
    // `-O3` takes four times as long, and that is minutes.
    level: "-O1",
    packages: &[("web-gpu", "web", "module")],
    title: "WebAssembly module for GPUs",
    first: "10 min",
};

/// PDFs, structure and exports, for browsers.
pub const DOCUMENTS: Bundle = Bundle {
    package: "maoocr-wasm-documents",
    name: "maoocr_documents",
    // `-O3` takes minutes for a tenth of its size.
    level: "-O1",
    packages: &[("web-documents", "web", "module")],
    title: "WebAssembly module for documents",
    first: "3 min",
    ..CPU
};

/// Builds the modules of the app for the browser on this machine: in a fraction of the time, but larger.
pub fn build_for_here() -> Result<()> {
    // With the command's profile, so that macros and build scripts are there already.
    let bundles = [CPU, DOCUMENTS].map(|bundle| Bundle {
        profile: PROFILE,
        level: "",
        ..bundle
    });
    step("WebAssembly modules", "2 min", || {
        // Together, so that what both need compiles once.
        let modules = compile_all(
            &bundles.each_ref().map(|bundle| bundle.package),
            PROFILE,
            &[],
            false,
        )?;
        for (bundle, module) in bundles.iter().zip(modules) {
            bundle.pack(&module)?;
        }
        Ok(())
    })
}

impl Bundle {
    /// Builds it, writes its JavaScript, makes it smaller where npm can be had, and says how large it is.
    pub fn build(&self) -> Result<()> {
        step(self.title, self.first, || {
            let module = compile(self.package, self.profile, self.features, self.relaxed)?;
            self.pack(&module)
        })
    }

    /// From what the compiler left to `pkg/`, unless it is there already.
    fn pack(&self, module: &Path) -> Result<()> {
        let pkg = root()?.join("pkg");
        let file = format!("{}_bg.wasm", self.name);
        let delivered = |folder: &str| pkg.join(folder).join(&file);
        // The module that the packages were made from: beside them, because checkouts may share a target folder.
        let packed = pkg.join(".packed").join(self.name);
        let mut compiled = fs::read(module).with_context(|| module.display().to_string())?;
        compiled.extend(self.level.as_bytes());
        let there = self.packages.iter().all(|(f, ..)| delivered(f).is_file());
        if there && fs::read(&packed).is_ok_and(|from| from == compiled) {
            return Ok(());
        }
        fs::remove_file(&packed).ok();
        let bindgen = bindgen()?;
        // The packages differ in their JavaScript: their module is optimised once.
        let mut optimised: Option<(Vec<u8>, PathBuf)> = None;
        for (folder, target, kind) in self.packages {
            let own = delivered(folder);
            let folder = pkg.join(folder);
            fs::remove_dir_all(&folder).ok();
            command(&bindgen)
                .args([target, self.name])
                .args([module, &folder])
                .run()?;
            fs::write(
                folder.join("package.json"),
                format!(
                    "{{\n  \"name\": \"{package}\",\n  \"version\": \"{}\",\n  \"license\": \"Apache-2.0\",\n  \
                     \"private\": true,\n  \"type\": \"{kind}\",\n  \"main\": \"{name}.js\",\n  \
                     \"types\": \"{name}.d.ts\"\n}}\n",
                    env!("CARGO_PKG_VERSION"),
                    name = self.name,
                    package = self.package,
                ),
            )?;
            let bound = fs::read(&own).with_context(|| own.display().to_string())?;
            match &optimised {
                Some((same, smaller)) if *same == bound => {
                    fs::copy(smaller, &own)?;
                }
                _ => {
                    if !self.level.is_empty() {
                        optimise(self.level, &own)?;
                    }
                    optimised = Some((bound, own));
                }
            }
        }
        fs::create_dir_all(pkg.join(".packed"))?;
        fs::write(&packed, compiled).with_context(|| packed.display().to_string())?;
        let (first, ..) = self.packages[0];
        sizes(&[&module.to_path_buf(), &delivered(first)])
    }
}

/// Makes a module smaller, in place, where npm can be had; `level` says how hard to try.
pub fn optimise(level: &str, file: &Path) -> Result<()> {
    let optimiser = match optimiser() {
        Ok(optimiser) => optimiser,
        Err(error) => {
            eprintln!("xtask: {error:#}; the module stays larger than it need be");
            return Ok(());
        }
    };
    // Whoever stops it leaves the module as it was.
    let smaller = file.with_extension("smaller");
    command("node")
        .arg(optimiser)
        .args([level, "--strip-producers"])
        .args(["--enable-simd", "--enable-relaxed-simd"])
        .args(["--enable-bulk-memory", "--enable-sign-ext"])
        .args([
            "--enable-nontrapping-float-to-int",
            "--enable-mutable-globals",
        ])
        .args(["--enable-reference-types", "--enable-multivalue"])
        .arg(file)
        .arg("-o")
        .arg(&smaller)
        .run()?;
    Ok(fs::rename(smaller, file)?)
}

/// Reads the samples with the module in Node; `maoocr` says where the models are.
pub fn test(maoocr: &Path) -> Result<()> {
    command("node")
        .args(["--test", "tests/wasm/recognize.test.mjs"])
        .env("MAOOCR_BIN", maoocr)
        .run()
}

/// A package's module as the compiler leaves it, with a profile of the workspace's and arguments that choose features.
/// `relaxed`: for engines with relaxed SIMD only.
pub fn compile(package: &str, profile: &str, features: &[&str], relaxed: bool) -> Result<PathBuf> {
    Ok(compile_all(&[package], profile, features, relaxed)?.remove(0))
}

/// Those of several packages, in their order.
pub fn compile_all(
    packages: &[&str],
    profile: &str,
    features: &[&str],
    relaxed: bool,
) -> Result<Vec<PathBuf>> {
    let mut step = cargo(&["build", "--profile", profile, "--locked", "--lib"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--target", TRIPLE])
        .args(features);
    if relaxed {
        // Flags for all crates would compile the dependencies, which have no use for relaxed SIMD, a second time.
        step = step
            .env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?)
            .env(WRAPS, "1");
    }
    if let Some(compiler) = other_compiler()? {
        step = step
            .args(["-Zbuild-std=std,panic_abort"])
            .env("RUSTC", compiler.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
                compiler.linker,
            );
    }
    step.run()?;
    let folder = target()?.join(TRIPLE).join(profile);
    let file = |package: &&str| folder.join(format!("{}.wasm", package.replace('-', "_")));
    Ok(packages.iter().map(file).collect())
}

/// Where cargo runs this program before the compiler, for the workspace's own crates: runs the compiler, with relaxed
/// SIMD where it compiles for WebAssembly. None: this is no such run.
pub fn wrapped() -> Option<ExitCode> {
    before_compiler(WRAPS, |_, compiler, arguments| {
        let mut compiler = std::process::Command::new(compiler);
        if arguments.iter().any(|a| a == TRIPLE) {
            compiler.args(["-C", "target-feature=+relaxed-simd"]);
        }
        status(compiler.args(arguments))
    })
}

/// A compiler to take instead of rustup's.
struct Compiler {
    rustc: PathBuf,
    linker: PathBuf,
}

/// None where rustup has, or gets, the standard library for WebAssembly; else Debian's compiler, which comes with
/// that library's source.
fn other_compiler() -> Result<Option<Compiler>> {
    let library = |triple: &str| -> Result<PathBuf> {
        let folder = command("rustc")
            .args(["--print", "target-libdir", "--target", triple])
            .output()?;
        Ok(PathBuf::from(folder.trim()))
    };
    if library(TRIPLE)?.is_dir() || command("rustup").args(["target", "add", TRIPLE]).succeeds() {
        return Ok(None);
    }
    eprintln!(
        "xtask: rustup can't get {TRIPLE}; taking the system's compiler and its library's source"
    );
    let rustc = PathBuf::from("/usr/bin/rustc");
    if !rustc.is_file() || !Path::new("/usr/lib/rustlib/src/rust/library").is_dir() {
        machine::install(&["rustc-web", "rust-web-src"])?;
    }
    let host = command("rustc").arg("-vV").output()?;
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc -vV names its host")?;
    let linker = library(host)?.with_file_name("bin").join("rust-lld");
    Ok(Some(Compiler { rustc, linker }))
}

/// The program that writes a module's JavaScript, of the crate's very version: `xtask/bindgen`.
pub fn bindgen() -> Result<PathBuf> {
    cargo(&["build", "--profile", PROFILE, "--locked"])
        .args(["--package", "xtask-bindgen", "--features", "bindgen"])
        .run()?;
    let name = format!("xtask-bindgen{}", env::consts::EXE_SUFFIX);
    Ok(target()?.join(PROFILE).join(name))
}

/// The npm packages of tests/wasm, without those of its benchmark.
pub fn packages() -> Result<PathBuf> {
    npm::install(&root()?.join("tests/wasm"), &["--omit=dev"])
}

fn optimiser() -> Result<PathBuf> {
    if !command("npm").arg("--version").succeeds() {
        bail!("npm isn't there to get wasm-opt");
    }
    Ok(packages()?.join("binaryen/bin/wasm-opt"))
}

/// As built, as delivered, and what of it goes over the wire.
pub fn sizes(files: &[&PathBuf]) -> Result<()> {
    if !command("node").arg("--version").succeeds() {
        return Ok(());
    }
    let script: OsString = root()?.join("tests/wasm/sizes.mjs").into();
    command("node").arg(script).args(files).run()
}
