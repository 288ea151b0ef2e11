//! Whoever is to be told when a job is over is told, and can tell who called.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::contract::{here, python};
use crate::jobs::{create, done};
use crate::stand::{PATIENCE, Server, Stand, numbered, problem, sample};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver with Standard Webhooks' own library, ended with this.
struct Receiver {
    child: Child,
    said: Lines<Value>,
    base: String,
}

impl Receiver {
    fn start() -> Self {
        let mut child = python()
            .arg(here().join("webhook_receiver.py"))
            .arg(SECRET)
            .stdout(Stdio::piped())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        let first: Value = said.recv_timeout(PATIENCE).unwrap();
        let base = format!("http://127.0.0.1:{}", first["port"]);
        Self { child, said, base }
    }

    /// What it is told next.
    fn next(&self) -> Value {
        let said = self.said.recv_timeout(PATIENCE).expect("it hears nothing");
        assert_eq!(said["verified"], true, "{said}");
        said
    }

    /// The options of a server that may call it.
    fn options(&self) -> [&'static str; 6] {
        [
            "--webhook-hosts",
            "127.0.0.1",
            "--webhook-networks",
            "127.0.0.0/8",
            "--webhook-secret",
            SECRET,
        ]
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn job(webhook: &str, picture: Vec<u8>) -> Form {
    let part = Part::bytes(picture).file_name("p");
    Form::new()
        .text("webhook", webhook.to_string())
        .part("image", part)
}

async fn refusal(server: &Server, webhook: &str) -> (u16, String, Value) {
    let form = job(webhook, sample("photo.png"));
    let request = server.post("/api/ocr/batch").multipart(form);
    problem(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_twice_is_told_in_the_end() {
    for stand in Stand::both() {
        let receiver = Receiver::start();
        let server = stand.server(&receiver.options()).await;
        let url = format!("{}/fails-twice", receiver.base);
        let place = create(&server, job(&url, numbered(1))).await;
        // The job doesn't wait for any of it.
        let over = done(&server, &place).await;
        let tries = [receiver.next(), receiver.next(), receiver.next()];
        for told in &tries {
            assert_eq!(told["id"], tries[0]["id"], "it is the same message");
            assert_eq!(told["message"]["type"], "job.done");
            let (data, expected) = (&told["message"]["data"], &over);
            for field in ["id", "state", "total", "done", "failed", "finished_at"] {
                assert_eq!(data[field], expected[field], "{field}");
            }
        }
        // Nor is it told again once it has listened, but by a job that was resumed.
        let quiet = receiver
            .said
            .recv_timeout(std::time::Duration::from_secs(5));
        assert!(quiet.is_err(), "{quiet:?}");
        let delivered = server.metric("maoocr_webhooks_total", "delivered").await;
        let failed = server.metric("maoocr_webhooks_total", "failed").await;
        assert_eq!((delivered, failed), (1.0, 2.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_end_and_delivery_tells_later() {
    for stand in Stand::both() {
        let receiver = Receiver::start();
        let mut server = stand.server(&receiver.options()).await;
        let url = format!("{}/hangs-once", receiver.base);
        let place = create(&server, job(&url, numbered(2))).await;
        // It was told, and never said that it heard.
        let first = receiver.next();
        server.signal("KILL");
        server.wait();
        let server = stand.server(&receiver.options()).await;
        let second = receiver.next();
        assert_eq!(second["id"], first["id"]);
        assert_eq!(second["message"], first["message"]);
        assert_eq!(done(&server, &place).await["done"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_job_is_told_once() {
    let stand = Stand::postgres();
    let receiver = Receiver::start();
    // Two replicas, and each message from one of them.
    let options = [&receiver.options()[..], &["--workers", "1"]].concat();
    let first = stand.server(&options).await;
    let _second = stand.server(&options).await;
    let url = format!("{}/ok", receiver.base);

    let pictures = (0..30).fold(Form::new().text("webhook", url.clone()), |form, n| {
        form.part("image", Part::bytes(numbered(n)).file_name("p"))
    });
    let place = create(&first, pictures).await;
    first.delete(&place).send().await.unwrap();
    assert_eq!(receiver.next()["message"]["type"], "job.cancelled");

    // A job that is resumed has another end.
    let place = create(&first, job(&url, b"no picture".to_vec())).await;
    let told = receiver.next();
    assert_eq!(told["message"]["data"]["failed"], 1);
    let retry = format!("{place}/retry");
    assert_eq!(first.post(&retry).send().await.unwrap().status(), 200);
    let again = receiver.next();
    assert_ne!(again["id"], told["id"]);
    assert_eq!(
        again["message"]["data"]["id"],
        told["message"]["data"]["id"]
    );

    // Whoever wants no more is left alone; whoever moved isn't followed, and is asked again.
    for path in ["gone", "moved"] {
        let url = format!("{}/{path}", receiver.base);
        create(&first, job(&url, numbered(40))).await;
        assert_eq!(receiver.next()["path"], format!("/{path}"));
    }
    assert_eq!(receiver.next()["path"], "/moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hosts_that_the_operator_allows_are_called() {
    let stand = Stand::sqlite();
    let receiver = Receiver::start();
    let server = stand.server(&[]).await;
    let url = format!("{}/ok", receiver.base);
    let (status, code, body) = refusal(&server, &url).await;
    assert_eq!((status, &*code), (403, "url_not_allowed"), "{body}");
    assert_eq!(body["field"], "webhook");
    drop(server);

    // On the list, but not on the public internet.
    let options = [
        "--webhook-hosts",
        "127.0.0.1,localhost,[::1]",
        "--webhook-secret",
        SECRET,
    ];
    let server = stand.server(&options).await;
    for url in [
        &*url,
        "http://[::1]:1/",
        "https://other.example/",
        "ftp://127.0.0.1/",
        "http://a@127.0.0.1/",
    ] {
        let (status, code, body) = refusal(&server, url).await;
        assert_eq!((status, &*code), (403, "url_not_allowed"), "{url}: {body}");
    }
    assert_eq!(refusal(&server, "no url").await.1, "invalid_url");
    // A name that leads inside is accepted, and not called.
    let inside = url.replace("127.0.0.1", "localhost");
    let place = create(&server, job(&inside, numbered(3))).await;
    done(&server, &place).await;
    while server.metric("maoocr_webhooks_total", "failed").await < 1.0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(receiver.said.try_recv().is_err());
    drop(server);

    let server = stand.server(&receiver.options()).await;
    let late = Form::new()
        .part("image", Part::bytes(numbered(4)).file_name("p"))
        .text("webhook", url.clone());
    let request = server.post("/api/ocr/batch").multipart(late);
    let refused = problem(request.send().await.unwrap()).await;
    assert_eq!(
        (refused.1.as_str(), &refused.2["field"]),
        ("unexpected_part", &json!("webhook"))
    );
    // As JSON, too.
    let picture = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, numbered(5));
    let body = json!({"images": [{"image_base64": picture}], "webhook": url});
    let made = server
        .post("/api/ocr/batch")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 202);
    assert_eq!(receiver.next()["message"]["type"], "job.done");
}
