//! What a request is for, by its method and path.

use crate::route::Work;

/// What is at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Place<'a> {
    /// `/health`: whether the edge lives.
    Health,
    /// `/ready`: whether it can have pictures read.
    Ready,
    /// One of these two with a method that does nothing there.
    LookOnly,
    /// The interface, for which callers need a key.
    Api(Work),
    /// A job, and what of it.
    Job {
        /// As the caller knows it.
        id: &'a str,
        /// What follows the id in the path: nothing or `/events`.
        rest: &'a str,
    },
    /// What only a server has for its operator.
    Operator,
    /// A file of the web app or of the documentation, or nothing.
    File,
}

/// Where the paths begin that servers answer: their own, then those of other services' clients.
const SERVERS: [&str; 3] = ["/api/", "/v1/", "/documentintelligence/"];

/// Whether a path is of another service's interface.
pub fn is_foreign(path: &str) -> bool {
    SERVERS[1..].iter().any(|begin| path.starts_with(begin))
}

/// What is at this path.
pub fn place<'a>(method: &str, path: &'a str) -> Place<'a> {
    match (method, path) {
        ("GET" | "HEAD", "/health") => Place::Health,
        ("GET" | "HEAD", "/ready") => Place::Ready,
        (_, "/health" | "/ready") => Place::LookOnly,
        ("POST", "/api/ocr/recognize" | "/api/ocr/recognize-with-requirements") => {
            Place::Api(Work::Recognize)
        }
        ("POST", "/api/ocr/batch") => Place::Api(Work::Batch),
        ("GET", "/api/ocr/ws") => Place::Api(Work::Socket),
        (_, "/metrics") => Place::Operator,
        _ if path.starts_with("/api/models/") => Place::Operator,
        _ => match path.strip_prefix("/api/jobs/") {
            Some(job) => {
                let (id, rest) = job.split_at(job.find('/').unwrap_or(job.len()));
                Place::Job { id, rest }
            }
            None if path == "/mcp" || SERVERS.iter().any(|begin| path.starts_with(begin)) => {
                Place::Api(Work::Lookup)
            }
            None => Place::File,
        },
    }
}

/// Whether a file is asked for by a link, which is its own key: the server looks whether it is good.
pub fn is_link(place: &Place, path: &str, query: &str) -> bool {
    *place == Place::Api(Work::Lookup)
        && path.starts_with("/v1/files/")
        && path.ends_with("/content")
        && query.split('&').any(|part| part.starts_with("signature="))
}

/// Whether the same request twice does what it does once, so that another server may be asked when one doesn't answer.
/// Reading a picture changes nothing but the history; what is made or deleted is asked for once.
pub fn is_idempotent(method: &str, place: &Place) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS") || *place == Place::Api(Work::Recognize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_places() {
        for (method, path, expected) in [
            ("GET", "/health", Place::Health),
            ("POST", "/health", Place::LookOnly),
            ("GET", "/ready", Place::Ready),
            ("POST", "/api/ocr/recognize", Place::Api(Work::Recognize)),
            (
                "POST",
                "/api/ocr/recognize-with-requirements",
                Place::Api(Work::Recognize),
            ),
            ("GET", "/api/ocr/recognize", Place::Api(Work::Lookup)),
            ("POST", "/api/ocr/batch", Place::Api(Work::Batch)),
            ("GET", "/api/ocr/ws", Place::Api(Work::Socket)),
            ("GET", "/api/jobs/a", Place::Job { id: "a", rest: "" }),
            (
                "GET",
                "/api/jobs/a/events",
                Place::Job {
                    id: "a",
                    rest: "/events",
                },
            ),
            ("GET", "/api/jobs/", Place::Job { id: "", rest: "" }),
            ("POST", "/v1/ocr", Place::Api(Work::Lookup)),
            ("GET", "/v1/files/a/content", Place::Api(Work::Lookup)),
            ("POST", "/mcp", Place::Api(Work::Lookup)),
            ("POST", "/mcpx", Place::File),
            (
                "POST",
                "/documentintelligence/documentModels/prebuilt-read:analyze",
                Place::Api(Work::Lookup),
            ),
            ("GET", "/api/history", Place::Api(Work::Lookup)),
            ("GET", "/metrics", Place::Operator),
            ("POST", "/api/models/a/reload", Place::Operator),
            ("GET", "/api/models", Place::Api(Work::Lookup)),
            ("GET", "/", Place::File),
            ("GET", "/apiary", Place::File),
            ("GET", "/docs/", Place::File),
        ] {
            assert_eq!(place(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_link_is_its_own_key() {
        for (path, query, expected) in [
            ("/v1/files/a/content", "expires=1&signature=ab", true),
            ("/v1/files/a/content", "", false),
            ("/v1/files/a/url", "signature=ab", false),
            ("/api/history/a/content", "signature=ab", false),
        ] {
            let place = place("GET", path);
            assert_eq!(is_link(&place, path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn only_what_may_be_repeated_is() {
        for (method, path, expected) in [
            ("POST", "/api/ocr/recognize", true),
            ("GET", "/api/history", true),
            ("GET", "/api/jobs/a", true),
            ("POST", "/api/ocr/batch", false),
            ("POST", "/v1/ocr", false),
            ("DELETE", "/api/jobs/a", false),
            ("DELETE", "/api/history", false),
        ] {
            assert_eq!(
                is_idempotent(method, &place(method, path)),
                expected,
                "{method} {path}"
            );
        }
    }
}
