//! `POST /v1/ocr`: the request and answer of Mistral's OCR API, which many clients already speak.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::export;
use maoocr_engine::plan::Requirements;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::recognize::wanted;
use crate::app::App;
use crate::auth::Caller;
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::store::Scope;
use crate::{fetch, input};

/// A document to read. Fields that ask for what is not done here are refused rather than ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "model": "mistral-ocr-latest",
    "document": {"type": "image_url", "image_url": format!("data:image/png;base64,{}", crate::api::EXAMPLE)}
}))]
pub struct OcrRequest {
    /// Any name; the plan chooses the models.
    model: Option<String>,
    /// The picture.
    #[schema(value_type = OcrDocument)]
    document: Value,
    /// Indices of the pages to read, from 0; all of them by default.
    #[schema(value_type = Option<Vec<u32>>)]
    pages: Option<Value>,
    /// Pictures inside the document are not cut out: not to be true.
    include_image_base64: Option<bool>,
    /// Not done here.
    #[schema(value_type = Option<serde_json::Value>)]
    bbox_annotation_format: Option<Value>,
    /// Not done here.
    #[schema(value_type = Option<serde_json::Value>)]
    document_annotation_format: Option<Value>,
    /// What the caller needs: this server's own.
    #[schema(value_type = Option<crate::api::schema::Requirements>)]
    requirements: Option<Value>,
}

/// A picture by its address: a data URL, or a URL on a host that the operator allows.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code)] // Described; read by hand, because clients write it in several ways.
pub enum OcrDocument {
    /// A picture.
    ImageUrl {
        /// Its address.
        image_url: String,
    },
    /// A file with pages.
    DocumentUrl {
        /// Its address.
        document_url: String,
    },
}

/// What a document says.
#[derive(Serialize, ToSchema)]
pub struct OcrResponse {
    /// Each page that was asked for.
    pages: Vec<OcrPage>,
    /// What read it.
    model: String,
    /// What was read.
    usage_info: OcrUsage,
    /// Always null.
    document_annotation: Option<String>,
}

/// A page.
#[derive(Serialize, ToSchema)]
pub struct OcrPage {
    /// In the document, from 0.
    index: u32,
    /// Its text as Markdown.
    markdown: String,
    /// Always empty.
    images: Vec<String>,
    /// Its size.
    dimensions: OcrDimensions,
}

/// The size of a page.
#[derive(Serialize, ToSchema)]
pub struct OcrDimensions {
    /// Always 0: a picture of unknown resolution.
    dpi: u32,
    /// px
    height: u32,
    /// px
    width: u32,
}

/// What was read.
#[derive(Serialize, ToSchema)]
pub struct OcrUsage {
    /// Pages.
    pages_processed: u32,
    /// Of the file.
    doc_size_bytes: u64,
}

/// Read a document, as Mistral's OCR API does
///
/// The address of the document is a data URL; others are fetched where the operator allows their host.
#[utoipa::path(
    post,
    path = "/v1/ocr",
    tag = "recognition",
    request_body(content = OcrRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Pages of Markdown", body = OcrResponse),
        (status = "4XX", description = "The document or the request can't be used", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline passed (504), or the server's fault (500)", body = Problem, content_type = "application/problem+json")
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
    let memory = app.memory(app.config.file_bytes())?;
    let (picture, request) = receive(&app, request).await?;
    let requirements = match &request.requirements {
        Some(requirements) => Requirements::from_json(requirements)?,
        None => Requirements::default(),
    };
    let pages = page_numbers(request.pages.as_ref())?;
    let doc_size_bytes = picture.len() as u64;
    let order = Order {
        picture,
        name: String::new(),
        requirements,
        owner: caller.owner,
    };
    let deadline = reading::deadline(&app, wanted);
    let answer = reading::read(&app, order, deadline, None).await?;
    drop(memory);
    let count = answer.pages.len();
    if let Some(beyond) = pages.iter().flatten().find(|&&p| p as usize >= count) {
        let detail = format!("there is no page {beyond}: the document has {count}");
        return Err(Problem::unprocessable("no_such_page", detail).field("pages"));
    }
    let read: Vec<OcrPage> = answer
        .pages
        .iter()
        .zip(0..)
        .filter(|(_, index)| pages.as_ref().is_none_or(|p| p.contains(index)))
        .map(|(page, index)| OcrPage {
            index,
            markdown: export::markdown(page["text"].as_str().unwrap_or("")),
            images: Vec::new(),
            dimensions: OcrDimensions {
                dpi: 0,
                height: page["height"].as_u64().unwrap_or(0) as u32,
                width: page["width"].as_u64().unwrap_or(0) as u32,
            },
        })
        .collect();
    Ok(Json(OcrResponse {
        usage_info: OcrUsage {
            pages_processed: read.len() as u32,
            doc_size_bytes,
        },
        pages: read,
        model: request.model.unwrap_or_else(|| "maoocr".into()),
        document_annotation: None,
    }))
}

async fn receive(app: &Arc<App>, request: Request) -> Result<(Bytes, OcrRequest), Problem> {
    let most = app.config.file_bytes() / 3 * 4 + (64 << 10);
    let limit = app.config.upload_timeout;
    let body = tokio::time::timeout(limit, input::collect(request.into_body(), most)).await;
    let body = body
        .map_err(|_| input::too_slow(limit))?
        .map_err(|error| match error {
            input::BodyError::TooLarge(_) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the request has at most {most} bytes"),
            ),
            input::BodyError::Broken => {
                Problem::bad_request("body_broken", "the body ended before its end")
            }
        })?;
    let request: OcrRequest = input::from_json(&body)?;
    let not_done = |field: &str| {
        let detail = format!("{field} is not done here: leave it out");
        Err(Problem::unprocessable("not_supported", detail).field(field))
    };
    if request.include_image_base64 == Some(true) {
        return not_done("include_image_base64");
    }
    if request
        .bbox_annotation_format
        .as_ref()
        .is_some_and(|f| !f.is_null())
    {
        return not_done("bbox_annotation_format");
    }
    if request
        .document_annotation_format
        .as_ref()
        .is_some_and(|f| !f.is_null())
    {
        return not_done("document_annotation_format");
    }
    let address = address(&request.document)?;
    let picture = if address.starts_with("data:") {
        input::decode(app, address)?
    } else {
        fetch::picture(app, address).await?
    };
    Ok((picture, request))
}

/// `{"type": "image_url", "image_url": "…" | {"url": "…"}}` or `{"type": "document_url", "document_url": "…"}`.
fn address(document: &Value) -> Result<&str, Problem> {
    let kinds = ["image_url", "document_url"];
    let known = kinds.iter().any(|kind| document["type"] == *kind);
    let named = kinds
        .into_iter()
        .find_map(|name| document.get(name).filter(|v| !v.is_null()));
    let address = named.and_then(|v| v.as_str().or_else(|| v["url"].as_str()));
    address.filter(|_| known).ok_or_else(|| {
        Problem::unprocessable(
            "invalid_document",
            "the document must be an image_url or a document_url; uploaded files are not known here",
        )
        .field("document")
    })
}

fn page_numbers(pages: Option<&Value>) -> Result<Option<Vec<u32>>, Problem> {
    match pages {
        None | Some(Value::Null) => Ok(None),
        Some(pages) => serde_json::from_value(pages.clone())
            .map(Some)
            .map_err(|_| {
                Problem::unprocessable("invalid_pages", "pages is a list of whole numbers from 0")
                    .field("pages")
            }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_found_however_clients_write_them() {
        for document in [
            json!({"type": "image_url", "image_url": "data:a"}),
            json!({"type": "image_url", "image_url": {"url": "data:a", "detail": null}}),
            json!({"type": "document_url", "document_url": "data:a", "document_name": "x"}),
            json!({"type": "image_url", "image_url": "data:a", "document_url": null}),
        ] {
            assert_eq!(address(&document).unwrap(), "data:a");
        }
        for document in [
            json!({}),
            json!({"type": "file", "file_id": "x"}),
            json!({"type": "other", "image_url": "data:a"}),
            json!({"image_url": "data:a"}),
            json!(3),
        ] {
            assert_eq!(address(&document).unwrap_err().code, "invalid_document");
        }
    }

    #[test]
    fn pages_are_numbers() {
        assert_eq!(page_numbers(None).unwrap(), None);
        assert_eq!(
            page_numbers(Some(&json!([0, 2]))).unwrap(),
            Some(vec![0, 2])
        );
        assert!(page_numbers(Some(&json!("0-2"))).is_err());
        assert!(page_numbers(Some(&json!([-1]))).is_err());
    }
}
