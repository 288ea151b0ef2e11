//! What a vision model on another server reads, and what happens when it fails. There is no model: a server that checks each
//! request against OpenAI's own types answers for it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::contract::{here, python};
use crate::documents;
use crate::jobs::{create, done};
use crate::stand::{PATIENCE, Server, Stand, sample};

const KEY: &str = "the key of the vision model";
const WORDS: &str = "(Read by the vision model.)";

/// A server of a vision model, ended with this.
struct Model {
    child: Child,
    said: Lines<Value>,
    base: String,
}

impl Model {
    fn start() -> Self {
        let mut child = python()
            .arg(here().join("vision_model.py"))
            .arg(KEY)
            .arg(here().join("receipt.md"))
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

    /// How it is to behave from now on.
    async fn mode(&self, mode: &'static str) {
        let request = reqwest::Client::new().post(format!("{}/mode", self.base));
        let answer = request.body(mode).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// What it was asked since the last time; every request was as OpenAI's types say.
    fn asked(&self) -> Vec<Value> {
        // What was written a moment ago is still on its way.
        let soon = || self.said.recv_timeout(Duration::from_millis(300)).ok();
        let asked: Vec<Value> = std::iter::from_fn(soon).collect();
        for request in &asked {
            assert!(request.get("wrong").is_none(), "{request}");
        }
        asked
    }

    /// The options of a server that asks it.
    fn options<'a>(&self, url: &'a str, model: &'a str) -> Vec<&'a str> {
        [
            ["--vlm-url", url],
            ["--vlm-model", model],
            ["--vlm-key", KEY],
            ["--vlm-timeout", "4"],
            ["--vlm-pause", "20"],
        ]
        .concat()
    }

    fn url(&self) -> String {
        format!("{}/v1/", self.base)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn form(file: Vec<u8>, requirements: &Value) -> Form {
    Form::new()
        .text("requirements", requirements.to_string())
        .part("image", Part::bytes(file).file_name("receipt"))
}

fn precise() -> Value {
    json!({"document_type": "complex_layout", "accuracy_requirement": "high"})
}

async fn read(server: &Server, file: Vec<u8>, accept: &str) -> String {
    let request = server.post("/api/ocr/recognize-with-requirements");
    let request = request.header("accept", accept);
    let answer = request.multipart(form(file, &precise())).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

async fn read_json(server: &Server, file: Vec<u8>) -> Value {
    serde_json::from_str(&read(server, file, "application/json").await).unwrap()
}

fn says(answer: &Value, words: &str) -> bool {
    answer["text"].as_str().unwrap().contains(words)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_what_is_complex_and_must_be_right() {
    let stand = Stand::postgres();
    let model = Model::start();
    let url = model.url();
    let server = stand.server(&model.options(&url, "page-reader")).await;
    let there = server.json("/api/capabilities").await;
    assert_eq!(
        there["vision"],
        json!({"model": "page-reader", "available": true})
    );

    // Nothing else is sent to it.
    server.recognize(sample("receipt.jpg")).await;
    assert!(model.asked().is_empty());

    let answer = read_json(&server, sample("receipt.jpg")).await;
    let asked = model.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["model"], "page-reader");
    assert_eq!(asked[0]["size"], json!([answer["width"], answer["height"]]));
    assert!(says(&answer, WORDS) && says(&answer, "Cinnamon bun 2.45"));
    let vision = json!({"model": "page-reader", "used": true, "prompt_tokens": 700, "completion_tokens": 90});
    assert_eq!(answer["vision"], vision);
    assert_eq!(answer["plan"]["vision"], "page-reader");
    let models = answer["selected_models"].as_array().unwrap();
    assert_eq!(models.last().unwrap(), "page-reader");
    assert!(models.len() > 2, "{models:?}");
    let blocks = answer["blocks"].as_array().unwrap();
    let kinds: Vec<&str> = blocks.iter().map(|b| b["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "heading",
            "paragraph",
            "table",
            "list",
            "formula",
            "paragraph"
        ]
    );
    assert_eq!(blocks[2]["table"]["rows"], 6);
    // The engine's lines say where each block stands: from top to bottom, all of them in one.
    let lines = answer["lines"].as_array().unwrap();
    let mut held: Vec<u64> = blocks
        .iter()
        .flat_map(|b| b["lines"].as_array().unwrap())
        .map(|i| i.as_u64().unwrap())
        .collect();
    held.sort_unstable();
    assert_eq!(held, (0..lines.len() as u64).collect::<Vec<_>>());
    let top = |block: &Value| block["box"][0][1].as_f64().unwrap();
    assert!(top(&blocks[0]) < top(&blocks[2]) && top(&blocks[2]) < top(&blocks[5]));

    // Again from the cache, in another form, too.
    let markdown = read(&server, sample("receipt.jpg"), "text/markdown").await;
    assert!(markdown.starts_with("# CORNER BAKERY\n"), "{markdown}");
    assert!(markdown.contains("| Flat white | 9.30 |"), "{markdown}");
    assert!(
        markdown.contains("\n$$23.50 + 4.70 = 28.20$$\n"),
        "{markdown}"
    );
    assert!(model.asked().is_empty());
    for kind in ["text/html", "text/vnd.hocr+html", "application/pdf"] {
        assert!(!read(&server, sample("receipt.jpg"), kind).await.is_empty());
    }
    // Another model, and none, have answers of their own.
    let other = stand.server(&model.options(&url, "other-reader")).await;
    let answer = read_json(&other, sample("receipt.jpg")).await;
    assert_eq!(answer["vision"]["model"], "other-reader");
    assert_eq!(model.asked().len(), 1);
    let alone = stand.server(&[]).await;
    let answer = read_json(&alone, sample("receipt.jpg")).await;
    assert!(answer.get("vision").is_none() && !says(&answer, WORDS));
    assert!(
        alone
            .json("/api/capabilities")
            .await
            .get("vision")
            .is_none()
    );

    // A picture of a job.
    let place = create(&server, form(sample("rotated.jpg"), &precise())).await;
    let over = done(&server, &place).await;
    assert_eq!(over["done"], 1);
    let asked = model.asked();
    let page = &over["results"][0]["document"];
    let (width, height) = (&page["width"], &page["height"]);
    let turn = page["turn"].as_u64().unwrap();
    let upright = match turn {
        90 | 270 => json!([height, width]),
        _ => json!([width, height]),
    };
    assert_eq!(asked[0]["size"], upright, "turn {turn}");
    // Each page of a scan, whatever text was laid under it; here the answer is another page's.
    let pdf = std::fs::read(documents::pdf(stand.folder())).unwrap();
    let answer = read_json(&server, pdf.clone()).await;
    assert!(!says(&answer, WORDS), "{}", answer["text"]);
    assert_eq!(model.asked().len(), 2);
    for page in answer["pages"].as_array().unwrap() {
        assert_eq!(page["vision"]["used"], false);
    }
    // Pages that are told of one by one are told of as they are in the end.
    let lines = read(&server, pdf, "application/x-ndjson").await;
    let told: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let pages = told
        .iter()
        .filter(|l| l.to_string().contains("page-reader"))
        .count();
    assert!(pages >= 2, "{lines}");
    assert_eq!(model.asked().len(), 2);
    assert_eq!(server.metric("maoocr_vision_up", "").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_it_does_the_page_is_read() {
    let stand = Stand::sqlite();
    let model = Model::start();
    let url = model.url();
    let options = [&model.options(&url, "page-reader")[..], &["--cache", "64"]].concat();
    let server = stand.server(&options).await;
    for (mode, reason, attempts) in [
        ("slow", "in time", 1),
        ("long", "too long", 1),
        ("loop", "not what the page shows", 1),
        ("other", "not what the page shows", 1),
        ("garbage", "not a chat completion", 1),
        ("text", "not a chat completion", 1),
        ("key", "refused the key (status 401)", 1),
        ("broken", "status 500", 3),
    ] {
        model.mode(mode).await;
        let answer = read_json(&server, sample("receipt.jpg")).await;
        assert!(
            says(&answer, "CORNER BAKERY") && !says(&answer, WORDS),
            "{mode}"
        );
        let vision = &answer["vision"];
        assert_eq!(vision["used"], false, "{mode}");
        assert!(
            vision["reason"].as_str().unwrap().contains(reason),
            "{mode}: {vision}"
        );
        let reasons = answer["plan"]["reasons"].as_array().unwrap();
        let last = reasons.last().unwrap().as_str().unwrap();
        assert!(
            last.contains("without page-reader") && last.contains(reason),
            "{last}"
        );
        let models = answer["selected_models"].as_array().unwrap();
        assert!(!models.contains(&json!("page-reader")));
        assert_eq!(model.asked().len(), attempts, "{mode}");
        if mode == "text" {
            // What failed is not in the cache; nor do failures count that aren't in a row.
            model.mode("right").await;
            assert!(says(
                &read_json(&server, sample("receipt.jpg")).await,
                WORDS
            ));
            model.asked();
            // From here on, another page.
            server.delete("/api/history").send().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_again_and_then_not_for_a_while() {
    let stand = Stand::sqlite();
    let model = Model::start();
    let url = model.url();
    let options = [&model.options(&url, "page-reader")[..], &["--cache", "0"]].concat();
    let server = stand.server(&options).await;
    for mode in ["once-broken", "busy"] {
        model.mode(mode).await;
        assert!(
            says(&read_json(&server, sample("receipt.jpg")).await, WORDS),
            "{mode}"
        );
        assert_eq!(model.asked().len(), 2, "{mode}");
    }
    // Five pages, of which each fails three times; then nobody asks.
    model.mode("broken").await;
    for _ in 0..5 {
        let available = &server.json("/api/capabilities").await["vision"]["available"];
        assert_eq!(available, true);
        read_json(&server, sample("receipt.jpg")).await;
    }
    assert_eq!(model.asked().len(), 15);
    model.mode("right").await;
    let answer = read_json(&server, sample("receipt.jpg")).await;
    assert!(
        answer["vision"]["reason"]
            .as_str()
            .unwrap()
            .contains("several times"),
        "{}",
        answer["vision"]
    );
    assert!(model.asked().is_empty());
    assert_eq!(
        server.json("/api/capabilities").await["vision"]["available"],
        false
    );
    assert_eq!(server.metric("maoocr_vision_up", "").await, 0.0);
    assert_eq!(server.metric("maoocr_vision_total", "open").await, 1.0);
    // After the pause one page finds out.
    tokio::time::sleep(Duration::from_millis(20_100)).await;
    assert!(says(
        &read_json(&server, sample("receipt.jpg")).await,
        WORDS
    ));
    assert_eq!(
        server.json("/api/capabilities").await["vision"]["available"],
        true
    );
    assert_eq!(server.metric("maoocr_vision_total", "read").await, 3.0);
    // A server that is gone is like one that fails.
    drop(model);
    let answer = read_json(&server, sample("receipt.jpg")).await;
    assert!(says(&answer, "CORNER BAKERY"));
    assert!(
        answer["vision"]["reason"]
            .as_str()
            .unwrap()
            .contains("reached"),
        "{}",
        answer["vision"]
    );
}
