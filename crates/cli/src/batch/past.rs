//! What earlier runs of a batch have answered.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What an earlier run says about a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Past {
    Read,
    /// It is unreadable.
    Refused,
    /// It couldn't be opened, so it is worth another try. The last line about a picture counts.
    Passing,
}

/// Collects what earlier runs have answered and locks the file for this run. Drops a last line cut short by a crash.
pub fn resume(file: &File, jsonl: &Path) -> Result<HashMap<String, Past>> {
    let mut before = HashMap::new();
    // A pipe or a screen holds nothing from before.
    if !file.metadata()?.is_file() {
        return Ok(before);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "another batch is writing to {}: wait for it, or choose another --jsonl",
            jsonl.display()
        ),
        // Some network file systems have no locks.
        Err(TryLockError::Error(_)) => {}
    }
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .with_context(|| jsonl.display().to_string())?;
        if length == 0 {
            return Ok(before);
        }
        if !line.ends_with(b"\n") {
            break;
        }
        let parsed: Value = serde_json::from_slice(&line).unwrap_or_default();
        let Some(name) = parsed["file"].as_str() else {
            bail!(
                "{} contains a line that is not an answer: choose another --jsonl",
                jsonl.display()
            );
        };
        let past = match parsed["error"]["code"].as_str() {
            None => Past::Read,
            Some(super::UNREADABLE) => Past::Passing,
            Some(_) => Past::Refused,
        };
        before.insert(name.to_string(), past);
        whole += length as u64;
    }
    file.set_len(whole)?;
    Ok(before)
}
