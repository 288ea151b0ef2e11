//! Forms with files (`multipart/form-data`, RFC 7578), part by part.
//!
//! No byte is looked at twice, the headers of a part are bounded, and no more of the body is held than the last chunk.

use axum::http::{HeaderMap, header};
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use crate::body::{BodyError, Incoming, Memory};
use crate::problem::Problem;

/// Longest headers of one part, bytes; also of what precedes the first part.
const HEADERS: usize = 8 << 10;
/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY: usize = 70;

/// The headers of a part.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Part {
    /// Name of the field.
    pub name: Option<String>,
    /// Name of the file.
    pub file_name: Option<String>,
}

/// A form that is arriving.
pub struct Form {
    incoming: Incoming,
    /// Bytes that arrived and belong to no part yet.
    buffer: BytesMut,
    /// What separates parts: CR LF, two hyphens, the boundary.
    delimiter: memmem::Finder<'static>,
    place: Place,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Preamble,
    /// In a part's data.
    Data,
    /// Behind a delimiter.
    Delimiter,
    End,
}

impl Form {
    /// The form in a body.
    ///
    /// # Errors
    /// 400 if the headers don't name a valid boundary.
    pub fn new(headers: &HeaderMap, incoming: Incoming) -> Result<Self, Problem> {
        let kind = headers.get(header::CONTENT_TYPE);
        let boundary = kind
            .and_then(|v| parameter(v.as_bytes(), "boundary"))
            .filter(|b| (1..=BOUNDARY).contains(&b.len()))
            .ok_or_else(|| malformed("its content type names no valid boundary"))?;
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Self {
            incoming,
            // The first delimiter may stand at the very start.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: memmem::Finder::new(&delimiter).into_owned(),
            place: Place::Preamble,
        })
    }

    /// The headers of the next part; none at the end. What was left of the last part is discarded.
    ///
    /// # Errors
    /// The form is malformed, or its body can't be read.
    pub async fn next(&mut self) -> Result<Option<Part>, BodyError> {
        let mut skipped = 0;
        while matches!(self.place, Place::Preamble | Place::Data) {
            let before_first = self.place == Place::Preamble;
            let piece = self.piece().await?;
            skipped += piece.map_or(0, |p| p.len());
            if before_first && skipped > HEADERS {
                return Err(malformed("no part begins where the first should").into());
            }
        }
        if self.place == Place::End {
            return Ok(None);
        }
        self.at_least(2).await?;
        if self.buffer.starts_with(b"--") {
            self.place = Place::End;
            return Ok(None);
        }
        let end = self.end_of_headers().await?;
        let part = part(&self.buffer[..end])?;
        self.buffer.advance(end + 4);
        self.place = Place::Data;
        Ok(Some(part))
    }

    /// The data of the current part, in a growing share of the memory.
    ///
    /// # Errors
    /// The part has more than `limit` bytes, the form is malformed, or its body can't be read.
    pub async fn data(&mut self, limit: usize, memory: &mut Memory) -> Result<Bytes, BodyError> {
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            let length = bytes.len() + piece.len();
            if length > limit {
                return Err(BodyError::TooLarge(length as u64));
            }
            memory.hold(length)?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// The next bytes up to a delimiter; none at the delimiter, which is consumed.
    async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        if !matches!(self.place, Place::Preamble | Place::Data) {
            return Ok(None);
        }
        let length = self.delimiter.needle().len();
        loop {
            match self.delimiter.find(&self.buffer) {
                Some(0) => {
                    self.buffer.advance(length);
                    self.place = Place::Delimiter;
                    return Ok(None);
                }
                Some(at) => return Ok(Some(self.buffer.split_to(at).freeze())),
                // The end may be the start of a delimiter.
                None if self.buffer.len() >= length => {
                    let certain = self.buffer.len() - (length - 1);
                    return Ok(Some(self.buffer.split_to(certain).freeze()));
                }
                None => self.more().await?,
            }
        }
    }

    /// Where the empty line behind a part's headers begins.
    async fn end_of_headers(&mut self) -> Result<usize, BodyError> {
        let mut from = 0;
        loop {
            if let Some(at) = memmem::find(&self.buffer[from..], b"\r\n\r\n") {
                return match from + at {
                    end if end <= HEADERS => Ok(end),
                    _ => Err(malformed("the headers of a part are too long").into()),
                };
            }
            if self.buffer.len() > HEADERS {
                return Err(malformed("the headers of a part are too long").into());
            }
            from = self.buffer.len().saturating_sub(3);
            self.more().await?;
        }
    }

    async fn at_least(&mut self, bytes: usize) -> Result<(), BodyError> {
        while self.buffer.len() < bytes {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<(), BodyError> {
        match self.incoming.chunk().await? {
            Some(chunk) => self.buffer.extend_from_slice(&chunk),
            None => return Err(malformed("it ends before its last part does").into()),
        }
        Ok(())
    }
}

fn malformed(why: &str) -> Problem {
    Problem::bad_request("invalid_multipart", format!("the form is malformed: {why}"))
}

/// Reads the headers of a part; the rest of the delimiter's line comes first.
fn part(headers: &[u8]) -> Result<Part, Problem> {
    let mut lines = headers.split(|b| *b == b'\n');
    let padding = lines.next().unwrap_or_default();
    if padding.iter().any(|b| !b" \t\r".contains(b)) {
        return Err(malformed("a delimiter is followed by text"));
    }
    let mut part = Part::default();
    for line in lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return Err(malformed("a part has a header without a colon"));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-disposition") {
            let value = value.trim_ascii();
            part.name = parameter(value, "name");
            part.file_name = parameter(value, "filename*")
                .and_then(|v| extended(&v))
                .or_else(|| parameter(value, "filename"));
        }
    }
    Ok(part)
}

/// A parameter of a header like `form-data; name="a"; filename=b`. Bytes that are not UTF-8 become U+FFFD.
fn parameter(header: &[u8], wanted: &str) -> Option<String> {
    let mut rest = &header[header.iter().position(|b| *b == b';')? + 1..];
    loop {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|b| b"=;".contains(b))?;
        let name = rest[..end].trim_ascii();
        if rest[end] == b';' {
            rest = &rest[end + 1..];
            continue;
        }
        rest = rest[end + 1..].trim_ascii_start();
        let (value, after) = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.iter().position(|b| *b == b';');
                let end = end.unwrap_or(rest.len());
                (rest[..end].trim_ascii().to_vec(), &rest[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(String::from_utf8_lossy(&value).into_owned());
        }
        rest = &after[after.iter().position(|b| *b == b';')? + 1..];
    }
}

/// The text up to the closing quote, and what follows it. Only `\"` and `\\` are escapes: some clients send Windows
/// paths as they are.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &text[at + 1..])),
            b'\\' if matches!(text.get(at + 1), Some(b'"' | b'\\')) => {
                value.extend(bytes.next().map(|(_, b)| *b));
            }
            _ => value.push(byte),
        }
    }
    None
}

/// An extended value, `UTF-8''na%C3%AFve` (RFC 8187).
fn extended(value: &str) -> Option<String> {
    let mut fields = value.splitn(3, '\'');
    let (charset, _, text) = (fields.next()?, fields.next()?, fields.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|b| (*b as char).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use axum::body::Body;
    use futures_util::stream;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::config::tests::config;

    fn form(body: Vec<u8>, chunk: usize) -> Form {
        let config = config(&[]);
        let chunks: Vec<_> = body.chunks(chunk).map(Bytes::copy_from_slice).collect();
        let body = Body::from_stream(stream::iter(
            chunks.into_iter().map(Ok::<_, std::io::Error>),
        ));
        let incoming = Incoming::new(&config, body, 1 << 30, Duration::from_secs(600));
        let mut headers = HeaderMap::new();
        let kind = "multipart/form-data; charset=utf-8; boundary=\"b b\"";
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        Form::new(&headers, incoming).unwrap()
    }

    async fn parts(body: &[u8], chunk: usize) -> Result<Vec<(Part, Bytes)>, &'static str> {
        let mut memory = Memory::of(&Arc::new(Semaphore::new(1 << 20)));
        let mut form = form(body.to_vec(), chunk);
        let mut parts = Vec::new();
        let code = |error: BodyError| error.problem(|_| Problem::not_found("")).code;
        while let Some(part) = form.next().await.map_err(code)? {
            let data = form.data(1 << 30, &mut memory).await.map_err(code)?;
            parts.push((part, data));
        }
        Ok(parts)
    }

    #[tokio::test]
    async fn parts_arrive_whole_however_they_are_cut() {
        let body = b"ignored\r\n--b b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--b\r\n-\r\n--b b  \r\n\
            x-other: 1\r\ncontent-disposition: form-data; name=image; filename=\"C:\\a \\\"b\\\".png\"\r\n\r\n\
            \r\n--b b\r\ncontent-disposition: form-data; name=\"n\"; filename=\"x\"; filename*=UTF-8''na%C3%AFve\r\n\r\ny\
            \r\n--b b--\r\nignored";
        let part = |name: &str, file: Option<&str>| Part {
            name: Some(name.into()),
            file_name: file.map(String::from),
        };
        let expected = [
            (part("a", None), Bytes::from_static(b"\r\n--b\r\n-")),
            (part("image", Some("C:\\a \"b\".png")), Bytes::new()),
            (part("n", Some("na\u{ef}ve")), Bytes::from_static(b"y")),
        ];
        for chunk in [1, 2, 3, 7, 1000] {
            assert_eq!(parts(body, chunk).await.unwrap(), expected, "{chunk}");
        }
        // Cut anywhere before its last delimiter, a form is incomplete; it never hangs or panics.
        let end = body.len() - b"--\r\nignored".len();
        for length in 0..end {
            assert_eq!(
                parts(&body[..length], 5).await,
                Err("invalid_multipart"),
                "{length}"
            );
        }
    }

    #[tokio::test]
    async fn headers_without_end_are_refused_early() {
        let began = Instant::now();
        for flood in [
            [b"--b b\r\nx: ".to_vec(), vec![b'a'; 64 << 20]].concat(),
            [b"--b b\r\n".to_vec(), b"x: y\r\n".repeat(10 << 20)].concat(),
            [b"--b b".to_vec(), vec![b' '; 64 << 20]].concat(),
            vec![b'\r'; 64 << 20],
        ] {
            let mut form = form(flood, 4096);
            let error = form.next().await.unwrap_err();
            assert_eq!(error.problem(|_| unreachable!()).code, "invalid_multipart");
            // One chunk more than the longest headers.
            assert!(
                form.buffer.len() <= HEADERS + 4096 + 2,
                "{}",
                form.buffer.len()
            );
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    }
}
