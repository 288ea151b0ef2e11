//! What a request's body says, as far as routing needs it: pictures and requirements in a form, in JSON, or the file
//! itself. Works on a beginning of the body as well as on all of it, and never copies a picture.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use maoocr_engine::imaging::{self, ImagingError, Limits};
use maoocr_engine::plan::Requirements;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;

use crate::problem::Problem;
use crate::route::Picture;

/// How a body is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `multipart/form-data` with this boundary.
    Form {
        /// Between the parts.
        boundary: String,
    },
    /// `application/json`
    Json,
    /// The file itself.
    Bare,
    /// Something the server refuses, or might read differently.
    Other,
}

impl Kind {
    /// By the header `content-type`.
    pub fn of(content_type: &str) -> Self {
        match media(content_type).as_str() {
            "multipart/form-data" => match boundary(content_type) {
                Some(boundary) => Self::Form {
                    boundary: boundary.into(),
                },
                None => Self::Other,
            },
            "application/json" => Self::Json,
            "" | "application/octet-stream" => Self::Bare,
            media if media.starts_with("image/") => Self::Bare,
            _ => Self::Other,
        }
    }
}

/// What a body is, in lower case, without parameters.
pub fn media(content_type: &str) -> String {
    let media = content_type.split(';').next().unwrap_or("");
    media.trim().to_ascii_lowercase()
}

/// The boundary of a form, where nobody could take another one for it: an answer is kept for the picture that was seen
/// here, so the server must see the same one.
fn boundary(content_type: &str) -> Option<&str> {
    let (_, parameters) = content_type.split_once(';')?;
    let (name, value) = parameters.trim_start_matches(' ').split_once('=')?;
    let quoted = |value: &str| {
        value
            .bytes()
            .all(|b| matches!(b, b' '..=b'~') && !b"\";\\".contains(&b))
    };
    let boundary = match value.strip_prefix('"') {
        Some(value) => value.strip_suffix('"').filter(|v| quoted(v))?,
        None => Some(value).filter(|v| v.bytes().all(is_token))?,
    };
    // RFC 2046 allows 70.
    let sound = name.eq_ignore_ascii_case("boundary") && (1..=70).contains(&boundary.len());
    sound.then_some(boundary)
}

/// Of a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What was found in a body, or in its beginning.
#[derive(Debug, Default, PartialEq)]
pub struct Found<'a> {
    /// The file, as far as it is here.
    pub file: Option<Cow<'a, [u8]>>,
    /// What the caller needs, where it says.
    pub requirements: Option<Requirements>,
    /// Whether the edge understood all of it: else it is the server's to say what is wrong.
    pub understood: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonPicture {
    image_base64: Option<String>,
    image_url: Option<String>,
    image_path: Option<String>,
    #[serde(rename = "name")]
    _name: Option<String>,
    requirements: Option<Value>,
}

/// Looks into a body; `whole` where it is all of it.
///
/// # Errors
/// Requirements that no server would take.
pub fn look<'a>(
    kind: &Kind,
    body: &'a [u8],
    query: &[(String, String)],
    whole: bool,
) -> Result<Found<'a>, Problem> {
    match kind {
        Kind::Form { boundary } => form(boundary, body, whole),
        Kind::Json => json(body, whole),
        Kind::Bare => {
            let fields = query.iter().map(|(name, value)| {
                let value = match value.as_str() {
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    _ => Value::String(value.clone()),
                };
                (name.clone(), value)
            });
            let requirements = Requirements::from_json(&Value::Object(fields.collect()))?;
            Ok(Found {
                file: Some(Cow::Borrowed(body)),
                requirements: Some(requirements),
                understood: whole,
            })
        }
        Kind::Other => Ok(Found::default()),
    }
}

/// What the beginning of a file says of it.
pub fn picture(file: Option<&[u8]>, whole: bool, limits: &Limits) -> Picture {
    let Some(file) = file else {
        return Picture::Unknown;
    };
    if file.starts_with(b"%PDF") {
        return Picture::Pdf;
    }
    match imaging::probe(file, limits) {
        Ok(info) => Picture::Known(info),
        // The server's limits are another matter.
        Err(ImagingError::TooManyPixels { .. } | ImagingError::TooManyPages { .. }) => {
            Picture::Unknown
        }
        Err(ImagingError::TooLarge { .. } | ImagingError::OutOfMemory { .. }) => Picture::Unknown,
        Err(error) if whole => Picture::Wrong(error),
        Err(_) => Picture::Unknown,
    }
}

fn json(body: &[u8], whole: bool) -> Result<Found<'_>, Problem> {
    let parsed = if whole {
        serde_json::from_slice::<JsonPicture>(body).ok()
    } else {
        None
    };
    let Some(request) = parsed else {
        return Ok(Found::default());
    };
    let requirements = match &request.requirements {
        Some(json) => Requirements::from_json(json)?,
        None => Requirements::default(),
    };
    let file = match (request.image_base64, request.image_url, request.image_path) {
        (Some(text), None, None) => decode(&text),
        _ => None,
    };
    Ok(Found {
        understood: file.is_some(),
        file: file.map(Cow::Owned),
        requirements: Some(requirements),
    })
}

/// A file from base64, of either alphabet, padded or not, or from a data URL.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = match text.strip_prefix("data:") {
        Some(url) => {
            url.split_once(',')
                .filter(|(head, _)| head.ends_with(";base64"))?
                .1
        }
        None => text,
    };
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let engine = match (text.contains(['-', '_']), text.ends_with('=')) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    engine.decode(text).ok()
}

fn form<'a>(boundary: &str, body: &'a [u8], whole: bool) -> Result<Found<'a>, Problem> {
    let mut found = Found::default();
    let Some((parts, ended)) = parts(boundary, body) else {
        return Ok(found);
    };
    found.understood = whole && ended;
    for part in parts {
        match part.name.as_deref() {
            Some("image" | "file") if found.file.is_none() => {
                found.file = Some(Cow::Borrowed(&body[part.content]));
            }
            Some("requirements") if found.requirements.is_none() && part.complete => {
                let json: Value = serde_json::from_slice(&body[part.content]).map_err(|e| {
                    let detail = format!("the requirements are not JSON: {e}");
                    Problem::new(422, "invalid_requirements", detail).field("requirements")
                })?;
                found.requirements = Some(Requirements::from_json(&json)?);
            }
            _ => found.understood = false,
        }
    }
    Ok(found)
}

struct Part {
    name: Option<String>,
    content: Range<usize>,
    /// Whether its end is here.
    complete: bool,
}

/// Most parts of a form that is looked into.
const PARTS: usize = 16;

/// The parts of a form (RFC 7578), and whether its end is here; none where it isn't one, or one that begins with
/// something else.
fn parts(boundary: &str, body: &[u8]) -> Option<(Vec<Part>, bool)> {
    let delimiter = format!("\r\n--{boundary}");
    let opening = &delimiter.as_bytes()[2..];
    let mut at = body.starts_with(opening).then_some(opening.len())?;
    let mut parts = Vec::new();
    loop {
        match body.get(at..) {
            Some([b'-', b'-', ..]) => return Some((parts, true)),
            Some([b'\r', b'\n', ..]) if parts.len() < PARTS => at += 2,
            Some([] | [b'\r' | b'-']) => return Some((parts, false)),
            _ => return None,
        }
        let Some(end) = find(body, b"\r\n\r\n", at) else {
            return Some((parts, false));
        };
        let name = name(&body[at..end]);
        let start = end + 4;
        let (end, complete) = match find(body, delimiter.as_bytes(), start) {
            Some(end) => (end, true),
            None => (body.len(), false),
        };
        parts.push(Part {
            name,
            content: start..end,
            complete,
        });
        if !complete {
            return Some((parts, false));
        }
        at = end + delimiter.len();
    }
}

/// The name in a part's `content-disposition`, where nobody could take another one for it: the only such header, as
/// browsers write it, `form-data; name="…"` and perhaps `; filename="…"`.
fn name(headers: &[u8]) -> Option<String> {
    let headers = std::str::from_utf8(headers).ok()?;
    let mut disposition = None;
    for line in headers.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some()
        {
            return None;
        }
    }
    let rest = disposition?
        .trim_start_matches(' ')
        .strip_prefix("form-data; name=\"")?;
    let (name, rest) = rest.split_once('"')?;
    let file = rest
        .strip_prefix("; filename=\"")
        .and_then(|rest| rest.strip_suffix('"'));
    let sound = |text: &str| !text.contains(['"', '\\', '\r', '\n']);
    let plain = sound(name) && (rest.is_empty() || file.is_some_and(sound));
    plain.then(|| name.to_string())
}

fn find(body: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut at = from;
    loop {
        let found = body.get(at..)?.iter().position(|b| b == first)? + at;
        if body.get(found + 1..)?.starts_with(rest) {
            return Some(found);
        }
        at = found + 1;
    }
}

#[cfg(test)]
mod tests {
    use maoocr_engine::imaging::Format;
    use maoocr_engine::plan::Level;

    use super::*;

    const PNG: &[u8] = include_bytes!("../../tests/samples/photo.png");

    fn made(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, content) in parts {
            body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a;b\"\r\n\r\n").bytes());
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(b"--B--\r\n");
        body
    }

    fn form_kind() -> Kind {
        Kind::of("multipart/form-data; boundary=B")
    }

    #[test]
    fn bodies_are_told_apart() {
        assert_eq!(
            form_kind(),
            Kind::Form {
                boundary: "B".into()
            }
        );
        assert_eq!(
            Kind::of("Multipart/Form-Data;Boundary=\"a b\""),
            Kind::Form {
                boundary: "a b".into()
            }
        );
        assert_eq!(Kind::of("multipart/form-data"), Kind::Other);
        assert_eq!(media("Multipart/Form-Data ;x"), "multipart/form-data");
        assert_eq!(Kind::of("application/json; charset=utf-8"), Kind::Json);
        assert_eq!(Kind::of(""), Kind::Bare);
        assert_eq!(Kind::of("image/webp"), Kind::Bare);
        assert_eq!(Kind::of("text/html"), Kind::Other);
    }

    /// What two readers could take for two different forms is looked into by one of them alone.
    #[test]
    fn a_form_has_one_meaning_or_none_here() {
        for content_type in [
            "multipart/form-data; x=\"; boundary=A; y=\"; boundary=B",
            "multipart/form-data; boundary=A; boundary=B",
            "multipart/form-data; charset=utf-8; boundary=B",
            "multipart/form-data; boundary=\"B",
            "multipart/form-data; boundary=\"\\B\"",
            "multipart/form-data; boundary=\"A;B\"",
            "multipart/form-data; boundary=B, multipart/form-data; boundary=A",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary = B",
        ] {
            assert_eq!(Kind::of(content_type), Kind::Other, "{content_type}");
        }
        let good = String::from_utf8_lossy(&made(&[("image", b"x")])).into_owned();
        let understood = |body: &str| {
            look(&form_kind(), body.as_bytes(), &[], true)
                .unwrap()
                .understood
        };
        assert!(understood(&good));
        assert!(understood(&good.replace("; filename=\"a;b\"", "")));
        let header = "Content-Disposition: form-data; name=\"image\"; filename=\"a;b\"";
        for body in [
            // The server takes the first delimiter, wherever on a line it stands.
            format!("before --B\r\n{good}"),
            format!("\r\n{good}"),
            good.replace(
                "name=\"image\"",
                "filename=\"; name=image\"; name=\"image\"",
            ),
            good.replace("name=\"image\"", "name=\"image\"; name=\"requirements\""),
            good.replace("\"a;b\"", "\"a\\\"; name=x\""),
            good.replace("name=\"image\"", "name=image"),
            good.replace(header, &format!("{header}\r\n{header}")),
            good.replace(header, &format!("x:\r\n {header}")),
            good.replace(header, &format!("{header}\r\nodd line")),
        ] {
            assert_ne!(body, good);
            assert!(!understood(&body), "{body}");
        }
    }

    #[test]
    fn a_form_is_looked_into() {
        let body = made(&[
            ("image", PNG),
            ("requirements", br#"{"speed_requirement": "high"}"#),
        ]);
        let found = look(&form_kind(), &body, &[], true).unwrap();
        assert!(found.understood);
        assert_eq!(found.file.as_deref(), Some(PNG));
        assert_eq!(found.requirements.unwrap().speed_requirement, Level::High);
        let Picture::Known(info) = picture(found.file.as_deref(), true, &Limits::default()) else {
            panic!("its size is known");
        };
        assert_eq!(info.format, Format::Png);
        assert!(info.width > 10);
    }

    /// Every beginning of a form is looked into without harm, and what is said of the picture is right.
    #[test]
    fn a_beginning_says_what_it_can() {
        let body = made(&[("requirements", b"{}"), ("image", PNG)]);
        let mut known = 0;
        for length in (0..body.len().min(4096)).chain([body.len()]) {
            let found = look(&form_kind(), &body[..length], &[], false).unwrap();
            assert!(!found.understood, "a beginning is never all");
            match picture(found.file.as_deref(), false, &Limits::default()) {
                Picture::Known(info) => {
                    known += 1;
                    assert_eq!(info.format, Format::Png);
                }
                other => assert_eq!(other, Picture::Unknown),
            }
        }
        assert!(known > 100, "{known}");
    }

    #[test]
    fn what_the_edge_does_not_understand_is_the_servers() {
        let good = made(&[("image", PNG)]);
        for body in [
            &good[..good.len() - 6],
            &made(&[("image", PNG), ("image", PNG)]),
            &made(&[("picture", PNG)]),
            b"--B",
            b"--Bx\r\n\r\n",
            b"nothing of the kind",
            b"",
        ] {
            let found = look(&form_kind(), body, &[], true).unwrap();
            assert!(
                !found.understood,
                "{:?}",
                String::from_utf8_lossy(&body[..body.len().min(60)])
            );
        }
        let many: Vec<_> = (0..PARTS + 5).map(|_| ("image", &b"x"[..])).collect();
        assert!(
            !look(&form_kind(), &made(&many), &[], true)
                .unwrap()
                .understood
        );
    }

    #[test]
    fn json_is_looked_into() {
        let text = STANDARD.encode(PNG);
        for text in [
            text.clone(),
            format!("data:image/png;base64,{text}"),
            text.trim_end_matches('=').into(),
        ] {
            let body =
                serde_json::json!({"image_base64": text, "requirements": {"language": "en"}})
                    .to_string();
            let found = look(&Kind::Json, body.as_bytes(), &[], true).unwrap();
            assert_eq!(found.file.as_deref(), Some(PNG));
            assert!(found.understood);
        }
        for body in [
            r#"{"image_url": "https://a"}"#,
            "{",
            r#"{"image_base64": "%"}"#,
            r#"{"image_base64": "", "image_url": ""}"#,
        ] {
            assert!(
                !look(&Kind::Json, body.as_bytes(), &[], true)
                    .unwrap()
                    .understood,
                "{body}"
            );
        }
    }

    #[test]
    fn requirements_of_a_bare_file_are_its_query() {
        let query = [("real_time".to_string(), "true".to_string())];
        let found = look(&Kind::Bare, PNG, &query, true).unwrap();
        assert!(found.requirements.unwrap().real_time && found.understood);
        let wrong = [("speed".to_string(), "1".to_string())];
        assert_eq!(
            look(&Kind::Bare, PNG, &wrong, true).unwrap_err().code,
            "invalid_requirements"
        );
    }

    #[test]
    fn a_pdf_and_a_text_are_known_for_what_they_are() {
        let limits = Limits::default();
        assert_eq!(picture(Some(b"%PDF-1.7 ..."), true, &limits), Picture::Pdf);
        assert!(matches!(
            picture(Some(b"hello world, hello world"), true, &limits),
            Picture::Wrong(_)
        ));
        assert_eq!(picture(None, true, &limits), Picture::Unknown);
    }
}
