//! Files out of wheels without pip, from an index and a server of wheels made here.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use maoocr_models::{Manifest, Options, Progress, Store};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What the server does with a request for a range of the wheel.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Proper,
    /// Sends the whole file instead.
    Whole,
    /// Breaks off every first time.
    Flaky,
    /// Swaps a byte of the file that is wanted.
    Damaged,
}

struct Index {
    url: String,
    /// Requests so far.
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Asked {
    range: Option<String>,
}

fn serve(wheel: Vec<u8>, manner: Manner) -> Index {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let seen = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap(), &wheel, manner, &seen);
        }
    });
    Index { url, asked }
}

fn answer(stream: &mut TcpStream, wheel: &[u8], manner: Manner, seen: &Mutex<Vec<Asked>>) {
    let mut lines = BufReader::new(&*stream).lines().map(Result::unwrap);
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_string();
    let range = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        line.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(String::from)
    });
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(Asked {
            range: range.clone(),
        });
        seen.len()
    };
    let (status, more, body) = match (&*path, range) {
        ("/simple/demo-models/", _) => {
            let page = "<a href=\"../../f/demo_models-0.9-py3-none-any.whl\">old</a>\n\
                        <a href=\"../../f/demo_models-1.0-py3-none-any.whl#sha256=00\">new</a>";
            ("200 OK", String::new(), page.as_bytes())
        }
        ("/f/demo_models-1.0-py3-none-any.whl", Some(range)) if manner != Manner::Whole => {
            let (from, to) = range.split_once('-').unwrap();
            let len = wheel.len();
            let (from, to) = match from {
                "" => (len.saturating_sub(to.parse().unwrap()), len - 1),
                from => (
                    from.parse().unwrap(),
                    to.parse::<usize>().unwrap().min(len - 1),
                ),
            };
            let range = format!("Content-Range: bytes {from}-{to}/{len}\r\n");
            ("206 Partial Content", range, &wheel[from..=to])
        }
        ("/f/demo_models-1.0-py3-none-any.whl", _) => ("200 OK", String::new(), wheel),
        _ => ("404 Not Found", String::new(), &b""[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n",
        body.len()
    );
    let cut = manner == Manner::Flaky && number % 2 == 0;
    let body = &body[..if cut { body.len() / 2 } else { body.len() }];
    // The client may have gone.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// Bytes that don't compress, so that several requests are needed.
fn network() -> Vec<u8> {
    let mut x = 1u32;
    let byte = |_| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as u8
    };
    (0..5_000_007).map(byte).collect()
}

fn wheel(network: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [("demo/other.bin", &network[7..]), ("demo/m.onnx", network)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

struct Notes(Vec<String>);

impl Progress for Notes {
    fn advance(&mut self, _: &str, _: u64, _: u64) {}
    fn note(&mut self, message: &str) {
        self.0.push(message.into());
    }
}

/// Pulls from such a server, without a pip to fall back to.
fn pull(manner: Manner) -> (Result<Vec<u8>, String>, Index, Notes) {
    let network = network();
    let hash: String = Sha256::digest(&network)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let manifest = format!(
        "[[model]]\nname = \"m\"\ntask = \"detection\"\nfamily = \"f\"\nbytes = {}\nsha256 = \"{hash}\"\n\
         licence = \"Apache-2.0\"\nsources = [{{ wheel = {{ package = \"Demo_models\", version = \"1.0\", path = \
         \"demo/m.onnx\" }} }}]\n",
        network.len()
    );
    let mut wheel = wheel(&network);
    if manner == Manner::Damaged {
        let middle = wheel.len() * 3 / 4;
        wheel[middle] ^= 1;
    }
    let index = serve(wheel, manner);
    let folder = TempDir::new().unwrap();
    let store = Store::with_manifest(folder.path(), Manifest::parse(&manifest).unwrap()).unwrap();
    let options = Options {
        index: Some(index.url.clone()),
        pip: Some(vec!["no-such-pip".into()]),
        attempts: 3,
        backoff: Duration::from_millis(1),
        idle_timeout: Duration::from_secs(5),
        ..Options::default()
    };
    let mut notes = Notes(Vec::new());
    let pulled = store.pull(&["m"], &mut notes, &options);
    let read = pulled.map_err(|e| e.to_string());
    (read.map(|_| store.read("m").unwrap()), index, notes)
}

#[test]
fn one_file_comes_without_the_rest_of_its_wheel() {
    let (read, index, _) = pull(Manner::Proper);
    assert!(read.unwrap() == network());
    let asked = index.asked.lock().unwrap();
    let ranges: Vec<&String> = asked
        .iter()
        .filter_map(|asked| asked.range.as_ref())
        .collect();
    // The end, the head of the file, and its data; nothing of the 5 MB before it but what a window overlaps.
    assert!((2..=6).contains(&ranges.len()), "{ranges:?}");
    assert!(ranges.iter().all(|r| !r.starts_with("0-")), "{ranges:?}");
}

#[test]
fn what_breaks_off_is_asked_for_again() {
    let (read, ..) = pull(Manner::Flaky);
    assert!(read.unwrap() == network());
}

#[test]
fn where_it_does_not_work_pip_is_tried() {
    for manner in [Manner::Whole, Manner::Damaged] {
        let (read, _, notes) = pull(manner);
        let error = read.unwrap_err();
        assert!(error.contains("pip"), "{error}");
        assert!(
            notes.0.iter().any(|n| n.contains("with pip")),
            "{:?}",
            notes.0
        );
    }
}
