//! A picture and its requirements from the body of a request: multipart, JSON or the bare file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::plan::Requirements;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Problem;
use crate::{fetch, files};

/// Bytes of a request that are no picture: other fields, headers of parts.
const REST: usize = 64 << 10;
/// Longest name of a picture that is kept, characters.
const NAME: usize = 200;

/// A picture that arrived.
pub struct Upload {
    /// Its file.
    pub picture: Bytes,
    /// Its name at the caller's; may be empty.
    pub name: String,
    /// What the caller needs.
    pub requirements: Requirements,
    /// Its share of the memory for pictures. Hold it as long as the picture.
    pub memory: Memory,
}

/// A share of the memory for pictures that arrive or wait.
pub type Memory = OwnedSemaphorePermit;

/// The JSON form of a request: exactly one of `image_base64`, `image_url` and `image_path`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"image_base64": crate::api::EXAMPLE, "requirements": {"language": "english"}}))]
pub struct JsonPicture {
    /// The file in base64, or a data URL.
    pub image_base64: Option<String>,
    /// Where to fetch it, on a host that the operator allows.
    pub image_url: Option<String>,
    /// Where it lies, below the folder that the operator allows.
    pub image_path: Option<String>,
    /// What to call it.
    pub name: Option<String>,
    /// What the caller needs.
    #[schema(value_type = Option<crate::api::schema::Requirements>)]
    pub requirements: Option<Value>,
}

/// Reads a request with one picture.
pub async fn upload(app: &Arc<App>, request: Request) -> Result<Upload, Problem> {
    let memory = reserve(app, &request)?;
    let limit = app.config.upload_timeout;
    match tokio::time::timeout(limit, parse(app, request)).await {
        Ok(parsed) => {
            let (picture, name, requirements) = parsed?;
            if picture.is_empty() {
                return Err(ImagingError::Empty.into());
            }
            Ok(Upload {
                picture,
                name: short(&name),
                requirements,
                memory,
            })
        }
        Err(_) => Err(too_slow(limit)),
    }
}

/// The problem of a body that doesn't come.
pub fn too_slow(limit: Duration) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "upload_too_slow",
        format!(
            "the picture had not arrived after {} s",
            limit.as_secs_f64()
        ),
    )
}

/// Refuses a body that is too large by its own word, and one there is no memory for.
fn reserve(app: &App, request: &Request) -> Result<Memory, Problem> {
    let most = body_limit(app, is_json(request.headers()));
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = length
        && length > most as u64
    {
        return Err(too_large(app, length as usize));
    }
    app.memory(length.map_or(most, |l| l as usize))
}

/// Base64 takes four bytes for three.
fn body_limit(app: &App, json: bool) -> usize {
    let file = app.config.file_bytes();
    if json {
        file / 3 * 4 + REST
    } else {
        file + REST
    }
}

fn too_large(app: &App, bytes: usize) -> Problem {
    let limit = app.config.file_bytes();
    ImagingError::TooLarge { bytes, limit }.into()
}

/// What the body is, lower case, without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let value = value.unwrap_or("").split(';').next().unwrap_or("");
    value.trim().to_ascii_lowercase()
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers) == "application/json"
}

async fn parse(app: &Arc<App>, request: Request) -> Result<(Bytes, String, Requirements), Problem> {
    let kind = media_type(request.headers());
    match kind.as_str() {
        "multipart/form-data" => multipart(app, request).await,
        "application/json" => {
            let body = collect(request.into_body(), body_limit(app, true))
                .await
                .map_err(|e| e.problem(app))?;
            json(app, &body).await
        }
        "" | "application/octet-stream" => bare(app, request).await,
        kind if kind.starts_with("image/") => bare(app, request).await,
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_body",
            format!(
                "a body of type `{other}` is not read: send multipart/form-data, application/json or the file itself \
                 as image/*"
            ),
        )),
    }
}

/// The file is the body; the requirements are the query.
async fn bare(app: &App, request: Request) -> Result<(Bytes, String, Requirements), Problem> {
    let query = Query::<HashMap<String, String>>::try_from_uri(request.uri());
    let Query(query) = query.map_err(|e| Problem::bad_request("invalid_query", e.body_text()))?;
    let fields = query.into_iter().map(|(name, value)| {
        let value = match value.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(value),
        };
        (name, value)
    });
    let requirements = Requirements::from_json(&Value::Object(fields.collect()))?;
    let picture = collect(request.into_body(), app.config.file_bytes())
        .await
        .map_err(|e| e.problem(app))?;
    Ok((picture, String::new(), requirements))
}

async fn json(app: &Arc<App>, body: &[u8]) -> Result<(Bytes, String, Requirements), Problem> {
    let request: JsonPicture = from_json(body)?;
    let requirements = match &request.requirements {
        Some(requirements) => Requirements::from_json(requirements)?,
        None => Requirements::default(),
    };
    let name = request.name.unwrap_or_default();
    match (request.image_base64, request.image_url, request.image_path) {
        (Some(text), None, None) => Ok((decode(app, &text)?, name, requirements)),
        (None, Some(url), None) => {
            let picture = fetch::picture(app, &url).await?;
            Ok((picture, or(name, &url), requirements))
        }
        (None, None, Some(path)) => {
            let picture = files::picture(app, &path).await?;
            Ok((picture, or(name, &path), requirements))
        }
        _ => Err(Problem::unprocessable(
            "invalid_picture",
            "give exactly one of image_base64, image_url and image_path",
        )),
    }
}

fn or(name: String, other: &str) -> String {
    if name.is_empty() { other.into() } else { name }
}

/// Reads JSON; the problem says where it goes wrong.
pub fn from_json<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Problem::unprocessable("invalid_json", format!("the JSON body: {error}"))
        } else {
            Problem::bad_request("invalid_json", format!("the body isn't JSON: {error}"))
        }
    })
}

/// A file from base64, of either alphabet, padded or not, or from a data URL.
pub fn decode(app: &App, text: &str) -> Result<Bytes, Problem> {
    let wrong = |why: String| Problem::unprocessable("invalid_base64", why).field("image_base64");
    let text = match text.strip_prefix("data:") {
        Some(url) => match url.split_once(',') {
            Some((head, data)) if head.ends_with(";base64") => data,
            _ => return Err(wrong("a data URL must hold base64".into())),
        },
        None => text,
    };
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let url_safe = text.contains(['-', '_']);
    let padded = text.ends_with('=');
    let engine = match (url_safe, padded) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    let bytes = engine
        .decode(text)
        .map_err(|e| wrong(format!("this is not base64: {e}")))?;
    if bytes.len() > app.config.file_bytes() {
        return Err(too_large(app, bytes.len()));
    }
    Ok(bytes.into())
}

async fn multipart(
    app: &Arc<App>,
    request: Request,
) -> Result<(Bytes, String, Requirements), Problem> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|e| Problem::bad_request("invalid_multipart", e.body_text()))?;
    let mut picture = None;
    let mut name = String::new();
    let mut requirements = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        match field.name() {
            Some("image" | "file") if picture.is_none() => {
                name = field.file_name().unwrap_or("").to_string();
                picture = Some(part(app, field, app.config.file_bytes()).await?);
            }
            Some("requirements") if requirements.is_none() => {
                let text = part(app, field, REST).await?;
                requirements = Some(requirements_of(&text)?);
            }
            other => return Err(unexpected(other, "image, requirements")),
        }
    }
    let picture = picture.ok_or_else(|| {
        Problem::unprocessable("picture_missing", "the form has no part `image`").field("image")
    })?;
    Ok((picture, name, requirements.unwrap_or_default()))
}

/// The problem of a part that is there twice, or should not be there.
pub fn unexpected(name: Option<&str>, allowed: &str) -> Problem {
    let name = name.unwrap_or("");
    Problem::unprocessable(
        "unexpected_part",
        format!(
            "a part `{}` is there twice or not known; known: {allowed}",
            short(name)
        ),
    )
    .field(short(name))
}

/// Requirements from the JSON of a part.
pub fn requirements_of(text: &[u8]) -> Result<Requirements, Problem> {
    let value: Value = serde_json::from_slice(text).map_err(|e| {
        let detail = format!("the requirements aren't JSON: {e}");
        Problem::unprocessable("invalid_requirements", detail).field("requirements")
    })?;
    Ok(Requirements::from_json(&value)?)
}

/// The bytes of a part.
pub async fn part(app: &App, mut field: Field<'_>, limit: usize) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(app, bytes.len() + chunk.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// The problem of a form that can't be parsed.
pub fn malformed(error: MultipartError) -> Problem {
    let detail = error.body_text();
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
    }
    Problem::bad_request("invalid_multipart", detail)
}

/// Why a body could not be read.
pub enum BodyError {
    /// It has at least so many bytes.
    TooLarge(usize),
    /// The connection broke.
    Broken,
}

impl BodyError {
    fn problem(self, app: &App) -> Problem {
        match self {
            Self::TooLarge(bytes) => too_large(app, bytes),
            Self::Broken => Problem::bad_request("body_broken", "the body ended before its end"),
        }
    }
}

/// A whole body.
pub async fn collect(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if bytes.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(bytes.len() + chunk.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// A name as it is kept.
pub fn short(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect()
}
