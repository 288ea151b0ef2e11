//! A server behind an edge function: it trusts what the edge signed, and nothing else.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::header::HOST;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use maoocr_signature::{HEADER, Refusal, TOLERANCE, origin, verify};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::auth::{Caller, scope};
use crate::config::Config;
use crate::problem::Problem;

/// The caller that the edge vouches for.
///
/// # Errors
/// 403 if the signature is missing, belongs to another request, is too old, or has been used before.
pub async fn caller(
    app: &App,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let header = headers.get(HEADER);
    let Some(header) = header.and_then(|v| v.to_str().ok()) else {
        return Err(refused(
            "edge_signature_missing",
            "this server accepts requests only from its edge: call the edge instead",
        ));
    };
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let secrets = &app.config.edge_secrets;
    let origins = origins(&app.config, uri, headers);
    let request = (method.as_str(), &origins[..], path);
    let claim = verify(secrets, request, header, now()).map_err(|why| {
        let code = match why {
            Refusal::Malformed | Refusal::Forged => "edge_signature_invalid",
            Refusal::Expired(_) => "edge_signature_expired",
        };
        refused(code, why.to_string())
    })?;
    once(app, claim.nonce).await?;
    let scopes = claim.rights.split('+').filter_map(scope).collect();
    Ok(Caller::of_edge(claim.caller, scopes, app.config.rate))
}

/// What this server is called: as configured, else as the request calls it.
fn origins(config: &Config, uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    if !config.edge_origins.is_empty() {
        return config.edge_origins.iter().map(|url| origin(url)).collect();
    }
    let authority = uri.authority().map(|a| a.as_str());
    let host = headers.get(HOST).and_then(|v| v.to_str().ok());
    let host = authority.or(host).unwrap_or("");
    let called = ["https", "http"].map(|scheme| origin(&format!("{scheme}://{host}")));
    called.into()
}

/// Remembers the nonce in the database, which all replicas share and which outlives a restart. While the database doesn't
/// respond, nobody can know whether a signature is new, so all are refused.
async fn once(app: &App, nonce: &str) -> Result<(), Problem> {
    let until = crate::auth::now() + 2 * (TOLERANCE as i64) * 1000;
    let hash = Sha256::digest(nonce.as_bytes()).into();
    if app.store.first_use(&hash, until).await? {
        return Ok(());
    }
    Err(refused(
        "edge_signature_replayed",
        "this signature has already been used; each request needs its own",
    ))
}

fn refused(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}
