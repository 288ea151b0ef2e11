//! The `maoocr` command: parses arguments, calls the engine, prints.

mod batch;
mod bench;
#[cfg(feature = "serve")]
mod health;
mod load;
mod models;
mod overlay;
mod recognize;
#[cfg(feature = "serve")]
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Reads text in pictures.
#[derive(Parser)]
#[command(name = "maoocr", version, about, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 all went well, 1 at least one picture failed, 2 wrong usage, 3 models or device missing."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read pictures and print their text.
    Recognize(recognize::Arguments),
    /// Read a folder or a list of pictures into a JSON Lines file.
    Batch(batch::Arguments),
    /// Read pictures for others, over HTTP.
    #[cfg(feature = "serve")]
    Serve(Box<serve::Arguments>),
    /// Make, list and revoke the server's API keys.
    #[cfg(feature = "serve")]
    Keys(serve::KeyArguments),
    /// Ask a server whether it can take work.
    #[cfg(feature = "serve")]
    Health(health::Arguments),
    /// List, fetch and check models.
    Models(models::Arguments),
    /// Measure processor time per stage, against peers if they are there.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Recognize(arguments) => recognize::run(arguments),
        Command::Batch(arguments) => batch::run(arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(*arguments),
        #[cfg(feature = "serve")]
        Command::Keys(arguments) => serve::run_keys(arguments),
        #[cfg(feature = "serve")]
        Command::Health(arguments) => health::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    };
    match result {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Err(error) => {
            let code = if error.is::<load::NotReady>() {
                3
            } else if error.is::<Usage>() {
                2
            } else {
                1
            };
            print_error(&error);
            ExitCode::from(code)
        }
    }
}

/// How a command that ran to its end fared.
enum Outcome {
    /// Everything worked.
    Complete,
    /// Some pictures failed; each was named on standard error.
    SomeFailed,
}

/// Options that don't go together, or a name that means nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// An error and its causes in one line on standard error.
fn print_error(error: &anyhow::Error) {
    eprintln!("maoocr: {}", format!("{error:#}").replace('\n', " "));
}
