//! The `maoocr` command: parses arguments, calls the engine, prints results.

mod batch;
mod bench;
mod draft;
#[cfg(feature = "serve-alone")]
mod health;
mod interrupt;
mod load;
#[cfg(feature = "serve-alone")]
mod mcp;
mod models;
mod output;
mod overlay;
mod pages;
mod place;
mod reader;
mod recognize;
mod searchable;
#[cfg(feature = "serve-alone")]
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::page::PageError;

/// Read the text in pictures and documents.
#[derive(Parser)]
#[command(name = "maoocr", version, about, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 success, 1 at least one picture or page failed, 2 usage error, 3 model or device missing, 130 stopped by Ctrl-C."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read pictures, PDFs and folders of pages.
    Recognize(recognize::Arguments),
    /// Make scans searchable: write PDFs with invisible text over their pages.
    Pdf(searchable::Arguments),
    /// Read a folder or a list of pictures and PDFs into a JSON Lines file.
    Batch(batch::Arguments),
    /// Serve the API and the web app over HTTP.
    #[cfg(feature = "serve-alone")]
    Serve(Box<serve::Arguments>),
    /// Serve documents to Model Context Protocol clients over standard input and output.
    #[cfg(feature = "serve-alone")]
    Mcp(mcp::Arguments),
    /// Create, list and revoke API keys of the server.
    #[cfg(feature = "serve-alone")]
    Keys(serve::KeyArguments),
    /// Check whether a server can accept work.
    #[cfg(feature = "serve-alone")]
    Health(health::Arguments),
    /// List, fetch and verify models.
    Models(models::Arguments),
    /// Measure CPU time per stage, optionally compared with other engines.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    quiet_decoders();
    let result = match Arguments::parse().command {
        Command::Recognize(arguments) => recognize::run(arguments),
        Command::Pdf(arguments) => searchable::run(arguments),
        Command::Batch(arguments) => batch::run(arguments),
        #[cfg(feature = "serve-alone")]
        Command::Serve(arguments) => serve::run(*arguments),
        #[cfg(feature = "serve-alone")]
        Command::Mcp(arguments) => mcp::run(arguments),
        #[cfg(feature = "serve-alone")]
        Command::Keys(arguments) => serve::run_keys(arguments),
        #[cfg(feature = "serve-alone")]
        Command::Health(arguments) => health::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    };
    match result {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Ok(Outcome::Stopped) => ExitCode::from(interrupt::EXIT_CODE),
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

/// The result of a command that ran to its end.
enum Outcome {
    /// Everything succeeded.
    Complete,
    /// Some pictures failed; standard error names each.
    SomeFailed,
    /// Ctrl-C ended it.
    Stopped,
}

/// Options that exclude each other, or an unknown name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Prints an error and its causes on one line of standard error, and the option that raises a limit that was met.
fn print_error(error: &anyhow::Error) {
    let imaging = error.chain().find_map(|cause| {
        let page = cause.downcast_ref::<PageError>().map(|page| &page.error);
        page.or_else(|| cause.downcast_ref())
    });
    let option = match imaging {
        Some(ImagingError::TooLarge { .. }) => ", or raise --max-file",
        Some(ImagingError::TooManyPixels { .. } | ImagingError::OutOfMemory { .. }) => {
            ", or raise --max-megapixels"
        }
        _ => "",
    };
    let error = format!("{error:#}").replace('\n', " ");
    eprintln!("maoocr: {error}{option}");
}

/// The decoders' own panics are caught and become errors with a reason; what they would print is no help to anybody.
fn quiet_decoders() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some("pdf") {
            usual(panic);
        }
    }));
}
