//! Answers that come page by page.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use crate::pdfs::{self, Page, numbered};
use crate::stand::{PATIENCE, Server, Stand, problem, sample};

async fn send(server: &Server, query: &str, file: Vec<u8>, deadline: Option<Duration>) -> Response {
    let mut request = server
        .post(&format!("/api/ocr/recognize{query}"))
        .header("content-type", "application/octet-stream")
        .header("accept", "application/x-ndjson")
        .body(file);
    if let Some(deadline) = deadline {
        request = request.header("x-maoocr-deadline-ms", deadline.as_millis().to_string());
    }
    request.send().await.unwrap()
}

/// The lines of a text.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An answer's first line, before the rest.
async fn first(answer: &mut Response) -> Value {
    assert_eq!(answer.status(), 200);
    let mut text = Vec::new();
    while !text.contains(&b'\n') {
        let chunk = tokio::time::timeout(PATIENCE, answer.chunk()).await;
        text.extend(chunk.unwrap().unwrap().expect("a line"));
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap();
    serde_json::from_slice(line).unwrap()
}

/// Pages that must be read as pictures.
fn long() -> Vec<u8> {
    pdfs::pdf(&(0..8).map(numbered).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_a_line_and_the_last_line_sums_up() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--cache", "64"]).await;
    let file = pdfs::pdf(&[Page::Vast, numbered(1), Page::Vast, numbered(3)]);

    let answer = send(&server, "", file.clone(), None).await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let lines_of = lines(&answer.text().await.unwrap());
    assert_eq!(lines_of.len(), 5);
    for (line, index) in lines_of[..4].iter().zip(0..) {
        assert_eq!(line["index"], index);
        assert_eq!((&line["read"], &line["of"]), (&json!(index + 1), &json!(4)));
        let lost = index % 2 == 0;
        assert_eq!(line["error"]["code"] == "too_many_pixels", lost, "{line}");
        let text = line["text"].as_str().unwrap();
        assert_eq!(
            text.contains(&format!("sheet {index} says")),
            !lost,
            "{text}"
        );
    }
    let summary = &lines_of[4];
    assert_eq!(summary["page_count"], 4);
    assert_eq!(summary["errors"].as_array().unwrap().len(), 2);
    assert_eq!(summary["errors"][1]["index"], 2);
    assert_eq!(summary["id"], lines_of[1]["id"]);
    assert!(summary["plan"]["reasons"].is_array() && summary["timings"].is_object());

    // The history has the same, in every form.
    let kept = format!("/api/history/{}", summary["id"].as_str().unwrap());
    let later = server
        .get(&format!("{kept}?format=ndjson"))
        .send()
        .await
        .unwrap();
    assert_eq!(lines(&later.text().await.unwrap()), lines_of);
    let text = server
        .get(&format!("{kept}?format=hocr"))
        .send()
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    assert!(text.contains("fox"), "{text}");

    // A form without a place for errors must have all pages, and none of it comes from a cache that lacks some.
    let request = server
        .post("/api/ocr/recognize?format=md")
        .header("content-type", "application/pdf");
    let whole = request.body(file.clone()).send().await.unwrap();
    assert_eq!(problem(whole).await.1, "too_many_pixels");

    // Each line is what the whole answer has of the page.
    let request = server
        .post("/api/ocr/recognize?pages=2,4")
        .header("content-type", "application/pdf");
    let whole: Value = request
        .body(file.clone())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for hit in [true, false] {
        let query = if hit {
            "?pages=2,4"
        } else {
            "?pages=2,4&text_layer=auto&language=english"
        };
        let lines = lines(
            &send(&server, query, file.clone(), None)
                .await
                .text()
                .await
                .unwrap(),
        );
        assert_eq!(lines.len(), 3);
        for (line, page) in lines.iter().zip(whole["pages"].as_array().unwrap()) {
            for field in ["text", "lines", "blocks", "width", "index", "text_layer"] {
                assert_eq!(line[field], page[field], "{field}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_is_a_problem_with_a_status() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let refused =
        async |query: &str, file: Vec<u8>| problem(send(&server, query, file, None).await).await;
    let (status, code, _) = refused("", b"no picture".to_vec()).await;
    assert_eq!((status, &*code), (415, "unknown_format"));
    let (status, code, _) = refused("", pdfs::pdf(&[Page::Vast, Page::Vast])).await;
    assert_eq!((status, &*code), (413, "too_many_pixels"));
    let (status, code, _) = refused("?pages=9", pdfs::pdf(&[numbered(0)])).await;
    assert_eq!((status, &*code), (422, "no_pages"));
    // A picture has lines, too.
    let answer = send(&server, "", sample("photo.png"), None).await;
    let lines = lines(&answer.text().await.unwrap());
    assert_eq!(
        (lines.len(), &lines[0]["index"], &lines[0]["of"]),
        (2, &json!(0), &json!(1))
    );
    assert_eq!(lines[1]["page_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_comes_while_others_are_read_and_hanging_up_stops_them() {
    let stand = Stand::sqlite();
    let options = ["--workers", "1", "--cache", "0", "--deadline", "600"];
    let quota = ["--rate", "1000", "--max-requests-by-caller", "1"];
    let options = [&options[..], &quota].concat();
    let server = stand.server(&options).await;
    let mut answer = send(&server, "?text_layer=never", long(), None).await;
    let line = first(&mut answer).await;
    assert!(
        line["text"].as_str().unwrap().contains("sheet 0 says"),
        "{line}"
    );
    // As long as its lines come, it counts as open.
    let (status, code, _) = problem(server.recognize(sample("photo.png")).await).await;
    assert_eq!((status, &*code), (429, "too_many_at_once"));
    drop(answer);
    let began = Instant::now();
    while server.metric("maoocr_workers_busy", "").await > 0.0 {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Had the line come after the last page, or had nothing been stopped, the file would have been read.
    assert_eq!(server.metric("maoocr_pictures_total", "read").await, 0.0);
    let history = server.json("/api/history").await;
    assert_eq!(history["entries"], json!([]));
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_amid_the_pages_is_the_last_line() {
    let stand = Stand::sqlite();
    let server = stand
        .server(&["--workers", "1", "--cache", "0", "--deadline", "600"])
        .await;
    let file = long();
    send(&server, "?text_layer=never&pages=1", file.clone(), None).await;
    // What else the machine does may change between the two: then they are measured anew.
    let mut tries = 0;
    let lines = loop {
        let began = Instant::now();
        send(&server, "?text_layer=never", file.clone(), None)
            .await
            .bytes()
            .await
            .unwrap();
        // Time for the first page, but not for all.
        let third = Some(began.elapsed() / 3);
        let answer = send(&server, "?text_layer=never", file.clone(), third).await;
        let lines = lines(&answer.text().await.unwrap());
        if (2..9).contains(&lines.len()) {
            break lines;
        }
        tries += 1;
        assert!(tries < 5, "{}", lines.len());
    };
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["code"], &last["status"]),
        (&json!("deadline_exceeded"), &json!(504))
    );
}
