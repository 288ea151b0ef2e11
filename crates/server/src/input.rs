//! A picture and its requirements from the body of a request: multipart, JSON or the bare file.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::plan::Requirements;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::{BodyError, Incoming, Memory, announced};
use crate::document::TextLayer;
use crate::json::{self, JsonRequirements, Text};
use crate::multipart::Form;
use crate::problem::Problem;
use crate::wishes::{Said, Wishes};
use crate::{fetch, files};

/// Bytes of a request besides the picture: other fields, headers of parts.
pub const REST: usize = 64 << 10;
/// Longest choice of pages, password and the like, bytes.
const SHORT: usize = 4 << 10;
/// Fields beside the file and its requirements.
const OTHERS: [&str; 4] = ["pages", "password", "text_layer", "format"];
/// Longest picture name that is kept, characters.
const NAME: usize = 200;

/// A picture that arrived.
pub struct Upload {
    /// Its file.
    pub picture: Bytes,
    /// The caller's name for it; may be empty.
    pub name: String,
    /// What the caller needs, of which pages, in which form.
    pub wishes: Wishes,
    /// Its share of the memory for uploads. Hold it as long as the picture.
    pub memory: Memory,
}

/// The JSON form of a request: exactly one of `image_base64`, `image_url` and `image_path`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"image_base64": crate::api::EXAMPLE, "requirements": {"language": "english"}}))]
pub struct JsonPicture<'a> {
    /// The file in base64, or a data URL.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub image_base64: Option<Text<'a>>,
    /// Its address, on a host that the operator allows.
    #[schema(value_type = Option<String>)]
    pub image_url: Option<Text<'a>>,
    /// Its path beneath the folder that the operator allows.
    #[schema(value_type = Option<String>)]
    pub image_path: Option<Text<'a>>,
    /// A name for the picture.
    #[schema(value_type = Option<String>)]
    pub name: Option<Text<'a>>,
    /// Which pages of a file with several, such as `1-3,7,10-`; all by default.
    #[schema(value_type = Option<String>)]
    pub pages: Option<Text<'a>>,
    /// The password of an encrypted PDF.
    #[schema(value_type = Option<String>)]
    pub password: Option<Text<'a>>,
    /// When to use the text that a PDF contains: `auto` (if it agrees with what the page shows), `always` or `never`.
    #[schema(value_type = Option<TextLayer>)]
    pub text_layer: Option<Text<'a>>,
    /// The form of the answer; `GET /api/capabilities` lists them. `Accept` may say it instead.
    #[schema(value_type = Option<String>)]
    pub format: Option<Text<'a>>,
    /// What the caller needs.
    #[schema(value_type = Option<crate::api::schema::Requirements>)]
    pub requirements: Option<JsonRequirements>,
}

/// Reads a request with one picture.
///
/// # Errors
/// The body is malformed, empty, too large or too slow, its requirements are invalid, or there is no memory for it.
pub async fn upload(app: &Arc<App>, request: Request) -> Result<Upload, Problem> {
    let mut memory = app.memory();
    let (head, body) = request.into_parts();
    let (picture, name, wishes) = parse(app, &head, body, &mut memory).await?;
    if picture.is_empty() {
        return Err(ImagingError::Empty.into());
    }
    memory.hold(picture.len())?;
    Ok(Upload {
        picture,
        name: short(&name),
        wishes,
        memory,
    })
}

/// A body with one picture, refused at once if it declares itself too large.
///
/// # Errors
/// 413 if it does.
pub fn incoming(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Incoming, Problem> {
    let limit = limit as u64;
    if let Some(length) = announced(headers)
        && length > limit
    {
        return Err(too_large(app, length));
    }
    let time = app.config.upload_timeout;
    Ok(Incoming::new(&app.config, body, limit, time))
}

/// The longest JSON body with one picture: base64 takes four bytes for three.
pub fn json_limit(app: &App) -> usize {
    app.config.file_bytes() / 3 * 4 + REST
}

/// The problem of a picture that is too large.
pub fn too_large(app: &App, bytes: u64) -> Problem {
    let limit = app.config.file_bytes();
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    ImagingError::TooLarge { bytes, limit }.into()
}

/// The body's media type, lower case, without parameters.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let value = value.unwrap_or("").split(';').next().unwrap_or("");
    value.trim().to_ascii_lowercase()
}

async fn parse(
    app: &Arc<App>,
    head: &Parts,
    body: Body,
    memory: &mut Memory,
) -> Result<(Bytes, String, Wishes), Problem> {
    let kind = media_type(&head.headers);
    let head = (head, queried(head)?);
    let headers = &head.0.headers;
    match kind.as_str() {
        "multipart/form-data" => {
            let limit = app.config.file_bytes() + REST;
            let incoming = incoming(app, headers, body, limit)?;
            let form = Form::new(headers, incoming)?;
            multipart(app, head, form, memory).await
        }
        "application/json" => {
            let body = incoming(app, headers, body, json_limit(app))?
                .whole(memory)
                .await
                .map_err(|e| e.problem(|bytes| too_large(app, bytes)))?;
            json(app, head, &body, memory).await
        }
        "" | "application/octet-stream" => bare(app, head, body, memory).await,
        kind if kind.starts_with("image/") || kind == "application/pdf" => {
            bare(app, head, body, memory).await
        }
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_body",
            format!(
                "bodies of type `{other}` are not accepted: send multipart/form-data, application/json, or the file \
                 itself as image/* or application/pdf"
            ),
        )),
    }
}

/// What a request's query says of its file.
#[derive(Debug, Default)]
pub struct Queried {
    /// Which pages, and how to read them.
    pub said: Said,
    /// The form of the answer.
    pub format: Option<String>,
    /// What the caller needs, if it says so there.
    pub requirements: Option<Requirements>,
}

/// Reads the query of a request.
///
/// # Errors
/// 400 if it can't be read or has a field twice, 422 if a field or its value is unknown.
pub fn queried(head: &Parts) -> Result<Queried, Problem> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
    let Query(query) = query.map_err(|e| Problem::bad_request("invalid_query", e.body_text()))?;
    let mut queried = Queried::default();
    let mut fields = serde_json::Map::new();
    for (name, value) in query {
        let twice = || {
            let detail = format!("the query contains `{}` twice", short(&name));
            Problem::bad_request("invalid_query", detail).field(short(&name))
        };
        let field = match &*name {
            "format" => Some(&mut queried.format),
            name => queried.said.field(name),
        };
        if let Some(field) = field {
            if field.replace(value).is_some() {
                return Err(twice());
            }
            continue;
        }
        if fields.contains_key(&name) {
            return Err(twice());
        }
        let value = match value.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(value),
        };
        fields.insert(name, value);
    }
    if !fields.is_empty() {
        let requirements =
            Requirements::from_json(&Value::Object(fields)).map_err(|mut error| {
                // The query has them beside other fields.
                if !Requirements::FIELDS.contains(&&*error.field) {
                    error.allowed.extend(OTHERS.map(String::from));
                }
                error
            })?;
        queried.requirements = Some(requirements);
    }
    Ok(queried)
}

/// What the query or the body says.
///
/// # Errors
/// 422 if both do.
pub fn either<T>(query: Option<T>, body: Option<T>, name: &str) -> Result<Option<T>, Problem> {
    match (query, body) {
        (Some(_), Some(_)) => {
            let detail = format!("`{name}` is in the query and in the body: send it once");
            Err(Problem::unprocessable("given_twice", detail).field(name))
        }
        (query, body) => Ok(query.or(body)),
    }
}

/// The body is the file; the query holds all the rest.
async fn bare(
    app: &App,
    (head, queried): (&Parts, Queried),
    body: Body,
    memory: &mut Memory,
) -> Result<(Bytes, String, Wishes), Problem> {
    let requirements = queried.requirements.unwrap_or_default();
    let said = queried.said;
    let wishes = said.wishes(queried.format.as_deref(), requirements, &head.headers)?;
    let picture = incoming(app, &head.headers, body, app.config.file_bytes())?
        .whole(memory)
        .await
        .map_err(|e| e.problem(|bytes| too_large(app, bytes)))?;
    Ok((picture, String::new(), wishes))
}

async fn json(
    app: &Arc<App>,
    (head, queried): (&Parts, Queried),
    body: &[u8],
    memory: &mut Memory,
) -> Result<(Bytes, String, Wishes), Problem> {
    let request: JsonPicture = json::parse(body)?;
    let requirements = request.requirements.map(|r| r.check()).transpose()?;
    let requirements = either(queried.requirements, requirements, "requirements")?;
    let format = request.format.map(|text| text.0.into_owned());
    let format = either(queried.format, format, "format")?;
    let said = Said::of([request.pages, request.password, request.text_layer]);
    let said = queried.said.and(said)?;
    let wishes = said.wishes(
        format.as_deref(),
        requirements.unwrap_or_default(),
        &head.headers,
    )?;
    let name = request.name.unwrap_or_default().0.into_owned();
    match (request.image_base64, request.image_url, request.image_path) {
        (Some(text), None, None) => {
            memory.hold(body.len() + text.0.len() / 4 * 3)?;
            Ok((decode(app, &text.0)?, name, wishes))
        }
        (None, Some(url), None) => {
            let picture = fetch::picture(app, &url.0, memory).await?;
            Ok((picture, or(name, &url.0), wishes))
        }
        (None, None, Some(path)) => {
            let picture = files::picture(app, &path.0, memory).await?;
            Ok((picture, or(name, &path.0), wishes))
        }
        _ => Err(Problem::unprocessable(
            "invalid_picture",
            "send exactly one of image_base64, image_url and image_path",
        )),
    }
}

fn or(name: String, other: &str) -> String {
    if name.is_empty() { other.into() } else { name }
}

/// Decodes a file from base64 (either alphabet, padded or not) or from a data URL.
///
/// # Errors
/// The text is not base64, or the file is too large.
pub fn decode(app: &App, text: &str) -> Result<Bytes, Problem> {
    let wrong = |why: String| Problem::unprocessable("invalid_base64", why).field("image_base64");
    let text = match text.strip_prefix("data:") {
        Some(url) => match url.split_once(',') {
            Some((head, data)) if head.ends_with(";base64") => data,
            _ => return Err(wrong("the data URL must be base64".into())),
        },
        None => text,
    };
    let text = if text.contains(|c: char| c.is_ascii_whitespace()) {
        Cow::Owned(text.split_ascii_whitespace().collect::<String>())
    } else {
        Cow::Borrowed(text)
    };
    let url_safe = text.contains(['-', '_']);
    let padded = text.ends_with('=');
    let engine = match (url_safe, padded) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    let bytes = engine
        .decode(text.as_bytes())
        .map_err(|e| wrong(format!("invalid base64: {e}")))?;
    if bytes.len() > app.config.file_bytes() {
        return Err(too_large(app, bytes.len() as u64));
    }
    Ok(bytes.into())
}

/// The problem of a form as a whole that can't be read.
pub fn whole_form(app: &App, error: BodyError) -> Problem {
    error.problem(|bytes| too_large(app, bytes))
}

/// The text of a form's part beside the file.
///
/// # Errors
/// It has more than `limit` bytes, or the form can't be read.
pub async fn short_text(
    app: &Arc<App>,
    form: &mut Form,
    name: &str,
    limit: usize,
) -> Result<Bytes, Problem> {
    let data = form.data(limit, &mut app.memory()).await;
    data.map_err(|error| {
        error.problem(|_| {
            let detail = format!("the part `{name}` may have at most {limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "part_too_large", detail).field(name)
        })
    })
}

/// The text of a form's part that is a choice of pages, a password and the like.
///
/// # Errors
/// As for [`short_text`].
pub async fn text_part(app: &Arc<App>, form: &mut Form, name: &str) -> Result<String, Problem> {
    let text = short_text(app, form, name, SHORT).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn multipart(
    app: &Arc<App>,
    (head, queried): (&Parts, Queried),
    mut form: Form,
    memory: &mut Memory,
) -> Result<(Bytes, String, Wishes), Problem> {
    let large = |error: BodyError| error.problem(|bytes| too_large(app, bytes));
    let mut picture = None;
    let mut name = String::new();
    let mut requirements = None;
    let (mut said, mut format) = (Said::default(), None);
    while let Some(part) = form.next().await.map_err(large)? {
        match part.name.as_deref() {
            Some("image" | "file") if picture.is_none() => {
                name = part.file_name.unwrap_or_default();
                let limit = app.config.file_bytes();
                picture = Some(form.data(limit, memory).await.map_err(large)?);
            }
            Some("requirements") if requirements.is_none() => {
                let text = short_text(app, &mut form, "requirements", REST / 2).await?;
                requirements = Some(json::requirements_of(&text)?);
            }
            Some("format") if format.is_none() => {
                format = Some(text_part(app, &mut form, "format").await?);
            }
            Some(name) if said.field(name).is_some_and(|field| field.is_none()) => {
                let text = text_part(app, &mut form, name).await?;
                if let Some(field) = said.field(name) {
                    *field = Some(text);
                }
            }
            other => {
                let known = ["image", "requirements"];
                return Err(unexpected(other, &[&known[..], &OTHERS].concat()));
            }
        }
    }
    let picture = picture.ok_or_else(|| {
        Problem::unprocessable("picture_missing", "the form has no part `image`").field("image")
    })?;
    let requirements = either(queried.requirements, requirements, "requirements")?;
    let format = either(queried.format, format, "format")?;
    let said = queried.said.and(said)?;
    let wishes = said.wishes(
        format.as_deref(),
        requirements.unwrap_or_default(),
        &head.headers,
    )?;
    Ok((picture, name, wishes))
}

/// The problem for a part that isn't expected: its name is none of these, or was there before.
pub fn unexpected(name: Option<&str>, known: &[&str]) -> Problem {
    let name = short(name.unwrap_or(""));
    let detail = match &*name {
        "image" | "file" => {
            "the form has several files: send one, or many as a job to /api/ocr/batch".into()
        }
        name if known.contains(&name) => format!("the form has the part `{name}` twice"),
        name => format!(
            "the part `{name}` is unknown; known parts: {}",
            known.join(", ")
        ),
    };
    Problem::unprocessable("unexpected_part", detail).field(name)
}

/// A name as it is kept.
pub fn short(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect()
}
