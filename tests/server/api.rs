//! What callers get, on both databases.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maoocr_tests::{Limits, run, samples};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::stand::{Server, Stand, problem, sample};

/// `maoocr recognize`'s text of a sample.
fn native(name: &str) -> String {
    let path = samples().join(name);
    let arguments = ["recognize", "--offline", "--device", "cpu", "--json"];
    let mut arguments: Vec<&str> = arguments.to_vec();
    let path = path.display().to_string();
    arguments.push(&path);
    let ended = run(&arguments, &Limits::default()).unwrap();
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    let page = if answer.is_array() {
        &answer[0]
    } else {
        &answer
    };
    page["text"].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_send_a_picture_gives_the_text_of_the_command() {
    let server = Stand::sqlite();
    let server = server.server(&["--cache", "64"]).await;
    let wanted = native("receipt.jpg");
    let picture = sample("receipt.jpg");
    let base64 = STANDARD.encode(&picture);

    let first = server.recognize(picture.clone()).await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["x-maoocr-cache"], "miss");
    assert!(first.headers().contains_key("x-request-id"));
    let first: Value = first.json().await.unwrap();
    assert_eq!(first["text"], wanted);
    for field in [
        "confidence",
        "processing_time",
        "id",
        "width",
        "height",
        "device",
        "language",
    ] {
        assert!(!first[field].is_null(), "{field}");
    }
    assert_eq!(
        (&first["width"], &first["height"]),
        (&json!(660), &json!(920))
    );
    let models: Vec<&str> = first["selected_models"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m.as_str())
        .collect();
    assert!(models.contains(&"ppocrv6-small-rec"), "{models:?}");
    assert!(
        first["plan"]["reasons"]
            .as_array()
            .is_some_and(|r| !r.is_empty())
    );
    let line = &first["lines"][0];
    assert_eq!(line["box"].as_array().unwrap().len(), 4);
    assert!(line["words"][0]["text"].is_string());

    let answers = [
        server.post("/api/ocr/recognize").json(&json!({"image_base64": base64})),
        server
            .post("/api/ocr/recognize")
            .json(&json!({"image_base64": format!("data:image/jpeg;base64,{base64}"), "requirements": {}})),
        server.post("/api/ocr/recognize").header("content-type", "image/jpeg").body(picture.clone()),
        server.post("/api/ocr/recognize-with-requirements").multipart(
            Form::new()
                .part("image", Part::bytes(picture.clone()).file_name("r.jpg"))
                .text("requirements", "{\"language\": \"auto\"}"),
        ),
    ];
    for request in answers {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-maoocr-cache"], "hit");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["text"], wanted);
        assert_ne!(answer["id"], first["id"]);
    }

    let tiny = server
        .post("/api/ocr/recognize?speed_requirement=high&language=english")
        .header("content-type", "image/jpeg")
        .body(picture)
        .send()
        .await
        .unwrap();
    let tiny: Value = tiny.json().await.unwrap();
    assert_eq!(tiny["plan"]["recogniser"], "ppocrv6-tiny-rec");
    assert_eq!(tiny["language"], "en");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_file_is_in_the_answer() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let answer = server.recognize(two_pages()).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let pages = answer["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 2);
    let text = answer["text"].as_str().unwrap();
    assert!(
        text.contains("Compiling serde") && text.contains("Region-based"),
        "{text}"
    );
}

/// Two samples as a TIFF.
fn two_pages() -> Vec<u8> {
    tiff(&["dark.png", "photo.png"])
}

/// Samples as an uncompressed RGB TIFF.
pub fn tiff(names: &[&str]) -> Vec<u8> {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for name in names {
        let picture = image::load_from_memory(&sample(name)).unwrap().to_rgb8();
        let (width, height) = picture.dimensions();
        let pixels = bytes.len() as u32;
        let size = picture.len() as u32;
        bytes.extend_from_slice(&picture);
        let depths = bytes.len() as u32;
        bytes.extend_from_slice(&[8, 0, 8, 0, 8, 0]);
        let directory = (bytes.len() as u32).next_multiple_of(2);
        bytes.resize(directory as usize, 0);
        bytes[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        let tags: [(u16, u16, u32, u32); 9] = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, depths),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (273, 4, 1, pixels),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, size),
        ];
        bytes.extend_from_slice(&(tags.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in tags {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        link = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_named() {
    let stand = Stand::sqlite();
    let server = stand
        .server(&["--max-megapixels", "1", "--max-file", "1"])
        .await;
    let form = |field: &'static str, bytes: Vec<u8>| {
        Form::new().part(field, Part::bytes(bytes).file_name("x"))
    };
    let send = async |form: Form| {
        problem(
            server
                .post("/api/ocr/recognize")
                .multipart(form)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    let photo = sample("photo.png");

    let (status, code, value) =
        send(form("image", photo.clone()).text("requirements", "{\"language\":\"klingon\"}")).await;
    assert_eq!((status, code.as_str()), (422, "invalid_requirements"));
    assert_eq!(value["field"], "language");
    assert!(
        value["allowed"]
            .as_array()
            .unwrap()
            .contains(&json!("chinese"))
    );
    let (status, code, value) =
        send(form("image", photo.clone()).text("requirements", "{\"speed\":\"high\"}")).await;
    assert_eq!(
        (status, code.as_str(), &value["field"]),
        (422, "invalid_requirements", &json!("speed"))
    );
    let (status, code, _) = send(form("image", photo.clone()).text("requirements", "{")).await;
    assert_eq!((status, code.as_str()), (422, "invalid_requirements"));
    let (status, code, value) = send(form("picture", photo.clone())).await;
    assert_eq!(
        (status, code.as_str(), &value["field"]),
        (422, "unexpected_part", &json!("picture"))
    );
    let two = form("image", photo.clone()).part("image", Part::bytes(photo.clone()));
    let (status, code, value) = send(two).await;
    assert_eq!((status, code.as_str()), (422, "unexpected_part"));
    let detail = value["detail"].as_str().unwrap();
    assert!(detail.contains("/api/ocr/batch"), "{detail}");
    assert_eq!(
        send(Form::new().text("requirements", "{}")).await.1,
        "picture_missing"
    );
    assert_eq!(send(form("image", Vec::new())).await.0, 400);
    assert_eq!(send(form("image", b"hello".to_vec())).await.0, 415);
    assert_eq!(
        send(form("image", photo[..photo.len() / 2].to_vec()))
            .await
            .1,
        "truncated"
    );
    assert_eq!(
        send(form("image", sample("columns.png"))).await.1,
        "too_many_pixels"
    );
    assert_eq!(send(form("image", vec![0; 2 << 20])).await.0, 413);

    let json = async |body: Value| {
        problem(
            server
                .post("/api/ocr/recognize")
                .json(&body)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    assert_eq!(json(json!({})).await.1, "invalid_picture");
    assert_eq!(json(json!({"image_base64": "!"})).await.1, "invalid_base64");
    assert_eq!(json(json!({"image": "x"})).await.1, "invalid_json");
    assert_eq!(
        json(json!({"image_path": "a.png"})).await.1,
        "path_not_allowed"
    );
    assert_eq!(
        json(json!({"image_url": "http://127.0.0.1/"})).await.1,
        "url_not_allowed"
    );
    // A part that is too large is not the file.
    let long = form("image", photo.clone()).text("pages", "1,".repeat(9000));
    let (status, code, value) = send(long).await;
    assert_eq!(
        (status, code.as_str(), &value["field"]),
        (413, "part_too_large", &json!("pages"))
    );
    let wrong = server.post("/api/ocr/recognize?page=2").body(photo.clone());
    let (status, _, value) = problem(wrong.send().await.unwrap()).await;
    assert_eq!((status, &value["field"]), (422, &json!("page")));
    assert!(
        value["allowed"]
            .as_array()
            .unwrap()
            .contains(&json!("pages"))
    );
    for twice in ["pages=1&pages=2", "language=english&language=chinese"] {
        let request = server
            .post(&format!("/api/ocr/recognize?{twice}"))
            .header("content-type", "image/png")
            .body(photo.clone());
        let (status, code, value) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (400, "invalid_query"), "{twice}");
        assert!(value["field"].is_string(), "{twice}");
    }
    for (kind, body, wanted) in [
        ("application/json", "{", 400),
        ("text/plain", "hello", 415),
        ("multipart/form-data", "hello", 400),
        ("multipart/form-data; boundary=x", "--x\r\n", 400),
    ] {
        let request = server
            .post("/api/ocr/recognize")
            .header("content-type", kind)
            .body(body);
        let (status, ..) = problem(request.send().await.unwrap()).await;
        assert_eq!(status, wanted, "{kind}");
    }
    let packed = server.post("/api/ocr/recognize").body(photo.clone());
    let packed = packed.header("content-encoding", "gzip").send();
    let (status, code, _) = problem(packed.await.unwrap()).await;
    assert_eq!((status, code.as_str()), (415, "unsupported_encoding"));
    for path in ["/nothing", "/api/nothing", "/api/history/x", "/api/jobs/x"] {
        let (status, ..) = problem(server.get(path).send().await.unwrap()).await;
        assert!((400..405).contains(&status), "{path} {status}");
    }
    let put = server.client.put(format!("{}/api/history", server.base));
    assert_eq!(
        problem(put.send().await.unwrap()).await.1,
        "method_not_allowed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_kept_searched_and_forgotten() {
    for stand in Stand::both() {
        let server = stand.server(&["--keep-originals"]).await;
        let mut ids = Vec::new();
        for name in ["chinese.jpg", "receipt.jpg"] {
            let answer: Value = server.recognize(sample(name)).await.json().await.unwrap();
            ids.push(answer["id"].as_str().unwrap().to_string());
        }
        let list = async |query: &str| {
            let response = server
                .get(&format!("/api/history{query}"))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 200, "{query}");
            let list: Value = response.json().await.unwrap();
            let entries = list["entries"].as_array().unwrap().clone();
            let found: Vec<String> = entries
                .iter()
                .map(|e| e["id"].as_str().unwrap().into())
                .collect();
            (found, list)
        };
        assert_eq!(list("").await.0, [ids[1].clone(), ids[0].clone()]);
        assert_eq!(list("?q=bakery").await.0, [ids[1].clone()]);
        assert_eq!(list("?q=%E6%9C%88").await.0, [ids[0].clone()], "月");
        assert_eq!(
            list("?q=%E9%87%91%E9%BB%84%E7%9A%84").await.0,
            [ids[0].clone()],
            "金黄的"
        );
        assert!(list("?q=nowhere").await.0.is_empty());
        let (page, whole) = list("?limit=1").await;
        assert_eq!((page.len(), &whole["next"]), (1, &json!(ids[1])));
        assert_eq!(
            list(&format!("?limit=1&before={}", ids[1])).await.0,
            [ids[0].clone()]
        );
        assert_eq!(
            problem(server.get("/api/history?limit=0").send().await.unwrap())
                .await
                .0,
            422
        );
        assert_eq!(
            problem(server.get("/api/history?nothing=1").send().await.unwrap())
                .await
                .0,
            400
        );

        let path = format!("/api/history/{}", ids[0]);
        let entry = server.get(&path).send().await.unwrap();
        let tag = entry.headers()["etag"].clone();
        let entry: Value = entry.json().await.unwrap();
        assert_eq!(entry["id"], ids[0]);
        assert!(entry["text"].as_str().unwrap().contains("故乡"));
        let again = server
            .get(&path)
            .header("if-none-match", tag)
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), 304);
        let original = server
            .get(&format!("{path}/original"))
            .send()
            .await
            .unwrap();
        assert_eq!(original.headers()["content-disposition"], "attachment");
        assert_eq!(original.bytes().await.unwrap(), sample("chinese.jpg"));

        assert_eq!(server.delete(&path).send().await.unwrap().status(), 204);
        assert_eq!(
            problem(server.delete(&path).send().await.unwrap()).await.0,
            404
        );
        assert_eq!(
            problem(server.get(&path).send().await.unwrap()).await.0,
            404
        );
        let cleared: Value = server
            .delete("/api/history")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(cleared["deleted"], 1);
        assert!(list("").await.0.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_remembers_nothing_has_no_history() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--history", "off"]).await;
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    assert_eq!(
        problem(server.get("/api/history").send().await.unwrap())
            .await
            .0,
        404
    );
}

/// A link needs no key, but each of its characters.
async fn links_are_good_whole_and_say_so_otherwise(server: &Server, key: &str) {
    let form = Form::new().text("purpose", "ocr");
    let form = form.part("file", Part::bytes(sample("photo.png")).file_name("x"));
    let file = server.post("/v1/files").bearer_auth(key).multipart(form);
    let file: Value = file.send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/files/{}/url", file["id"].as_str().unwrap());
    let link = server.get(&path).bearer_auth(key).send().await.unwrap();
    let link: Value = link.json().await.unwrap();
    let link = link["url"].as_str().unwrap();
    let get = async |link: &str| server.client.get(link).send().await.unwrap();
    assert_eq!(get(link).await.status(), 200);
    let last = if link.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &link[..link.len() - 1]);
    for link in [&altered, &link[..link.len() - 1], &format!("{link}&more=1")] {
        let (status, code, _) = problem(get(link).await).await;
        assert_eq!((status, &*code), (401, "link_invalid"), "{link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_does_not_see_what_another_made() {
    for stand in Stand::both() {
        let key = |name: &str, scopes: &str| {
            let mut command = stand.command();
            command.args(["keys", "create", "--name", name, "--scopes", scopes]);
            let output = command.output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap().trim().to_string()
        };
        let (ann, bob) = (key("ann", "recognize,jobs"), key("bob", "recognize"));
        let server = stand.cold_server(&["--auth", "keys"]).unwrap();
        server.ready().await.unwrap();
        assert_eq!(
            problem(server.recognize(sample("photo.png")).await).await.1,
            "key_missing"
        );
        let form = || Form::new().part("image", Part::bytes(sample("photo.png")).file_name("x"));
        links_are_good_whole_and_say_so_otherwise(&server, &ann).await;
        let post = |path: &str, key: &str| server.post(path).bearer_auth(key).multipart(form());
        let answer = post("/api/ocr/recognize", &ann).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        let path = format!("/api/history/{}", answer["id"].as_str().unwrap());
        let mine = server
            .get(&path)
            .header("x-api-key", &ann)
            .send()
            .await
            .unwrap();
        assert_eq!(mine.status(), 200);
        let others = server.get(&path).bearer_auth(&bob).send().await.unwrap();
        assert_eq!(problem(others).await.0, 404);
        let job = post("/api/ocr/batch", &ann).send().await.unwrap();
        assert_eq!(job.status(), 202);
        let job = job.headers()["location"].to_str().unwrap().to_string();
        assert_eq!(
            problem(post("/api/ocr/batch", &bob).send().await.unwrap())
                .await
                .1,
            "scope_missing"
        );
        assert_eq!(
            problem(server.get(&job).bearer_auth(&bob).send().await.unwrap())
                .await
                .1,
            "scope_missing"
        );
        let reload = server
            .post("/api/models/ppocrv6-small-rec/reload")
            .bearer_auth(&ann);
        assert_eq!(
            problem(reload.send().await.unwrap()).await.1,
            "scope_missing"
        );
        assert_eq!(
            problem(server.get("/metrics").send().await.unwrap())
                .await
                .0,
            401
        );

        let list = stand.command().args(["keys", "list"]).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        assert!(list.contains("ann") && !list.contains(&ann), "{list}");
        let id = list
            .lines()
            .find(|l| l.contains("ann"))
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        assert!(
            stand
                .command()
                .args(["keys", "revoke", id])
                .status()
                .unwrap()
                .success()
        );
        assert!(
            !stand
                .command()
                .args(["keys", "revoke", id])
                .status()
                .unwrap()
                .success()
        );
        for secret in [&ann, &bob] {
            assert!(
                !server.log().contains(secret.as_str()),
                "a key is in the log"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_shown_swapped_and_unloaded() {
    let stand = Stand::sqlite();
    // Less than the two tiers together.
    let server = stand
        .server(&["--model-memory", "40", "--cache", "0"])
        .await;
    let loaded = async || {
        let list = server.json("/api/models").await;
        let models = list["models"].as_array().unwrap().clone();
        let loaded = models.iter().filter(|m| m["loaded"] == true);
        loaded
            .map(|m| m["name"].as_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert!(loaded().await.contains(&"ppocrv6-small-rec".to_string()));
    let reload = server
        .post("/api/models/ppocrv6-small-rec/reload")
        .send()
        .await
        .unwrap();
    assert_eq!(reload.status(), 204);
    let unknown = server.post("/api/models/none/reload").send().await.unwrap();
    assert_eq!(problem(unknown).await.0, 404);
    let fast = server
        .post("/api/ocr/recognize?real_time=true")
        .header("content-type", "image/png")
        .body(sample("photo.png"))
        .send()
        .await
        .unwrap();
    assert_eq!(fast.status(), 200);
    let after = loaded().await;
    assert!(after.contains(&"ppocrv6-tiny-rec".to_string()), "{after:?}");
    assert!(after.len() < 6, "{after:?}");
    // What was unloaded is there again when it is needed.
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_whole_and_its_page_needs_no_network() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let description = server.json("/openapi.json").await;
    for path in [
        "/api/ocr/recognize",
        "/api/ocr/recognize-with-requirements",
        "/api/ocr/ws",
        "/api/ocr/batch",
        "/api/jobs/{id}",
        "/api/jobs/{id}/events",
        "/api/history",
        "/api/history/{id}",
        "/api/models",
        "/v1/ocr",
        "/v1/files",
        "/v1/files/{id}/url",
        "/v1/chat/completions",
        "/v1/convert/file",
        "/documentintelligence/documentModels/prebuilt-read:analyze",
        "/health",
        "/ready",
        "/metrics",
    ] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    let page = server.get("/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    let health = server.json("/health").await;
    assert_eq!(health["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shapes_of_mistrals_ocr_api_are_spoken() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let url = format!(
        "data:image/jpeg;base64,{}",
        STANDARD.encode(sample("receipt.jpg"))
    );
    let request = json!({
        "model": "mistral-ocr-latest",
        "document": {"type": "image_url", "image_url": url},
        "include_image_base64": null,
    });
    let answer = server.post("/v1/ocr").json(&request).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["model"], "mistral-ocr-latest");
    assert_eq!(answer["usage_info"]["pages_processed"], 1);
    let page = &answer["pages"][0];
    assert_eq!(
        (&page["index"], &page["dimensions"]["width"]),
        (&json!(0), &json!(660))
    );
    assert!(page["markdown"].as_str().unwrap().contains("CORNER BAKERY"));
    for wrong in [
        json!({"document": {"type": "file"}}),
        json!({"document": {"type": "image_url", "image_url": url}, "pages": [7]}),
        json!({"document": {"type": "image_url", "image_url": url}, "table_format": "latex"}),
        json!({"document": {"type": "image_url", "image_url": url}, "language": "english"}),
        json!({"document": {"type": "image_url", "image_url": url, "pages": [0]}}),
        json!({"document": {"type": "image_url", "image_url": url}, "document_annotation_format": {"type": "json_schema"}}),
    ] {
        let response = server.post("/v1/ocr").json(&wrong).send().await.unwrap();
        assert_eq!(problem(response).await.0, 422);
    }
}
