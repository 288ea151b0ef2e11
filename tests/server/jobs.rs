//! Jobs: nothing lost, nothing done twice, whatever happens to a server.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stand::{PATIENCE, Server, Stand, numbered, problem, sample};

fn form(pictures: &[(&str, Vec<u8>)]) -> Form {
    pictures.iter().fold(Form::new(), |form, (name, bytes)| {
        form.part(
            "image",
            Part::bytes(bytes.clone()).file_name(name.to_string()),
        )
    })
}

pub async fn create(server: &Server, form: Form) -> String {
    let response = server
        .post("/api/ocr/batch")
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 202);
    let place = response.headers()["location"].to_str().unwrap().to_string();
    let job: Value = response.json().await.unwrap();
    assert_eq!(place, format!("/api/jobs/{}", job["id"].as_str().unwrap()));
    place
}

async fn job(server: &Server, place: &str) -> Value {
    let response = server
        .get(&format!("{place}?limit=100"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// Waits for its end.
pub async fn done(server: &Server, place: &str) -> Value {
    let began = Instant::now();
    loop {
        let job = job(server, place).await;
        if job["state"] == "done" || job["state"] == "cancelled" {
            return job;
        }
        assert!(began.elapsed() < PATIENCE, "{job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reads_its_pictures_and_says_which_it_could_not() {
    for stand in Stand::both() {
        let server = stand.server(&[]).await;
        let pictures = [
            ("a.png", sample("photo.png")),
            ("b.txt", b"no picture".to_vec()),
            ("c.png", sample("dark.png")),
        ];
        let place = create(&server, form(&pictures)).await;
        let events = server.get(&format!("{place}/events")).send().await.unwrap();
        assert_eq!(events.headers()["content-type"], "text/event-stream");
        let mut events = events.bytes_stream();
        let mut heard = String::new();
        while let Some(chunk) = events.next().await {
            heard.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        assert!(heard.contains("event: done"), "{heard}");
        let job = job(&server, &place).await;
        assert_eq!(job["state"], "done");
        assert_eq!(
            (&job["total"], &job["done"], &job["failed"]),
            (&json!(3), &json!(2), &json!(1))
        );
        let results = job["results"].as_array().unwrap();
        assert_eq!(results[0]["name"], "a.png");
        assert!(
            results[0]["document"]["text"]
                .as_str()
                .unwrap()
                .contains("segmentation")
        );
        assert_eq!(results[1]["error"]["code"], "unknown_format");
        assert!(
            results[2]["document"]["text"]
                .as_str()
                .unwrap()
                .contains("cargo build")
        );
        let history = server.json("/api/history").await;
        assert_eq!(history["entries"].as_array().unwrap().len(), 2);
        let page = server.json(&format!("{place}?first=1&limit=1")).await;
        assert_eq!(
            (&page["results"][0]["index"], &page["next"]),
            (&json!(1), &json!(2))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_the_same_job() {
    for stand in Stand::both() {
        let server = stand.server(&[]).await;
        let send = async |key: &str| {
            let request = server.post("/api/ocr/batch").header("idempotency-key", key);
            let response = request
                .multipart(form(&[("a", sample("photo.png"))]))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 202);
            response.json::<Value>().await.unwrap()["id"].clone()
        };
        let first = send("one").await;
        assert_eq!(send("one").await, first);
        assert_ne!(send("two").await, first);
    }
}

/// The end of an upload that [`begin`] began.
const REST: &[u8] = b"x\r\n--B--\r\n";

/// Begins an upload: one picture and all but the end of another.
async fn begin(server: &Server, key: &str) -> TcpStream {
    let part =
        b"--B\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n".as_slice();
    let body = [part, &sample("photo.png"), b"\r\n", part].concat();
    let head = format!(
        "POST /api/ocr/batch HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nidempotency-key: {key}\r\n\
         content-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
        body.len() + REST.len()
    );
    let mut socket = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    socket
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    // Until its job is in the database.
    tokio::time::sleep(Duration::from_secs(1)).await;
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_off_can_be_sent_again() {
    for stand in Stand::both() {
        let mut server = stand.server(&[]).await;
        let send = async |server: &Server| {
            let request = server
                .post("/api/ocr/batch")
                .header("idempotency-key", "one")
                .multipart(form(&[("b", sample("photo.png"))]));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 202);
            response.json::<Value>().await.unwrap()
        };
        let _cut = begin(&server, "one").await;
        server.signal("KILL");
        server.wait();
        server = stand.server(&[]).await;
        let again = send(&server).await;
        assert_eq!(
            (&again["state"], &again["total"]),
            (&json!("queued"), &json!(1))
        );
        let place = format!("/api/jobs/{}", again["id"].as_str().unwrap());
        assert_eq!(done(&server, &place).await["results"][0]["name"], "b");
        assert_eq!(send(&server).await["id"], again["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_with_one_key_the_later_is_the_job() {
    for stand in Stand::both() {
        let server = stand.server(&[]).await;
        let mut first = begin(&server, "one").await;
        let mut second = begin(&server, "one").await;
        let mut answers = Vec::new();
        for socket in [&mut first, &mut second] {
            socket.write_all(REST).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            answers.push(answer);
        }
        assert!(answers[0].starts_with("HTTP/1.1 409 "), "{}", answers[0]);
        assert!(answers[0].contains("job_gone"), "{}", answers[0]);
        assert!(answers[1].starts_with("HTTP/1.1 202 "), "{}", answers[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_is_not_there_afterwards() {
    let stand = Stand::sqlite();
    let server = stand
        .server(&[
            "--max-batch",
            "2",
            "--max-batch-size",
            "1",
            "--max-file",
            "1",
        ])
        .await;
    let send = async |form: Form| {
        problem(
            server
                .post("/api/ocr/batch")
                .multipart(form)
                .send()
                .await
                .unwrap(),
        )
        .await
        .1
    };
    let small = || ("a", b"x".to_vec());
    assert_eq!(
        send(Form::new().text("requirements", "{}")).await,
        "picture_missing"
    );
    assert_eq!(
        send(form(&[small(), small(), small()])).await,
        "too_many_pictures"
    );
    assert_eq!(send(form(&[small(), ("b", Vec::new())])).await, "empty");
    assert_eq!(send(form(&[("a", vec![0; 2 << 20])])).await, "too_large");
    assert_eq!(
        send(form(&[small()]).text("requirements", "{}")).await,
        "unexpected_part"
    );
    let korean = Form::new().text("requirements", "{\"language\": \"korean\"}");
    let korean = korean.part("image", Part::bytes(vec![1]).file_name("a"));
    assert_eq!(send(korean).await, "model_not_installed");
    let none = server
        .get("/api/jobs/00000000-0000-0000-0000-000000000000")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(none).await.0, 404);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.metric("maoocr_jobs_backlog", "").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stops() {
    for stand in Stand::both() {
        let server = stand.server(&["--workers", "1"]).await;
        let pictures: Vec<_> = (0..40).map(|n| ("p", numbered(n))).collect();
        let place = create(&server, form(&pictures)).await;
        let cancelled = server.delete(&place).send().await.unwrap();
        assert_eq!(cancelled.status(), 200);
        let job = done(&server, &place).await;
        assert_eq!(job["state"], "cancelled");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let later = done(&server, &place).await;
        assert_eq!(later["done"], job["done"]);
        assert!(later["done"].as_u64().unwrap() < 40);
        assert_eq!(server.metric("maoocr_jobs_backlog", "").await, 0.0);
    }
}

/// Every picture once, in the job and in the history.
async fn all_once(server: &Server, place: &str, count: u64) {
    let job = done(server, place).await;
    assert_eq!(
        (&job["state"], &job["done"], &job["failed"]),
        (&json!("done"), &json!(count), &json!(0))
    );
    let results = job["results"].as_array().unwrap();
    assert!(results.iter().all(|r| r["state"] == "done"), "{results:?}");
    let history = server.json("/api/history?limit=100").await;
    assert_eq!(history["entries"].as_array().unwrap().len() as u64, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_none_of_fifty_pictures_and_reads_none_twice() {
    for stand in Stand::both() {
        let options = ["--workers", "2", "--lease", "1", "--cache", "0"];
        let mut server = stand.server(&options).await;
        let pictures: Vec<_> = (0..50).map(|n| ("p", numbered(n))).collect();
        let place = create(&server, form(&pictures)).await;
        for _ in 0..2 {
            // In the middle of it.
            let before = job(&server, &place).await["done"].as_u64().unwrap();
            while job(&server, &place).await["done"].as_u64().unwrap() < before + 5 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            server.signal("KILL");
            server.wait();
            server = stand.server(&options).await;
        }
        let between = job(&server, &place).await["done"].as_u64().unwrap();
        assert!(between < 50, "it was done before it could be killed");
        all_once(&server, &place, 50).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_a_queue_and_outlive_each_other() {
    let stand = Stand::postgres();
    let options = ["--workers", "1", "--lease", "1", "--cache", "0"];
    let first = stand.server(&options).await;
    let mut second = stand.server(&options).await;
    let pictures: Vec<_> = (0..50).map(|n| ("p", numbered(n))).collect();
    let place = create(&first, form(&pictures)).await;
    let read = async |server: &Server| server.metric("maoocr_pictures_total", "read").await;
    while read(&second).await < 3.0 || read(&first).await < 3.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Each sees the whole job.
    assert_eq!(job(&second, &place).await["total"], 50);
    second.signal("KILL");
    second.wait();
    all_once(&first, &place, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_told_to_stop_finishes_what_it_reads_and_gives_back_the_rest() {
    let stand = Stand::sqlite();
    // A lease that nobody would wait for.
    let options = ["--workers", "1", "--lease", "600", "--cache", "0"];
    let mut server = stand.server(&options).await;
    let pictures: Vec<_> = (0..10).map(|n| ("p", numbered(n))).collect();
    let place = create(&server, form(&pictures)).await;
    while job(&server, &place).await["done"].as_u64().unwrap() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let waiting = server.recognize(sample("chinese.jpg"));
    let (answer, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.signal("TERM");
    });
    assert_eq!(answer.status(), 200, "what somebody waits for is finished");
    assert!(server.wait().success());
    let server = stand.server(&options).await;
    let job = done(&server, &place).await;
    assert_eq!((&job["done"], &job["failed"]), (&json!(10), &json!(0)));
}
