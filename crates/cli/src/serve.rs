//! `maoocr serve` and `maoocr keys`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use maoocr_models::Manifest;
use maoocr_server::keys::{self, KeyInfo};
use maoocr_server::store::Scope;
use maoocr_server::{Config, ServeError};

use crate::load::NotReady;
use crate::{Outcome, models};

/// Options of `serve`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// Fetches the default models if they are missing, then serves.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    let config = arguments.config;
    let store = models::store(config.models.clone())?;
    models::pull(&store, &Manifest::built_in(), &[], config.offline)
        .map_err(|e| NotReady(format!("{e:#}")))?;
    match maoocr_server::serve(config, store) {
        Ok(()) => Ok(Outcome::Complete),
        Err(error @ ServeError::Device(_)) => Err(NotReady(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// Options of `keys`.
#[derive(Args)]
pub struct KeyArguments {
    #[command(subcommand)]
    action: KeyAction,
    /// Folder of the server's data [default: the user's data folder].
    #[arg(long, env = "MAOOCR_DATA", value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// Database of the server, if it isn't in that folder.
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum KeyAction {
    /// Create a key and print it. It is shown only once.
    Create {
        /// Name that shows whose key it is.
        #[arg(long)]
        name: String,
        /// Scopes of the key.
        #[arg(
            long,
            value_enum,
            value_delimiter = ',',
            default_value = "recognize,jobs"
        )]
        scopes: Vec<Scope>,
        /// Requests per minute [default: the server's rate].
        #[arg(long, value_name = "N")]
        rate: Option<u32>,
        /// Days until it expires [default: never].
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
    },
    /// List the keys.
    List,
    /// Revoke a key; servers notice within half a minute.
    Revoke {
        /// Its id, as `list` shows it.
        id: uuid::Uuid,
    },
}

/// Runs `keys`.
pub fn run_keys(arguments: KeyArguments) -> Result<Outcome> {
    let database = maoocr_server::database(arguments.database_url.as_deref(), arguments.data)?;
    match arguments.action {
        KeyAction::Create {
            name,
            scopes,
            rate,
            days,
        } => println!("{}", keys::create(&database, name, scopes, rate, days)?),
        KeyAction::List => {
            for key in keys::list(&database)? {
                print(&key);
            }
        }
        KeyAction::Revoke { id } => {
            if !keys::revoke(&database, id)? {
                anyhow::bail!("there is no valid key {id}; `maoocr keys list` shows them");
            }
        }
    }
    Ok(Outcome::Complete)
}

fn print(key: &KeyInfo) {
    println!(
        "{}  {:8}  {:30}  {}",
        key.id,
        key.state,
        key.scopes.join(","),
        key.name
    );
}
