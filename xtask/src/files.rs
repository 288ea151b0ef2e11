//! Folders of files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Copies the files of a folder into another, those whose path in it `wanted` accepts.
pub fn copy_tree(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
    copy(from, to, Path::new(""), wanted)
}

fn copy(from: &Path, to: &Path, inside: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
    let (source, target) = (from.join(inside), to.join(inside));
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    for entry in fs::read_dir(&source).with_context(|| source.display().to_string())? {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(from, to, &path, wanted)?;
        } else if wanted(&path) {
            let target = to.join(&path);
            fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}
