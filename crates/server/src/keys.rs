//! API keys from the command line.

use uuid::Uuid;

use crate::auth::{self, now};
use crate::serve::ServeError;
use crate::store::{self, Key, NewKey, Scope, Store, StoreError};

const DAY: i64 = 86_400_000;

/// A key, as people see it.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its id.
    pub id: Uuid,
    /// Its owner's name.
    pub name: String,
    /// `valid`, `expired` or `revoked`.
    pub state: &'static str,
    /// Its scopes.
    pub scopes: Vec<&'static str>,
}

impl From<Key> for KeyInfo {
    fn from(key: Key) -> Self {
        let expired = key.key.expires_at.is_some_and(|at| at <= now());
        Self {
            id: key.key.id,
            name: key.key.name,
            state: match (key.revoked_at, expired) {
                (Some(_), _) => "revoked",
                (None, true) => "expired",
                (None, false) => "valid",
            },
            scopes: key.key.scopes.into_iter().map(auth::name).collect(),
        }
    }
}

/// Creates a key in the database at this URL and returns it. Only its hash is stored.
///
/// # Errors
/// The database can't be opened or written.
pub fn create(
    database: &str,
    name: String,
    scopes: Vec<Scope>,
    rate: Option<u32>,
    days: Option<u32>,
) -> Result<String, ServeError> {
    let (key, hash) = auth::new_key();
    let new = NewKey {
        id: Uuid::now_v7(),
        name,
        hash,
        scopes,
        rate,
        expires_at: days.map(|d| now() + i64::from(d) * DAY),
    };
    with(database, async |store| store.add_key(new).await)?;
    Ok(key)
}

/// Lists all keys.
///
/// # Errors
/// The database can't be opened or read.
pub fn list(database: &str) -> Result<Vec<KeyInfo>, ServeError> {
    let keys = with(database, async |store| store.keys().await)?;
    Ok(keys.into_iter().map(KeyInfo::from).collect())
}

/// Revokes a key; `false` if there is no valid key with this id.
///
/// # Errors
/// The database can't be opened or written.
pub fn revoke(database: &str, id: Uuid) -> Result<bool, ServeError> {
    with(database, async |store| store.revoke_key(id).await)
}

fn with<T>(
    database: &str,
    work: impl AsyncFnOnce(&dyn Store) -> Result<T, StoreError>,
) -> Result<T, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(async {
        let store = store::open(database).await?;
        work(&*store).await
    })?)
}
