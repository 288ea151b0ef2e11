//! Links of the documents to files and to headings of this repository: whether what they name is there. Nothing is
//! fetched.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::command::command;
use crate::root;

/// Every document that git knows or would take.
pub fn check() -> Result<()> {
    let listed = command("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.md",
        ])
        .output()?;
    let root = root()?;
    let mut broken = Vec::new();
    let mut links = 0;
    for name in listed.lines() {
        let path = root.join(name);
        // Deleted, but not yet for git.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for link in targets(&text) {
            links += 1;
            if let Err(why) = resolve(&root, &path, &text, &link) {
                broken.push(format!("  {name}: {link}: {why}"));
            }
        }
    }
    if broken.is_empty() {
        eprintln!("{links} links");
        return Ok(());
    }
    bail!("links that lead nowhere:\n{}", broken.join("\n"))
}

/// Whether a link's file, and in it the heading, is there.
fn resolve(root: &Path, document: &Path, text: &str, link: &str) -> Result<(), &'static str> {
    let elsewhere = ["http://", "https://", "mailto:"];
    if elsewhere.iter().any(|scheme| link.starts_with(scheme)) {
        return Ok(());
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = match file.strip_prefix('/') {
        Some(absolute) => root.join(absolute),
        None if file.is_empty() => document.to_path_buf(),
        None => document.with_file_name("").join(file),
    };
    if !target.exists() {
        return Err("no such file");
    }
    if heading.is_empty() || target.extension().is_none_or(|kind| kind != "md") {
        return Ok(());
    }
    let other;
    let text = if target == document {
        text
    } else {
        other = fs::read_to_string(&target).map_err(|_| "can't be read")?;
        &other
    };
    match anchors(text).contains(heading) {
        true => Ok(()),
        false => Err("no such heading"),
    }
}

/// What the text's links and pictures point at: `[…](…)`, `[…]: …`, and `href` and `src` of HTML.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in outside_code(text) {
        let line = without_code(line);
        for (open, close) in [
            ("](", ')'),
            ("href=\"", '"'),
            ("src=\"", '"'),
            ("srcset=\"", '"'),
        ] {
            for (at, _) in line.match_indices(open) {
                let rest = &line[at + open.len()..];
                let end = rest.find(close).unwrap_or(rest.len());
                // A title may follow.
                found.extend(rest[..end].split_whitespace().next().map(String::from));
            }
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.extend(target.split_whitespace().next().map(String::from));
        }
    }
    found
}

/// The anchors of a document's headings, made as GitHub makes them: lower case, spaces as hyphens, punctuation
/// dropped, `-1` and so on after those that come again; and those that HTML names.
fn anchors(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    for line in outside_code(text) {
        for (at, _) in line.match_indices("id=\"") {
            let rest = &line[at + 4..];
            found.insert(rest[..rest.find('"').unwrap_or(0)].to_string());
        }
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .chars()
            .flat_map(char::to_lowercase)
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let mut unique = anchor.clone();
        let mut again = 0;
        while !found.insert(unique.clone()) {
            again += 1;
            unique = format!("{anchor}-{again}");
        }
    }
    found
}

/// The lines that are in no fenced block of code.
fn outside_code(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A line less what stands in backticks.
fn without_code(line: &str) -> String {
    if !line.matches('`').count().is_multiple_of(2) {
        return line.into();
    }
    line.split('`').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_code_is_not_searched() {
        let text = "See [a](a.md \"A\") and ![b](b.png), not `[c](c.md)`.\n\
                    ```\n[d](d.md)\n```\n<img src=\"e.png\">\n[f]: f.md#g\n";
        assert_eq!(targets(text), ["a.md", "b.png", "e.png", "f.md#g"]);
    }

    #[test]
    fn headings_have_the_anchors_that_github_gives_them() {
        let text = "# From a clone\n## What it's for: `maoocr serve`\n## 中文 名\n## Sizes\n### Sizes\n#no\n```\n# c\n```\n";
        let expected = [
            "from-a-clone",
            "what-its-for-maoocr-serve",
            "中文-名",
            "sizes",
            "sizes-1",
        ];
        assert_eq!(anchors(text), expected.map(String::from).into());
    }

    #[test]
    fn what_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("docs/a.md");
        fs::create_dir(folder.path().join("docs")).unwrap();
        fs::write(folder.path().join("b.md"), "# One\n").unwrap();
        let text = "# Two\n";
        fs::write(&document, text).unwrap();
        let found = |link| resolve(folder.path(), &document, text, link);
        for good in [
            "../b.md",
            "/b.md#one",
            "#two",
            "../b.md#one",
            "https://example.org/x#y",
        ] {
            assert_eq!(found(good), Ok(()), "{good}");
        }
        assert_eq!(found("b.md"), Err("no such file"));
        assert_eq!(found("../b.md#two"), Err("no such heading"));
        assert_eq!(found("#one"), Err("no such heading"));
    }
}
