//! Pulling from a real HTTP server and with a real `pip`: what goes wrong on the way, and what is on the disk then.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use maoocr_models::{Error, Manifest, Options, Progress, Store};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A file of more than one buffer and of no round length.
fn model() -> Vec<u8> {
    let mut x = 1u32;
    let mut byte = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as u8
    };
    (0..300_007).map(|_| byte()).collect()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// A manifest with one network `m` of these bytes.
fn manifest(bytes: &[u8], sources: &[String]) -> Manifest {
    Manifest::parse(&entry("m", bytes, sources)).unwrap()
}

fn entry(name: &str, bytes: &[u8], sources: &[String]) -> String {
    format!(
        "[[model]]\nname = \"{name}\"\ntask = \"detection\"\nfamily = \"f\"\nbytes = {}\nsha256 = \"{}\"\n\
         licence = \"Apache-2.0\"\nsources = [{}]\n",
        bytes.len(),
        hex(bytes),
        sources.join(", ")
    )
}

fn http(url: &str) -> String {
    format!("{{ http = {{ url = \"{url}\" }} }}")
}

fn wheel(version: &str, path: &str) -> String {
    format!("{{ wheel = {{ package = \"demo\", version = \"{version}\", path = \"{path}\" }} }}")
}

/// Impatient, so that tests are quick.
fn options() -> Options {
    Options {
        attempts: 3,
        backoff: Duration::from_millis(1),
        idle_timeout: Duration::from_secs(5),
        ..Options::default()
    }
}

/// File names in a store that are not its lock.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n != ".lock")
        .collect();
    names.sort();
    names
}

#[derive(Default)]
struct Seen {
    advances: Vec<(u64, u64)>,
    notes: Vec<String>,
}

impl Progress for Seen {
    fn advance(&mut self, _: &str, done: u64, total: u64) {
        self.advances.push((done, total));
    }
    fn note(&mut self, message: &str) {
        self.notes.push(message.into());
    }
}

#[derive(Clone, Debug)]
struct Request {
    path: String,
    headers: HashMap<String, String>,
}

impl Request {
    /// What `Range: bytes=N-` asks for.
    fn offset(&self) -> Option<usize> {
        self.headers
            .get("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// Answers each request with `answer(number, request, connection)`, then closes the connection.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/m.onnx", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, seen, answer) = (stream.unwrap(), seen.clone(), answer.clone());
                thread::spawn(move || {
                    let request = read_request(&stream);
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    answer(number, &request, &mut stream);
                });
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut lines = BufReader::new(stream).lines().map(|l| l.unwrap());
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_string();
    let headers = lines
        .take_while(|l| !l.is_empty())
        .map(|l| {
            let (name, value) = l.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_string())
        })
        .collect();
    Request { path, headers }
}

/// Sends a head and then `body`. The client may have gone: its affair.
fn send(stream: &mut TcpStream, status: &str, headers: &[(&str, String)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// A server's proper answer, of which only the first `cut` bytes arrive. `tag` is the ETag.
fn serve(stream: &mut TcpStream, request: &Request, data: &[u8], tag: &str, cut: usize) {
    let same = request.headers.get("if-range").is_none_or(|t| t == tag);
    let mut headers = vec![("ETag", tag.to_string())];
    let (status, body) = match request.offset() {
        Some(n) if same => {
            headers.push((
                "Content-Range",
                format!("bytes {n}-{}/{}", data.len() - 1, data.len()),
            ));
            ("206 Partial Content", &data[n..])
        }
        _ => ("200 OK", data),
    };
    headers.push(("Content-Length", body.len().to_string()));
    send(stream, status, &headers, &body[..cut.min(body.len())]);
}

const ALL: usize = usize::MAX;

#[test]
fn a_whole_download() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(
        folder.path().join("new/folder"),
        manifest(&data, &[http(&server.url)]),
    )
    .unwrap();
    assert!(matches!(store.read("m"), Err(Error::Missing { .. })));

    let mut seen = Seen::default();
    store.pull(&["m"], &mut seen, &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    store.verify("m").unwrap();
    assert_eq!(files(store.folder()), ["m.onnx"]);
    let total = data.len() as u64;
    assert_eq!(
        (seen.advances[0], *seen.advances.last().unwrap()),
        ((0, total), (total, total))
    );

    // It is there now: no second request.
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].path, "/m.onnx");
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |n, r, s| {
        serve(s, r, &served, "\"1\"", if n == 0 { 100_000 } else { ALL })
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    let requests = server.requests();
    assert_eq!(
        requests.iter().map(Request::offset).collect::<Vec<_>>(),
        [None, Some(100_000)]
    );
    assert_eq!(requests[1].headers["if-range"], "\"1\"");
    assert_eq!(files(folder.path()), ["m.onnx"]);
}

#[test]
fn a_second_pull_goes_on_where_the_first_gave_up() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |n, r, s| match n {
        0 => serve(s, r, &served, "\"1\"", 100_000),
        1..=3 => send(
            s,
            "503 Service Unavailable",
            &[("Content-Length", "0".into())],
            b"",
        ),
        _ => serve(s, r, &served, "\"1\"", ALL),
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    let error = store.pull(&["m"], &mut (), &options()).unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(files(folder.path()), ["m.onnx.part", "m.onnx.part.from"]);
    assert!(!store.has("m"));

    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(server.requests().last().unwrap().offset(), Some(100_000));
    assert_eq!(store.read("m").unwrap(), data);
    assert_eq!(files(folder.path()), ["m.onnx"]);
}

#[test]
fn many_breaks_are_borne_while_it_gets_on() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", 40_000));
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    assert_eq!(server.requests().len(), data.len().div_ceil(40_000));
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |n, _, s| {
        let length = ("Content-Length", served.len().to_string());
        send(
            s,
            "200 OK",
            &[length],
            &served[..if n == 0 { 100_000 } else { served.len() }],
        );
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    assert_eq!(server.requests()[1].offset(), Some(100_000));
}

#[test]
fn a_file_that_changed_meanwhile_is_sent_whole() {
    let data = model();
    let (served, old) = (data.clone(), vec![7; data.len()]);
    let server = Server::start(move |n, r, s| match n {
        0 => serve(s, r, &old, "\"old\"", 100_000),
        _ => serve(s, r, &served, "\"new\"", ALL),
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    assert_eq!(server.requests()[1].headers["if-range"], "\"old\"");
}

#[test]
fn pieces_that_do_not_fit_are_fetched_once_more_whole() {
    let data = model();
    let served = data.clone();
    // No validator, so it can't know that the first piece is of another file.
    let server = Server::start(move |n, r, s| {
        let mut whole = served.clone();
        if n == 0 {
            whole[5] ^= 1;
        }
        let n0 = r.offset().unwrap_or(0);
        let (status, range) = match r.offset() {
            Some(n) => (
                "206 Partial Content",
                format!("bytes {n}-{}/{}", whole.len() - 1, whole.len()),
            ),
            None => ("200 OK", "none".into()),
        };
        let length = (whole.len() - n0).to_string();
        let end = if n == 0 { 100_000 } else { whole.len() };
        send(
            s,
            status,
            &[("Content-Range", range), ("Content-Length", length)],
            &whole[n0..end],
        );
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    let offsets: Vec<_> = server.requests().iter().map(Request::offset).collect();
    assert_eq!(offsets, [None, Some(100_000), None]);
}

/// Pulls from a server that isn't right, and returns what was said. Nothing may stay behind but `left`.
#[track_caller]
fn refused(
    data: &[u8],
    left: &[&str],
    answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static,
) -> (String, usize) {
    let server = Server::start(answer);
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(data, &[http(&server.url)])).unwrap();
    let Err(Error::NotFetched(failures)) = store.pull(&["m"], &mut (), &options()) else {
        panic!("it should have failed");
    };
    assert_eq!((failures.len(), failures[0].name.as_str()), (1, "m"));
    assert_eq!(failures[0].sources[0].0, server.url);
    assert!(!store.path("m").exists());
    assert_eq!(files(folder.path()), left);
    (failures[0].sources[0].1.clone(), server.requests().len())
}

#[test]
fn a_wrong_hash() {
    let data = model();
    let mut wrong = data.clone();
    wrong[200_000] ^= 1;
    let sha = hex(&wrong);
    let (said, requests) = refused(&data, &[], move |_, r, s| serve(s, r, &wrong, "\"1\"", ALL));
    assert!(said.contains(&sha) && said.contains(&hex(&data)), "{said}");
    assert_eq!(requests, 1);
}

#[test]
fn too_long_and_too_short() {
    let data = model();
    let mut long = data.clone();
    long.extend([0; 100_000]);
    let announced = long.clone();
    let (said, requests) = refused(&data, &[], move |_, r, s| {
        serve(s, r, &announced, "\"1\"", ALL)
    });
    assert!(said.contains("offers 400007 bytes"), "{said}");
    assert_eq!(requests, 1);

    // Without Content-Length the end shows when it isn't there.
    let (said, requests) = refused(&data, &[], move |_, _, s| send(s, "200 OK", &[], &long));
    assert!(said.contains("more than the 300007 bytes"), "{said}");
    assert_eq!(requests, 1);

    let short = data[..1000].to_vec();
    let left = ["m.onnx.part", "m.onnx.part.from"];
    let (said, requests) = refused(&data, &left, move |_, _, s| send(s, "200 OK", &[], &short));
    assert!(said.contains("ends after 1000 of 300007 bytes"), "{said}");
    // One that gets on, three that don't.
    assert_eq!(requests, 4);
}

#[test]
fn not_found_is_not_asked_twice() {
    let (said, requests) = refused(&model(), &[], |_, _, s| {
        send(s, "404 Not Found", &[], b"<html>")
    });
    assert!(said.contains("404"), "{said}");
    assert_eq!(requests, 1);
}

#[test]
fn a_silent_server_is_given_up_on() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, _, s| {
        let length = ("Content-Length", served.len().to_string());
        send(s, "200 OK", &[length], &served[..1000]);
        thread::sleep(Duration::from_secs(20));
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    let options = Options {
        idle_timeout: Duration::from_millis(200),
        attempts: 2,
        ..options()
    };
    let start = Instant::now();
    let error = store
        .pull(&["m"], &mut (), &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("1000 of 300007 bytes") && error.contains("timeout"),
        "{error}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert!(!store.path("m").exists());
}

#[test]
fn slow_is_not_silent() {
    let data = model();
    let served = data.clone();
    // Slower as a whole than the idle timeout, but never as long without a byte.
    let server = Server::start(move |_, _, s| {
        send(
            s,
            "200 OK",
            &[("Content-Length", served.len().to_string())],
            b"",
        );
        for piece in served.chunks(10_000) {
            thread::sleep(Duration::from_millis(30));
            let _ = s.write_all(piece);
        }
    });
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    let options = Options {
        idle_timeout: Duration::from_millis(600),
        ..options()
    };
    store.pull(&["m"], &mut (), &options).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_next_source_helps_and_the_first_is_told() {
    let data = model();
    let served = data.clone();
    let bad = Server::start(|_, _, s| send(s, "404 Not Found", &[], b""));
    let good = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let folder = TempDir::new().unwrap();
    let sources = [
        http("http://127.0.0.1:1/m.onnx"),
        http(&bad.url),
        http(&good.url),
    ];
    let store = Store::with_manifest(folder.path(), manifest(&data, &sources)).unwrap();
    let mut seen = Seen::default();
    store.pull(&["m"], &mut seen, &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    assert!(
        seen.notes
            .iter()
            .any(|n| n.contains(&bad.url) && n.contains("404")),
        "{:?}",
        seen.notes
    );

    // All of them fail: each is named with what it said.
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &sources[..2])).unwrap();
    let error = store
        .pull(&["m"], &mut (), &options())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`m`") && error.contains("127.0.0.1:1/m.onnx: ") && error.contains("404"),
        "{error}"
    );
}

#[test]
fn a_missing_file_does_not_keep_the_others_away() {
    let data = model();
    let served = data.clone();
    let bad = Server::start(|_, _, s| send(s, "404 Not Found", &[], b""));
    let good = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let text = entry("a", &data, &[http(&bad.url)]) + &entry("b", &data, &[http(&good.url)]);
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), Manifest::parse(&text).unwrap()).unwrap();
    let error = store.pull(&["a", "b"], &mut (), &options()).unwrap_err();
    assert!(
        matches!(error, Error::NotFetched(ref f) if f.len() == 1 && f[0].name == "a"),
        "{error}"
    );
    assert!(store.has("b"));
}

#[test]
fn a_recogniser_comes_with_its_dictionary() {
    let (network, dictionary) = (model(), b"a\nb\n".to_vec());
    let (n, d) = (network.clone(), dictionary.clone());
    let server = Server::start(move |_, r, s| {
        serve(
            s,
            r,
            if r.path.ends_with("txt") { &d } else { &n },
            "\"1\"",
            ALL,
        )
    });
    let text = entry("rec", &network, &[http(&server.url)]).replace("detection", "recognition")
        + "dictionary = \"dict\"\n"
        + &entry(
            "dict",
            &dictionary,
            &[http(&server.url.replace("onnx", "txt"))],
        )
        .replace("detection", "dictionary");
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), Manifest::parse(&text).unwrap()).unwrap();
    store.pull(&["rec"], &mut (), &options()).unwrap();
    assert_eq!(files(folder.path()), ["dict.txt", "rec.onnx"]);
}

#[test]
fn damaged_files_are_noticed_and_replaced() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    let path = store.path("m");

    fs::write(&path, &data[..10]).unwrap();
    assert!(!store.has("m"));
    assert!(matches!(
        store.read("m"),
        Err(Error::WrongSize { found: 10, .. })
    ));

    let mut wrong = data.clone();
    wrong[0] ^= 1;
    fs::write(&path, &wrong).unwrap();
    let error = store.verify("m").unwrap_err();
    assert!(matches!(error, Error::WrongHash { .. }), "{error}");
    assert!(
        error.to_string().contains("maoocr models pull m"),
        "{error}"
    );

    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
}

#[test]
fn a_compact_file_is_as_good() {
    let (data, compact) = (model(), b"half of it".to_vec());
    let text = entry("m", &data, &[]).replace(
        "licence",
        &format!(
            "compact = {{ bytes = {}, sha256 = \"{}\" }}\nlicence",
            compact.len(),
            hex(&compact)
        ),
    );
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), Manifest::parse(&text).unwrap()).unwrap();
    fs::write(store.path("m"), &compact).unwrap();
    assert!(store.has("m"));
    store.verify("m").unwrap();
    fs::write(store.path("m"), b"half of IT").unwrap();
    assert!(matches!(store.verify("m"), Err(Error::WrongHash { .. })));
}

#[test]
fn files_of_another_folder_are_used_if_they_are_the_right_ones() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let open = || {
        let manifest = manifest(&data, &[http(&server.url)]);
        let store = Store::with_manifest(folder.path(), manifest).unwrap();
        store.or_from(other.path())
    };
    let there = other.path().join("m.onnx");
    fs::write(&there, &data).unwrap();
    let store = open();
    assert_eq!(store.path("m"), there);
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.read("m").unwrap(), data);
    assert!(server.requests().is_empty());

    // One of another version: as large, but different.
    let mut changed = data.clone();
    changed[1000] ^= 1;
    fs::write(&there, &changed).unwrap();
    let store = open();
    assert!(!store.has("m"));
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(store.path("m"), folder.path().join("m.onnx"));
    assert_eq!(store.read("m").unwrap(), data);
    assert_eq!(fs::read(&there).unwrap(), changed);
}

#[test]
fn offline_names_the_file_and_the_folder_and_asks_nobody() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(
        folder.path().join("f"),
        manifest(&data, &[http(&server.url)]),
    )
    .unwrap();
    let offline = Options {
        offline: true,
        ..options()
    };
    let error = store.pull(&["m"], &mut (), &offline).unwrap_err();
    assert!(matches!(error, Error::Offline { .. }));
    let said = error.to_string();
    assert!(
        said.contains("m.onnx") && said.contains(&*store.folder().to_string_lossy()),
        "{said}"
    );
    assert!(server.requests().is_empty());
    assert!(!store.folder().exists());

    store.pull(&["m"], &mut (), &options()).unwrap();
    store.pull(&["m"], &mut (), &offline).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn unknown_names_and_impossible_folders() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let error = store
        .pull(&["ppocrv7-rec"], &mut (), &options())
        .unwrap_err();
    assert!(error.to_string().contains("`ppocrv7-rec`"), "{error}");

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file).unwrap_err().to_string();
    assert!(error.contains(&*file.to_string_lossy()), "{error}");
    let store = Store::with_manifest(file.join("below"), manifest(b"x", &[])).err();
    assert!(store.is_some());
}

/// A server that takes its time, so that two pulls meet.
fn slow_server(data: &[u8]) -> Server {
    let served = data.to_vec();
    Server::start(move |_, r, s| {
        thread::sleep(Duration::from_millis(300));
        serve(s, r, &served, "\"1\"", ALL);
    })
}

#[test]
fn two_threads_fetch_once() {
    let data = model();
    let server = slow_server(&data);
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    let notes: Vec<_> = thread::scope(|scope| {
        let pulls: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Seen::default();
                    store.pull(&["m"], &mut seen, &options()).unwrap();
                    seen.notes
                })
            })
            .collect();
        pulls.into_iter().flat_map(|p| p.join().unwrap()).collect()
    });
    assert_eq!(store.read("m").unwrap(), data);
    assert_eq!(server.requests().len(), 1);
    assert!(
        notes.len() == 1 && notes[0].contains("waiting"),
        "{notes:?}"
    );
}

#[test]
fn two_processes_fetch_once() {
    let data = model();
    let server = slow_server(&data);
    let folder = TempDir::new().unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "pulls_when_told", "--nocapture"])
                .env(
                    "MAOOCR_TEST_PULL",
                    format!("{}\n{}", folder.path().display(), server.url),
                )
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(fs::read(folder.path().join("m.onnx")).unwrap(), data);
    assert_eq!(server.requests().len(), 1);
}

/// The other process of [`two_processes_fetch_once`]; alone it does nothing.
#[test]
fn pulls_when_told() {
    if let Ok(told) = std::env::var("MAOOCR_TEST_PULL") {
        let (folder, url) = told.split_once('\n').unwrap();
        let store = Store::with_manifest(folder, manifest(&model(), &[http(url)])).unwrap();
        store.pull(&["m"], &mut (), &options()).unwrap();
    }
}

/// A wheel like those on the index, with these files.
fn make_wheel(folder: &Path, version: &str, tag: &str, files: &[(&str, &[u8])]) {
    let wheel = fs::File::create(folder.join(format!("demo-{version}-{tag}.whl"))).unwrap();
    let mut zip = zip::ZipWriter::new(wheel);
    let info = format!("demo-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: demo\nVersion: {version}\n");
    let about = format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n");
    let own = [
        (format!("{info}/METADATA"), metadata.as_bytes()),
        (format!("{info}/WHEEL"), about.as_bytes()),
        (format!("{info}/RECORD"), b""),
    ];
    let all = files.iter().map(|(n, b)| (n.to_string(), *b)).chain(own);
    for (name, bytes) in all {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// The machine's own pip, with `folder` in the place of the index.
#[cfg(unix)]
fn pip_with(folder: &Path) -> Options {
    let links = format!("PIP_FIND_LINKS={}", folder.display());
    let command = ["env", "PIP_NO_INDEX=1", &links, "python3", "-m", "pip"];
    Options {
        pip: Some(command.map(str::to_string).to_vec()),
        ..options()
    }
}

#[cfg(unix)]
#[test]
fn all_files_of_a_wheel_come_with_one_download() {
    let (a, b) = (model(), model()[..1000].to_vec());
    let index = TempDir::new().unwrap();
    make_wheel(
        index.path(),
        "1.0",
        "py3-none-any",
        &[("demo/a.onnx", &a), ("demo/b.onnx", &b)],
    );
    let text = entry("a", &a, &[wheel("1.0", "demo/a.onnx")])
        + &entry("b", &b, &[wheel("1.0", "demo/b.onnx")]);
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), Manifest::parse(&text).unwrap()).unwrap();
    let mut seen = Seen::default();
    store
        .pull(&["a", "b"], &mut seen, &pip_with(index.path()))
        .unwrap();
    assert_eq!((store.read("a").unwrap(), store.read("b").unwrap()), (a, b));
    assert_eq!(seen.notes, ["downloading demo 1.0 with pip"]);
    assert_eq!(files(folder.path()), ["a.onnx", "b.onnx"]);
}

#[cfg(unix)]
#[test]
fn a_wheel_for_another_python_will_do() {
    // Only Python 3.12 takes it; a machine with that version finds it at the first attempt.
    let data = model();
    let index = TempDir::new().unwrap();
    make_wheel(
        index.path(),
        "1.0",
        "cp312-none-any",
        &[("demo/m.onnx", &data)],
    );
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(
        folder.path(),
        manifest(&data, &[wheel("1.0", "demo/m.onnx")]),
    )
    .unwrap();
    store
        .pull(&["m"], &mut (), &pip_with(index.path()))
        .unwrap();
    assert_eq!(store.read("m").unwrap(), data);
}

#[cfg(unix)]
#[test]
fn a_wheel_with_other_content_is_refused() {
    let data = model();
    let mut wrong = data.clone();
    wrong[0] ^= 1;
    let index = TempDir::new().unwrap();
    let files_in = [("demo/wrong", &wrong[..]), ("demo/short", &data[..10])];
    make_wheel(index.path(), "1.0", "py3-none-any", &files_in);
    for (version, path, expected) in [
        ("1.0", "demo/wrong", hex(&wrong)),
        ("1.0", "demo/short", "has 10 bytes".into()),
        ("1.0", "demo/none", "`demo/none`".into()),
        ("9.9", "demo/wrong", "No matching distribution".into()),
    ] {
        let folder = TempDir::new().unwrap();
        let store =
            Store::with_manifest(folder.path(), manifest(&data, &[wheel(version, path)])).unwrap();
        let error = store
            .pull(&["m"], &mut (), &pip_with(index.path()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("wheel demo {version}")) && error.contains(&expected),
            "{error}"
        );
        assert!(
            files(folder.path()).is_empty(),
            "{:?}",
            files(folder.path())
        );
    }
}

/// A program in the place of pip.
#[cfg(unix)]
fn stub(folder: &Path, script: &str) -> Options {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("pip");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    // Through the shell: executing a file that another thread's child still has open for writing fails (ETXTBSY).
    let command = vec!["sh".into(), path.to_str().unwrap().into()];
    Options {
        pip: Some(command),
        pip_timeout: Duration::from_millis(1500),
        ..options()
    }
}

#[cfg(unix)]
#[test]
fn no_pip_and_pips_that_fail() {
    let data = model();
    let scripts = TempDir::new().unwrap();
    let none = Options {
        pip: Some(vec!["/no/such/pip".into()]),
        ..options()
    };
    let without = stub(
        scripts.path(),
        "echo '/usr/bin/python3: No module named pip' >&2; exit 1",
    );
    let pull = |options: &Options, sources: &[String]| {
        let folder = TempDir::new().unwrap();
        let store = Store::with_manifest(folder.path(), manifest(&data, sources)).unwrap();
        let start = Instant::now();
        let outcome = store
            .pull(&["m"], &mut (), options)
            .map_err(|e| e.to_string());
        // A child that outlives pip keeps nobody waiting.
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(
            files(folder.path()),
            if outcome.is_ok() {
                vec!["m.onnx"]
            } else {
                vec![]
            }
        );
        outcome
    };
    let source = [wheel("1.0", "demo/m.onnx")];
    for options in [&none, &without] {
        let error = pull(options, &source).unwrap_err();
        assert!(error.contains("apt-get install python3-pip"), "{error}");
    }
    for (script, expected) in [
        (
            "echo 'WARNING: retrying' >&2; echo 'ERROR: 403 Client Error' >&2; exit 1",
            "403 Client Error",
        ),
        ("exit 0", "no wheel"),
        ("sleep 30", "not finished after 1.5 s"),
    ] {
        let error = pull(&stub(scripts.path(), script), &source).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    // Where pip is missing, a plain address helps out.
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    pull(&none, &[source[0].clone(), http(&server.url)]).unwrap();
}

#[test]
fn what_a_killed_pull_left_is_swept_up() {
    let data = model();
    let served = data.clone();
    let server = Server::start(move |_, r, s| serve(s, r, &served, "\"1\"", ALL));
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(".wheel-abc")).unwrap();
    fs::write(folder.path().join(".wheel-abc/demo.whl"), "").unwrap();
    // Longer than the whole file: of no use.
    fs::write(folder.path().join("m.onnx.part"), vec![0; data.len() + 1]).unwrap();
    let store = Store::with_manifest(folder.path(), manifest(&data, &[http(&server.url)])).unwrap();
    store.pull(&["m"], &mut (), &options()).unwrap();
    assert_eq!(files(folder.path()), ["m.onnx"]);
    let mut read = Vec::new();
    fs::File::open(store.path("m"))
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert_eq!(read, data);
}
