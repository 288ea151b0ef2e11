//! Documents as jobs: page by page, whatever happens to the servers.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::contract::text_of;
use crate::jobs::{create, done};
use crate::pdfs::{self, Page, numbered};
use crate::stand::{PATIENCE, Server, Stand, problem, sample};

fn form(files: &[(&str, Vec<u8>)]) -> Form {
    files.iter().fold(Form::new(), |form, (name, bytes)| {
        let part = Part::bytes(bytes.clone()).file_name(name.to_string());
        form.part("image", part)
    })
}

/// Checks that a document has these sheets, each once and in order, with all that they say.
fn all_once(document: &Value, sheets: std::ops::Range<usize>) {
    let pages = document["pages"].as_array().unwrap();
    assert_eq!(pages.len(), sheets.len());
    for (page, sheet) in pages.iter().zip(sheets) {
        assert_eq!(
            (&page["index"], &page["id"]),
            (&json!(sheet), &document["id"])
        );
        let text = page["text"].as_str().unwrap();
        for line in 1..=6 {
            let said = format!("Line {line} of sheet {sheet} says");
            assert_eq!(text.matches(&said).count(), 1, "{text}");
        }
        assert_eq!(text.matches("Line").count(), 6, "{text}");
    }
    let whole: Vec<&str> = pages
        .iter()
        .map(|page| page["text"].as_str().unwrap())
        .collect();
    assert_eq!(document["text"], whole.join("\n\n"));
}

/// Waits until so many pages of a job are done, or it is over.
async fn until(server: &Server, place: &str, pages: u64) -> Value {
    let began = Instant::now();
    loop {
        let job = server.json(&format!("{place}?limit=0")).await;
        if job["done"].as_u64().unwrap() >= pages || job["state"] == "done" {
            return job;
        }
        assert!(began.elapsed() < PATIENCE, "{job} {}", server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_servers_go_on_at_the_page_where_they_were() {
    let file = pdfs::pdf(&(0..40).map(numbered).collect::<Vec<_>>());
    for stand in Stand::both() {
        let options = ["--workers", "1", "--lease", "1", "--cache", "0"];
        // Where replicas can share a database, there are two.
        let replicas = if stand.postgres.is_some() { 2 } else { 1 };
        let mut servers = Vec::new();
        for _ in 0..replicas {
            servers.push(stand.server(&options).await);
        }
        let place = create(&servers[0], form(&[("forty.pdf", file.clone())])).await;
        let mut before = 0;
        for kill in 0..2 {
            let killed = kill % replicas;
            let amid = until(&servers[killed], &place, before + 6).await;
            assert_eq!(
                (&amid["state"], &amid["total"]),
                (&json!("running"), &json!(40))
            );
            servers[killed].signal("KILL");
            servers[killed].wait();
            servers[killed] = stand.server(&options).await;
            before = until(&servers[killed], &place, 0).await["done"]
                .as_u64()
                .unwrap();
        }
        assert!(before < 40, "it was done before it could be killed");
        let job = done(&servers[0], &place).await;
        let counts = (&job["state"], &job["total"], &job["done"], &job["failed"]);
        assert_eq!(counts, (&json!("done"), &json!(40), &json!(40), &json!(0)));
        all_once(&job["results"][0]["document"], 0..40);
        // Nothing was read anew that had been read: the servers that live now have read what was left, and what the killed
        // one had in hand.
        let mut read = 0.0;
        for server in &servers {
            read += server.metric("maoocr_pictures_total", "read").await;
        }
        if replicas == 1 {
            assert!(read <= 40.0 - before as f64 + 2.0, "{read} after {before}");
        }
        let history = servers[0].json("/api/history").await;
        let entries = history["entries"].as_array().unwrap();
        assert_eq!(
            (entries.len(), &entries[0]["name"]),
            (1, &json!("forty.pdf"))
        );
        let id = entries[0]["id"].as_str().unwrap();
        let kept = servers[0].json(&format!("/api/history/{id}")).await;
        all_once(&kept, 0..40);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_page_is_blank_and_all_others_are_read() {
    for stand in Stand::both() {
        let server = stand
            .server(&["--keep-originals", "--max-pages", "5"])
            .await;
        let pages = [Page::Vast, numbered(1), numbered(2), Page::Vast];
        let files = [
            ("some.pdf", pdfs::pdf(&pages)),
            ("none.pdf", pdfs::pdf(&[Page::Vast, Page::Vast])),
            (
                "long.pdf",
                pdfs::pdf(&(0..6).map(numbered).collect::<Vec<_>>()),
            ),
            ("photo.png", sample("photo.png")),
            ("strip.tiff", crate::api::tiff(&["dark.png"; 3])),
        ];
        let place = create(&server, form(&files)).await;
        let job = done(&server, &place).await;
        // Two of four, none of two, one file that is too long, a picture, and three of three.
        let counts = (&job["total"], &job["done"], &job["failed"]);
        assert_eq!(counts, (&json!(11), &json!(6), &json!(5)), "{job}");
        let results = job["results"].as_array().unwrap();
        let states: Vec<&str> = results
            .iter()
            .map(|r| r["state"].as_str().unwrap())
            .collect();
        assert_eq!(states, ["done", "failed", "failed", "done", "done"]);
        let document = &results[0]["document"];
        let codes: Vec<&Value> = document["pages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|page| &page["error"]["code"])
            .collect();
        let bad = json!("too_many_pixels");
        assert_eq!(codes, [&bad, &Value::Null, &Value::Null, &bad]);
        assert_eq!(
            (&document["pages"][3]["index"], &document["error"]),
            (&json!(3), &Value::Null)
        );
        assert!(document["text"].as_str().unwrap().contains("sheet 2 says"));
        assert_eq!(results[1]["error"]["code"], bad);
        assert_eq!(results[2]["error"]["code"], "too_many_pages");

        // One document in the history, in every form.
        let history = server.json("/api/history").await;
        assert_eq!(history["entries"].as_array().unwrap().len(), 3);
        let id = document["id"].as_str().unwrap();
        for form in ["md", "html", "hocr", "alto", "tsv", "txt", "ndjson"] {
            let kept = server.get(&format!("/api/history/{id}?format={form}"));
            let text = kept.send().await.unwrap().text().await.unwrap();
            assert!(
                text.contains("sheet") && text.contains("fox"),
                "{form}: {text}"
            );
        }
        let made = server
            .get(&format!("/api/history/{id}?format=pdf"))
            .send()
            .await
            .unwrap();
        let made = made.bytes().await.unwrap();
        let file = stand.folder().join("made.pdf");
        std::fs::write(&file, made).unwrap();
        assert!(text_of(&file).contains("Line 6 of sheet 2 says"));

        // What is bad stays bad, and what is good stays as it is.
        let retried = server.post(&format!("{place}/retry")).send().await.unwrap();
        let retried: Value = retried.json().await.unwrap();
        assert_eq!(
            (&retried["state"], &retried["failed"]),
            (&json!("running"), &json!(0))
        );
        let again = done(&server, &place).await;
        assert_eq!((&again["done"], &again["failed"]), (&json!(6), &json!(5)));
        assert_eq!(&again["results"][0]["document"], document);
        let history = server.json("/api/history").await;
        assert_eq!(history["entries"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_to_wait_for_becomes_a_job() {
    let stand = Stand::sqlite();
    let options = ["--max-pages-at-once", "2", "--max-pages", "4"];
    let server = stand.server(&options).await;
    let file = stand.folder().join("plain.pdf");
    let locked = stand.folder().join("locked.pdf");
    std::fs::write(&file, pdfs::pdf(&(0..5).map(numbered).collect::<Vec<_>>())).unwrap();
    let made = Command::new("qpdf")
        .args(["--encrypt", "secret", "owner", "256", "--"])
        .arg(&file)
        .arg(&locked)
        .status();
    assert!(made.unwrap().success());
    let locked = std::fs::read(&locked).unwrap();
    let send = async |server: &Server, route: &str, query: &str, accept: &str| {
        let request = server
            .post(&format!("/api/ocr/{route}?password=secret{query}"))
            .header("content-type", "application/pdf")
            .header("accept", accept);
        request.body(locked.clone()).send().await.unwrap()
    };
    for accept in ["application/json", "application/x-ndjson", "text/markdown"] {
        let answer = send(&server, "recognize", "&pages=2-4", accept).await;
        assert_eq!(answer.status(), 202, "{accept}");
        let place = answer.headers()["location"].to_str().unwrap().to_string();
        let job: Value = answer.json().await.unwrap();
        assert_eq!(place, format!("/api/jobs/{}", job["id"].as_str().unwrap()));
        let job = done(&server, &place).await;
        all_once(&job["results"][0]["document"], 1..4);
    }
    let at_once = send(&server, "recognize", "&pages=2-3", "application/json").await;
    assert_eq!(at_once.status(), 200);
    // More than a job reads; an interface that knows no jobs; a form that is made of the file, which nobody keeps.
    for (route, query) in [
        ("recognize", ""),
        ("recognize-with-requirements", "&pages=2-4"),
        ("recognize", "&pages=2-4&format=pdf"),
    ] {
        let refused = send(&server, route, query, "*/*").await;
        let (status, code, _) = problem(refused).await;
        assert_eq!((status, &*code), (413, "too_many_pages"), "{route} {query}");
    }
    // Nor does it become a job of somebody who may have none.
    let keys = |scopes: &str| {
        let arguments = ["keys", "create", "--name", "k", "--scopes", scopes];
        let output = stand.command().args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    };
    let (may, may_not) = (keys("recognize,jobs"), keys("recognize"));
    let more = ["--auth", "keys", "--job-rate", "1"];
    let server = stand.server(&[&options[..], &more].concat()).await;
    let send = async |key: &str| {
        let request = server
            .post("/api/ocr/recognize?password=secret&pages=2-4")
            .header("content-type", "application/pdf")
            .bearer_auth(key);
        request.body(locked.clone()).send().await.unwrap()
    };
    assert_eq!(send(&may).await.status(), 202);
    assert_eq!(problem(send(&may_not).await).await.0, 413);
    // Each of the three pages has counted: as one, the file would cost a minute.
    let (status, code, answer) = problem(send(&may).await).await;
    assert_eq!((status, code.as_str()), (429, "rate_limited"));
    assert!(answer["retry_after"].as_u64().unwrap() > 60, "{answer}");
}

/// Makes the compression of a TIFF's page one that nobody knows.
fn damage(tiff: &mut [u8], page: usize) {
    let tag = [3, 1, 3, 0, 1, 0, 0, 0, 1, 0];
    let places = tiff.windows(tag.len()).enumerate();
    let mut places = places.filter(|(_, bytes)| *bytes == tag);
    let (at, _) = places.nth(page).unwrap();
    tiff[at + 8..at + 10].copy_from_slice(&50_000u16.to_le_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_tiff_are_read_one_by_one_and_kept_in_the_cache() {
    let mut file = crate::api::tiff(&["dark.png", "transparent.png", "quantities.png"]);
    damage(&mut file, 1);
    for stand in Stand::both() {
        let server = stand.server(&["--workers", "1", "--keep-originals"]).await;
        let mut documents = Vec::new();
        for _ in 0..2 {
            let place = create(&server, form(&[("three.tiff", file.clone())])).await;
            let job = done(&server, &place).await;
            let counts = (&job["total"], &job["done"], &job["failed"]);
            assert_eq!(counts, (&json!(3), &json!(2), &json!(1)), "{job}");
            documents.push(job["results"][0]["document"].clone());
        }
        let [first, second] = &documents[..] else {
            unreachable!("two jobs")
        };
        assert_eq!(first["pages"].as_array().unwrap().len(), 3);
        assert_eq!(first["pages"][1]["error"]["code"], "unsupported");
        assert!(first["text"].as_str().unwrap().contains("Olive oil"));
        // The second job had its pages from the cache.
        assert_eq!(first["text"], second["text"]);
        for page in [0, 2] {
            assert_eq!(first["pages"][page]["timings"]["cache"], Value::Null);
            assert!(second["pages"][page]["timings"]["cache"].is_number());
            assert_eq!(second["pages"][page]["id"], second["id"]);
        }
        // So has whoever wants one page of it.
        let part = Part::bytes(file.clone()).file_name("three.tiff");
        let form = Form::new().part("image", part).text("pages", "3");
        let alone = server.post("/api/ocr/recognize").multipart(form);
        let alone = alone.send().await.unwrap();
        assert_eq!(alone.headers()["x-maoocr-cache"], "hit");
        let id = second["id"].as_str().unwrap();
        let made = server.get(&format!("/api/history/{id}?format=md"));
        let made = made.send().await.unwrap().text().await.unwrap();
        assert!(made.contains("Olive oil"), "{made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_file_stops_amid_its_pages_and_keeps_those_that_were_read() {
    for stand in Stand::both() {
        let server = stand.server(&["--workers", "1", "--cache", "0"]).await;
        let file = pdfs::pdf(&(0..40).map(numbered).collect::<Vec<_>>());
        let place = create(&server, form(&[("forty.pdf", file)])).await;
        until(&server, &place, 3).await;
        let cancelled = server.delete(&place).send().await.unwrap();
        assert_eq!(cancelled.status(), 200);
        let job = done(&server, &place).await;
        assert_eq!(job["state"], "cancelled");
        let count = job["done"].as_u64().unwrap();
        assert!((3..40).contains(&count), "{job}");
        let pages = job["results"][0]["document"]["pages"].as_array().unwrap();
        assert_eq!(pages.len() as u64, count);
        assert_eq!(server.metric("maoocr_jobs_backlog", "").await, 0.0);
        let history = server.json("/api/history").await;
        assert_eq!(history["entries"], json!([]));
    }
}
