//! More than the server can do, and callers who leave.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use crate::stand::{PATIENCE, Stand, numbered, problem, sample};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_cannot_hold_is_refused_and_the_rest_is_read() {
    let stand = Stand::sqlite();
    let server = stand
        .server(&["--workers", "1", "--queue", "2", "--cache", "0"])
        .await;
    let answers = join_all((0..30).map(|number| server.recognize(numbered(number)))).await;
    let (mut read, mut refused) = (0, 0);
    for answer in answers {
        if answer.status() == 200 {
            let answer: Value = answer.json().await.unwrap();
            assert!(answer["text"].as_str().unwrap().contains("segmentation"));
            read += 1;
            continue;
        }
        let after = answer.headers().get("retry-after").cloned();
        let (status, code, value) = problem(answer).await;
        assert_eq!((status, code.as_str()), (503, "queue_full"));
        let seconds: u64 = after.unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(value["retry_after"], seconds);
        refused += 1;
    }
    // One being read and two waiting at least; a picture that was done in between makes room for another.
    assert!(read >= 3 && refused >= 1, "{read} {refused}");
    assert_eq!(server.recognize(numbered(99)).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_work_and_not_only_the_waiting() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--workers", "1", "--cache", "0"]).await;
    let send = async |millis: &str| {
        let request = server
            .post("/api/ocr/recognize")
            .header("content-type", "image/png");
        let request = request
            .header("x-maoocr-deadline-ms", millis)
            .body(sample("columns.png"));
        problem(request.send().await.unwrap()).await
    };
    let (status, code, _) = send("60").await;
    assert_eq!((status, code.as_str()), (504, "deadline_exceeded"));
    let began = Instant::now();
    while server.metric("maoocr_workers_busy", "").await > 0.0 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.metric("maoocr_pictures_total", "read").await, 0.0);
    for wrong in ["0", "-1", "x", "1.5", "86400001"] {
        assert_eq!(send(wrong).await.1, "invalid_deadline", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_read_for_who_has_left() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--workers", "1", "--cache", "0"]).await;
    for _ in 0..3 {
        let leaving = server.recognize(sample("columns.png"));
        // Long enough to arrive, too short to be read.
        let left = tokio::time::timeout(Duration::from_millis(300), leaving).await;
        assert!(left.is_err(), "it was read before its caller could leave");
    }
    let began = Instant::now();
    while server.metric("maoocr_workers_busy", "").await > 0.0
        || server.metric("maoocr_queue_depth", "").await > 0.0
    {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.metric("maoocr_pictures_total", "read").await, 0.0);
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_pictures_at_once_are_refused_rather_than_held() {
    let stand = Stand::sqlite();
    let options = [
        "--max-file",
        "8",
        "--upload-memory",
        "16",
        "--workers",
        "1",
        "--queue",
        "100",
    ];
    let server = stand.server(&options).await;
    // Bytes that no decoder looks at for long.
    let answers = join_all((0..12).map(|_| server.recognize(vec![1; 7 << 20]))).await;
    let statuses: Vec<u16> = answers.iter().map(|a| a.status().as_u16()).collect();
    assert!(
        statuses.iter().all(|s| [415, 503].contains(s)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&415), "{statuses:?}");
    let resident = server.metric("process_resident_memory_bytes", "").await;
    assert!(resident < 700e6, "{resident}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_a_rate() {
    for stand in Stand::both() {
        let server = stand.server(&["--rate", "12"]).await;
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(
                server
                    .recognize(sample("photo.png"))
                    .await
                    .status()
                    .as_u16(),
            );
        }
        // Two at once, then one every five seconds.
        assert_eq!(statuses[..2], [200, 200]);
        assert!(statuses.contains(&429), "{statuses:?}");
        assert_eq!(
            server.get("/api/history").send().await.unwrap().status(),
            200
        );
    }
}
