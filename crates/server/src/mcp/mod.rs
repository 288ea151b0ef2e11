//! The Model Context Protocol: tools that read documents, over standard input and output or at `/mcp`.
//!
//! Each request stands alone, so that any replica can answer it: there are no sessions. Results that are files are kept
//! for their owner ([`kept`](crate::kept)) and read as resources.

mod find;
mod http;
mod stdio;
mod tools;
mod uri;

use std::sync::Arc;

use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, ErrorData, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde::Deserialize;

use crate::app::App;
use crate::auth::Caller;
use crate::kept;
use crate::problem::Problem;
use crate::store::Scope;
use crate::store::files::StoredFile;

pub use http::route;
pub use stdio::serve;

/// Begins the URI of a file that is kept.
const KEPT: &str = "maoocr://files/";

const INSTRUCTIONS: &str = "Reads text in pictures, scans and PDFs, with tables and headings, in many languages. \
    Prefer `find_in_document` to reading a long document whole, and choose pages with `pages`.";

/// The methods that are answered, beside the first one of a conversation.
const METHODS: [&str; 6] = [
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// What answers the requests of one caller.
#[derive(Clone)]
struct Handler {
    app: Arc<App>,
    /// The user of this machine, who may write files; none: callers come over HTTP, each with a key.
    user: Option<Caller>,
}

impl Handler {
    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller, Problem> {
        if let Some(user) = &self.user {
            return Ok(user.clone());
        }
        let parts = context.extensions.get::<Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get::<Caller>());
        let caller = caller.ok_or_else(|| Problem::internal("caller_unknown", "no caller"))?;
        caller.needs(Scope::Recognize)?;
        Ok(caller.clone())
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("maoocr", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    /// Answers what the library's types don't fit: of methods that are known, it is the parameters that are wrong.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method: String = request.method.chars().take(64).collect();
        if !METHODS.contains(&&*method) {
            let message = format!("there is no method `{method}`");
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
        }
        let params = request.params.unwrap_or_default();
        let why = match &*method {
            "tools/call" => CallToolRequestParams::deserialize(params).err(),
            "resources/read" => ReadResourceRequestParams::deserialize(params).err(),
            _ => None,
        };
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let message = format!("the parameters of `{method}` are invalid{why}");
        let message: String = message.chars().take(300).collect();
        Err(ErrorData::invalid_params(message, None))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all(
            self.user.is_some(),
        )))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let stopped = context.ct.clone();
        let call = tools::call(self, &request.name, arguments, context);
        let done = tokio::select! {
            done = call => done,
            // Dropping the call stops the reading.
            () = stopped.cancelled() => {
                return Err(ErrorData::internal_error("cancelled", None));
            }
        };
        let result = match done {
            Some(Ok(result)) => result,
            Some(Err(problem)) => failed(&problem),
            None => {
                let name: String = request.name.chars().take(64).collect();
                return Err(ErrorData::invalid_params(
                    format!("there is no tool `{name}`"),
                    None,
                ));
            }
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let caller = self.caller(&context).map_err(refused)?;
        // Strangers share an owner and must not see each other's files.
        let files = match caller.is_stranger() {
            true => Vec::new(),
            false => {
                let files = self.app.store.files(&caller.owner, kept::RESULT).await;
                files.map_err(|error| refused(error.into()))?
            }
        };
        Ok(ListResourcesResult::with_all_items(
            files.iter().map(resource).collect(),
        ))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new(format!("{KEPT}{{id}}"), "file")
            .with_description("A file that a tool made.");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let caller = self.caller(&context).map_err(refused)?;
        let none = || ErrorData::resource_not_found(kept::none().detail, None);
        let id = request
            .uri
            .strip_prefix(KEPT)
            .and_then(|id| id.parse().ok());
        let id = id.ok_or_else(none)?;
        let (store, owner) = (&self.app.store, &caller.owner);
        let file = store.file(owner, kept::RESULT, id).await;
        let file = file
            .map_err(|error| refused(error.into()))?
            .ok_or_else(none)?;
        let bytes = kept::bytes(&self.app, owner, kept::RESULT, id)
            .await
            .map_err(refused)?;
        let contents = ResourceContents::blob(STANDARD.encode(bytes), request.uri)
            .with_mime_type(file.media_type);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

/// A file that is kept, as callers see it.
fn resource(file: &StoredFile) -> Resource {
    Resource::new(format!("{KEPT}{}", file.id), &*file.name)
        .with_mime_type(&*file.media_type)
        .with_size(file.size.unsigned_abs())
}

/// What a tool couldn't do, in words that a model can act on.
fn failed(problem: &Problem) -> CallToolResult {
    let mut text = problem.detail.clone();
    if !problem.allowed.is_empty() {
        text = format!("{text} Allowed: {}.", problem.allowed.join(", "));
    }
    let text = format!("{text} [{}]", problem.code);
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    result.structured_content = Some(problem.to_json());
    result
}

fn refused(problem: Problem) -> ErrorData {
    ErrorData::invalid_request(problem.detail.clone(), Some(problem.to_json()))
}
