//! `xtask-pack PROGRAM TRIPLE FEATURES FOLDER`: an archive of the program with what a release ships beside it, its
//! SHA-256 and its bill of materials, into the folder.

mod bill;
mod graph;
mod notices;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, triple, features, folder] = &arguments[..] else {
        bail!("usage: xtask-pack PROGRAM TRIPLE FEATURES FOLDER");
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packages = graph::read(&root, triple, features)?;
    let kind = if features.is_empty() { "" } else { "-gpu" };
    let name = format!("maoocr{kind}-{VERSION}-{triple}");
    let folder = PathBuf::from(folder);
    let own = folder.join(&name);
    fs::remove_dir_all(&own).ok();
    fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
    copy(Path::new(program), &own)?;
    for file in ["README.md", "LICENSE", "NOTICE"] {
        copy(&root.join(file), &own)?;
    }
    fs::write(own.join("THIRD-PARTY.txt"), notices::write(&packages)?)?;
    let bill = serde_json::to_string_pretty(&bill::cyclonedx(VERSION, &packages))?;
    fs::write(own.join("sbom.cdx.json"), &bill)?;
    fs::write(folder.join(format!("{name}.cdx.json")), &bill)?;

    let (archive, options) = if triple.contains("windows") {
        (format!("{name}.zip"), "-acf")
    } else {
        (format!("{name}.tar.gz"), "-czf")
    };
    let status = Command::new("tar")
        .current_dir(&folder)
        .args([options, &archive, &name])
        .status()
        .context("tar")?;
    if !status.success() {
        bail!("tar: {status}");
    }
    let bytes = fs::read(folder.join(&archive))?;
    fs::write(
        folder.join(format!("{archive}.sha256")),
        format!("{}  {archive}\n", hexadecimal(&Sha256::digest(&bytes))),
    )?;
    let size = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    println!(
        "{}: {} packages; the program {}, the archive {}",
        folder.join(&archive).display(),
        packages.len(),
        size(fs::metadata(program)?.len()),
        size(bytes.len() as u64),
    );
    Ok(())
}

/// A file into a folder, with its permissions.
fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, folder.join(name)).with_context(|| file.display().to_string())?;
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
