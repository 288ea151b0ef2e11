//! A server behind an edge function.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maoocr_signature::{Claim, HEADER, TOLERANCE, sign};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::stand::{Server, Stand, problem, sample};

const SECRET: &str = "an edge's secret of more than 32 characters";
const OLD: &str = "the secret before it is as long as the other";

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// What an edge says of a request of now.
fn signed(secret: &str, method: &str, path: &str, caller: &str, rights: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nonce = format!("nonce-of-a-test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let claim = Claim {
        time: now(),
        nonce: &nonce,
        caller,
        rights,
    };
    sign(secret.as_bytes(), method, path, &claim).unwrap()
}

fn upload(server: &Server, path: &str) -> RequestBuilder {
    let picture = Part::bytes(sample("photo.png")).file_name("x");
    server
        .post(path)
        .multipart(Form::new().part("image", picture))
}

async fn recognize(server: &Server, signature: &str) -> Response {
    let request = upload(server, "/api/ocr/recognize").header(HEADER, signature);
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_round_the_edge() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--edge-secret", SECRET]).await;
    let path = "/api/ocr/recognize";
    let good = || signed(SECRET, "POST", path, "ann", "recognize");
    assert_eq!(recognize(&server, &good()).await.status(), 200);

    let unsigned = upload(&server, path).send().await.unwrap();
    assert_eq!(problem(unsigned).await.1, "edge_signature_missing");
    for (forged, code) in [
        (
            signed(OLD, "POST", path, "ann", "recognize"),
            "edge_signature_invalid",
        ),
        (
            signed(SECRET, "GET", path, "ann", "recognize"),
            "edge_signature_invalid",
        ),
        (
            signed(SECRET, "POST", "/v1/ocr", "ann", "recognize"),
            "edge_signature_invalid",
        ),
        (good().replace("c=ann", "c=bob"), "edge_signature_invalid"),
        ("t=1".into(), "edge_signature_invalid"),
    ] {
        let (status, found, _) = problem(recognize(&server, &forged).await).await;
        assert_eq!((status, found.as_str()), (403, code), "{forged}");
    }
    let old = Claim {
        time: now() - TOLERANCE - 5,
        nonce: "an-old-request-of-a-test",
        caller: "ann",
        rights: "recognize",
    };
    let old = sign(SECRET.as_bytes(), "POST", path, &old).unwrap();
    assert_eq!(
        problem(recognize(&server, &old).await).await.1,
        "edge_signature_expired"
    );
    // The query is signed too.
    let query = upload(&server, "/api/ocr/recognize?x=1").header(HEADER, good());
    assert_eq!(
        problem(query.send().await.unwrap()).await.1,
        "edge_signature_invalid"
    );
    // Whoever balances load must see how it is.
    for open in ["/health", "/ready"] {
        assert_eq!(server.get(open).send().await.unwrap().status(), 200);
    }
    assert_eq!(
        problem(server.get("/metrics").send().await.unwrap())
            .await
            .1,
        "edge_signature_missing"
    );
    assert!(!server.log().contains(SECRET), "the secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_once_on_all_replicas() {
    let stand = Stand::postgres();
    let secrets = format!("{SECRET},{OLD}");
    let (first, second) = (
        stand.server(&["--edge-secret", &secrets]).await,
        stand.server(&["--edge-secret", &secrets]).await,
    );
    let mut again = Vec::new();
    // While secrets are changed both are good.
    for secret in [SECRET, OLD] {
        let signature = signed(secret, "POST", "/api/ocr/recognize", "ann", "recognize");
        assert_eq!(recognize(&first, &signature).await.status(), 200);
        again.push(signature);
    }
    for signature in again {
        for server in [&first, &second] {
            assert_eq!(
                problem(recognize(server, &signature).await).await.1,
                "edge_signature_replayed"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_says_who_calls_and_what_he_may() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--edge-secret", SECRET]).await;
    let signature = signed(SECRET, "POST", "/api/ocr/recognize", "ann", "recognize");
    let answer: Value = recognize(&server, &signature).await.json().await.unwrap();
    let path = format!("/api/history/{}", answer["id"].as_str().unwrap());
    let see = async |caller: &str, rights: &str| {
        let signature = signed(SECRET, "GET", &path, caller, rights);
        let request = server.get(&path).header(HEADER, signature);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(see("ann", "recognize").await, 200);
    assert_eq!(see("bob", "recognize").await, 404);
    assert_eq!(see("", "recognize").await, 404);
    assert_eq!(see("ann", "jobs").await, 403);
    let batch = "/api/ocr/batch";
    let job = async |rights: &str| {
        let signature = signed(SECRET, "POST", batch, "ann", rights);
        let request = upload(&server, batch).header(HEADER, signature);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(job("recognize").await, 403);
    assert_eq!(job("nonsense").await, 403);
    assert_eq!(job("recognize+jobs").await, 202);
}

/// Callers whom the edge doesn't know are many: they share no history, of a picture or of a job.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_have_no_history() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--edge-secret", SECRET]).await;
    let ask = async |method: &str, path: &str, caller: &str| {
        let signature = signed(SECRET, method, path, caller, "recognize+jobs");
        let request = match method {
            "POST" => upload(&server, path),
            "DELETE" => server.delete(path),
            _ => server.get(path),
        };
        let response = request.header(HEADER, signature).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    let (status, answer) = ask("POST", "/api/ocr/recognize", "").await;
    assert_eq!(status, 200);
    let one = format!("/api/history/{}", answer["id"].as_str().unwrap());
    let (_, job) = ask("POST", "/api/ocr/batch", "").await;
    let job = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    while ask("GET", &job, "").await.1["state"] != "done" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (method, path) in [
        ("GET", "/api/history"),
        ("GET", &one),
        ("DELETE", &one),
        ("DELETE", "/api/history"),
    ] {
        assert_eq!(ask(method, path, "").await.0, 404, "{method} {path}");
    }
    // Nor does whoever calls the server itself see any of it.
    drop(server);
    let server = stand.server(&[]).await;
    let kept = server.json("/api/history").await;
    assert_eq!(kept["entries"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_signed_too() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--edge-secret", SECRET]).await;
    let open = async |signature: Option<String>| {
        let address = format!("ws://127.0.0.1:{}/api/ocr/ws", server.port());
        let mut request = address.into_client_request().unwrap();
        if let Some(signature) = signature {
            let headers = request.headers_mut();
            headers.insert(HEADER, signature.parse().unwrap());
        }
        connect_async(request).await.is_ok()
    };
    assert!(!open(None).await);
    let signature = signed(SECRET, "GET", "/api/ocr/ws", "ann", "recognize");
    assert!(open(Some(signature.clone())).await);
    assert!(!open(Some(signature)).await);
}
