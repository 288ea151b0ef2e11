//! The tools: what they take, and what they do.

use std::path::Path;
use std::sync::Arc;

use maoocr_engine::plan::Requirements;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, ContentBlock, JsonObject, ProgressNotificationParam, ProgressToken, Tool,
    ToolAnnotations,
};
use rmcp::service::{Peer, RequestContext};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::{Handler, find, resource, uri};
use crate::app::App;
use crate::document::PageOptions;
use crate::export;
use crate::kept;
use crate::pool::{Lane, Stop};
use crate::problem::Problem;
use crate::reading::{self, Event, Order};
use crate::searchable::{self, Original};
use crate::wishes::page_ranges;
use crate::{auth, files};

/// What all tools take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    uri: String,
    pages: Option<String>,
    password: Option<String>,
    language: Option<String>,
}

#[derive(Deserialize)]
struct Find {
    query: String,
    limit: Option<usize>,
    #[serde(flatten)]
    rest: JsonObject,
}

#[derive(Deserialize)]
struct Make {
    output: Option<String>,
    #[serde(flatten)]
    rest: JsonObject,
}

/// The tools; with those arguments that only the user of this machine has.
pub fn all(local: bool) -> Vec<Tool> {
    let place = if local {
        "Path of a picture or PDF below the root folder, or its file:, data:, http: or https: URI."
    } else {
        "data: URI of a picture or PDF, or its http: or https: URI on a host that the server fetches from."
    };
    let tool = |name: &'static str, title: &str, what: &'static str, more: &[(&str, Value)]| {
        let mut properties = json!({
            "uri": {"type": "string", "description": place},
            "pages": {"type": "string", "description": "Which pages of a document, such as 1-3,7,10-. All by default."},
            "password": {"type": "string", "description": "Password of an encrypted PDF."},
            "language": {"type": "string", "description": "Language of the text, such as english, chinese or a BCP 47 tag. Detected by default."},
        });
        let mut required = vec!["uri"];
        for (name, schema) in more {
            properties[*name] = schema.clone();
            if *name == "query" {
                required.push(name);
            }
        }
        let schema = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        let schema = schema.as_object().cloned().unwrap_or_default();
        let writes = name == "make_searchable_pdf";
        let annotations = ToolAnnotations::with_title(title)
            .read_only(!writes)
            .destructive(false)
            .open_world(!local);
        Tool::new(name, what, Arc::new(schema)).with_annotations(annotations)
    };
    let mut output = Vec::new();
    if local {
        let what = "Path of the new PDF below the root folder. It must not exist. Without it, the PDF is a resource.";
        output.push(("output", json!({"type": "string", "description": what})));
    }
    vec![
        tool(
            "read_text",
            "Read text",
            "Reads a picture, a scan or a PDF as plain text in reading order, with a form feed between pages.",
            &[],
        ),
        tool(
            "convert_to_markdown",
            "Convert to Markdown",
            "Converts a picture, a scan or a PDF to Markdown, with headings, lists and tables.",
            &[],
        ),
        tool(
            "make_searchable_pdf",
            "Make a searchable PDF",
            "Makes a searchable PDF from a scan or picture. The pages look the same; their text can be searched and copied.",
            &output,
        ),
        tool(
            "find_in_document",
            "Find in a document",
            "Finds where a picture, a scan or a PDF says something: page, line and box in pixels of each place. Case, width \
             of characters and line breaks make no difference.",
            &[
                (
                    "query",
                    json!({"type": "string", "minLength": 1, "maxLength": 1000, "description": "What to look for."}),
                ),
                (
                    "limit",
                    json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 50, "description": "Maximum number of matches to return."}),
                ),
            ],
        ),
    ]
}

/// Calls a tool; none if there is none of this name.
pub async fn call(
    handler: &Handler,
    name: &str,
    arguments: JsonObject,
    context: RequestContext<RoleServer>,
) -> Option<Result<CallToolResult, Problem>> {
    Some(match name {
        "read_text" => text(handler, arguments, context, "txt").await,
        "convert_to_markdown" => text(handler, arguments, context, "md").await,
        "make_searchable_pdf" => searchable_pdf(handler, arguments, context).await,
        "find_in_document" => places(handler, arguments, context).await,
        _ => return None,
    })
}

fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        let why: String = error.to_string().chars().take(300).collect();
        Problem::unprocessable("invalid_arguments", format!("invalid arguments: {why}"))
    })
}

/// A file that was read, and the answer.
struct Read {
    original: Original,
    name: String,
    answer: Value,
    owner: String,
    stop: Stop,
}

async fn read(
    handler: &Handler,
    source: Source,
    structure: bool,
    context: RequestContext<RoleServer>,
) -> Result<Read, Problem> {
    let app = &handler.app;
    let caller = handler.caller(&context)?;
    let deadline = reading::deadline(app, None);
    app.pool.admits(&Stop::at(Some(deadline)))?;
    let mut requirements = json!({});
    if let Some(language) = &source.language {
        requirements["language"] = json!(language);
    }
    let requirements = Requirements::from_json(&requirements)?;
    let pages = source.pages.as_deref().map(page_ranges).transpose()?;
    let password = source.password.unwrap_or_default();
    let mut memory = app.memory();
    let (file, name) = uri::file(app, &caller, &source.uri, &mut memory).await?;
    let deadline = reading::deadline(app, None);
    let order = Order {
        picture: file.clone(),
        name: name.clone(),
        requirements,
        options: PageOptions {
            pages,
            password: password.clone(),
            structure,
            ..PageOptions::default()
        },
        owner: caller.owner.clone(),
    };
    let answer = match context.meta.get_progress_token() {
        None => reading::read(app, order, deadline, None).await?,
        Some(token) => told(app, order, deadline, token, context.peer).await?,
    };
    Ok(Read {
        original: Original { file, password },
        name,
        answer: answer.into_json(),
        owner: caller.owner,
        stop: Stop::at(Some(deadline)),
    })
}

/// Reads, and tells the caller of each page.
async fn told(
    app: &Arc<App>,
    order: Order,
    deadline: std::time::Instant,
    token: ProgressToken,
    peer: Peer<RoleServer>,
) -> Result<reading::Answer, Problem> {
    let (sender, mut events) = unbounded_channel();
    let tell = async {
        while let Some(event) = events.recv().await {
            let Event::Page { read, of, .. } = event else {
                continue;
            };
            let mut progress = ProgressNotificationParam::new(token.clone(), read as f64)
                .with_message(format!("page {read} of {of}"));
            progress.total = Some(of as f64);
            // Whoever doesn't listen any more has hung up, and the call ends.
            let _ = peer.notify_progress(progress).await;
        }
    };
    let (answer, ()) = tokio::join!(reading::read(app, order, deadline, Some(sender)), tell);
    answer
}

async fn text(
    handler: &Handler,
    arguments: JsonObject,
    context: RequestContext<RoleServer>,
    form: &str,
) -> Result<CallToolResult, Problem> {
    let form = export::named(form)?;
    let read = read(handler, parse(arguments)?, form.has_structure(), context).await?;
    let text = export::text(form, &read.answer, &read.name)?;
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
}

async fn places(
    handler: &Handler,
    arguments: JsonObject,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, Problem> {
    let Find { query, limit, rest } = parse(arguments)?;
    let limit = limit.unwrap_or(50);
    if !(1..=1000).contains(&limit) {
        let detail = "`limit` must be between 1 and 1000";
        return Err(Problem::unprocessable("invalid_arguments", detail).field("limit"));
    }
    let needle = find::Needle::new(&query)?;
    let read = read(handler, parse(rest)?, false, context).await?;
    let found = find::find(&read.answer, &needle, limit);
    let mut text = match found.count {
        0 => "Nothing was found.".to_string(),
        1 => "1 place:".to_string(),
        count => format!("{count} places:"),
    };
    for place in &found.places {
        text.push_str(&format!("\npage {}: {}", place.page, place.text));
    }
    if found.count > found.places.len() {
        text.push_str("\n…");
    }
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(json!(found));
    Ok(result)
}

async fn searchable_pdf(
    handler: &Handler,
    arguments: JsonObject,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, Problem> {
    let Make { output, rest } = parse(arguments)?;
    let app = &handler.app;
    if output.is_some() && handler.user.is_none() {
        let detail = "this server doesn't write files: leave `output` out and read the resource";
        return Err(Problem::unprocessable("invalid_arguments", detail).field("output"));
    }
    if let Some(path) = &output {
        files::check_new(app, &uri::below(app, path)?)?;
    }
    let read = read(handler, parse(rest)?, true, context).await?;
    let pages = match read.answer["pages"].as_array().map_or(1, Vec::len) {
        1 => "1 page".to_string(),
        pages => format!("{pages} pages"),
    };
    let made = searchable::make(
        app,
        Lane::Interactive,
        read.original,
        read.answer,
        read.stop,
    )
    .await?;
    let said = format!("{pages}, {} bytes", made.len());
    if let Some(path) = output {
        files::write_new(app, &uri::below(app, &path)?, made).await?;
        let text = format!("Wrote {path}: {said}.");
        return Ok(CallToolResult::success(vec![ContentBlock::text(text)]));
    }
    let stem = Path::new(&read.name)
        .file_stem()
        .and_then(|stem| stem.to_str());
    let name = format!(
        "{}.pdf",
        stem.filter(|s| !s.is_empty()).unwrap_or("document")
    );
    let (owner, lifetime) = (&*read.owner, app.config.file_lifetime());
    let to = (owner, kept::RESULT);
    let file = kept::keep(app, to, &name, "application/pdf", made.into(), lifetime).await?;
    // Of 24 hours some milliseconds have passed already.
    let minutes = (file.expires_at - auth::now()).max(0) as f64 / 60_000.0;
    let time = match minutes.round() {
        minutes if minutes < 120.0 => format!("{minutes} minutes"),
        minutes => format!("{} hours", (minutes / 60.0).round()),
    };
    let text = format!("{said}. The resource is kept for {time}.");
    let link = ContentBlock::resource_link(resource(&file));
    Ok(CallToolResult::success(vec![
        ContentBlock::text(text),
        link,
    ]))
}
