//! Databases that go away and come back.

use std::time::Instant;

use serde_json::{Value, json};

use crate::stand::{PATIENCE, Stand, numbered, problem, sample};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_costs_nothing_but_what_it_held() {
    let mut stand = Stand::postgres();
    let server = stand.server(&["--rate", "100000"]).await;
    assert_eq!(
        server.recognize(sample("photo.png")).await.headers()["x-maoocr-cache"],
        "miss"
    );
    assert_eq!(
        server.recognize(sample("photo.png")).await.headers()["x-maoocr-cache"],
        "hit"
    );
    stand.redis.as_mut().unwrap().stop();
    for number in 0..3 {
        assert_eq!(server.recognize(numbered(number)).await.status(), 200);
    }
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 200);
    stand.redis.as_mut().unwrap().restart().unwrap();
    let began = Instant::now();
    // It finds it again by itself: what is put is in Redis.
    loop {
        server
            .recognize(numbered(100 + began.elapsed().as_millis() as u32))
            .await;
        let size = stand.redis.as_ref().unwrap().command(&["DBSIZE"]).unwrap();
        if size.trim() != ":0" {
            break;
        }
        assert!(began.elapsed() < PATIENCE);
    }
    let password = stand.postgres.as_ref().unwrap().password();
    assert!(!server.log().contains(password), "a password is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_answers_through_redis() {
    let stand = Stand::postgres();
    let (first, second) = (stand.server(&[]).await, stand.server(&[]).await);
    assert_eq!(
        first.recognize(sample("photo.png")).await.headers()["x-maoocr-cache"],
        "miss"
    );
    assert_eq!(
        second.recognize(sample("photo.png")).await.headers()["x-maoocr-cache"],
        "hit"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_server_still_reads_and_then_heals() {
    let mut stand = Stand::postgres();
    let server = stand.server(&["--lease", "2"]).await;
    let postgres = stand.postgres.as_mut().unwrap();
    postgres.stop();
    let answer = server.recognize(sample("photo.png")).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["text"].as_str().unwrap().contains("segmentation"));
    // All replicas have the same database: were they not ready, nobody would read.
    let ready = server.json("/ready").await;
    assert_eq!(ready["database"], "unavailable", "{ready}");
    let (status, code, _) = problem(server.get("/api/history").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (503, "database_unavailable"));
    postgres.restart().unwrap();
    let began = Instant::now();
    while server.json("/ready").await["database"] != "ok" {
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(server.recognize(sample("dark.png")).await.status(), 200);
    let history = server.json("/api/history").await;
    assert_eq!(history["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_a_restart_of_its_database() {
    let mut stand = Stand::postgres();
    let server = stand
        .server(&["--workers", "1", "--lease", "2", "--cache", "0"])
        .await;
    let form = (0..12).fold(reqwest::multipart::Form::new(), |form, number| {
        form.part(
            "image",
            reqwest::multipart::Part::bytes(numbered(number)).file_name("p"),
        )
    });
    let response = server
        .post("/api/ocr/batch")
        .multipart(form)
        .send()
        .await
        .unwrap();
    let place = response.headers()["location"].to_str().unwrap().to_string();
    while server.metric("maoocr_pictures_total", "read").await < 3.0 {}
    stand.postgres.as_mut().unwrap().restart().unwrap();
    let began = Instant::now();
    loop {
        let job = server.get(&place).send().await.unwrap();
        if job.status() == 200 {
            let job: Value = job.json().await.unwrap();
            if job["state"] == "done" {
                assert_eq!((&job["done"], &job["failed"]), (&json!(12), &json!(0)));
                break;
            }
        }
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
