//! What the program is made of: the packages that cargo links into it for one platform and choice of features.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A package in the program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// SPDX expression.
    pub licence: String,
    /// Folder of its source.
    pub folder: PathBuf,
    /// SHA-256 of its archive in the registry, hexadecimal; none for the workspace's own.
    pub checksum: Option<String>,
    /// Keys ([`Package::key`]) of the packages that it uses itself.
    pub uses: BTreeSet<String>,
}

impl Package {
    /// Name and version, which together are unique among packages of one registry.
    pub fn key(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// The packages of `maoocr-cli` with these features, by key.
pub fn read(root: &Path, triple: &str, features: &str) -> Result<BTreeMap<String, Package>> {
    let cargo = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(root)
            .args(arguments)
            .output()
            .context("starting cargo")?;
        if !output.status.success() {
            bail!("cargo: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    };
    // Cargo's own answer to which packages are linked: `metadata` knows only the features of the whole workspace.
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package",
        "maoocr-cli",
        "--features",
        features,
        "--target",
        triple,
        "--edges",
        "normal",
        "--prefix",
        "depth",
        "--no-dedupe",
        "--format",
        " {p}",
    ])?;
    let metadata = cargo(&["metadata", "--locked", "--format-version", "1"])?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    join(&tree, &serde_json::from_str(&metadata)?, &lock)
}

/// What `cargo tree` lists, with what `cargo metadata` and the lock file say of it.
fn join(tree: &str, metadata: &Value, lock: &str) -> Result<BTreeMap<String, Package>> {
    let sums = checksums(lock);
    let mut known = BTreeMap::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_string();
        let manifest = PathBuf::from(text("manifest_path"));
        let mut package = Package {
            name: text("name"),
            version: text("version"),
            licence: text("license"),
            folder: manifest.parent().unwrap_or(Path::new("")).to_path_buf(),
            ..Package::default()
        };
        package.checksum = sums.get(&package.key()).cloned();
        known.insert(package.key(), package);
    }
    let mut found = BTreeMap::new();
    // The packages above the line's own, from the root on.
    let mut above: Vec<String> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, package) = line.split_once(' ').context("cargo tree: depth, package")?;
        let depth: usize = depth.parse().with_context(|| line.to_string())?;
        let mut words = package.split(' ');
        let (name, version) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let key = format!("{name}@{}", version.trim_start_matches('v'));
        let package = known
            .get(&key)
            .with_context(|| format!("{key}: unknown to cargo metadata"))?;
        found.entry(key.clone()).or_insert_with(|| package.clone());
        above.truncate(depth);
        if let Some(user) = above.last().and_then(|user| found.get_mut(user)) {
            user.uses.insert(key.clone());
        }
        above.push(key);
    }
    Ok(found)
}

/// The checksums of a lock file, by key.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            let line = package.lines().find_map(|line| line.strip_prefix(&start))?;
            line.strip_suffix('"')
        };
        if let (Some(name), Some(version), Some(sum)) =
            (field("name"), field("version"), field("checksum"))
        {
            sums.insert(format!("{name}@{version}"), sum.to_string());
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_listed_with_its_edges() {
        let tree = "0 app v0.1.0 (/src/app)\n1 a v1.0.0\n2 b v2.0.0\n1 b v2.0.0\n";
        let package = |name: &str, version: &str| {
            serde_json::json!({
                "name": name, "version": version, "license": "MIT",
                "manifest_path": format!("/registry/{name}/Cargo.toml"),
            })
        };
        let metadata = serde_json::json!({"packages": [
            package("app", "0.1.0"), package("a", "1.0.0"), package("b", "2.0.0"), package("unused", "1.0.0"),
        ]});
        let lock = "[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nchecksum = \"abc\"\n";
        let found = join(tree, &metadata, lock).unwrap();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["a@1.0.0", "app@0.1.0", "b@2.0.0"]
        );
        assert_eq!(
            found["app@0.1.0"].uses,
            ["a@1.0.0", "b@2.0.0"].map(String::from).into()
        );
        assert_eq!(found["a@1.0.0"].uses, ["b@2.0.0".to_string()].into());
        assert_eq!(found["b@2.0.0"].checksum.as_deref(), Some("abc"));
        assert_eq!(found["b@2.0.0"].folder, Path::new("/registry/b"));
    }
}
