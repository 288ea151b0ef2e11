//! PDFs, pages and forms of answers, as callers of each interface get them.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maoocr_tests::{Limits, binary, run, samples};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::contract::text_of;
use crate::jobs;
use crate::pdfs::{self, Page, numbered};
use crate::stand::{Server, Stand, problem};

/// A PDF of two scanned pages, as `maoocr pdf` makes it of pictures.
pub fn pdf(folder: &Path) -> PathBuf {
    let pages = folder.join("pages");
    std::fs::create_dir_all(&pages).unwrap();
    for (number, sample) in ["photo.png", "dark.png"].into_iter().enumerate() {
        std::fs::copy(samples().join(sample), pages.join(format!("{number}.png"))).unwrap();
    }
    let pdf = folder.join("two.pdf");
    let made = Command::new(binary().unwrap())
        .args(["pdf", "--offline", "--device", "cpu"])
        .arg(&pages)
        .arg("-o")
        .arg(&pdf)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    pdf
}

/// What `maoocr recognize` writes of a file.
fn native(file: &Path, more: &[&str]) -> String {
    let file = file.display().to_string();
    let mut arguments = vec!["recognize", "--offline", "--device", "cpu", &file];
    arguments.extend(more);
    run(&arguments, &Limits::default()).unwrap().stdout
}

async fn sent(server: &Server, query: &str, pdf: &[u8]) -> reqwest::Response {
    let request = server
        .post(&format!("/api/ocr/recognize{query}"))
        .header("content-type", "application/pdf")
        .body(pdf.to_vec());
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pdf_reads_as_by_the_command_in_every_form() {
    let stand = Stand::sqlite();
    let file = pdf(stand.folder());
    let bytes = std::fs::read(&file).unwrap();
    let text = text_of(&file);
    let once = (
        text.matches("Region-based").count(),
        text.matches("Compiling serde").count(),
    );
    assert!(once.0 > 0 && once.1 > 0, "{text}");
    let server = stand.server(&["--cache", "64"]).await;

    let answer = sent(&server, "", &bytes).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let pages = answer["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 2);
    assert_eq!(pages[1]["index"], 1);
    assert!(pages[0]["blocks"][0]["text"].is_string(), "{}", pages[0]);
    let id = answer["id"].as_str().unwrap();

    for form in ["md", "html", "hocr", "alto", "tsv", "csv"] {
        let wanted = native(&file, &["--format", form]);
        let got = sent(&server, &format!("?format={form}"), &bytes).await;
        assert_eq!(got.status(), 200, "{form}");
        assert_eq!(got.headers()["x-maoocr-cache"], "hit", "{form}");
        let got = got.text().await.unwrap();
        let later = server.get(&format!("/api/history/{id}?format={form}"));
        let later = later.send().await.unwrap().text().await.unwrap();
        if form == "md" || form == "csv" {
            assert_eq!(got.trim_end(), wanted.trim_end(), "{form}");
        }
        // The command names the file and shows pictures in HTML; boxes are rounded in answers.
        for text in [&got, &later] {
            let whole = ["Region-based", "Finished"]
                .iter()
                .all(|word| text.contains(word));
            assert!(whole || form == "csv", "{form}: {text}");
        }
    }
    let request = server
        .post("/api/ocr/recognize")
        .header("accept", "text/markdown")
        .multipart(
            Form::new()
                .part("image", Part::bytes(bytes.clone()).file_name("two.pdf"))
                .text("pages", "2"),
        );
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_string();
    assert_eq!(kind, "text/markdown; charset=utf-8");
    let second = native(&file, &["--format", "md", "--pages", "2"]);
    assert_eq!(response.text().await.unwrap().trim_end(), second.trim_end());

    // As a PDF, whose text is there once: what an older program laid over the pages makes way.
    for query in ["?format=pdf", "?format=pdf&text_layer=never"] {
        let made = sent(&server, query, &bytes).await;
        assert_eq!(made.headers()["content-type"], "application/pdf");
        let place = stand.folder().join("made.pdf");
        std::fs::write(&place, made.bytes().await.unwrap()).unwrap();
        let text = text_of(&place);
        let count = |word: &str| text.matches(word).count();
        assert_eq!(
            (count("Region-based"), count("Compiling serde")),
            once,
            "{query}"
        );
    }
    let gone = server.get(&format!("/api/history/{id}?format=pdf"));
    let (status, code, _) = problem(gone.send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (422, "original_not_kept"));

    let capabilities = server.json("/api/capabilities").await;
    let names: Vec<&str> = capabilities["formats"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|form| form["name"].as_str())
        .collect();
    assert!(names.contains(&"alto"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn choices_that_cannot_be_met_are_refused_by_name() {
    let stand = Stand::sqlite();
    let file = pdf(stand.folder());
    let bytes = std::fs::read(&file).unwrap();
    let locked = stand.folder().join("locked.pdf");
    let made = Command::new("qpdf")
        .args(["--encrypt", "secret", "owner", "256", "--"])
        .arg(&file)
        .arg(&locked)
        .status()
        .unwrap();
    assert!(made.success());
    let locked = std::fs::read(&locked).unwrap();
    let server = stand
        .server(&["--max-pages-at-once", "1", "--max-pages", "1"])
        .await;

    for (query, status, code) in [
        ("?format=page", 422, "single_page"),
        ("", 413, "too_many_pages"),
        ("?pages=1-2", 413, "too_many_pages"),
        ("?pages=7", 422, "no_pages"),
        ("?pages=2,7", 422, "no_such_page"),
        ("?pages=0", 422, "invalid_pages"),
        ("?pages=1&format=doc", 422, "invalid_format"),
        ("?pages=1&text_layer=maybe", 422, "invalid_text_layer"),
    ] {
        let (got, name, refused) = problem(sent(&server, query, &bytes).await).await;
        assert_eq!((got, name.as_str()), (status, code), "{query}");
        assert!(refused["field"].is_string(), "{query}: {refused}");
    }
    let one = sent(&server, "?pages=2", &bytes).await;
    assert_eq!(one.status(), 200);

    let (status, _, refused) = problem(sent(&server, "?pages=1", &locked).await).await;
    assert_eq!(status, 422, "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("password"), "{detail}");
    let read = sent(&server, "?pages=1&password=secret", &locked).await;
    assert_eq!(read.status(), 200);

    // Passwords beyond ASCII, in files whose encryption has an encoding of its own for them.
    for bits in ["128", "256"] {
        let odd = stand.folder().join("odd.pdf");
        let made = Command::new("qpdf")
            .args([
                "--allow-weak-crypto",
                "--encrypt",
                "Motörhead",
                "Ärger",
                bits,
                "--",
            ])
            .arg(&file)
            .arg(&odd)
            .status()
            .unwrap();
        assert!(made.success());
        let odd = std::fs::read(&odd).unwrap();
        for (password, wanted) in [
            ("Mot%C3%B6rhead", 200),
            ("%C3%84rger", 200),
            ("Motorhead", 422),
        ] {
            let query = format!("?pages=1&password={password}");
            let got = sent(&server, &query, &odd).await;
            assert_eq!(got.status(), wanted, "{bits} {password}");
            if wanted == 422 {
                assert_eq!(problem(got).await.1, "password_wrong", "{bits}");
            }
        }
    }

    // A TIFF is refused for its pages before any is read: all of them were counted. Callers of this route get no job.
    let second = stand.server(&["--max-pages-at-once", "1"]).await;
    let tiff = Part::bytes(crate::api::tiff(&["dark.png"; 12]));
    let request = second.post("/api/ocr/recognize-with-requirements");
    let refused = request.multipart(Form::new().part("image", tiff)).send();
    let refused = refused.await.unwrap();
    let (status, code, refused) = problem(refused).await;
    assert_eq!((status, code.as_str()), (413, "too_many_pages"));
    assert!(
        refused["detail"].as_str().unwrap().starts_with("12 pages"),
        "{refused}"
    );

    // Cut off, and not even one.
    for broken in [&bytes[..bytes.len() / 3], b"%PDF-1.7\n%%EOF"] {
        let (status, _, refused) = problem(sent(&server, "?pages=1", broken).await).await;
        assert!(status < 500, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_page_leaves_the_others_where_the_answer_can_say_so() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let file = pdfs::pdf(&[numbered(1), Page::Vast, numbered(3)]);

    let answer = sent(&server, "", &file).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let answer: Value = answer.json().await.unwrap();
    let page = |index: usize| &answer["pages"][index];
    assert_eq!(page(1)["error"]["code"], "too_many_pixels", "{answer}");
    assert_eq!((page(0).get("error"), page(2).get("error")), (None, None));
    assert!(page(2)["text"].as_str().unwrap().contains("sheet 3 says"));
    // What is incomplete isn't kept for the next caller.
    let again = sent(&server, "", &file).await;
    assert_eq!(again.headers()["x-maoocr-cache"], "miss");

    let whole = problem(sent(&server, "?format=md", &file).await).await;
    assert_eq!(whole.1, "too_many_pixels");
    let detail = whole.2["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("page 2") && detail.contains("`pages`"),
        "{detail}"
    );
    let others = sent(&server, "?format=md&pages=1,3", &file).await;
    assert_eq!(others.headers().get("cache-control"), None);
    assert!(others.text().await.unwrap().contains("sheet 3 says"));

    // The history has what was read, in every form, of the pages that were.
    let kept = |query: &str| {
        let path = format!("/api/history/{}{query}", answer["id"].as_str().unwrap());
        server.get(&path).send()
    };
    for form in ["md", "txt", "hocr"] {
        let all = kept(&format!("?format={form}")).await.unwrap();
        assert_eq!(all.headers()["x-maoocr-lost-pages"], "2", "{form}");
        let all = all.text().await.unwrap();
        let others = kept(&format!("?format={form}&pages=1,3")).await.unwrap();
        assert_eq!(others.headers().get("x-maoocr-lost-pages"), None);
        for text in [all, others.text().await.unwrap()] {
            assert!(text.contains("sheet") && text.contains("3"), "{form}");
        }
    }
    let whole: Value = kept("").await.unwrap().json().await.unwrap();
    assert_eq!(whole["pages"], answer["pages"]);
    let one = kept("?format=page&pages=3").await.unwrap();
    assert!(one.text().await.unwrap().contains("sheet 3 says"));
    for (pages, code) in [
        ("4", "no_pages"),
        ("1,4", "no_such_page"),
        ("x", "invalid_pages"),
    ] {
        let refused = problem(kept(&format!("?pages={pages}")).await.unwrap()).await;
        assert_eq!(refused.1, code);
    }

    let form = Form::new().part("files", Part::bytes(file).file_name("a.pdf"));
    let converted = server.post("/v1/convert/file").multipart(form);
    let converted: Value = converted.send().await.unwrap().json().await.unwrap();
    assert_eq!(converted["status"], "partial_success");
    assert!(
        converted["errors"][0]["error_message"]
            .as_str()
            .unwrap()
            .starts_with("page 2")
    );
    assert!(
        converted["document"]["md_content"]
            .as_str()
            .unwrap()
            .contains("sheet 3 says")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_other_peoples_clients_choose_pages_and_give_passwords() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let plain = stand.folder().join("plain.pdf");
    std::fs::write(&plain, pdfs::pdf(&[numbered(1), numbered(2)])).unwrap();
    let locked = stand.folder().join("locked.pdf");
    let made = Command::new("qpdf")
        .args(["--encrypt", "secret", "owner", "256", "--"])
        .args([&plain, &locked])
        .status()
        .unwrap();
    assert!(made.success());
    let locked = std::fs::read(&locked).unwrap();
    let encoded = STANDARD.encode(&locked);
    let only_second = |text: &str| {
        assert!(
            text.contains("sheet 2 says") && !text.contains("sheet 1 says"),
            "{text}"
        );
    };

    let form = Form::new().text("password", "secret").text("pages", "2");
    let form = form.part("image", Part::bytes(locked.clone()).file_name("a.pdf"));
    let place = jobs::create(&server, form).await;
    let job = jobs::done(&server, &place).await;
    only_second(job["results"][0]["document"]["text"].as_str().unwrap());

    // What a picture says holds for it alone.
    let images = json!([
        {"image_base64": encoded, "password": "secret"},
        {"image_base64": STANDARD.encode(std::fs::read(&plain).unwrap()), "pages": "1"},
    ]);
    let body = json!({"images": images, "password": "wrong", "pages": "2"});
    let made = server
        .post("/api/ocr/batch")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 202);
    let place = made.headers()["location"].to_str().unwrap().to_string();
    let job = jobs::done(&server, &place).await;
    only_second(job["results"][0]["document"]["text"].as_str().unwrap());
    let text = job["results"][1]["document"]["text"].as_str().unwrap();
    assert!(
        text.contains("sheet 1 says") && !text.contains("sheet 2 says"),
        "{text}"
    );
    let wrong = json!({"images": images, "pages": "2-1"});
    let wrong = server
        .post("/api/ocr/batch")
        .json(&wrong)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(wrong).await.1, "invalid_pages");

    // What a query says holds beside a form or JSON; said twice, it is refused.
    let plain = std::fs::read(&plain).unwrap();
    let form = || Form::new().part("image", Part::bytes(plain.clone()));
    let query = server.post("/api/ocr/recognize?pages=2&format=md");
    only_second(
        &query
            .multipart(form())
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
    );
    let body = json!({"image_base64": STANDARD.encode(&plain)});
    let query = server.post("/api/ocr/recognize?pages=2&document_type=simple_text");
    let answer: Value = query
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    only_second(answer["text"].as_str().unwrap());
    let twice = server.post("/api/ocr/recognize?pages=2");
    let twice = twice
        .multipart(form().text("pages", "2"))
        .send()
        .await
        .unwrap();
    let (status, code, refused) = problem(twice).await;
    assert_eq!(
        (status, code.as_str(), &refused["field"]),
        (422, "given_twice", &json!("pages"))
    );
    let made = server
        .post("/api/ocr/batch?pages=2")
        .multipart(form())
        .send()
        .await
        .unwrap();
    let place = made.headers()["location"].to_str().unwrap().to_string();
    let job = jobs::done(&server, &place).await;
    only_second(job["results"][0]["document"]["text"].as_str().unwrap());
    for query in ["page=2", "format=md"] {
        let wrong = server
            .post(&format!("/api/ocr/batch?{query}"))
            .multipart(form());
        assert_eq!(problem(wrong.send().await.unwrap()).await.0, 422, "{query}");
    }
    // Of several pictures the wrong one is named.
    let images = json!([{"image_base64": STANDARD.encode(&plain)}, {"image_base64": "!"}]);
    let wrong = server
        .post("/api/ocr/batch")
        .json(&json!({"images": images}));
    let (_, code, refused) = problem(wrong.send().await.unwrap()).await;
    assert_eq!(
        (code.as_str(), &refused["field"]),
        ("invalid_base64", &json!("images[1].image_base64"))
    );
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .starts_with("picture 2: "),
        "{refused}"
    );

    let url = format!("data:application/pdf;base64,{encoded}");
    let part = json!({"type": "image_url", "image_url": {"url": url}});
    let chat = json!({
        "messages": [{"role": "user", "content": [part]}], "password": "secret", "pages": "2",
    });
    let answer = server.post("/v1/chat/completions").json(&chat).send();
    let answer: Value = answer.await.unwrap().json().await.unwrap();
    only_second(answer["choices"][0]["message"]["content"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_other_peoples_clients_send_pdfs_too() {
    for stand in Stand::both() {
        let file = pdf(stand.folder());
        let bytes = std::fs::read(&file).unwrap();
        let server = stand.server(&["--max-pages-at-once", "1"]).await;
        // A job takes more pages than an answer that is waited for.
        let form = Form::new().part("image", Part::bytes(bytes.clone()).file_name("two.pdf"));
        let place = jobs::create(&server, form).await;
        let job = jobs::done(&server, &place).await;
        let text = job["results"][0]["document"]["text"]
            .as_str()
            .unwrap_or_default();
        assert!(
            text.contains("Region-based") && text.contains("Compiling serde"),
            "{job}"
        );

        let url = format!("data:application/pdf;base64,{}", STANDARD.encode(&bytes));
        let request = json!({
            "model": "any", "pages": [1],
            "document": {"type": "document_url", "document_url": url},
        });
        let answer = server.post("/v1/ocr").json(&request).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["pages"].as_array().unwrap().len(), 1);
        assert_eq!(answer["pages"][0]["index"], 1);
        let markdown = answer["pages"][0]["markdown"].as_str().unwrap();
        let wanted = native(&file, &["--format", "md", "--pages", "2"]);
        assert_eq!(markdown.trim_end(), wanted.trim_end());
    }
}
