//! The licence texts of what is linked, each once, with the packages that come under it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use crate::graph::Package;

/// What licence files are called.
const NAMES: [&str; 6] = [
    "license",
    "licence",
    "copying",
    "copyright",
    "notice",
    "unlicense",
];

/// The notices of all packages that aren't the workspace's own.
pub fn write(packages: &BTreeMap<String, Package>) -> Result<String> {
    let mut text = String::from("maoocr is made with these packages.\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages
        .values()
        .filter(|package| package.checksum.is_some())
    {
        text += &format!(
            "{} {}: {}\n",
            package.name, package.version, package.licence
        );
        for found in licences(package)? {
            texts.entry(found).or_default().push(package.key());
        }
    }
    for (licence, packages) in texts {
        text += &format!(
            "\n{}\n{}\n\n{}\n",
            "-".repeat(80),
            packages.join(", "),
            licence
        );
    }
    Ok(text)
}

/// The texts of the licence files in a package's folder.
fn licences(package: &Package) -> Result<Vec<String>> {
    let folder =
        fs::read_dir(&package.folder).with_context(|| package.folder.display().to_string())?;
    let mut texts = Vec::new();
    for entry in folder {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if NAMES.iter().any(|start| name.starts_with(start)) && entry.path().is_file() {
            let text = fs::read(entry.path())?;
            texts.push(
                String::from_utf8_lossy(&text)
                    .replace('\r', "")
                    .trim()
                    .to_string(),
            );
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_printed_once_for_all_that_come_under_it() {
        let folder = tempfile::tempdir().unwrap();
        let package = |name: &str, file: &str, own: bool| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(file), "Do what you like.\r\n").unwrap();
            Package {
                name: name.into(),
                version: "1.0.0".into(),
                licence: "MIT".into(),
                folder,
                checksum: (!own).then(String::new),
                ..Package::default()
            }
        };
        let packages = [
            package("a", "LICENSE-MIT", false),
            package("b", "Licence.txt", false),
            package("c", "readme.md", false),
            package("own", "LICENSE", true),
        ];
        let text = write(&packages.map(|package| (package.key(), package)).into()).unwrap();
        assert_eq!(text.matches("Do what you like.").count(), 1);
        assert!(text.contains("a@1.0.0, b@1.0.0\n"), "{text}");
        assert!(text.contains("c 1.0.0: MIT"), "{text}");
        assert!(!text.contains("own"), "{text}");
    }
}
