//! Extracts files from wheels: from the wheel on its server, by range requests, or else from one that `pip`
//! downloads, so that pip's mirrors, proxies and certificates apply.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::{Error, Refusal};
use crate::index::{self, Remote};
use crate::part::Part;
use crate::pull::{Options, Progress};

/// Prefix of download folders. Those that a killed process left behind are removed by the next.
const PREFIX: &str = ".wheel-";

/// The Python version to request wheels for if the local one is too old or too new for the package. The files we want
/// don't depend on it.
const PYTHON_VERSION: &str = "3.12";

/// The wheels of one pull: each is downloaded once, however many of its files are wanted, and failures are remembered
/// too. Dropping it deletes them.
pub(crate) struct Wheels<'a> {
    folder: &'a Path,
    known: HashMap<(String, String), Result<Wheel, String>>,
    /// Wheels on their servers, by package and version; none where they can't be read there.
    remote: HashMap<(String, String), Option<zip::ZipArchive<Remote>>>,
}

struct Wheel {
    path: PathBuf,
    _folder: TempDir,
}

impl<'a> Wheels<'a> {
    /// Downloads into `folder`, so that a small `/tmp` doesn't matter. The caller holds the store's lock.
    pub fn new(folder: &'a Path) -> Self {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                // Leftovers that can't be removed do no harm.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Self {
            folder,
            known: HashMap::new(),
            remote: HashMap::new(),
        }
    }

    /// Extracts `path` from a wheel and completes the file.
    pub fn fetch(
        &mut self,
        (package, version, path): (&str, &str, &str),
        part: &Part,
        progress: &mut dyn Progress,
        options: &Options,
    ) -> Result<(), Refusal> {
        let key = (package.to_string(), version.to_string());
        let remote = self.remote.entry(key.clone()).or_insert_with(|| {
            open(package, version, progress, options)
                .inspect_err(|said| progress.note(&format!("{package} {version}: {said}")))
                .ok()?
        });
        if let Some(archive) = remote {
            match extract(archive, path, part, progress) {
                Err(Refusal::Source(said)) => {
                    progress.note(&format!("{package} {version}: {said}"));
                    *remote = None;
                }
                done => return done,
            }
        }
        if !self.known.contains_key(&key) {
            progress.note(&format!("downloading {package} {version} with pip"));
            let wheel = match download(self.folder, package, version, options) {
                Ok(wheel) => Ok(wheel),
                Err(Refusal::Source(said)) => Err(said),
                Err(local) => return Err(local),
            };
            self.known.insert(key.clone(), wheel);
        }
        match &self.known[&key] {
            Ok(wheel) => {
                let file = File::open(&wheel.path).map_err(Error::io("read", &wheel.path))?;
                let mut archive = zip::ZipArchive::new(file)
                    .map_err(|e| Refusal::Source(format!("is not a wheel: {e}")))?;
                extract(&mut archive, path, part, progress)
            }
            Err(said) => Err(Refusal::Source(said.clone())),
        }
    }
}

/// The wheel on its server; `None` where pip is to be used.
fn open(
    package: &str,
    version: &str,
    progress: &mut dyn Progress,
    options: &Options,
) -> Result<Option<zip::ZipArchive<Remote>>, String> {
    let index = match (&options.index, &options.pip) {
        (Some(index), _) => index.clone(),
        (None, Some(_)) => return Ok(None),
        (None, None) => match index::configured() {
            Some(index) => index,
            None => return Ok(None),
        },
    };
    progress.note(&format!("downloading from {package} {version}"));
    let url = index::locate(&index, package, version, options)
        .map_err(|said| format!("the package index {said}"))?;
    let remote = Remote::open(&url, options).map_err(|said| format!("its server {said}"))?;
    let archive = zip::ZipArchive::new(remote).map_err(|e| format!("not a wheel: {e}"))?;
    Ok(Some(archive))
}

fn extract<R: Read + Seek>(
    archive: &mut zip::ZipArchive<R>,
    path: &str,
    part: &Part,
    progress: &mut dyn Progress,
) -> Result<(), Refusal> {
    let refuse = |said: String| Refusal::Source(said);
    let total = part.entry.bytes;
    let mut member = archive
        .by_name(path)
        .map_err(|e| refuse(format!("`{path}`: {e}")))?;
    if member.size() != total {
        return Err(refuse(format!(
            "`{path}` has {} bytes, the manifest says {total}",
            member.size()
        )));
    }
    let mut out = part.create(None)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut done = 0;
    loop {
        let n = match member.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) => {
                part.discard()?;
                return Err(refuse(format!("`{path}` can't be extracted: {e}")));
            }
        };
        done += n as u64;
        if done > total {
            // The archive's directory lied about the size.
            part.discard()?;
            return Err(refuse(format!(
                "`{path}` unpacks to more than {total} bytes"
            )));
        }
        part.write(&mut out, &buffer[..n])?;
        progress.advance(&part.entry.name, done, total);
    }
    part.finish()
}

/// Why pip delivered no wheel.
enum NoWheel {
    /// This pip doesn't exist.
    NotHere,
    /// It failed with this output.
    Failed(String),
}

fn download(
    folder: &Path,
    package: &str,
    version: &str,
    options: &Options,
) -> Result<Wheel, Refusal> {
    let temporary = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(folder)
        .map_err(Error::io("write", folder))?;
    let commands = match &options.pip {
        Some(command) => vec![command.clone()],
        None => DEFAULT_PIP
            .iter()
            .map(|c| c.iter().map(|s| s.to_string()).collect())
            .collect(),
    };
    for command in &commands {
        let run = |more: &[&str]| {
            pip(
                command,
                more,
                &format!("{package}=={version}"),
                temporary.path(),
                options,
            )
        };
        let mut outcome = run(&[])?;
        if let Err(NoWheel::Failed(said)) = &outcome
            && other_python_may_do(said)
        {
            outcome = run(&["--python-version", PYTHON_VERSION])?;
        }
        match outcome {
            Ok(path) => {
                return Ok(Wheel {
                    path,
                    _folder: temporary,
                });
            }
            Err(NoWheel::NotHere) => continue,
            Err(NoWheel::Failed(said)) => {
                return Err(Refusal::Source(format!(
                    "`{}` failed: {said}",
                    command.join(" ")
                )));
            }
        }
    }
    let tried: Vec<_> = commands
        .iter()
        .map(|c| format!("`{}`", c.join(" ")))
        .collect();
    Err(Refusal::Source(format!(
        "pip is required but missing (tried {}); install it, e.g. `apt-get install python3-pip`",
        tried.join(", ")
    )))
}

#[cfg(not(windows))]
const DEFAULT_PIP: &[&[&str]] = &[&["python3", "-m", "pip"], &["pip3"], &["pip"]];
#[cfg(windows)]
const DEFAULT_PIP: &[&[&str]] = &[&["py", "-m", "pip"], &["python", "-m", "pip"], &["pip"]];

/// If Python is too old or too new, pip only says that it finds no distribution.
fn other_python_may_do(said: &str) -> bool {
    ["No matching distribution", "requires a different Python"]
        .iter()
        .any(|s| said.contains(s))
}

fn pip(
    command: &[String],
    more: &[&str],
    what: &str,
    folder: &Path,
    options: &Options,
) -> Result<Result<PathBuf, NoWheel>, Error> {
    let [program, arguments @ ..] = command else {
        return Ok(Err(NoWheel::NotHere));
    };
    // A file, not a pipe: a child that outlives pip would keep a pipe open, and us waiting.
    let log = folder.join("log");
    let write = || File::create(&log).map_err(Error::io("write", &log));
    let child = Command::new(program)
        .args(arguments)
        .args([
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--retries", "2", "--timeout"])
        .arg(options.idle_timeout.as_secs().max(1).to_string())
        .args(more)
        .arg("--dest")
        .arg(folder)
        .arg(what)
        // Its temporary files go next to ours and are deleted with them.
        .envs(["TMPDIR", "TEMP", "TMP"].map(|v| (v, folder)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(write()?)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err(NoWheel::NotHere)),
        Err(e) => return Ok(Err(NoWheel::Failed(e.to_string()))),
    };
    let deadline = Instant::now() + options.pip_timeout;
    let status = loop {
        match child
            .try_wait()
            .map_err(Error::io("wait for", Path::new(program)))?
        {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                let limit = options.pip_timeout.as_secs_f32();
                return Ok(Err(NoWheel::Failed(format!(
                    "not finished after {limit} s; killed"
                ))));
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = fs::read(&log).map_err(Error::io("read", &log))?;
    let said = String::from_utf8_lossy(&said);
    if !status.success() {
        if said.contains("No module named pip") {
            return Ok(Err(NoWheel::NotHere));
        }
        return Ok(Err(NoWheel::Failed(format!("{status}; {}", ending(&said)))));
    }
    let wheel = fs::read_dir(folder)
        .map_err(Error::io("read", folder))?
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "whl"));
    Ok(wheel.ok_or_else(|| NoWheel::Failed("it reported success but left no wheel".into())))
}

/// The end of a long output.
fn ending(said: &str) -> String {
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(4)..].join(" / ");
    match last.char_indices().nth_back(599) {
        Some((at, _)) => format!("…{}", &last[at..]),
        None => last,
    }
}
