//! `image_url`: fetches pictures from hosts that the operator allows, and from nowhere else.
//!
//! Each redirect is checked like the first URL.

use std::error::Error;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use maoocr_engine::imaging::ImagingError;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::app::App;
use crate::body::Memory;
use crate::outside::{NOT_PUBLIC, Outside};
use crate::problem::Problem;

const REDIRECTS: usize = 3;
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(20);

/// Fetches pictures.
pub struct Fetcher {
    client: Client,
    outside: Outside,
}

impl Fetcher {
    /// A fetcher for these hosts; none if the list is empty.
    ///
    /// # Errors
    /// The HTTP client can't be created.
    pub fn new(hosts: &[String]) -> Result<Option<Self>, reqwest::Error> {
        if hosts.is_empty() {
            return Ok(None);
        }
        let outside = Outside::new(hosts, &[]);
        let allowed = outside.clone();
        let policy = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error("too many redirects");
            }
            match allowed.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(reason) => attempt.error(reason),
            }
        });
        let client = outside
            .client()
            .redirect(policy)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .build()?;
        Ok(Some(Self { client, outside }))
    }
}

/// Fetches the picture at this URL into a share of the memory for uploads.
///
/// # Errors
/// The URL is invalid or not allowed, the host fails, the file is too large, or there is no memory for it.
pub async fn picture(app: &App, address: &str, memory: &mut Memory) -> Result<Bytes, Problem> {
    let refuse = |detail: String| {
        Problem::new(StatusCode::FORBIDDEN, "url_not_allowed", detail).field("image_url")
    };
    let Some(fetcher) = &app.fetcher else {
        return Err(refuse(
            "this server does not fetch pictures: send the file itself".into(),
        ));
    };
    let url = Url::parse(address).map_err(|e| {
        let detail = format!("invalid URL: {e}");
        Problem::unprocessable("invalid_url", detail).field("image_url")
    })?;
    fetcher.outside.check(&url).map_err(refuse)?;
    let failed = |error: reqwest::Error| {
        let mut cause: &dyn Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        // The last cause is the one that tells; it reveals no address that the caller didn't name.
        Problem::unprocessable(
            "fetch_failed",
            format!("could not fetch the picture: {cause}"),
        )
        .field("image_url")
    };
    let response = fetcher.client.get(url).send().await.map_err(failed)?;
    if response
        .remote_addr()
        .is_some_and(|a| !fetcher.outside.has(a.ip()))
    {
        return Err(refuse(NOT_PUBLIC.into()));
    }
    if !response.status().is_success() {
        let detail = format!(
            "the host of the picture answered with status {}",
            response.status().as_u16()
        );
        return Err(Problem::unprocessable("fetch_failed", detail).field("image_url"));
    }
    let limit = app.config.file_bytes();
    let too_large = |bytes| Problem::from(ImagingError::TooLarge { bytes, limit });
    if let Some(length) = response.content_length()
        && length > limit as u64
    {
        return Err(too_large(length as usize));
    }
    let mut stream = response.bytes_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(failed)?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(bytes.len() + chunk.len()));
        }
        memory.hold(bytes.len() + chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}
