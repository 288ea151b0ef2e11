//! Files that callers keep here for a while: what they upload, and what was made for them.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::{HeaderMap, Uri, header};
use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;
use uuid::Uuid;

use crate::app::App;
use crate::auth::now;
use crate::config::Config;
use crate::problem::Problem;
use crate::store::files::{Kept, NewFile, Room, StoredFile};

/// Files that were uploaded.
pub const UPLOAD: &str = "upload";
/// Files that were made.
pub const RESULT: &str = "result";
/// Most files of one owner.
const FILES: i64 = 10_000;
/// Prefix of the signed text, so that no signature made for another purpose is valid here.
const PURPOSE: &[u8] = b"maoocr-file-1\n";

/// Keeps a file for its owner.
///
/// # Errors
/// 413 if the owner's files leave no room for it, 503 if all files together don't.
pub async fn keep(
    app: &App,
    to: (&str, &'static str),
    name: &str,
    media_type: &str,
    bytes: Bytes,
    lifetime: Duration,
) -> Result<StoredFile, Problem> {
    let id = Uuid::now_v7();
    store(app, id, to, name, media_type, bytes, lifetime).await?;
    let stored = app.store.file(to.0, to.1, id).await?;
    stored.ok_or_else(|| Problem::internal("storage_failed", "a file is gone that was just stored"))
}

/// The same, under an id that is known already, for as long as files are kept.
///
/// # Errors
/// As for [`keep`].
pub async fn keep_as(
    app: &App,
    id: Uuid,
    to: (&str, &'static str),
    media_type: &str,
    bytes: Bytes,
) -> Result<(), Problem> {
    store(
        app,
        id,
        to,
        "",
        media_type,
        bytes,
        app.config.file_lifetime(),
    )
    .await
}

async fn store(
    app: &App,
    id: Uuid,
    (owner, kind): (&str, &'static str),
    name: &str,
    media_type: &str,
    bytes: Bytes,
    lifetime: Duration,
) -> Result<(), Problem> {
    let total = i64::try_from(app.config.max_kept << 20).unwrap_or(i64::MAX);
    let room = Room {
        files: FILES,
        owner: total / 4,
        total,
    };
    let mut secret = [0; 32];
    rand::fill(&mut secret);
    let size = bytes.len();
    let file = NewFile {
        id,
        owner: owner.into(),
        kind,
        name: crate::input::short(name),
        media_type: crate::input::short(media_type),
        lifetime,
        secret,
        bytes: bytes.into(),
    };
    match app.store.add_file(file, room).await? {
        Kept::Stored => Ok(()),
        Kept::OwnerFull => {
            let most = room.owner >> 20;
            let detail = format!(
                "the file has {size} bytes, and there is no room for it beside your others: at most {FILES} files of \
                 {most} MiB together are kept; delete some",
            );
            Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "files_full",
                detail,
            ))
        }
        Kept::Full => {
            let detail = "this server has no space for more files at the moment; try again later, or send the file with the request";
            Err(Problem::busy("no_room", detail, 60))
        }
    }
}

/// A link to an upload, which is good for whoever has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link {
    id: Uuid,
    /// Seconds since 1970.
    expires: u64,
    signature: [u8; 32],
}

impl Link {
    /// Whether a path with its query was meant to be a link, even if it isn't one any more.
    pub fn is_meant(path: &str, query: Option<&str>) -> bool {
        path.starts_with("/v1/files/") && query.is_some_and(|query| query.contains("signature="))
    }

    /// The link that a path with its query is, if it is one.
    pub fn of(path: &str, query: Option<&str>) -> Option<Self> {
        let id = path.strip_prefix("/v1/files/")?.strip_suffix("/content")?;
        let (mut expires, mut signature) = (None, None);
        for pair in query?.split('&') {
            match pair.split_once('=')? {
                ("expires", value) => expires = value.parse().ok(),
                ("signature", value) => signature = unhex(value),
                _ => return None,
            }
        }
        Some(Self {
            id: id.parse().ok()?,
            expires: expires?,
            signature: signature?,
        })
    }

    /// The same of an address, whatever its host: the signature is made here or it is worth nothing.
    pub fn of_url(address: &str) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        // The server may be mounted below a path of its own.
        let at = url.path().find("/v1/files/")?;
        Self::of(&url.path()[at..], url.query())
    }

    /// The file's owner, if the link is good.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn owner(&self, app: &App) -> Result<Option<String>, Problem> {
        if self.expires.saturating_mul(1000) < now().unsigned_abs() {
            return Ok(None);
        }
        let Some(file) = app.store.file_link(UPLOAD, self.id).await? else {
            return Ok(None);
        };
        let good = mac(&file.secret, self.id, self.expires).verify_slice(&self.signature);
        Ok(good.is_ok().then_some(file.owner))
    }

    /// The file's id.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

fn mac(secret: &[u8], id: Uuid, expires: u64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(PURPOSE);
    mac.update(id.as_bytes());
    mac.update(&expires.to_be_bytes());
    mac
}

/// The path of a link to an upload.
///
/// # Errors
/// 404 if there is no such upload; the database does not respond.
pub async fn link(app: &App, owner: &str, id: Uuid, lifetime: Duration) -> Result<String, Problem> {
    let file = app.store.file_link(UPLOAD, id).await?;
    let file = file.filter(|file| file.owner == owner).ok_or_else(none)?;
    let expires = now().unsigned_abs() / 1000 + lifetime.as_secs();
    let tag = mac(&file.secret, id, expires).finalize().into_bytes();
    let tag: String = tag.iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!(
        "/v1/files/{id}/content?expires={expires}&signature={tag}"
    ))
}

/// The problem of a file that isn't there.
pub fn none() -> Problem {
    Problem::not_found(
        "there is no such file: it was deleted, has expired, or belongs to someone else",
    )
}

/// The problem of a link that isn't good.
pub fn bad_link(status: StatusCode) -> Problem {
    let detail = "the link to the file is incomplete, was altered or has expired, or the file was deleted: request a new one, \
                  or upload the file again";
    Problem::new(status, "link_invalid", detail)
}

/// What is in one of the owner's files.
///
/// # Errors
/// 404 if there is none; the database does not respond.
pub async fn bytes(app: &App, owner: &str, kind: &str, id: Uuid) -> Result<Bytes, Problem> {
    let bytes = app.store.file_bytes(owner, kind, id).await?;
    bytes.map(Bytes::from).ok_or_else(none)
}

/// The address at which a caller reached this server, without a slash at its end.
pub fn base(config: &Config, uri: &Uri, headers: &HeaderMap) -> String {
    if let Some(url) = &config.public_url {
        return url.trim_end_matches('/').into();
    }
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &header::HeaderValue| v.to_str().ok())
    };
    let scheme = match text(header::HeaderName::from_static("x-forwarded-proto")) {
        Some("https") => "https",
        _ => "http",
    };
    let host = uri.authority().map(|a| a.as_str()).or(text(header::HOST));
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |d: u8| (d as char).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_taken_apart_and_nothing_else_is() {
        let id = "0197a2f0-1111-7222-8333-444455556666";
        let tag = "ab".repeat(32);
        let good = format!("/v1/files/{id}/content");
        let query = format!("expires=99&signature={tag}");
        let link = Link::of(&good, Some(&query)).unwrap();
        assert_eq!((link.expires, link.signature[0]), (99, 0xab));
        assert_eq!(
            Link::of_url(&format!("https://a.example/ocr{good}?{query}")),
            Some(link)
        );
        assert!(Link::is_meant(&good, Some("expires=99&signature=ab")));
        assert!(!Link::is_meant(&good, None));
        for (path, query) in [
            (&good[..], None),
            (&good, Some("")),
            (&good, Some("expires=99")),
            (&good, Some("expires=99&signature=ab")),
            (&good, Some(&*format!("expires=-1&signature={tag}"))),
            (&good, Some(&*format!("{query}&more=1"))),
            ("/v1/files/x/content", Some(&*query)),
            ("/v1/files", Some(&*query)),
        ] {
            assert_eq!(Link::of(path, query), None, "{path}?{query:?}");
        }
        let (a, b) = ([1; 32], [2; 32]);
        let tag = |secret: &[u8], expires| {
            mac(secret, id.parse().unwrap(), expires)
                .finalize()
                .into_bytes()
        };
        assert_ne!(tag(&a, 1), tag(&b, 1));
        assert_ne!(tag(&a, 1), tag(&a, 2));
    }
}
