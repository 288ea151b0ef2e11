//! What `docker build` sends: whether `.dockerignore` lets through what cargo needs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{cargo, command};
use crate::root;

/// Asks cargo about the workspace in a folder with exactly the files that the image is built from.
pub fn check() -> Result<()> {
    let root = root()?;
    let rules = fs::read_to_string(root.join(".dockerignore")).context(".dockerignore")?;
    let listed = command("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()?;
    let folder = tempfile::tempdir()?;
    let mut sent = 0;
    for name in listed.lines().filter(|name| !ignored(&rules, name)) {
        let (from, to) = (root.join(name), folder.path().join(name));
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap_or(folder.path()))?;
            fs::copy(&from, &to).with_context(|| name.to_string())?;
            sent += 1;
        }
    }
    cargo(&["metadata", "--locked", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(folder.path().join("Cargo.toml"))
        .output()
        .context("cargo can't use what .dockerignore lets through")?;
    eprintln!("{sent} files go to the image's build, a whole workspace");
    Ok(())
}

/// Whether a file is left out, as Docker reads the rules: the last one that matches the path, or a folder that it lies
/// in, decides; `!` takes it back.
fn ignored(rules: &str, path: &str) -> bool {
    let mut ignored = false;
    let lines = rules.lines().map(str::trim);
    for rule in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (pattern, ignores) = match rule.strip_prefix('!') {
            Some(pattern) => (pattern, false),
            None => (rule, true),
        };
        let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
        let mut folders = Path::new(path).ancestors();
        if folders.any(|folder| {
            let parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
            !parts.is_empty() && matches(&pattern, &parts)
        }) {
            ignored = ignores;
        }
    }
    ignored
}

/// Whether a path's parts are what a pattern's say; `**` is any number of parts.
fn matches(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern, parts) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=parts.len()).any(|taken| matches(rest, &parts[taken..])),
        ([first, rest @ ..], [part, more @ ..]) => {
            part_matches(first.as_bytes(), part.as_bytes()) && matches(rest, more)
        }
        _ => false,
    }
}

/// Whether a name is what a pattern says; `*` is any text, `?` any one byte.
fn part_matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|taken| part_matches(rest, &name[taken..])),
        ([b'?', rest @ ..], [_, more @ ..]) => part_matches(rest, more),
        ([a, rest @ ..], [b, more @ ..]) => a == b && part_matches(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_matches_decides() {
        let rules =
            "# all\n*\n!crates\n!models/manifest.toml\n**/target\n**/*.onnx\ncrates/cli/sample?\n";
        for (path, left_out) in [
            ("README.md", true),
            ("worker-edge/src/lib.rs", true),
            ("crates/cli/src/main.rs", false),
            ("models/manifest.toml", false),
            ("models/tiny.onnx", true),
            ("crates/target/debug/x", true),
            ("crates/cli/a.onnx", true),
            ("crates/cli/samples/a.png", true),
            ("crates/cli/sample/a.png", false),
        ] {
            assert_eq!(ignored(rules, path), left_out, "{path}");
        }
    }
}
