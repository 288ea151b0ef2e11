//! A plain download that resumes where it was interrupted.

use std::io::Read;
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, header};

use crate::error::Refusal;
use crate::part::{Origin, Part};
use crate::pull::{Options, Progress};

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why an attempt failed.
enum Cut {
    /// Worth another attempt, after the wait that the server asked for.
    Again(String, Option<Duration>),
    /// Hopeless.
    Never(Refusal),
}

impl From<crate::Error> for Cut {
    fn from(error: crate::Error) -> Self {
        Self::Never(error.into())
    }
}

/// A client for `url`, as impatient as the options say.
pub(crate) fn agent(url: &str, options: &Options) -> ureq::Agent {
    ureq::Agent::config_builder()
        // A redirect must not lead from https to http.
        .https_only(url.starts_with("https://"))
        .http_status_as_error(false)
        .timeout_resolve(Some(options.connect_timeout))
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.idle_timeout))
        .timeout_per_read(Some(options.idle_timeout))
        .user_agent(concat!("maoocr/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Downloads `url` into `part` and completes the file.
pub(crate) fn fetch(
    url: &str,
    part: &Part,
    progress: &mut dyn Progress,
    options: &Options,
) -> Result<(), Refusal> {
    let agent = agent(url, options);
    let mut farthest = part.len();
    let mut fruitless = 0;
    loop {
        let resumed = part.len() > 0;
        match attempt(&agent, url, part, progress) {
            Ok(()) => match part.finish() {
                // The two pieces may belong to different files: try again in one piece.
                Err(Refusal::Source(said)) if resumed => {
                    progress.note(&format!("{url} {said}; starting over"))
                }
                done => return done,
            },
            Err(Cut::Never(refusal)) => return Err(refusal),
            Err(Cut::Again(why, wait)) => {
                // Only attempts without progress count: a bad connection may need many.
                let len = part.len();
                fruitless = if len > farthest { 0 } else { fruitless + 1 };
                farthest = farthest.max(len);
                if fruitless >= options.attempts {
                    return Err(Refusal::Source(format!(
                        "{why} ({fruitless} attempts without progress)"
                    )));
                }
                let backoff = options.backoff.saturating_mul(1 << fruitless.min(6));
                let wait = wait.unwrap_or(backoff).min(LONGEST_WAIT);
                progress.note(&format!("{url}: {why}; trying again"));
                thread::sleep(wait);
            }
        }
    }
}

/// Makes one request. `Ok` means that the part has its full length.
fn attempt(
    agent: &ureq::Agent,
    url: &str,
    part: &Part,
    progress: &mut dyn Progress,
) -> Result<(), Cut> {
    let total = part.entry.bytes;
    let mut offset = part.len();
    if offset == total {
        return Ok(());
    }
    if offset > total {
        part.discard()?;
        offset = 0;
    }

    let mut request = agent.get(url);
    if offset > 0 {
        request = request.header(header::RANGE, format!("bytes={offset}-"));
        // Without a validator, or with another server's, the hash tells whether the pieces fit.
        if let Some(Origin {
            url: from,
            validator: Some(validator),
        }) = part.origin()
            && from == url
        {
            request = request.header(header::IF_RANGE, validator);
        }
    }
    let response = request
        .call()
        .map_err(|e| Cut::Again(e.to_string(), None))?;
    let headers = response.headers();
    let status = response.status();
    let mut file = match status {
        StatusCode::OK => {
            if let Some(length) =
                text(headers, header::CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok())
                && length != total
            {
                return Err(never(format!(
                    "offers {length} bytes, the manifest says {total}"
                )));
            }
            offset = 0;
            part.create(Some(&Origin {
                url: url.into(),
                validator: validator(headers),
            }))?
        }
        StatusCode::PARTIAL_CONTENT if offset > 0 => {
            let range = text(headers, header::CONTENT_RANGE).unwrap_or_default();
            if !fits(range, offset, total) {
                part.discard()?;
                return Err(Cut::Again(
                    format!("answers with the range `{range}` instead of {offset}-"),
                    None,
                ));
            }
            part.append()?
        }
        StatusCode::RANGE_NOT_SATISFIABLE if offset > 0 => {
            part.discard()?;
            return Err(Cut::Again(
                "has a shorter file than the part already here".into(),
                None,
            ));
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return Err(Cut::Again(
                format!("answers {status}"),
                retry_after(headers),
            ));
        }
        _ if status.is_server_error() => {
            return Err(Cut::Again(
                format!("answers {status}"),
                retry_after(headers),
            ));
        }
        _ => return Err(never(format!("answers {status}"))),
    };

    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 64 * 1024];
    progress.advance(&part.entry.name, offset, total);
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) if offset == total => return Ok(()),
            Ok(0) => {
                return Err(Cut::Again(
                    format!("ends after {offset} of {total} bytes"),
                    None,
                ));
            }
            Ok(n) => n,
            Err(e) => {
                return Err(Cut::Again(
                    format!("breaks off after {offset} of {total} bytes: {e}"),
                    None,
                ));
            }
        };
        offset += n as u64;
        if offset > total {
            part.discard()?;
            return Err(never(format!(
                "sends more than the {total} bytes of the manifest"
            )));
        }
        part.write(&mut file, &buffer[..n])?;
        progress.advance(&part.entry.name, offset, total);
    }
}

fn never(said: String) -> Cut {
    Cut::Never(Refusal::Source(said))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A validator for If-Range (RFC 9110, 13.1.5): a strong ETag, else a date.
fn validator(headers: &HeaderMap) -> Option<String> {
    let strong = text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/"));
    strong
        .or_else(|| text(headers, header::LAST_MODIFIED))
        .map(str::to_string)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, header::RETRY_AFTER)?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a range such as `bytes 5-9/10` is what is missing after 5 of 10 bytes.
fn fits(range: &str, offset: u64, total: u64) -> bool {
    let Some((first, rest)) = range.strip_prefix("bytes ").and_then(|r| r.split_once('-')) else {
        return false;
    };
    let Some((_, length)) = rest.split_once('/') else {
        return false;
    };
    first.trim().parse() == Ok(offset) && (length == "*" || length.parse() == Ok(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (range, fit) in [
            ("bytes 5-9/10", true),
            ("bytes 5-9/*", true),
            ("bytes 0-9/10", false),
            ("bytes 5-9/11", false),
            ("bytes */10", false),
            ("", false),
        ] {
            assert_eq!(fits(range, 5, 10), fit, "{range}");
        }
    }

    #[test]
    fn validators() {
        let of = |pairs: &[(header::HeaderName, &'static str)]| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(k, v)| (k.clone(), v.parse().unwrap()))
                .collect();
            validator(&headers)
        };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(
            of(&[(header::ETAG, "\"a\""), (header::LAST_MODIFIED, date)]).as_deref(),
            Some("\"a\"")
        );
        assert_eq!(
            of(&[(header::ETAG, "W/\"a\""), (header::LAST_MODIFIED, date)]).as_deref(),
            Some(date)
        );
        assert_eq!(of(&[(header::ETAG, "W/\"a\"")]), None);
    }
}
