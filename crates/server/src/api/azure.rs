//! Document Intelligence: the calls of Azure's clients that read documents, at their paths.
//!
//! An analysis is accepted, read in the background, and its result kept for a while. What it is, and what became of it, are
//! files of its owner ([`kept`](crate::kept)), so that any replica can be asked; their ids follow from the analysis'.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maoocr_engine::export::rfc3339;
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::plan::{Language, Requirements};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::azure_result::{self, AnalyzeResult, IndexType, Kind};
use crate::api::schema::Bytes;
use crate::api::{Path, Query};
use crate::app::App;
use crate::auth::{Caller, now};
use crate::body::Memory;
use crate::document::{self, PageOptions};
use crate::json::{self, Text};
use crate::kept::{self, base};
use crate::pool::{Lane, Stop};
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::searchable::{self, Original};
use crate::store::Scope;
use crate::wishes::page_ranges;
use crate::{fetch, input};

/// Files that say what an analysis is.
const ANALYSIS: &str = "analysis";
/// Files that say what became of it.
const OUTCOME: &str = "outcome";
/// The PDFs that were made.
const OUTPUT: &str = "output";
/// The models there are.
const MODELS: [&str; 2] = ["prebuilt-read", "prebuilt-layout"];
/// How long a client waits until it asks again, s.
const AGAIN: u64 = 1;
/// Longer than any analysis takes beside its reading: its server has died.
const GRACE: i64 = 60_000;

/// What is wanted of an analysis.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Any version; all are answered as 2024-11-30.
    #[serde(rename = "api-version")]
    _api_version: Option<String>,
    /// Without effect.
    #[serde(rename = "_overload")]
    _overload: Option<String>,
    /// Which pages, such as `1-3,5`.
    pages: Option<String>,
    /// Language of the text, as a BCP 47 tag.
    locale: Option<String>,
    /// How offsets are counted.
    #[serde(rename = "stringIndexType")]
    #[param(inline)]
    string_index_type: Option<IndexType>,
    /// Only `ocrHighResolution`, which has no effect.
    features: Option<String>,
    /// Not supported.
    #[serde(rename = "queryFields")]
    query_fields: Option<String>,
    /// `text` (the default), or for `prebuilt-layout` `markdown`.
    #[serde(rename = "outputContentFormat")]
    #[param(inline)]
    output_content_format: Option<ContentFormat>,
    /// `pdf`: a PDF whose text can be searched is made, too.
    output: Option<String>,
}

/// How a document's text is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContentFormat {
    /// Lines.
    Text,
    /// Markdown.
    Markdown,
}

/// The JSON form of a document: either of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"base64Source": crate::api::EXAMPLE}))]
pub struct AnalyzeRequest<'a> {
    /// The file in base64.
    #[serde(rename = "base64Source", borrow)]
    #[schema(value_type = Option<String>)]
    base64_source: Option<Text<'a>>,
    /// Its address, on a host that the operator allows.
    #[serde(rename = "urlSource")]
    #[schema(value_type = Option<String>)]
    url_source: Option<Text<'a>>,
}

/// What an analysis is, as it is kept.
#[derive(Deserialize, Serialize)]
struct Analysis {
    model: String,
    index_type: IndexType,
    format: ContentFormat,
}

/// Analyse a document: its text
///
/// The response header `Operation-Location` says where the result will be, as with Azure Document Intelligence.
#[utoipa::path(
    post,
    path = "/documentintelligence/documentModels/prebuilt-read:analyze",
    tag = "recognition",
    params(Wanted),
    request_body(content((AnalyzeRequest<'_> = "application/json"), (Bytes = "application/octet-stream"), (Bytes = "application/pdf"), (Bytes = "image/*"))),
    responses(
        (status = 202, description = "It is accepted", headers(("operation-location" = String, description = "Where the result will be"))),
        (status = "4XX", description = "The document or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload, no room, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn read(
    state: State<Arc<App>>,
    caller: Extension<Caller>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, Problem> {
    analyze(state.0, caller.0, MODELS[0], wanted, request).await
}

/// Analyse a document: its text, tables and structure
///
/// As `prebuilt-read`.
#[utoipa::path(
    post,
    path = "/documentintelligence/documentModels/prebuilt-layout:analyze",
    tag = "recognition",
    params(Wanted),
    request_body(content((AnalyzeRequest<'_> = "application/json"), (Bytes = "application/octet-stream"), (Bytes = "application/pdf"), (Bytes = "image/*"))),
    responses(
        (status = 202, description = "It is accepted", headers(("operation-location" = String, description = "Where the result will be"))),
        (status = "4XX", description = "The document or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload, no room, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn layout(
    state: State<Arc<App>>,
    caller: Extension<Caller>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, Problem> {
    analyze(state.0, caller.0, MODELS[1], wanted, request).await
}

async fn analyze(
    app: Arc<App>,
    caller: Caller,
    model: &'static str,
    wanted: Wanted,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let (options, requirements, pdf) = wishes(model, &wanted)?;
    let (head, body) = request.into_parts();
    let base = base(&app.config, &head.uri, &head.headers);
    let mut memory = app.memory();
    let picture = file(&app, &head, body, &mut memory).await?;
    if picture.is_empty() {
        return Err(ImagingError::Empty.into());
    }
    memory.hold(picture.len())?;
    // What can't be read at all is said at once.
    document::media_type(&picture)?;
    app.models.plan(&requirements)?;
    let analysis = Analysis {
        model: model.into(),
        index_type: wanted.string_index_type.unwrap_or_default(),
        format: wanted.output_content_format.unwrap_or(ContentFormat::Text),
    };
    let about = json!(analysis).to_string().into_bytes();
    let lifetime = app.config.file_lifetime();
    let kind = (&*caller.owner, ANALYSIS);
    let kept = kept::keep(&app, kind, "", "application/json", about.into(), lifetime).await?;
    let order = Order {
        picture,
        name: String::new(),
        requirements,
        options,
        owner: caller.owner,
    };
    tokio::spawn(work(app, kept.id, order, pdf, memory));
    let place = format!(
        "{base}/documentintelligence/documentModels/{model}/analyzeResults/{}?api-version={}",
        kept.id,
        azure_result::VERSION
    );
    let mut response = StatusCode::ACCEPTED.into_response();
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::from_str(&place) {
        headers.insert("operation-location", place);
    }
    headers.insert(header::RETRY_AFTER, HeaderValue::from(AGAIN));
    Ok(response)
}

/// Checks the query.
fn wishes(model: &str, wanted: &Wanted) -> Result<(PageOptions, Requirements, bool), Problem> {
    let refuse = |field: &'static str, detail: String| {
        Err(Problem::unprocessable("not_supported", detail).field(field))
    };
    let list = |text: &Option<String>| -> Vec<String> {
        let parts = text.as_deref().unwrap_or("").split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(input::short)
            .collect()
    };
    if let Some(feature) = list(&wanted.features)
        .iter()
        .find(|f| *f != "ocrHighResolution")
    {
        return refuse(
            "features",
            format!("the feature `{feature}` is not supported: leave it out"),
        );
    }
    if !list(&wanted.query_fields).is_empty() {
        return refuse(
            "queryFields",
            "`queryFields` is not supported: leave it out".into(),
        );
    }
    let outputs = list(&wanted.output);
    if let Some(output) = outputs.iter().find(|o| *o != "pdf") {
        return refuse(
            "output",
            format!("the output `{output}` is not supported; only `pdf` is"),
        );
    }
    if model == MODELS[0] && wanted.output_content_format == Some(ContentFormat::Markdown) {
        let detail = "prebuilt-read gives text only: use prebuilt-layout for Markdown";
        return refuse("outputContentFormat", detail.into());
    }
    let pages = wanted.pages.as_deref().map(page_ranges);
    let mut requirements = json!({});
    if let Some(locale) = wanted.locale.as_deref().filter(|locale| !locale.is_empty()) {
        // A region says nothing about the script, save where it is known to.
        let language = locale.split('-').next().unwrap_or(locale);
        let known = Language::parse(locale).is_some();
        requirements["language"] = json!(if known { locale } else { language });
    }
    let requirements = Requirements::from_json(&requirements).map_err(|error| {
        let mut problem = Problem::from(error);
        problem.field = Some("locale".into());
        problem
    })?;
    let options = PageOptions {
        pages: pages.transpose()?,
        structure: model == MODELS[1],
        ..PageOptions::default()
    };
    Ok((options, requirements, !outputs.is_empty()))
}

/// The file of a request: in JSON, or the body itself.
async fn file(
    app: &Arc<App>,
    head: &Parts,
    body: axum::body::Body,
    memory: &mut Memory,
) -> Result<bytes::Bytes, Problem> {
    let kind = input::media_type(&head.headers);
    let as_json = kind == "application/json";
    let most = match as_json {
        true => input::json_limit(app),
        false => app.config.file_bytes(),
    };
    let body = input::incoming(app, &head.headers, body, most)?
        .whole(memory)
        .await;
    let body = body.map_err(|error| error.problem(|bytes| input::too_large(app, bytes)))?;
    if !as_json {
        return Ok(body);
    }
    let request: AnalyzeRequest = json::parse(&body)?;
    match (request.base64_source, request.url_source) {
        (Some(text), None) => {
            memory.hold(body.len() + text.0.len() / 4 * 3)?;
            input::decode(app, &text.0).map_err(|problem| match problem.field {
                Some(_) => problem.field("base64Source"),
                None => problem,
            })
        }
        (None, Some(url)) => {
            let fetched = fetch::picture(app, &url.0, memory).await;
            fetched.map_err(|problem| problem.field("urlSource"))
        }
        _ => {
            let detail = "send either base64Source or urlSource";
            Err(Problem::unprocessable("invalid_document", detail))
        }
    }
}

/// What became of an analysis, as it is kept.
#[derive(Deserialize, Serialize)]
enum Outcome {
    Done(Value),
    Failed(Value),
}

/// The id of what became of an analysis: it is known by that of the analysis.
fn outcome_id(analysis: Uuid) -> Uuid {
    Uuid::from_u128(analysis.as_u128() ^ 1)
}

/// The id of the PDF that was made in an analysis.
fn output_id(analysis: Uuid) -> Uuid {
    Uuid::from_u128(analysis.as_u128() ^ 2)
}

/// Reads, and keeps what comes of it.
async fn work(app: Arc<App>, id: Uuid, order: Order, pdf: bool, memory: Memory) {
    let owner = order.owner.clone();
    let outcome = match outcome(&app, id, order, pdf).await {
        Ok(answer) => Outcome::Done(answer),
        Err(problem) => Outcome::Failed(json!({"code": problem.code, "message": problem.detail})),
    };
    drop(memory);
    let bytes = json!(outcome).to_string().into_bytes();
    let kept = kept::keep_as(
        &app,
        outcome_id(id),
        (&owner, OUTCOME),
        "application/json",
        bytes.into(),
    );
    if let Err(problem) = kept.await {
        // Whoever asks hears that it failed once its time is over.
        tracing::error!(
            problem = problem.detail,
            "could not keep the result of an analysis"
        );
    }
}

async fn outcome(app: &Arc<App>, id: Uuid, order: Order, pdf: bool) -> Result<Value, Problem> {
    let stop = Stop::at(Some(Instant::now() + app.config.job_deadline));
    let answer = reading::read_in_background(app, &order, stop.clone(), None).await?;
    let answer = answer.into_json();
    if pdf {
        let original = Original {
            file: order.picture,
            password: String::new(),
        };
        let made = searchable::make(app, Lane::Background, original, answer.clone(), stop).await?;
        let kind = (&*order.owner, OUTPUT);
        kept::keep_as(app, output_id(id), kind, "application/pdf", made.into()).await?;
    }
    Ok(answer)
}

/// The state of an analysis, and its result.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzeOperation {
    /// `running`, `succeeded` or `failed`.
    #[schema(value_type = String)]
    status: &'static str,
    /// When it was accepted.
    created_date_time: String,
    /// When its state last changed.
    last_updated_date_time: String,
    /// The result, once it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    analyze_result: Option<AnalyzeResult>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AnalyzeError>, required = false)]
    error: Option<Value>,
}

/// Why an analysis failed.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)] // Described; it is kept as JSON.
pub struct AnalyzeError {
    /// A stable identifier for programs.
    code: String,
    /// What is wrong, and what to do about it.
    message: String,
}

/// Which version of the interface is spoken.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Version {
    /// Any version; all are answered as 2024-11-30.
    #[serde(rename = "api-version")]
    _api_version: Option<String>,
}

/// Get the result of an analysis
#[utoipa::path(
    get,
    path = "/documentintelligence/documentModels/{model}/analyzeResults/{id}",
    tag = "recognition",
    params(("model" = String, Path, description = "`prebuilt-read` or `prebuilt-layout`"), ("id" = Uuid, Path, description = "Of the analysis"), Version),
    responses(
        (status = 200, description = "Its state, and the result once there is one", body = AnalyzeOperation),
        (status = "4XX", description = "No such analysis, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((model, id)): Path<(String, Uuid)>,
    _version: Query<Version>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let (analysis, created_at) = found(&app, &caller, &model, id).await?;
    let outcome = app
        .store
        .file(&caller.owner, OUTCOME, outcome_id(id))
        .await?;
    let time = |millis: i64| rfc3339(millis.unsigned_abs() / 1000);
    let mut operation = AnalyzeOperation {
        status: "running",
        created_date_time: time(created_at),
        last_updated_date_time: time(created_at),
        analyze_result: None,
        error: None,
    };
    match outcome {
        Some(file) => {
            operation.last_updated_date_time = time(file.created_at);
            let bytes = kept::bytes(&app, &caller.owner, OUTCOME, outcome_id(id)).await?;
            let unreadable = |error| Problem::internal("answer_unreadable", error);
            match serde_json::from_slice(&bytes).map_err(unreadable)? {
                Outcome::Done(answer) => {
                    let kind = match &*analysis.model {
                        "prebuilt-layout" => Kind::Layout,
                        _ => Kind::Read,
                    };
                    let markdown = analysis.format == ContentFormat::Markdown;
                    let made = azure_result::made(&answer, kind, markdown, analysis.index_type);
                    operation.status = "succeeded";
                    operation.analyze_result = Some(made.map_err(unreadable)?);
                }
                Outcome::Failed(error) => {
                    operation.status = "failed";
                    operation.error = Some(error);
                }
            }
        }
        None => {
            let most = i64::try_from(app.config.job_deadline.as_millis()).unwrap_or(i64::MAX);
            if created_at.saturating_add(most).saturating_add(GRACE) < now() {
                operation.status = "failed";
                let message = "the server that was reading it stopped: send it again";
                operation.error = Some(json!({"code": "server_ended", "message": message}));
            }
        }
    }
    let again = (operation.status == "running")
        .then_some([(header::RETRY_AFTER, HeaderValue::from(AGAIN))]);
    Ok((again, Json(operation)).into_response())
}

/// Get the PDF of an analysis
///
/// Available if the analysis requested it with `output=pdf`.
#[utoipa::path(
    get,
    path = "/documentintelligence/documentModels/{model}/analyzeResults/{id}/pdf",
    tag = "recognition",
    params(("model" = String, Path, description = "`prebuilt-read` or `prebuilt-layout`"), ("id" = Uuid, Path, description = "Of the analysis"), Version),
    responses(
        (status = 200, description = "The document as a PDF whose text can be searched and copied", body = Bytes, content_type = "application/pdf"),
        (status = "4XX", description = "No such analysis, no PDF, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn pdf(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((model, id)): Path<(String, Uuid)>,
    _version: Query<Version>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    found(&app, &caller, &model, id).await?;
    let bytes = app
        .store
        .file_bytes(&caller.owner, OUTPUT, output_id(id))
        .await?;
    let bytes = bytes.ok_or_else(|| {
        Problem::not_found(
            "there is no PDF: it isn't finished, it failed, or output=pdf was not requested",
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/pdf"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, bytes).into_response())
}

/// Delete the result of an analysis
#[utoipa::path(
    delete,
    path = "/documentintelligence/documentModels/{model}/analyzeResults/{id}",
    tag = "recognition",
    params(("model" = String, Path, description = "`prebuilt-read` or `prebuilt-layout`"), ("id" = Uuid, Path, description = "Of the analysis"), Version),
    responses(
        (status = 204, description = "It is deleted"),
        (status = "4XX", description = "No such analysis, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((model, id)): Path<(String, Uuid)>,
    _version: Query<Version>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Recognize)?;
    found(&app, &caller, &model, id).await?;
    for (kind, id) in [
        (OUTPUT, output_id(id)),
        (OUTCOME, outcome_id(id)),
        (ANALYSIS, id),
    ] {
        app.store.delete_file(&caller.owner, kind, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// One of the caller's analyses, and when it was accepted.
async fn found(
    app: &App,
    caller: &Caller,
    model: &str,
    id: Uuid,
) -> Result<(Analysis, i64), Problem> {
    let none = || {
        Problem::not_found(
            "there is no such analysis: it was deleted, has expired, or belongs to someone else",
        )
    };
    let file = app
        .store
        .file(&caller.owner, ANALYSIS, id)
        .await?
        .ok_or_else(none)?;
    let bytes = kept::bytes(app, &caller.owner, ANALYSIS, id).await?;
    let analysis: Analysis = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::internal("answer_unreadable", error))?;
    match analysis.model == model {
        true => Ok((analysis, file.created_at)),
        false => Err(none()),
    }
}
