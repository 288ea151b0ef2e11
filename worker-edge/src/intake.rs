//! What a request's body says, as far as routing needs it: pictures and requirements in a form, in JSON, or the file
//! itself. Works on a beginning of the body as well as on all of it, and never copies a picture.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use maoocr_engine::imaging::{self, Format, ImagingError, Limits};
use maoocr_engine::plan::{JsonRequirements, Requirements};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;

use crate::problem::Problem;
use crate::route::Picture;
use crate::wishes::{SHORT, Said};

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
            media if media.starts_with("image/") || media == "application/pdf" => Self::Bare,
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
    /// The caller's name for it; may be empty.
    pub name: String,
    /// What the caller needs, where it says.
    pub requirements: Option<Requirements>,
    /// What it says beside.
    pub said: Said,
    /// Whether the edge understood all of it: else it is the server's to say what is wrong.
    pub understood: bool,
}

/// Longest part with requirements, bytes.
const REQUIREMENTS: usize = 32 << 10;
/// Longest name of a file that is kept, characters.
const NAME: usize = 200;

/// Text that stays in the body unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Typed, as the server's is: nothing is kept of what no field names, so that a body takes no more memory parsed than it
/// does as text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonPicture<'a> {
    #[serde(borrow)]
    image_base64: Option<Text<'a>>,
    image_url: Option<Text<'a>>,
    image_path: Option<Text<'a>>,
    name: Option<Text<'a>>,
    pages: Option<Text<'a>>,
    password: Option<Text<'a>>,
    text_layer: Option<Text<'a>>,
    format: Option<Text<'a>>,
    requirements: Option<JsonRequirements>,
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
    // What a query says beside a form or JSON, a server joins with them.
    let clear = whole && query.is_empty();
    match kind {
        Kind::Form { boundary } => form(boundary, body, clear),
        Kind::Json if !query.is_empty() => Ok(Found::default()),
        Kind::Json => json(body, whole),
        Kind::Bare => {
            let mut said = Said::default();
            let mut fields = serde_json::Map::new();
            let mut twice = false;
            for (name, value) in query {
                if let Some(field) = said.field(name) {
                    twice |= field.replace(value.clone()).is_some();
                    continue;
                }
                let value = match value.as_str() {
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    _ => Value::String(value.clone()),
                };
                twice |= fields.insert(name.clone(), value).is_some();
            }
            let requirements = Requirements::from_json(&Value::Object(fields))?;
            Ok(Found {
                file: Some(Cow::Borrowed(body)),
                name: String::new(),
                requirements: Some(requirements),
                said,
                understood: whole && !twice,
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
    if imaging::is_pdf(file) {
        return Picture::Pdf;
    }
    // Only servers have decoders for these.
    if let Ok(Format::Jpeg2000 | Format::JpegXl) = Format::sniff(file) {
        return Picture::Unknown;
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
    if !whole {
        return Ok(Found::default());
    }
    let request: JsonPicture<'_> = serde_json::from_slice(body).map_err(|error| {
        // A message quotes what it doesn't expect, however long that is.
        let why: String = error.to_string().chars().take(500).collect();
        let (status, what) = match error.is_data() {
            true => (422, "invalid JSON body"),
            false => (400, "the body is not JSON"),
        };
        Problem::new(status, "invalid_json", format!("{what}: {why}"))
    })?;
    let requirements = match &request.requirements {
        Some(json) => json.check()?,
        None => Requirements::default(),
    };
    let file = match (request.image_base64, request.image_url, request.image_path) {
        (Some(text), None, None) => decode(&text.0),
        _ => None,
    };
    let text = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned());
    Ok(Found {
        understood: file.is_some(),
        file: file.map(Cow::Owned),
        name: request.name.map_or_else(String::new, |name| short(&name.0)),
        requirements: Some(requirements),
        said: Said {
            pages: text(request.pages),
            password: text(request.password),
            text_layer: text(request.text_layer),
            format: text(request.format),
        },
    })
}

/// A name as a server keeps it.
fn short(name: &str) -> String {
    let name = name.chars().filter(|c| !c.is_control());
    name.take(NAME).collect()
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
    let text = match text.contains(|c: char| c.is_ascii_whitespace()) {
        true => Cow::Owned(text.split_ascii_whitespace().collect::<String>()),
        false => Cow::Borrowed(text),
    };
    let engine = match (text.contains(['-', '_']), text.ends_with('=')) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    engine.decode(text.as_bytes()).ok()
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
                found.name = short(&part.file);
            }
            Some("requirements") if found.requirements.is_none() && part.complete => {
                let json = limited("requirements", &body[part.content], REQUIREMENTS)?;
                let json: JsonRequirements = serde_json::from_slice(json).map_err(|e| {
                    let detail = format!("the requirements are not JSON: {e}");
                    Problem::new(422, "invalid_requirements", detail).field("requirements")
                })?;
                found.requirements = Some(json.check()?);
            }
            Some(name) if part.complete => match found.said.field(name) {
                Some(field) if field.is_none() => {
                    let text = limited(name, &body[part.content], SHORT)?;
                    *field = Some(String::from_utf8_lossy(text).into_owned());
                }
                _ => found.understood = false,
            },
            _ => found.understood = false,
        }
    }
    Ok(found)
}

/// The content of a part beside the file.
fn limited<'a>(name: &str, content: &'a [u8], limit: usize) -> Result<&'a [u8], Problem> {
    if content.len() > limit {
        let detail = format!("the part `{name}` may have at most {limit} bytes");
        return Err(Problem::new(413, "part_too_large", detail).field(name));
    }
    Ok(content)
}

struct Part {
    name: Option<String>,
    /// Of the file; empty where it has none.
    file: String,
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
        let (name, file) = name(&body[at..end]).unzip();
        let start = end + 4;
        let (end, complete) = match find(body, delimiter.as_bytes(), start) {
            Some(end) => (end, true),
            None => (body.len(), false),
        };
        parts.push(Part {
            name,
            file: file.unwrap_or_default(),
            content: start..end,
            complete,
        });
        if !complete {
            return Some((parts, false));
        }
        at = end + delimiter.len();
    }
}

/// The names of a part and its file in its `content-disposition`, where nobody could take another one for it: the only such header, as
/// browsers write it, `form-data; name="…"` and perhaps `; filename="…"`.
fn name(headers: &[u8]) -> Option<(String, String)> {
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
    plain.then(|| (name.to_string(), file.unwrap_or_default().to_string()))
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
mod tests;
