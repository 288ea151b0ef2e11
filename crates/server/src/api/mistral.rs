//! `POST /v1/ocr`: request and response of Mistral's OCR API, which many clients already speak.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::page::PageRanges;
use maoocr_engine::plan::Requirements;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::mistral_page::{self, Granularity, OcrPage, TableFormat, Wanted};
use crate::api::recognize::wanted;
use crate::app::App;
use crate::auth::Caller;
use crate::body::Memory;
use crate::document::{self, PageOptions};
use crate::json::{self, Address, JsonRequirements, Object, Positions, Text};
use crate::kept::{self, Link, UPLOAD};
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::searchable::Original;
use crate::store::Scope;
use crate::{fetch, input, pictures};

/// A document to read. What isn't supported is refused rather than ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "model": "mistral-ocr-latest",
    "document": {"type": "image_url", "image_url": format!("data:image/png;base64,{}", crate::api::EXAMPLE)}
}))]
pub struct OcrRequest<'a> {
    /// Any name; the server chooses the models.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    model: Option<Text<'a>>,
    /// Any text; it is ignored.
    #[serde(rename = "id")]
    #[schema(value_type = Option<String>)]
    _id: Option<Text<'a>>,
    /// The document.
    #[schema(value_type = OcrDocument)]
    document: Object<JsonDocument<'a>>,
    /// Positions of the pages to read, from 0: a list, or text such as `0,2-4`. All of them by default.
    #[schema(value_type = Option<OcrPositions>)]
    pages: Option<Positions>,
    /// Whether figures come with their pictures.
    include_image_base64: Option<bool>,
    /// Most figures of the document; the text in others is in the Markdown.
    #[schema(minimum = 0, maximum = 65535)]
    image_limit: Option<u16>,
    /// Least width and height of a figure, px.
    #[schema(minimum = 0, maximum = 65535)]
    image_min_size: Option<u16>,
    /// Not supported: there is no model that describes figures.
    #[schema(value_type = Option<serde_json::Value>)]
    bbox_annotation_format: Option<IgnoredAny>,
    /// Not supported: there is no model that answers questions.
    #[schema(value_type = Option<serde_json::Value>)]
    document_annotation_format: Option<IgnoredAny>,
    /// Not supported, likewise.
    #[schema(value_type = Option<String>)]
    document_annotation_prompt: Option<IgnoredAny>,
    /// Gives tables apart from the Markdown, in this form.
    table_format: Option<TableFormat>,
    /// Gives the running head of each page.
    extract_header: Option<bool>,
    /// Gives the running foot of each page.
    extract_footer: Option<bool>,
    /// Gives blocks with their boxes.
    #[schema(default = true)]
    include_blocks: Option<bool>,
    /// Gives how sure the text is.
    confidence_scores_granularity: Option<Granularity>,
    /// The password of an encrypted PDF, an extension of this server.
    #[schema(value_type = Option<String>)]
    password: Option<Text<'a>>,
    /// The requirements, likewise.
    #[schema(value_type = Option<crate::api::schema::Requirements>)]
    requirements: Option<JsonRequirements>,
}

/// Positions of pages.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // Described; read by hand.
pub enum OcrPositions {
    /// Each.
    List(Vec<u32>),
    /// Ranges, such as `0,2-4`.
    Ranges(String),
}

/// A document as clients write it; see [`OcrDocument`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonDocument<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    image_url: Option<Address<'a, true>>,
    document_url: Option<Address<'a, true>>,
    document_name: Option<Text<'a>>,
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
}

/// A document: by URL (a data URL, or one on a host that the operator allows), or an upload.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code)] // Described; read by hand, because clients write it in several ways.
pub enum OcrDocument {
    /// A picture.
    ImageUrl {
        /// Its URL.
        image_url: String,
    },
    /// A file with pages.
    DocumentUrl {
        /// Its URL, or a link from `/v1/files/{id}/url`.
        document_url: String,
    },
    /// An upload.
    File {
        /// Its id.
        file_id: Uuid,
    },
}

/// The text of a document.
#[derive(Serialize, ToSchema)]
pub struct OcrResponse {
    /// The requested pages.
    pages: Vec<OcrPage>,
    /// The model named in the request.
    model: String,
    /// Usage.
    usage_info: OcrUsage,
    /// Always null.
    document_annotation: Option<String>,
}

/// Usage.
#[derive(Serialize, ToSchema)]
pub struct OcrUsage {
    /// Pages read.
    pages_processed: u32,
    /// Size of the file.
    doc_size_bytes: u64,
}

/// Read a document (Mistral OCR API)
///
/// The document is a data URL, a URL on a host that the operator allows, or an upload.
#[utoipa::path(
    post,
    path = "/v1/ocr",
    tag = "recognition",
    request_body(content = OcrRequest<'_>, content_type = "application/json"),
    responses(
        (status = 200, description = "Pages of Markdown", body = OcrResponse),
        (status = "4XX", description = "The document or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline exceeded (504) or an internal error (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn ocr(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<OcrResponse>, Problem> {
    caller.needs(Scope::Recognize)?;
    let wanted = wanted(request.headers())?;
    app.pool
        .admits(&Stop::at(Some(reading::deadline(&app, wanted))))?;
    let received = receive(&app, &caller, request).await?;
    let (picture, memory) = (received.picture, received.memory);
    let doc_size_bytes = picture.len() as u64;
    let original = Original {
        file: picture.clone(),
        password: received.password,
    };
    let order = Order {
        picture,
        name: received.name,
        requirements: received.requirements,
        options: PageOptions {
            pages: received.pages.clone(),
            password: original.password.clone(),
            structure: true,
            ..PageOptions::default()
        },
        owner: caller.owner,
    };
    let deadline = reading::deadline(&app, wanted);
    let answer = reading::read(&app, order, deadline, None).await?;
    let mut document = document::of_json(&answer.into_json())
        .map_err(|error| Problem::internal("answer_unreadable", error))?;
    let has = |number: usize| document.pages.iter().any(|page| page.index + 1 == number);
    let last = document
        .pages
        .iter()
        .map(|page| page.index + 1)
        .max()
        .unwrap_or(0);
    let beyond = received.pages.and_then(|pages| pages.beyond(last));
    if let Some(number) = beyond.filter(|&number| !has(number)) {
        let detail = format!("there is no page {}: pages are counted from 0", number - 1);
        return Err(Problem::unprocessable("no_such_page", detail).field("pages"));
    }
    maoocr_engine::structure::join_pages(&mut document);
    let cuts = match received.pictures {
        false => Vec::new(),
        true => {
            let parts = mistral_page::figures(&document, received.wanted);
            pictures::cut_out(&app, original, parts, Stop::at(Some(deadline))).await?
        }
    };
    drop(memory);
    let pages = mistral_page::pages(document, received.wanted, cuts);
    Ok(Json(OcrResponse {
        usage_info: OcrUsage {
            pages_processed: pages.len() as u32,
            doc_size_bytes,
        },
        pages,
        model: received.model,
        document_annotation: None,
    }))
}

/// A request that was understood.
struct Received {
    picture: Bytes,
    name: String,
    memory: Memory,
    model: String,
    pages: Option<PageRanges>,
    password: String,
    requirements: Requirements,
    wanted: Wanted,
    pictures: bool,
}

async fn receive(app: &Arc<App>, caller: &Caller, request: Request) -> Result<Received, Problem> {
    let most = input::json_limit(app);
    let (head, body) = request.into_parts();
    let mut memory = app.memory();
    let body = input::incoming(app, &head.headers, body, most)?;
    let body = body.whole(&mut memory).await.map_err(|e| {
        e.problem(|_| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the request may have at most {most} bytes"),
            )
        })
    })?;
    let request: OcrRequest = json::parse(&body)?;
    let unsupported = [
        (
            "bbox_annotation_format",
            request.bbox_annotation_format.is_some(),
        ),
        (
            "document_annotation_format",
            request.document_annotation_format.is_some(),
        ),
        (
            "document_annotation_prompt",
            request.document_annotation_prompt.is_some(),
        ),
    ];
    if let Some((field, _)) = unsupported.into_iter().find(|(_, asked)| *asked) {
        let detail = format!(
            "`{field}` is not supported, because this server has no model that understands documents: leave it out"
        );
        return Err(Problem::unprocessable("not_supported", detail).field(field));
    }
    let requirements = json::requirements(request.requirements.as_ref())?;
    let place = place(&request.document.0)?;
    let picture = match place {
        Place::Upload(id) => kept::bytes(app, &caller.owner, UPLOAD, id).await?,
        Place::Url(address) if address.starts_with("data:") => {
            memory.hold(body.len() + address.len() / 4 * 3)?;
            input::decode(app, address)?
        }
        Place::Url(address) => linked(app, address, &mut memory).await?,
    };
    memory.hold(picture.len())?;
    let short = |text: Option<Text>| text.map(|text| input::short(&text.0));
    Ok(Received {
        picture,
        name: short(request.document.0.document_name).unwrap_or_default(),
        memory,
        model: short(request.model).unwrap_or("maoocr".into()),
        pages: request.pages.map(|pages| pages.0),
        password: request
            .password
            .map_or(String::new(), |text| text.0.into_owned()),
        requirements,
        wanted: Wanted {
            tables: request.table_format,
            blocks: request.include_blocks.unwrap_or(true),
            header: request.extract_header == Some(true),
            footer: request.extract_footer == Some(true),
            confidence: request.confidence_scores_granularity,
            figures: request.image_limit,
            figure_side: request.image_min_size.unwrap_or(0),
        },
        pictures: request.include_image_base64 == Some(true),
    })
}

/// The file at an address: a link to an upload, or what another host has.
async fn linked(app: &App, address: &str, memory: &mut Memory) -> Result<Bytes, Problem> {
    let Some(link) = Link::of_url(address) else {
        return fetch::picture(app, address, memory).await;
    };
    match link.owner(app).await? {
        Some(owner) => kept::bytes(app, &owner, UPLOAD, link.id()).await,
        None => Err(kept::bad_link(StatusCode::UNPROCESSABLE_ENTITY).field("document")),
    }
}

/// Where a document is.
#[derive(Debug, Eq, PartialEq)]
enum Place<'a> {
    Url(&'a str),
    Upload(Uuid),
}

/// `{"type": "image_url", "image_url": "…" | {"url": "…"}}`, `{"type": "document_url", "document_url": "…"}` or `{"type":
/// "file", "file_id": "…"}`.
fn place<'a>(document: &'a JsonDocument<'_>) -> Result<Place<'a>, Problem> {
    let url = |address: &'a Option<Address<'_, true>>| address.as_ref().map(|a| Place::Url(&a.0.0));
    let (image, file) = (&document.image_url, &document.document_url);
    let kind = document.r#type.as_ref().map(|t| &*t.0);
    let place = match (kind, &document.file_id) {
        (Some("file"), Some(id)) if image.is_none() && file.is_none() => {
            return id.0.parse().map(Place::Upload).map_err(|_| kept::none());
        }
        (Some("image_url" | "document_url"), None) => url(image).or(url(file)),
        _ => None,
    };
    place.ok_or_else(|| {
        Problem::unprocessable(
            "invalid_document",
            "the document must be an image_url, a document_url or a file (with its file_id)",
        )
        .field("document")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn address_of(document: &Value) -> Result<String, &'static str> {
        let text = document.to_string();
        let document: JsonDocument = json::parse(text.as_bytes()).map_err(|p| p.code)?;
        match place(&document).map_err(|p| p.code)? {
            Place::Url(address) => Ok(address.into()),
            Place::Upload(id) => Ok(id.to_string()),
        }
    }

    #[test]
    fn addresses_are_found_however_clients_write_them() {
        for document in [
            json!({"type": "image_url", "image_url": "data:a"}),
            json!({"type": "image_url", "image_url": {"url": "data:a", "detail": null}}),
            json!({"type": "document_url", "document_url": "data:a", "document_name": "x"}),
            json!({"type": "image_url", "image_url": "data:a", "document_url": null}),
        ] {
            assert_eq!(address_of(&document).unwrap(), "data:a");
        }
        for document in [
            json!({}),
            json!({"type": "file"}),
            json!({"type": "file", "file_id": "x", "document_url": "data:a"}),
            json!({"type": "document_url", "file_id": "x", "document_url": "data:a"}),
            json!({"type": "other", "image_url": "data:a"}),
            json!({"image_url": "data:a"}),
        ] {
            assert_eq!(address_of(&document), Err("invalid_document"));
        }
        assert_eq!(address_of(&json!(3)), Err("invalid_json"));
        let id = "0197a2f0-1111-7222-8333-444455556666";
        assert_eq!(
            address_of(&json!({"type": "file", "file_id": id})).unwrap(),
            id
        );
        assert_eq!(
            address_of(&json!({"type": "file", "file_id": "x"})),
            Err("not_found")
        );
    }

    #[test]
    fn no_field_is_ignored_in_silence() {
        let code = |field: &str, value: Value| {
            let mut request = json!({"document": {"type": "image_url", "image_url": "data:a"}});
            request[field] = value;
            let text = request.to_string();
            json::parse::<OcrRequest>(text.as_bytes())
                .map(drop)
                .map_err(|p| p.detail)
        };
        assert!(code("pages", json!([0, 2])).is_ok());
        assert!(code("pages", Value::Null).is_ok());
        assert!(code("pages", json!("0-2")).is_ok());
        assert!(code("pages", json!("2-0")).is_err());
        assert!(code("table_format", json!("latex")).is_err());
        assert!(code("pages", json!([-1])).is_err());
        assert!(
            code("language", json!("en"))
                .unwrap_err()
                .contains("`language`")
        );
    }
}
