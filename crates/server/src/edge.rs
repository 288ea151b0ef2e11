//! A server behind an edge function: it believes what the edge signed, and nobody else.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use maoocr_signature::{HEADER, Refusal, TOLERANCE, verify};

use crate::app::App;
use crate::auth::{Caller, scope};
use crate::problem::Problem;

/// The caller that the edge vouches for.
///
/// # Errors
/// No signature, another request's, an old one, or one that was used before.
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
            "this server answers its edge only: call the edge",
        ));
    };
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let secrets = &app.config.edge_secrets;
    let claim = verify(secrets, method.as_str(), path, header, now()).map_err(|why| {
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

/// Remembers the nonce, on all replicas where they share a Redis.
async fn once(app: &App, nonce: &str) -> Result<(), Problem> {
    // One a minute: longer than a signature can be used, early and late.
    const { assert!(2 * TOLERANCE <= 60) };
    let first = app.limiter.take(&format!("edge:{nonce}"), 1, 1).await;
    first.map(drop).map_err(|_| {
        refused(
            "edge_signature_replayed",
            "this signature was used before; each request needs its own",
        )
    })
}

fn refused(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}
