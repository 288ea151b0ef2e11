//! Single files out of wheels without `pip`: a package index (PEP 503) says where a wheel is, and a server that
//! answers range requests gives the bytes of the one file that is wanted.

use std::env;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::thread;

use ureq::http::{StatusCode, Uri, header};
use ureq::{Agent, ResponseExt};

use crate::http::agent;
use crate::pull::Options;

/// What pip asks where nothing else is configured.
const DEFAULT_INDEX: &str = "https://pypi.org/simple";
/// An index page is longer than this only by mistake, bytes. The longest real ones have about 10 MB.
const LONGEST_PAGE: u64 = 32 << 20;
/// Bytes fetched at once.
const WINDOW: u64 = 2 << 20;
/// Bytes of a wheel's end, where its table of contents stands.
const TAIL: u64 = 128 << 10;

/// The index that pip would ask: of its environment, else of its configuration files, else the public one. `None`
/// where pip is told to ask none.
pub(crate) fn configured() -> Option<String> {
    let variable = |name| env::var(name).ok().filter(|v| !v.is_empty());
    if variable("PIP_NO_INDEX").is_some_and(|v| !matches!(&*v, "0" | "false" | "no" | "off")) {
        return None;
    }
    if let Some(url) = variable("PIP_INDEX_URL") {
        return Some(url);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    files.extend(variable("PIP_CONFIG_FILE").map(PathBuf::from));
    files.extend(variable("VIRTUAL_ENV").map(|v| PathBuf::from(v).join("pip.conf")));
    files.extend(dirs::config_dir().map(|d| d.join("pip/pip.conf")));
    files.extend(dirs::config_dir().map(|d| d.join("pip/pip.ini")));
    files.extend(dirs::home_dir().map(|d| d.join(".pip/pip.conf")));
    files.extend(["/etc/pip.conf", "/etc/xdg/pip/pip.conf"].map(PathBuf::from));
    let found = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| index_of(&text));
    Some(found.unwrap_or_else(|| DEFAULT_INDEX.into()))
}

/// `index-url` of a pip.conf.
fn index_of(text: &str) -> Option<String> {
    let mut applies = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            applies = matches!(section, "global" | "download");
        } else if applies
            && let Some((key, value)) = line.split_once(['=', ':'])
            && matches!(key.trim(), "index-url" | "index_url")
        {
            found = Some(value.trim().to_string()).filter(|v| !v.is_empty());
        }
    }
    found
}

/// The address of a wheel, by an index's page of its package.
pub(crate) fn locate(
    index: &str,
    package: &str,
    version: &str,
    options: &Options,
) -> Result<String, String> {
    let page = format!("{}/{}/", index.trim_end_matches('/'), normal(package));
    let response = agent(&page, options)
        .get(&page)
        .header(header::ACCEPT, "text/html")
        .call()
        .map_err(|e| e.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("answers {}", response.status()));
    }
    let base = response.get_uri().clone();
    let mut text = String::new();
    response
        .into_body()
        .into_reader()
        .take(LONGEST_PAGE)
        .read_to_string(&mut text)
        .map_err(|e| e.to_string())?;
    let wheels: Vec<&str> = links(&text)
        .filter(|link| is_wheel(link, package, version))
        .collect();
    // What is wanted of it is the same in all of them.
    let pure = |link: &&&str| file_name(link).ends_with("-none-any.whl");
    let link = wheels.iter().find(pure).or(wheels.first());
    let link = link.ok_or_else(|| format!("has no wheel of {package} {version}"))?;
    resolve(&base, &link.replace("&amp;", "&"))
        .ok_or_else(|| format!("has a link that can't be followed: {link}"))
}

/// The targets of a page's links.
fn links(html: &str) -> impl Iterator<Item = &str> {
    html.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split_once(quote).map(|(link, _)| link)
    })
}

fn file_name(link: &str) -> &str {
    let path = link.split(['#', '?']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// PEP 427: `DISTRIBUTION-VERSION(-BUILD)?-PYTHON-ABI-PLATFORM.whl`.
fn is_wheel(link: &str, package: &str, version: &str) -> bool {
    let mut parts = file_name(link).split('-');
    file_name(link).ends_with(".whl")
        && parts.next().is_some_and(|p| normal(p) == normal(package))
        && parts.next() == Some(version)
}

/// PEP 503: lower case, and one hyphen for any run of `-`, `_` and `.`.
fn normal(package: &str) -> String {
    let parts = package.split(['-', '_', '.']).filter(|p| !p.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// A link of a page as an absolute address, without its fragment (RFC 3986, 5.2). An encrypted page must not lead to
/// an open one.
fn resolve(base: &Uri, link: &str) -> Option<String> {
    let link = link.split('#').next().unwrap_or_default();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let absolute = if link.contains("://") {
        link.to_string()
    } else if let Some(rest) = link.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if link.starts_with('/') {
        format!("{scheme}://{authority}{link}")
    } else {
        let mut folders: Vec<&str> = base.path().split('/').collect();
        folders.pop();
        for part in link.split('/') {
            match part {
                "." => {}
                // The first one is the empty name before the leading slash.
                ".." if folders.len() > 1 => {
                    folders.pop();
                }
                ".." => {}
                part => folders.push(part),
            }
        }
        format!("{scheme}://{authority}{}", folders.join("/"))
    };
    let plain = absolute.starts_with("http://") && scheme == "http";
    (plain || absolute.starts_with("https://")).then_some(absolute)
}

/// A file on a server, read piece by piece.
pub(crate) struct Remote {
    agent: Agent,
    url: String,
    options: Options,
    length: u64,
    at: u64,
    /// Where `window` begins in the file.
    start: u64,
    window: Vec<u8>,
}

impl Remote {
    /// Fetches the end of the file, if the server knows ranges.
    pub fn open(url: &str, options: &Options) -> Result<Self, String> {
        let mut remote = Self {
            agent: agent(url, options),
            url: url.into(),
            options: options.clone(),
            length: 0,
            at: 0,
            start: 0,
            window: Vec::new(),
        };
        remote.fetch(&format!("bytes=-{TAIL}"))?;
        Ok(remote)
    }

    /// Makes what a range asks for the window, with as many attempts as for other downloads.
    fn fetch(&mut self, range: &str) -> Result<(), String> {
        let mut tried = 0;
        loop {
            match self.attempt(range) {
                Ok(()) => return Ok(()),
                Err((_, why)) if tried + 1 >= self.options.attempts => return Err(why),
                Err((false, why)) => return Err(why),
                Err((true, _)) => {
                    thread::sleep(self.options.backoff.saturating_mul(1 << tried.min(6)));
                    tried += 1;
                }
            }
        }
    }

    /// One request; an error says whether another may go better.
    fn attempt(&mut self, range: &str) -> Result<(), (bool, String)> {
        let response = self
            .agent
            .get(&self.url)
            .header(header::RANGE, range)
            .call()
            .map_err(|e| (true, e.to_string()))?;
        let status = response.status();
        if status != StatusCode::PARTIAL_CONTENT {
            let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err((again, format!("answers {status} to a range request")));
        }
        let stated = response.headers().get(header::CONTENT_RANGE);
        let stated = stated.and_then(|v| v.to_str().ok()).and_then(content_range);
        let Some((start, end, length)) = stated else {
            return Err((false, "answers without a usable range".into()));
        };
        if self.length != 0 && length != self.length {
            return Err((false, "has another file than before".into()));
        }
        let wanted = end - start + 1;
        if wanted > WINDOW.max(TAIL) {
            return Err((false, "answers with more than was asked for".into()));
        }
        let mut window = Vec::new();
        let read = response
            .into_body()
            .into_reader()
            .take(wanted)
            .read_to_end(&mut window);
        match read {
            Ok(n) if n as u64 == wanted => {}
            Ok(_) => return Err((true, "breaks off".into())),
            Err(e) => return Err((true, e.to_string())),
        }
        (self.start, self.window, self.length) = (start, window, length);
        Ok(())
    }
}

/// `bytes FIRST-LAST/LENGTH`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, length) = (
        first.parse().ok()?,
        last.parse().ok()?,
        length.parse().ok()?,
    );
    (first <= last && last < length).then_some((first, last, length))
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let end = self.start + self.window.len() as u64;
        if !(self.start..end).contains(&self.at) {
            let last = (self.at + WINDOW).min(self.length) - 1;
            self.fetch(&format!("bytes={}-{last}", self.at))
                .map_err(io::Error::other)?;
            if self.start != self.at {
                return Err(io::Error::other("answers with another range"));
            }
        }
        let from = (self.at - self.start) as usize;
        let n = buffer.len().min(self.window.len() - from);
        buffer[..n].copy_from_slice(&self.window[from..from + n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Remote {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_files_of_pip() {
        let text = "[install]\nindex-url = https://a/\n[global]\ntimeout = 60\nindex-url = https://b/simple\n";
        assert_eq!(index_of(text).as_deref(), Some("https://b/simple"));
        assert_eq!(index_of("[global]\ncert = /x\n"), None);
        assert_eq!(index_of("index-url = https://a/"), None);
    }

    #[test]
    fn wheels_are_told_by_their_names() {
        for (link, is) in [
            (
                "../../packages/ab/rapid_layout-1.2.1-py3-none-any.whl#sha256=00",
                true,
            ),
            ("https://x/Rapid.Layout-1.2.1-1-py3-none-any.whl", true),
            ("rapid_layout-1.2.10-py3-none-any.whl", false),
            ("rapid_layout-1.2.1.tar.gz", false),
            ("rapid_layout_x-1.2.1-py3-none-any.whl", false),
        ] {
            assert_eq!(is_wheel(link, "rapid-layout", "1.2.1"), is, "{link}");
        }
    }

    #[test]
    fn links_are_followed_as_a_browser_does() {
        let base: Uri = "https://host/root/simple/demo/".parse().unwrap();
        for (link, wanted) in [
            (
                "a.whl#sha256=0",
                Some("https://host/root/simple/demo/a.whl"),
            ),
            ("../../files/a.whl", Some("https://host/root/files/a.whl")),
            ("../../../../a.whl", Some("https://host/a.whl")),
            ("/files/a.whl", Some("https://host/files/a.whl")),
            ("//other/a.whl", Some("https://other/a.whl")),
            ("https://other/a.whl", Some("https://other/a.whl")),
            ("http://other/a.whl", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(resolve(&base, link).as_deref(), wanted, "{link}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, 10)));
        for text in [
            "bytes 5-10/10",
            "bytes 9-5/10",
            "bytes */10",
            "bytes 0-4/*",
            "",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
