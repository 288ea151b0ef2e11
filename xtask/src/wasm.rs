//! The engine as WebAssembly modules: `pkg/web` and `pkg/nodejs`; `pkg/web-relaxed`, which is faster; for GPUs
//! `pkg/web-gpu`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, command};
use crate::{machine, npm, root, target, tools};

const TRIPLE: &str = "wasm32-unknown-unknown";
/// Of the tool and of the crate: their interface is private and changes with every version.
const BINDGEN: &str = "0.2.130";

/// A module that is built, and the packages it comes in.
struct Bundle {
    /// Profile of cargo's, also the folder where it leaves the module.
    profile: &'static str,
    features: &'static [&'static str],
    /// Whether relaxed SIMD is used.
    relaxed: bool,
    /// Of the files.
    name: &'static str,
    /// How hard the optimiser tries.
    level: &'static str,
    /// Folder in `pkg/`, target of wasm-bindgen and kind of module: an ES module over the network, a CommonJS one from
    /// a file.
    packages: &'static [(&'static str, &'static str, &'static str)],
}

/// The engine on a CPU.
const CPU: Bundle = Bundle {
    profile: "wasm",
    features: &[],
    relaxed: false,
    name: "maoocr",
    level: "-O3",
    packages: &[("web", "web", "module"), ("nodejs", "nodejs", "commonjs")],
};

/// The same for browsers with relaxed SIMD; those without refuse a module that has any of it.
const RELAXED: Bundle = Bundle {
    relaxed: true,
    name: "maoocr_relaxed",
    packages: &[("web-relaxed", "web", "module")],
    ..CPU
};

/// The same with Burn, for browsers with WebGPU.
const GPU: Bundle = Bundle {
    profile: "wasm-gpu",
    features: &["--features", "gpu"],
    relaxed: false,
    name: "maoocr_gpu",
    // `-O3` takes four times as long, and that is minutes.
    level: "-O1",
    packages: &[("web-gpu", "web", "module")],
};

/// Builds the modules for CPUs.
pub fn build() -> Result<()> {
    RELAXED.build()?;
    CPU.build()
}

/// Builds the module for GPUs, which takes ten minutes where there is nothing of it yet.
pub fn build_gpu() -> Result<()> {
    GPU.build()
}

impl Bundle {
    /// Builds it, writes its JavaScript, makes it smaller where npm can be had, and says how large it is.
    fn build(&self) -> Result<()> {
        let module = compile("maoocr-wasm", self.profile, self.features, self.relaxed)?;
        let bindgen = bindgen()?;
        let pkg = root()?.join("pkg");
        let file = format!("{}_bg.wasm", self.name);
        for (folder, target, kind) in self.packages {
            let folder = pkg.join(folder);
            std::fs::remove_dir_all(&folder).ok();
            command(&bindgen)
                .args(["--target", target, "--out-name", self.name, "--out-dir"])
                .arg(&folder)
                .arg(&module)
                .run()?;
            std::fs::write(
                folder.join("package.json"),
                format!(
                    "{{\n  \"name\": \"maoocr-wasm\",\n  \"version\": \"{}\",\n  \"license\": \"Apache-2.0\",\n  \
                     \"private\": true,\n  \"type\": \"{kind}\",\n  \"main\": \"{name}.js\",\n  \
                     \"types\": \"{name}.d.ts\"\n}}\n",
                    env!("CARGO_PKG_VERSION"),
                    name = self.name,
                ),
            )?;
            optimise(self.level, &folder.join(&file))?;
        }
        let (first, ..) = self.packages[0];
        sizes(&[&module, &pkg.join(first).join(&file)])
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
    Ok(std::fs::rename(smaller, file)?)
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
    let mut step = cargo(&["build", "--profile", profile, "--locked", "--lib"])
        .args(["--package", package, "--target", TRIPLE])
        .args(features);
    if relaxed {
        step = step.env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            "-C target-feature=+relaxed-simd",
        );
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
    let name = format!("{}.wasm", package.replace('-', "_"));
    Ok(target()?.join(TRIPLE).join(profile).join(name))
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

/// wasm-bindgen of the crate's version, built once and kept.
pub fn bindgen() -> Result<PathBuf> {
    let tools = tools()?;
    let kept = tools
        .join("bin")
        .join(format!("wasm-bindgen{}", env::consts::EXE_SUFFIX));
    let right = format!("wasm-bindgen {BINDGEN}");
    for program in [kept.clone(), PathBuf::from("wasm-bindgen")] {
        if command(&program)
            .arg("--version")
            .output()
            .is_ok_and(|version| version.trim() == right)
        {
            return Ok(program);
        }
    }
    eprintln!("{right} is built once; on two cores this takes some minutes.");
    let install = |more: &[&str]| {
        cargo(&[
            "install",
            "wasm-bindgen-cli",
            "--force",
            "--version",
            BINDGEN,
        ])
        .args(more)
        .arg("--root")
        .arg(&tools)
        // Not into the workspace's own build folder, and gone when a cache is trimmed.
        .env("CARGO_TARGET_DIR", tools.join("build"))
        // Half the time to compile, and fast enough for its work.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .run()
    };
    // A mirror may lack one of the very versions it was released with.
    install(&["--locked"]).or_else(|_| install(&[]))?;
    std::fs::remove_dir_all(tools.join("build")).ok();
    Ok(kept)
}

/// The npm packages of tests/wasm, without those of its benchmark.
fn packages() -> Result<PathBuf> {
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
