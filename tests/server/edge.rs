//! A server behind an edge function.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use maoocr_signature::{Claim, HEADER, TOLERANCE, Target, sign};
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

/// What an edge says of a request of now to a server.
fn signed(
    (origin, secret): (&str, &str),
    method: &str,
    path: &str,
    caller: &str,
    rights: &str,
) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nonce = format!("nonce-of-a-test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let claim = Claim {
        time: now(),
        nonce: &nonce,
        caller,
        rights,
    };
    let target = Target {
        method,
        origin,
        path,
    };
    sign(secret.as_bytes(), target, &claim).unwrap()
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
    let good = || signed((&server.base, SECRET), "POST", path, "ann", "recognize");
    assert_eq!(recognize(&server, &good()).await.status(), 200);

    let unsigned = upload(&server, path).send().await.unwrap();
    assert_eq!(problem(unsigned).await.1, "edge_signature_missing");
    for (forged, code) in [
        (
            signed((&server.base, OLD), "POST", path, "ann", "recognize"),
            "edge_signature_invalid",
        ),
        (
            signed((&server.base, SECRET), "GET", path, "ann", "recognize"),
            "edge_signature_invalid",
        ),
        (
            signed(
                (&server.base, SECRET),
                "POST",
                "/v1/ocr",
                "ann",
                "recognize",
            ),
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
    let target = Target {
        method: "POST",
        origin: &server.base,
        path,
    };
    let old = sign(SECRET.as_bytes(), target, &old).unwrap();
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

/// What the edge calls all replicas behind one proxy.
const NAME: &str = "https://ocr.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_once_on_all_replicas() {
    let stand = Stand::postgres();
    let secrets = format!("{SECRET},{OLD}");
    let options = ["--edge-secret", &secrets, "--edge-origin", NAME];
    let (first, second) = (stand.server(&options).await, stand.server(&options).await);
    let mut again = Vec::new();
    // While secrets are changed both are good.
    for secret in [SECRET, OLD] {
        let signature = signed(
            (NAME, secret),
            "POST",
            "/api/ocr/recognize",
            "ann",
            "recognize",
        );
        assert_eq!(recognize(&first, &signature).await.status(), 200);
        again.push(signature);
    }
    // Whatever Redis forgets.
    stand
        .redis
        .as_ref()
        .unwrap()
        .command(&["FLUSHALL"])
        .unwrap();
    drop(first);
    let first = stand.server(&options).await;
    for signature in again {
        for server in [&first, &second] {
            assert_eq!(
                problem(recognize(server, &signature).await).await.1,
                "edge_signature_replayed"
            );
        }
    }
}

/// However many signatures come between a request and its replay.
#[tokio::test(flavor = "multi_thread")]
async fn no_crowd_of_signatures_hides_a_replay() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--edge-secret", SECRET]).await;
    let path = "/api/models";
    let ask = async |signature: &str| {
        let request = server.get(path).header(HEADER, signature);
        request.send().await.unwrap().status().as_u16()
    };
    let first: Vec<String> = (0..40)
        .map(|_| signed((&server.base, SECRET), "GET", path, "ann", "recognize"))
        .collect();
    let began = std::time::Instant::now();
    for signature in &first {
        assert_eq!(ask(signature).await, 200);
    }
    let many = std::env::var("MAOOCR_SIGNATURES").map_or(2000, |n| n.parse().unwrap());
    let crowd = futures_util::stream::iter(0..many).map(|_| {
        let signature = signed((&server.base, SECRET), "GET", path, "eve", "recognize");
        ask_with(&server, path, signature)
    });
    let seen: Vec<u16> = futures_util::StreamExt::buffer_unordered(crowd, 64)
        .collect()
        .await;
    assert!(seen.iter().all(|status| *status == 200));
    let mut accepted = 0;
    for signature in &first {
        accepted += u32::from(ask(signature).await == 200);
    }
    assert_eq!(
        accepted,
        0,
        "of {} after {:?}",
        first.len(),
        began.elapsed()
    );
}

async fn ask_with(server: &Server, path: &str, signature: String) -> u16 {
    let request = server.get(path).header(HEADER, signature);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_one_server_is_not_good_on_another() {
    let stand = Stand::sqlite();
    let options = [
        "--edge-secret",
        SECRET,
        "--edge-origin",
        "https://b.example",
    ];
    let server = stand.server(&options).await;
    let path = "/api/ocr/recognize";
    for (origin, status) in [("https://a.example", 403), ("https://b.example", 200)] {
        let signature = signed((origin, SECRET), "POST", path, "ann", "recognize");
        // Whoever replays it writes what he likes as `Host`.
        let request = upload(&server, path).header("host", "a.example");
        let answer = request.header(HEADER, signature).send().await.unwrap();
        assert_eq!(answer.status(), status, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_says_who_calls_and_what_he_may() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--edge-secret", SECRET]).await;
    let signature = signed(
        (&server.base, SECRET),
        "POST",
        "/api/ocr/recognize",
        "ann",
        "recognize",
    );
    let answer: Value = recognize(&server, &signature).await.json().await.unwrap();
    let path = format!("/api/history/{}", answer["id"].as_str().unwrap());
    let see = async |caller: &str, rights: &str| {
        let signature = signed((&server.base, SECRET), "GET", &path, caller, rights);
        let request = server.get(&path).header(HEADER, signature);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(see("ann", "recognize").await, 200);
    assert_eq!(see("bob", "recognize").await, 404);
    assert_eq!(see("", "recognize").await, 404);
    assert_eq!(see("ann", "jobs").await, 403);
    let batch = "/api/ocr/batch";
    let job = async |rights: &str| {
        let signature = signed((&server.base, SECRET), "POST", batch, "ann", rights);
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
        let signature = signed(
            (&server.base, SECRET),
            method,
            path,
            caller,
            "recognize+jobs",
        );
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
    let signature = signed(
        (&server.base, SECRET),
        "GET",
        "/api/ocr/ws",
        "ann",
        "recognize",
    );
    assert!(open(Some(signature.clone())).await);
    assert!(!open(Some(signature)).await);
}
