//! Entity tags: a client that already has an answer gets 304 instead of the answer.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Largest answer that is tagged, bytes. Tagging holds the answer in memory.
const MOST: u64 = 4 << 20;

/// Tags answers to GET, and answers 304 if the client already has that tag.
pub async fn tag(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    // A body of unknown size is a stream.
    let size = response.body().size_hint().exact();
    let tagged = response.headers().contains_key(header::ETAG);
    if response.status() != StatusCode::OK || tagged || size.is_none_or(|s| s > MOST) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, MOST as usize).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Weak, because compression happens later.
    let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(&bytes)[..16]);
    let value = format!("W/\"{hash}\"");
    if let Ok(value) = HeaderValue::from_str(&value) {
        parts.headers.insert(header::ETAG, value);
    }
    if known.is_some_and(|known| matches(&known, &value)) {
        parts.status = StatusCode::NOT_MODIFIED;
        remove_content(&mut parts.headers);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, bytes.into())
}

fn remove_content(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_TYPE);
}

/// Weak comparison (RFC 9110, 8.8.3.2) with each tag of the list.
fn matches(list: &HeaderValue, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_string();
    list.to_str()
        .is_ok_and(|list| list.trim() == "*" || list.split(',').any(|t| bare(t) == bare(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let is = |list: &'static str| matches(&HeaderValue::from_static(list), "W/\"a\"");
        assert!(is("\"a\"") && is("W/\"a\"") && is("\"b\", W/\"a\"") && is("*"));
        assert!(!is("\"b\"") && !is("a"));
    }
}
