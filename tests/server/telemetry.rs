//! What an operator sees.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::stand::{Stand, sample};

#[tokio::test(flavor = "multi_thread")]
async fn traces_reach_a_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", collector.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        // Until the body is there: it names the service and the span.
        while !contains(&request, b"/api/ocr/recognize") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..length]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        request
    });
    let stand = Stand::sqlite();
    let mut server = stand.server(&["--otlp", &address]).await;
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    server.signal("TERM");
    assert!(server.wait().success());
    let request = received.join().unwrap();
    assert!(request.starts_with(b"POST /v1/traces"));
    assert!(contains(&request, b"maoocr"));
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|w| w == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_where_that_is_wanted() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--log", "json"]).await;
    for line in server.log().lines().filter(|l| l.starts_with('{')) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(
            line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
    assert!(
        server.log().contains("\"message\":\"ready\""),
        "{}",
        server.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_is_counted() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    assert_eq!(server.recognize(vec![1]).await.status(), 415);
    for (name, label, wanted) in [
        ("maoocr_pictures_total", "read", 1.0),
        ("maoocr_pictures_total", "failed", 1.0),
        ("maoocr_cache_total", "hit", 1.0),
        ("maoocr_problems_total", "unknown_format", 1.0),
        (
            "maoocr_http_requests_total",
            "route=\"/api/ocr/recognize\",method=\"POST\",status=\"200\"",
            2.0,
        ),
        ("maoocr_stage_seconds_count", "stage=\"detect\"", 1.0),
        ("maoocr_stage_seconds_count", "stage=\"recognise\"", 1.0),
        ("maoocr_model_uses_total", "ppocrv6-small-rec", 1.0),
        ("maoocr_queue_depth", "", 0.0),
        ("maoocr_workers_busy", "", 0.0),
    ] {
        assert_eq!(server.metric(name, label).await, wanted, "{name} {label}");
    }
    assert!(server.metric("maoocr_models_loaded_bytes", "").await > 30e6);
    assert!(server.metric("process_resident_memory_bytes", "").await > 1e6);
}
