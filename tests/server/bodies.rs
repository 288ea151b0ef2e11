//! Bodies that stall, lie or swell.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::stand::{PATIENCE, Server, Stand, problem, sample};

/// The most memory it has had, bytes; none where the system doesn't say.
fn peak(server: &Server) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}

/// Checks that the memory has not grown by more than this many MiB.
fn assert_grown_below(server: &Server, before: Option<u64>, mib: u64, what: &str) {
    if let (Some(before), Some(after)) = (before, peak(server)) {
        let grown = after.saturating_sub(before) >> 20;
        assert!(grown < mib, "{what}: {grown} MiB");
    }
}

/// A request whose body begins and goes no further.
fn begun(server: &Server, path: &str, kind: &str, length: usize, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// The answer to it.
async fn answer(mut stream: TcpStream) -> String {
    tokio::task::spawn_blocking(move || {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 2048];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    })
    .await
    .unwrap()
}

const FORM: &str = "multipart/form-data; boundary=b";
const PART: &[u8] =
    b"--b\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\nx";

#[tokio::test(flavor = "multi_thread")]
async fn who_only_announces_holds_nothing() {
    let stand = Stand::sqlite();
    let options = ["--upload-timeout", "600", "--upload-memory", "64"];
    let server = stand.server(&options).await;
    let most = 32 << 20;
    let mut stalled = Vec::new();
    for _ in 0..8 {
        stalled.push(begun(
            &server,
            "/api/ocr/recognize",
            "image/png",
            most,
            b"x",
        ));
        stalled.push(begun(&server, "/api/ocr/recognize", FORM, most, PART));
        stalled.push(begun(&server, "/api/ocr/batch", FORM, most, PART));
        stalled.push(begun(
            &server,
            "/api/ocr/batch",
            "application/json",
            most,
            b"{",
        ));
        stalled.push(begun(&server, "/v1/ocr", "application/json", most, b"{"));
    }
    // Long enough for the server to have seen them all.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    // They fall below the slowest rate long before their time is up.
    let began = Instant::now();
    for stream in stalled {
        let answer = answer(stream).await;
        assert!(
            answer.contains(" 408 ") && answer.contains("upload_too_slow"),
            "{answer}"
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_takes_no_more_memory_parsed_than_sent() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--workers", "1", "--queue", "100"]).await;
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    let before = peak(&server);
    let size = 8 << 20;
    let bombs = [
        ("lists", format!("[{}[]]", "[],".repeat(size / 3))),
        (
            "an unknown field",
            format!("{{\"x\": [{}0]}}", "0,".repeat(size / 2)),
        ),
        ("fields", {
            let fields: Vec<String> = (0..size / 12).map(|n| format!("\"{n}\":[]")).collect();
            format!("{{{}}}", fields.join(","))
        }),
        ("depth", "[".repeat(size)),
    ];
    for (what, bomb) in bombs {
        for (path, body) in [
            (
                "/api/ocr/recognize",
                format!("{{\"image_base64\": \"\", \"requirements\": {bomb}}}"),
            ),
            (
                "/api/ocr/batch",
                format!("{{\"images\": [], \"requirements\": {bomb}}}"),
            ),
            ("/api/ocr/batch", format!("{{\"images\": {bomb}}}")),
            (
                "/v1/ocr",
                format!(
                    "{{\"document\": {{\"type\": \"image_url\", \"image_url\": \"\"}}, \"requirements\": {bomb}}}"
                ),
            ),
            ("/v1/ocr", format!("{{\"document\": {bomb}}}")),
            (
                "/v1/ocr",
                format!("{{\"document\": {{}}, \"bbox_annotation_format\": {bomb}}}"),
            ),
        ] {
            let request = server.post(path).header("content-type", "application/json");
            let (status, code, _) = problem(request.body(body).send().await.unwrap()).await;
            assert!(
                [400, 422].contains(&status),
                "{path} {what}: {status} {code}"
            );
        }
        assert_grown_below(&server, before, 64, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_parts_have_an_end() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    let before = peak(&server);
    for path in ["/api/ocr/recognize", "/api/ocr/batch"] {
        for flood in [
            [b"--b\r\nx: ".to_vec(), vec![b'a'; 12 << 20]].concat(),
            [b"--b\r\n".to_vec(), b"x: y\r\n".repeat(2 << 20)].concat(),
            vec![b'\r'; 12 << 20],
        ] {
            let request = server.post(path).header("content-type", FORM);
            let (status, code, _) = problem(request.body(flood).send().await.unwrap()).await;
            assert_eq!(
                (status, code.as_str()),
                (400, "invalid_multipart"),
                "{path}"
            );
        }
    }
    assert_grown_below(&server, before, 24, "headers");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_over_a_websocket_is_counted_and_short() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--rate", "60"]).await;
    let address = format!("{}/api/ocr/ws", server.base.replace("http", "ws"));
    let (mut socket, _) = connect_async(address).await.unwrap();
    let mut tell = async |text: String| -> Value {
        socket.send(Message::Text(text.into())).await.unwrap();
        loop {
            let message = tokio::time::timeout(PATIENCE, socket.next()).await;
            if let Message::Text(text) = message.unwrap().unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    let long = format!("{{\"requirements\": [{}0]}}", "0,".repeat(1 << 20));
    assert_eq!(tell(long).await["problem"]["code"], "too_large");
    let mut codes = Vec::new();
    for _ in 0..20 {
        let event = tell("{\"what\": 1}".into()).await;
        codes.push(event["problem"]["code"].as_str().unwrap().to_string());
    }
    assert_eq!(codes[0], "invalid_json");
    assert!(codes.contains(&"rate_limited".to_string()), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_open_to_strangers_only_recognises() {
    let stand = Stand::sqlite();
    let options = ["--auth", "open", "--rate", "0"];
    let server = stand.server_at("0.0.0.0:0", &options).unwrap();
    server.ready().await.unwrap();
    let answer = server.recognize(sample("photo.png")).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let entry = format!("/api/history/{}", answer["id"].as_str().unwrap());
    let job = Form::new().part("image", Part::bytes(sample("photo.png")));
    for (what, request) in [
        ("list", server.get("/api/history")),
        ("show", server.get(&entry)),
        ("wipe", server.delete("/api/history")),
        ("delete", server.delete(&entry)),
        ("batch", server.post("/api/ocr/batch").multipart(job)),
        ("metrics", server.get("/metrics")),
        (
            "reload",
            server.post("/api/models/ppocrv6-small-rec/reload"),
        ),
    ] {
        let (status, code, _) = problem(request.send().await.unwrap()).await;
        assert!([403, 404].contains(&status), "{what}: {status} {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_document_does_not_close_the_server() {
    let stand = Stand::sqlite();
    let options = ["--workers", "1", "--cache", "0", "--deadline", "600"];
    let server = stand.server(&options).await;
    let send = async |millis: &str, picture: Vec<u8>| {
        let request = server
            .post("/api/ocr/recognize")
            .header("content-type", "image/png");
        let request = request.header("x-maoocr-deadline-ms", millis);
        request
            .body(picture)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    // Slow ones, read to their end; then callers that have less time than those took.
    for name in ["columns.png", "receipt.jpg", "columns.png"] {
        assert_eq!(send("60000", sample(name)).await, 200);
    }
    for _ in 0..3 {
        let status = send("100", sample("columns.png")).await;
        assert!([200, 504].contains(&status), "{status}");
        let began = Instant::now();
        while server.metric("maoocr_workers_busy", "").await > 0.0 {
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(send("60000", sample("photo.png")).await, 200);
}
