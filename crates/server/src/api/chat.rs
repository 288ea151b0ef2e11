//! `POST /v1/chat/completions`: pictures and PDFs in, Markdown out, in the shapes of OpenAI's API. For programs that speak
//! nothing else.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Path;
use crate::api::recognize::wanted;
use crate::app::App;
use crate::auth::{Caller, now};
use crate::body::Memory;
use crate::document::{PageOptions, TextLayer};
use crate::export;
use crate::json::{self, Address, JsonRequirements, List, Object, Text};
use crate::kept::{self, UPLOAD};
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::store::Scope;
use crate::wishes::Said;
use crate::{fetch, input};

/// Most documents of a message.
const DOCUMENTS: usize = 20;
/// The model's name, where one is wanted.
const MODEL: &str = "maoocr";

/// A conversation, of which the last message with a document is answered. Settings of language models, such as
/// `temperature`, have no effect.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "model": "maoocr",
    "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", crate::api::EXAMPLE)}}
    ]}]
}))]
pub struct ChatRequest<'a> {
    /// Any name; the server chooses the models.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    model: Option<Text<'a>>,
    /// The messages.
    #[schema(value_type = Vec<ChatMessage>)]
    messages: List<Object<JsonMessage<'a>>>,
    /// Whether the answer comes in pieces, as server-sent events.
    stream: Option<bool>,
    /// How it does.
    #[schema(value_type = Option<StreamOptions>)]
    stream_options: Option<Object<StreamOptions>>,
    /// Answers to give: 1.
    #[schema(minimum = 1, maximum = 1)]
    n: Option<u32>,
    /// Must ask for text, if for anything.
    #[schema(value_type = Option<serde_json::Value>)]
    response_format: Option<Object<Kind<'a>>>,
    /// The requirements, an extension of this server.
    #[schema(value_type = Option<crate::api::schema::Requirements>)]
    requirements: Option<JsonRequirements>,
    /// Which pages of each document with several, such as `1-3,7,10-`; an extension, too.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pages: Option<Text<'a>>,
    /// The password of encrypted PDFs; an extension, too.
    #[schema(value_type = Option<String>)]
    password: Option<Text<'a>>,
    /// When to use the text that a PDF contains; an extension, too.
    #[schema(value_type = Option<TextLayer>)]
    text_layer: Option<Text<'a>>,
}

/// How an answer comes in pieces.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Whether the last piece tells the usage.
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
}

/// A message, as described.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; read by hand, because clients write it in several ways.
pub struct ChatMessage {
    /// Documents of users are read.
    role: String,
    /// Text, which is not read, or parts.
    content: ChatContent,
}

/// What a message says.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // Likewise.
pub enum ChatContent {
    /// Text alone.
    Text(String),
    /// Parts.
    Parts(Vec<ChatPart>),
}

/// A part of a message.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code)] // Likewise.
pub enum ChatPart {
    /// Text, which is not read.
    Text {
        /// It.
        text: String,
    },
    /// A picture or PDF by URL: a data URL, or one on a host that the operator allows.
    ImageUrl {
        /// Its URL.
        image_url: ChatUrl,
    },
    /// A picture or PDF.
    File {
        /// It.
        file: ChatFile,
    },
}

/// A URL.
#[derive(ToSchema)]
#[allow(dead_code)] // Likewise.
pub struct ChatUrl {
    /// It.
    url: String,
}

/// A file: its data, or the id of an upload (`/v1/files`).
#[derive(ToSchema)]
#[allow(dead_code)] // Likewise.
pub struct ChatFile {
    /// In base64, or as a data URL.
    file_data: Option<String>,
    /// Of an upload.
    file_id: Option<String>,
    /// Its name.
    filename: Option<String>,
}

#[derive(Debug, Deserialize)]
struct JsonMessage<'a> {
    #[serde(borrow)]
    role: Option<Text<'a>>,
    #[serde(default, borrow)]
    content: Content<'a>,
}

/// The documents of a message.
#[derive(Debug, Default)]
struct Content<'a>(Vec<Document<'a>>);

#[derive(Debug, Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(default, borrow)]
    image_url: Option<Address<'a, false>>,
    #[serde(default, borrow)]
    file: Option<Object<JsonFile<'a>>>,
}

#[derive(Debug, Deserialize)]
struct JsonFile<'a> {
    #[serde(default, borrow)]
    file_data: Option<Text<'a>>,
    #[serde(default, borrow)]
    file_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    filename: Option<Text<'a>>,
}

#[derive(Debug)]
enum Document<'a> {
    Url(Text<'a>),
    File(JsonFile<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or a list of parts")
            }

            fn visit_unit<E>(self) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, from: A) -> Result<Content<'de>, A::Error> {
                let parts = List::<Object<Part>>::deserialize(SeqAccessDeserializer::new(from))?;
                let documents = parts.0.into_iter().filter_map(|Object(part)| {
                    let kind = part.r#type.as_ref().map_or("", |kind| &*kind.0);
                    match (kind, part.image_url, part.file) {
                        ("image_url", Some(url), _) => Some(Ok(Document::Url(url.0))),
                        ("file", _, Some(file)) => Some(Ok(Document::File(file.0))),
                        ("text" | "refusal", ..) => None,
                        (kind, ..) => {
                            let kind: String = kind.chars().take(64).collect();
                            let wrong = format!("a part of type `{kind}` is unknown or incomplete: send text, image_url or file");
                            Some(Err(A::Error::custom(wrong)))
                        }
                    }
                });
                Ok(Content(documents.collect::<Result<_, _>>()?))
            }
        }
        from.deserialize_any(Either)
    }
}

/// An answer.
#[derive(Serialize, ToSchema)]
pub struct ChatResponse {
    /// Its id.
    id: String,
    /// `chat.completion`
    #[schema(value_type = String)]
    object: &'static str,
    /// When it was made, seconds since 1970.
    created: i64,
    /// The model named in the request.
    model: String,
    /// The answer alone.
    choices: Vec<ChatChoice>,
    /// Usage.
    usage: ChatUsage,
}

/// A piece of an answer, as an event.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)] // Described; written piece by piece.
pub struct ChatEvent {
    /// A `chat.completion.chunk` as JSON; at the end `[DONE]`.
    data: String,
}

/// What is answered.
#[derive(Serialize, ToSchema)]
pub struct ChatChoice {
    /// 0
    index: u32,
    /// The Markdown.
    message: ChatAnswer,
    /// `stop`
    #[schema(value_type = String)]
    finish_reason: &'static str,
    /// Always null.
    logprobs: Option<String>,
}

/// The Markdown.
#[derive(Serialize, ToSchema)]
pub struct ChatAnswer {
    /// `assistant`
    #[schema(value_type = String)]
    role: &'static str,
    /// The documents as Markdown, one after the other.
    content: String,
    /// Always null.
    refusal: Option<String>,
}

/// Usage, in what stands for tokens here.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct ChatUsage {
    /// Pages read.
    prompt_tokens: usize,
    /// Words of the answer.
    completion_tokens: usize,
    /// Both.
    total_tokens: usize,
}

/// Read the documents of a message (OpenAI API)
///
/// The answer is their Markdown; the text of the message is ignored.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "recognition",
    request_body(content = ChatRequest<'_>, content_type = "application/json"),
    responses(
        (status = 200, description = "The Markdown, at once or in pieces", content(
            (ChatResponse = "application/json"), (ChatEvent = "text/event-stream")
        )),
        (status = "4XX", description = "A document or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline exceeded (504) or an internal error (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn complete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let wanted = wanted(request.headers())?;
    let refused = app
        .pool
        .admits(&Stop::at(Some(reading::deadline(&app, wanted))));
    refused?;
    let (head, body) = request.into_parts();
    let most = input::json_limit(&app);
    let mut memory = app.memory();
    let body = input::incoming(&app, &head.headers, body, most)?;
    let body = body.whole(&mut memory).await.map_err(|error| {
        error.problem(|_| {
            let detail = format!("the request may have at most {most} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        })
    })?;
    let request: ChatRequest = json::parse(&body)?;
    let not_supported = |field: &'static str, detail: &str| {
        Err(Problem::unprocessable("not_supported", detail).field(field))
    };
    if request.n.is_some_and(|n| n != 1) {
        return not_supported("n", "`n` must be 1: a document has one text");
    }
    let format = request.response_format.as_ref();
    if format.is_some_and(|kind| kind.0.r#type.as_ref().is_none_or(|kind| kind.0 != "text")) {
        return not_supported(
            "response_format",
            "`response_format` must be text: the answer is Markdown",
        );
    }
    let requirements = json::requirements(request.requirements.as_ref())?;
    let user = |Object(message): &&Object<JsonMessage>| {
        let role = message.role.as_ref().map_or("", |role| &*role.0);
        role == "user" && !message.content.0.is_empty()
    };
    let Some(Object(message)) = request.messages.0.iter().rev().find(user) else {
        let detail = "no user message contains a document: send a picture or PDF as a part of type image_url or file";
        return Err(Problem::unprocessable("document_missing", detail).field("messages"));
    };
    let documents = &message.content.0;
    if documents.len() > DOCUMENTS {
        let detail = format!("a message may have at most {DOCUMENTS} documents");
        return Err(Problem::unprocessable("too_many_documents", detail).field("messages"));
    }
    let said = Said::of([request.pages, request.password, request.text_layer]);
    let options = PageOptions {
        structure: true,
        ..said.options(&requirements)?
    };
    let deadline = reading::deadline(&app, wanted);
    let form = export::named("md")?;
    let (mut texts, mut pages) = (Vec::new(), 0);
    for document in documents {
        let mut memory = app.memory();
        let (picture, name) = open(&app, &caller, document, &mut memory).await?;
        memory.hold(picture.len())?;
        let order = Order {
            picture,
            name: name.clone(),
            requirements: requirements.clone(),
            options: options.clone(),
            owner: caller.owner.clone(),
        };
        let answer = reading::read(&app, order, deadline, None).await?;
        pages += answer.pages.len();
        texts.push(
            export::text(form, &answer.into_json(), &name)?
                .trim()
                .to_string(),
        );
    }
    let model = request
        .model
        .map_or(MODEL.into(), |model| input::short(&model.0));
    let words: usize = texts
        .iter()
        .map(|text| text.split_whitespace().count())
        .sum();
    let usage = ChatUsage {
        prompt_tokens: pages,
        completion_tokens: words,
        total_tokens: pages + words,
    };
    let told = request
        .stream_options
        .and_then(|options| options.0.include_usage);
    Ok(match request.stream {
        Some(true) => pieces(model, texts, usage, told == Some(true)),
        _ => whole(model, &texts, usage),
    })
}

async fn open(
    app: &App,
    caller: &Caller,
    document: &Document<'_>,
    memory: &mut Memory,
) -> Result<(Bytes, String), Problem> {
    let file = match document {
        Document::Url(url) if url.0.starts_with("data:") => {
            return Ok((input::decode(app, &url.0)?, String::new()));
        }
        Document::Url(url) => {
            return Ok((fetch::picture(app, &url.0, memory).await?, String::new()));
        }
        Document::File(file) => file,
    };
    let name = file
        .filename
        .as_ref()
        .map_or(String::new(), |name| input::short(&name.0));
    let bytes = match (&file.file_data, &file.file_id) {
        (Some(data), None) => input::decode(app, &data.0)?,
        (None, Some(id)) => {
            let id = id.0.parse().map_err(|_| kept::none())?;
            kept::bytes(app, &caller.owner, UPLOAD, id).await?
        }
        _ => {
            let detail = "a file must have either file_data or file_id";
            return Err(Problem::unprocessable("invalid_document", detail).field("messages"));
        }
    };
    Ok((bytes, name))
}

fn id() -> String {
    format!("chatcmpl-{}", Uuid::now_v7().simple())
}

fn whole(model: String, texts: &[String], usage: ChatUsage) -> Response {
    let message = ChatAnswer {
        role: "assistant",
        content: texts.join("\n\n"),
        refusal: None,
    };
    Json(ChatResponse {
        id: id(),
        object: "chat.completion",
        created: now() / 1000,
        model,
        choices: vec![ChatChoice {
            index: 0,
            message,
            finish_reason: "stop",
            logprobs: None,
        }],
        usage,
    })
    .into_response()
}

/// The same as events: paragraph by paragraph.
fn pieces(model: String, texts: Vec<String>, usage: ChatUsage, told: bool) -> Response {
    let head = json!({
        "id": id(), "object": "chat.completion.chunk", "created": now() / 1000, "model": model,
    });
    let chunk = |choices: serde_json::Value| {
        let mut chunk = head.clone();
        chunk["choices"] = choices;
        if told {
            chunk["usage"] = serde_json::Value::Null;
        }
        chunk
    };
    let piece = |delta, end: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": end, "logprobs": null}]))
    };
    let mut chunks = vec![piece(json!({"role": "assistant", "content": ""}), None)];
    let whole = texts.join("\n\n");
    let paragraphs = whole.split_inclusive("\n\n");
    chunks.extend(paragraphs.map(|text| piece(json!({"content": text}), None)));
    chunks.push(piece(json!({}), Some("stop")));
    if told {
        let mut last = chunk(json!([]));
        last["usage"] = json!(usage);
        chunks.push(last);
    }
    let events = chunks
        .into_iter()
        .map(|chunk| Event::default().data(chunk.to_string()));
    let end = std::iter::once(Event::default().data("[DONE]"));
    let events = events.chain(end).map(Ok::<_, Infallible>);
    Sse::new(stream::iter(events.collect::<Vec<_>>())).into_response()
}

/// Models as OpenAI's clients list them.
#[derive(Serialize, ToSchema)]
pub struct ChatModels {
    /// `list`
    #[schema(value_type = String)]
    object: &'static str,
    /// One.
    data: Vec<ChatModel>,
}

/// A model as OpenAI's clients list them.
#[derive(Serialize, ToSchema)]
pub struct ChatModel {
    /// `maoocr`
    #[schema(value_type = String)]
    id: &'static str,
    /// `model`
    #[schema(value_type = String)]
    object: &'static str,
    /// 0
    created: i64,
    /// `maoocr`
    #[schema(value_type = String)]
    owned_by: &'static str,
}

/// List models (OpenAI API)
///
/// There is only one: the server chooses among its own models for each document.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "server",
    responses(
        (status = 200, description = "The model", body = ChatModels),
        (status = "4XX", description = "No key, or an invalid one", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn models() -> Json<ChatModels> {
    Json(ChatModels {
        object: "list",
        data: vec![ChatModel::only()],
    })
}

/// Get a model (OpenAI API)
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    tag = "server",
    params(("model" = String, Path, description = "`maoocr`")),
    responses(
        (status = 200, description = "The model", body = ChatModel),
        (status = "4XX", description = "No such model, no key, or an invalid one", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn model(Path(model): Path<String>) -> Result<Json<ChatModel>, Problem> {
    if model == MODEL {
        return Ok(Json(ChatModel::only()));
    }
    let detail = format!("there is only the model `{MODEL}`");
    Err(Problem::not_found(detail))
}

impl ChatModel {
    fn only() -> Self {
        Self {
            id: MODEL,
            object: "model",
            created: 0,
            owned_by: MODEL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_however_clients_write_them() {
        let parse = |content: &str| {
            let text =
                format!("{{\"messages\": [{{\"role\": \"user\", \"content\": {content}}}]}}");
            let request = json::parse::<ChatRequest>(text.as_bytes()).map_err(|p| p.detail)?;
            Ok::<_, String>(format!("{:?}", request.messages.0[0].0.content.0))
        };
        assert_eq!(parse("\"read\"").unwrap(), "[]");
        assert_eq!(parse("null").unwrap(), "[]");
        for content in [
            "[{\"type\": \"image_url\", \"image_url\": {\"url\": \"data:a\", \"detail\": \"high\"}}]",
            "[{\"type\": \"text\", \"text\": \"read\"}, {\"image_url\": \"data:a\", \"type\": \"image_url\"}]",
            "[{\"type\": \"file\", \"file\": {\"filename\": \"a.pdf\", \"file_data\": \"data:a\"}}]",
        ] {
            assert!(parse(content).unwrap().contains("data:a"), "{content}");
        }
        for (content, word) in [
            (
                "[{\"type\": \"input_audio\", \"input_audio\": {}}]",
                "input_audio",
            ),
            ("[{\"type\": \"image_url\"}]", "image_url"),
            ("3", "parts"),
        ] {
            let why = parse(content).unwrap_err();
            assert!(why.contains(word), "{content}: {why}");
        }
    }
}
