//! API keys as people see them, and from the command line.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{self, now};
use crate::serve::ServeError;
use crate::store::{self, Key, NewKey, Scope, Store, StoreError};

const DAY: i64 = 86_400_000;

/// A key, as people see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KeyInfo {
    /// Its id.
    pub id: Uuid,
    /// Its owner's name.
    pub name: String,
    /// `valid`, `expired` or `revoked`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Its scopes.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<&'static str>,
    /// Requests per minute, if it has a rate of its own.
    #[schema(required = false)]
    pub rate: Option<u32>,
    /// When it was created, milliseconds since 1970.
    pub created_at: i64,
    /// When it expires, if it does.
    #[schema(required = false)]
    pub expires_at: Option<i64>,
    /// When it was revoked, if it was.
    #[schema(required = false)]
    pub revoked_at: Option<i64>,
}

impl KeyInfo {
    /// Of a key that is being created.
    pub fn of_new(key: &NewKey) -> Self {
        Self::from(Key {
            key: key.clone(),
            created_at: now(),
            revoked_at: None,
        })
    }
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
            rate: key.key.rate,
            created_at: key.created_at,
            expires_at: key.key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A key, and what is stored of it.
pub fn fresh(
    name: String,
    scopes: Vec<Scope>,
    rate: Option<u32>,
    days: Option<u32>,
) -> (String, NewKey) {
    let (key, hash) = auth::new_key();
    let new = NewKey {
        id: Uuid::now_v7(),
        name,
        hash,
        scopes,
        rate,
        expires_at: days.map(|d| now() + i64::from(d) * DAY),
    };
    (key, new)
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
    let (key, new) = fresh(name, scopes, rate, days);
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
