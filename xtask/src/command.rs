//! Running programs, with what went wrong in words.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

/// A program to run from the repository's root, without standard input: nothing here may stop to ask.
pub fn command(program: impl AsRef<OsStr>) -> Step {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    if let Ok(root) = crate::root() {
        command.current_dir(root);
    }
    if let Some(path) = crate::node::path() {
        command.env("PATH", path);
    }
    Step(command)
}

/// The cargo that runs this program.
pub fn cargo(arguments: &[&str]) -> Step {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(arguments)
}

/// What this program does where cargo runs it before the compiler (`RUSTC_WORKSPACE_WRAPPER`), which `variable` says:
/// `work` gets its value, the compiler and the arguments, and tells whether all went well. None: this is no such run.
pub fn before_compiler(
    variable: &str,
    work: impl FnOnce(&OsStr, &OsStr, &[OsString]) -> Result<bool>,
) -> Option<ExitCode> {
    let value = env::var_os(variable)?;
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    match work(&value, &compiler, &arguments) {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => Some(ExitCode::FAILURE),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// Runs a program and says whether it succeeded; an error when it can't be started.
pub fn status(program: &mut Command) -> Result<bool> {
    let status = program
        .status()
        .with_context(|| program.get_program().display().to_string())?;
    Ok(status.success())
}

/// A program with its arguments.
pub struct Step(Command);

impl Step {
    /// Adds one argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Shows the command, runs it; an error when it fails.
    pub fn run(mut self) -> Result<()> {
        let shown = self.shown();
        eprintln!("+ {shown}");
        let status = self
            .0
            .status()
            .with_context(|| format!("starting `{shown}`"))?;
        if !status.success() {
            bail!("`{shown}`: {status}");
        }
        Ok(())
    }

    /// Shows the command and starts it, to go on beside this program.
    pub fn spawn(mut self) -> Result<Child> {
        let shown = self.shown();
        eprintln!("+ {shown}");
        self.0
            .spawn()
            .with_context(|| format!("starting `{shown}`"))
    }

    /// Runs it and returns its standard output; an error when it fails.
    pub fn output(mut self) -> Result<String> {
        let shown = self.shown();
        let output = self
            .0
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting `{shown}`"))?;
        if !output.status.success() {
            bail!("`{shown}`: {}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether it runs and succeeds; its output is thrown away.
    pub fn succeeds(mut self) -> bool {
        let quiet = self.0.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    fn shown(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }
}
