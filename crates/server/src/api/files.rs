//! `/v1/files`: files that are uploaded first and read later, in the shapes of Mistral's API.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maoocr_engine::imaging::ImagingError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::schema::Bytes;
use crate::api::{Path, Query, within};
use crate::app::App;
use crate::auth::Caller;
use crate::kept::{self, UPLOAD};
use crate::multipart;
use crate::problem::Problem;
use crate::store::Scope;
use crate::store::files::StoredFile;
use crate::{document, input};

/// Longest text of a form's part beside the file, bytes.
const SHORT: usize = 1 << 10;
/// Most files on a page of the list.
const PAGE: u32 = 1000;
/// Longest life of a link, hours.
const WEEK: u32 = 168;

/// A form with a file.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; the form is read part by part.
pub struct UploadForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Every purpose means `ocr`.
    #[schema(required = false)]
    purpose: Option<FilePurpose>,
    /// Hours until it is deleted, at most as long as the server keeps files.
    #[schema(required = false, minimum = 1)]
    expiry: Option<u32>,
    /// Without effect: a file is seen by its owner alone.
    #[schema(required = false)]
    visibility: Option<Visibility>,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilePurpose {
    /// To be read.
    Ocr,
    /// OpenAI's name for it.
    UserData,
    /// An older one.
    Assistants,
}

/// Who sees a file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner.
    User,
    /// Its owner, too.
    Workspace,
}

/// A file.
#[derive(Serialize, ToSchema)]
pub struct File {
    /// Its id.
    id: Uuid,
    /// `file`
    #[schema(value_type = String)]
    object: &'static str,
    /// Its size.
    bytes: i64,
    /// When it was uploaded, seconds since 1970.
    created_at: i64,
    /// When it is deleted, likewise.
    expires_at: i64,
    /// Its name.
    filename: String,
    /// What it is for.
    purpose: FilePurpose,
    /// Its media type, by its content.
    mimetype: String,
    /// `upload`
    #[schema(value_type = String)]
    source: &'static str,
    /// Without meaning here; Mistral's clients want it.
    #[schema(value_type = String)]
    sample_type: &'static str,
    /// Whether it is deleted: never.
    deleted: bool,
}

impl From<StoredFile> for File {
    fn from(file: StoredFile) -> Self {
        Self {
            id: file.id,
            object: "file",
            bytes: file.size,
            created_at: file.created_at / 1000,
            expires_at: file.expires_at / 1000,
            filename: file.name,
            purpose: FilePurpose::Ocr,
            mimetype: file.media_type,
            source: "upload",
            sample_type: "instruct",
            deleted: false,
        }
    }
}

/// Files.
#[derive(Serialize, ToSchema)]
pub struct FileList {
    /// The files of this page, newest first.
    data: Vec<File>,
    /// `list`
    #[schema(value_type = String)]
    object: &'static str,
    /// How many there are on all pages.
    total: usize,
    /// Whether there are more after these.
    has_more: bool,
}

/// Which files to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Number of the page, from 0.
    #[param(minimum = 0, maximum = 65535, default = 0)]
    page: Option<u16>,
    /// Files on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    page_size: Option<u32>,
    /// The same, as OpenAI's clients call it.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// Only files older than this one: the last id of the page before.
    after: Option<Uuid>,
    /// Without effect: the total is always there.
    #[serde(rename = "include_total")]
    _include_total: Option<bool>,
    /// Only files whose name contains this.
    search: Option<String>,
    /// Only files for this.
    #[serde(rename = "purpose")]
    #[param(inline)]
    _purpose: Option<FilePurpose>,
}

/// Upload a file
///
/// It is deleted when the server's retention time for files has passed, or earlier.
#[utoipa::path(
    post,
    path = "/v1/files",
    tag = "files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The file", body = File),
        (status = "4XX", description = "The file or the request is invalid, or there is no room", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload, no room, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn upload(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<File>, Problem> {
    caller.needs(Scope::Recognize)?;
    let (head, body) = request.into_parts();
    let most = app.config.file_bytes();
    let incoming = input::incoming(&app, &head.headers, body, most + input::REST)?;
    let mut form = multipart::Form::new(&head.headers, incoming)?;
    let mut memory = app.memory();
    let mut file = None;
    let (mut purpose, mut expiry, mut visibility) = (None, None, None);
    while let Some(part) = form.next().await.map_err(|e| input::whole_form(&app, e))? {
        let name = part.name.as_deref().unwrap_or("").to_string();
        let text = match &*name {
            "file" if file.is_none() => {
                let bytes = form.data(most, &mut memory).await;
                let bytes = bytes.map_err(|e| e.problem(|size| input::too_large(&app, size)))?;
                file = Some((part.file_name.unwrap_or_default(), bytes));
                continue;
            }
            "purpose" if purpose.is_none() => &mut purpose,
            "expiry" if expiry.is_none() => &mut expiry,
            "visibility" if visibility.is_none() => &mut visibility,
            _ => {
                let known = ["file", "purpose", "expiry", "visibility"];
                return Err(input::unexpected(Some(&name), &known));
            }
        };
        let bytes = input::short_text(&app, &mut form, &name, SHORT).await?;
        *text = Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    chosen("purpose", purpose, &["ocr", "user_data", "assistants"])?;
    chosen("visibility", visibility, &["user", "workspace"])?;
    let kept = app.config.file_lifetime();
    let lifetime = match expiry.filter(|text| !text.is_empty()) {
        None => kept,
        Some(text) => match text.parse::<u32>() {
            Ok(hours @ 1..) => kept.min(Duration::from_secs(u64::from(hours) * 3600)),
            _ => {
                let detail = "expiry must be a whole number of hours, 1 or more";
                return Err(Problem::unprocessable("invalid_expiry", detail).field("expiry"));
            }
        },
    };
    let Some((name, bytes)) = file else {
        let detail = "the form has no part `file`";
        return Err(Problem::unprocessable("file_missing", detail).field("file"));
    };
    if bytes.is_empty() {
        return Err(ImagingError::Empty.into());
    }
    let media_type = document::media_type(&bytes)?;
    let to = (&*caller.owner, UPLOAD);
    let stored = kept::keep(&app, to, &name, media_type, bytes, lifetime).await?;
    drop(memory);
    Ok(Json(stored.into()))
}

/// Checks a part that has one of few values.
fn chosen(field: &'static str, value: Option<String>, allowed: &[&str]) -> Result<(), Problem> {
    match value {
        Some(value) if !allowed.contains(&&*value) => {
            let detail = format!("{field} must be {}", allowed.join(" or "));
            let mut problem = Problem::unprocessable("invalid_field", detail).field(field);
            problem.allowed = allowed.iter().map(ToString::to_string).collect();
            Err(problem)
        }
        _ => Ok(()),
    }
}

/// List files
#[utoipa::path(
    get,
    path = "/v1/files",
    tag = "files",
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = FileList),
        (status = "4XX", description = "Invalid parameter, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<FileList>, Problem> {
    caller.needs(Scope::Recognize)?;
    let size = match (wanted.page_size, wanted.limit) {
        (None, Some(limit)) => within("limit", limit, 1..=PAGE)?,
        (size, _) => within("page_size", size.unwrap_or(100), 1..=PAGE)?,
    };
    // Strangers share an owner and must not see each other's files.
    let mut files = match caller.is_stranger() {
        true => Vec::new(),
        false => app.store.files(&caller.owner, UPLOAD).await?,
    };
    if let Some(text) = &wanted.search {
        files.retain(|file| file.name.contains(text));
    }
    let total = files.len();
    if let Some(after) = wanted.after {
        // Ids are by time; one that is gone by now still has its place.
        files.retain(|file| file.id < after);
    }
    let (page, size) = (usize::from(wanted.page.unwrap_or(0)), size as usize);
    let has_more = files.len() > (page + 1) * size;
    let data = files.into_iter().skip(page * size).take(size);
    Ok(Json(FileList {
        data: data.map(File::from).collect(),
        object: "list",
        total,
        has_more,
    }))
}

/// Get the details of a file
#[utoipa::path(
    get,
    path = "/v1/files/{id}",
    tag = "files",
    params(("id" = Uuid, Path, description = "The file's id")),
    responses(
        (status = 200, description = "The file", body = File),
        (status = "4XX", description = "No such file, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Json<File>, Problem> {
    caller.needs(Scope::Recognize)?;
    let file = app.store.file(&caller.owner, UPLOAD, id).await?;
    Ok(Json(file.ok_or_else(kept::none)?.into()))
}

/// A deleted file.
#[derive(Serialize, ToSchema)]
pub struct DeletedFile {
    /// Its id.
    id: Uuid,
    /// `file`
    #[schema(value_type = String)]
    object: &'static str,
    /// Whether it was deleted: always.
    deleted: bool,
}

/// Delete a file
#[utoipa::path(
    delete,
    path = "/v1/files/{id}",
    tag = "files",
    params(("id" = Uuid, Path, description = "The file's id")),
    responses(
        (status = 200, description = "It is deleted", body = DeletedFile),
        (status = "4XX", description = "No such file, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Json<DeletedFile>, Problem> {
    caller.needs(Scope::Recognize)?;
    match app.store.delete_file(&caller.owner, UPLOAD, id).await? {
        false => Err(kept::none()),
        true => Ok(Json(DeletedFile {
            id,
            object: "file",
            deleted: true,
        })),
    }
}

/// A link.
#[derive(Serialize, ToSchema)]
pub struct FileUrl {
    /// Where the file can be had without a key, and what `/v1/ocr` takes as `document_url`.
    url: String,
}

/// How long a link is good.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WantedUrl {
    /// Hours.
    #[param(minimum = 1, maximum = 168, default = 24)]
    expiry: Option<u32>,
}

/// Get a link to a file
///
/// Anyone who has it can use it until it expires or the file is deleted.
#[utoipa::path(
    get,
    path = "/v1/files/{id}/url",
    tag = "files",
    params(("id" = Uuid, Path, description = "The file's id"), WantedUrl),
    responses(
        (status = 200, description = "The link", body = FileUrl),
        (status = "4XX", description = "No such file, invalid parameter, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn url(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<WantedUrl>,
    (uri, headers): (Uri, HeaderMap),
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let hours = wanted.expiry.unwrap_or(24);
    if !(1..=WEEK).contains(&hours) {
        let detail = format!("expiry must be between 1 and {WEEK} hours");
        return Err(Problem::unprocessable("invalid_query", detail).field("expiry"));
    }
    let lifetime = Duration::from_secs(u64::from(hours) * 3600);
    let path = kept::link(&app, &caller.owner, id, lifetime).await?;
    let url = kept::base(&app.config, &uri, &headers) + &path;
    // Another second, another link.
    let fresh = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::OK, fresh, Json(FileUrl { url })).into_response())
}

/// The parts of a link.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LinkParts {
    /// When it expires, seconds since 1970.
    #[serde(rename = "expires")]
    _expires: Option<String>,
    /// What makes it good.
    #[serde(rename = "signature")]
    _signature: Option<String>,
}

/// Download a file
///
/// With a key, or through a link from `/v1/files/{id}/url`.
#[utoipa::path(
    get,
    path = "/v1/files/{id}/content",
    tag = "files",
    params(("id" = Uuid, Path, description = "The file's id"), LinkParts),
    responses(
        (status = 200, description = "The file as it was uploaded", body = Bytes, content_type = "application/octet-stream"),
        (status = "4XX", description = "No such file, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn content(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    _parts: Query<LinkParts>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let bytes = kept::bytes(&app, &caller.owner, UPLOAD, id).await?;
    // A browser must never interpret what someone once sent, so serve it as a download of plain bytes.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, bytes).into_response())
}
