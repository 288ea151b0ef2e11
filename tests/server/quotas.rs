//! What one caller may take of what is there for all.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::stand::{PATIENCE, Server, Stand, numbered, problem, sample};

/// A key of its own in the stand's database, and its id.
fn key(stand: &Stand, name: &str, rate: &str) -> (String, String) {
    let run = |arguments: &[&str]| {
        let output = stand.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let key = run(&["keys", "create", "--name", name, "--rate", rate]);
    let list = run(&["keys", "list"]);
    let line = list.lines().find(|line| line.ends_with(name)).unwrap();
    let id = line.split(' ').next().unwrap();
    (key.trim().to_string(), id.to_string())
}

fn pictures(count: u32) -> Form {
    (0..count).fold(Form::new(), |form, number| {
        form.part("image", Part::bytes(numbered(number)).file_name("p"))
    })
}

async fn job(server: &Server, key: &str, count: u32) -> reqwest::Response {
    let request = server.post("/api/ocr/batch").bearer_auth(key);
    request.multipart(pictures(count)).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_a_job_count() {
    for stand in Stand::both() {
        let (key, _) = key(&stand, "one", "6");
        let server = stand.server(&["--auth", "keys", "--job-rate", "60"]).await;
        assert_eq!(job(&server, &key, 30).await.status(), 202);
        let (status, code, answer) = problem(job(&server, &key, 1).await).await;
        assert_eq!((status, code.as_str()), (429, "rate_limited"));
        let wait = answer["retry_after"].as_u64().unwrap();
        assert!((1..=31).contains(&wait), "{wait}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_much_may_wait() {
    for stand in Stand::both() {
        let options = ["--workers", "1", "--max-waiting", "10", "--cache", "0"];
        let server = stand.server(&options).await;
        let first = job(&server, "", 8).await;
        assert_eq!(first.status(), 202);
        let place = first.headers()["location"].to_str().unwrap().to_string();
        let (status, code, _) = problem(job(&server, "", 11).await).await;
        assert_eq!((status, code.as_str()), (429, "too_much_waiting"));
        crate::jobs::done(&server, &place).await;
        assert_eq!(job(&server, "", 8).await.status(), 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_file_count() {
    let stand = Stand::sqlite();
    let (key, _) = key(&stand, "one", "60");
    let server = stand.server(&["--auth", "keys"]).await;
    let send = async || {
        let request = server.post("/api/ocr/recognize").bearer_auth(&key);
        let tiff = Part::bytes(tiff(20)).file_name("a.tif");
        let form = Form::new().part("image", tiff);
        request.multipart(form).send().await.unwrap()
    };
    assert_eq!(send().await.status(), 200);
    let (status, code, answer) = problem(send().await).await;
    assert_eq!((status, code.as_str()), (429, "rate_limited"));
    let wait = answer["retry_after"].as_u64().unwrap();
    // Twenty pages at one a second, less the ten that may come at once.
    assert!(wait > 4, "{wait}");
}

/// A TIFF of white pages, each 64 by 64 bits.
fn tiff(pages: u32) -> Vec<u8> {
    let mut file = b"II*\0".to_vec();
    file.extend(8u32.to_le_bytes());
    for page in 0..pages {
        let here = file.len() as u32;
        let entries: [(u16, u16, u32); 8] = [
            (256, 3, 64),
            (257, 3, 64),
            (258, 3, 1),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, here + 2 + 8 * 12 + 4),
            (278, 3, 64),
            (279, 4, 512),
        ];
        file.extend(8u16.to_le_bytes());
        for (tag, kind, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        let next = here + 2 + 8 * 12 + 4 + 512;
        let next = if page + 1 == pages { 0 } else { next };
        file.extend(next.to_le_bytes());
        // Distinct for each page, so that none is like another.
        file.extend([0xff; 511]);
        file.push(page as u8);
    }
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_does_not_fill_the_queue() {
    let stand = Stand::sqlite();
    let (greedy, _) = key(&stand, "greedy", "100000");
    let (honest, _) = key(&stand, "honest", "100000");
    let options = [
        "--auth",
        "keys",
        "--workers",
        "1",
        "--queue",
        "8",
        "--cache",
        "0",
    ];
    let server = stand.server(&options).await;
    let read = async |key: &str, number: u32| {
        let form = Form::new().part("image", Part::bytes(numbered(number)).file_name("p"));
        let request = server.post("/api/ocr/recognize").bearer_auth(key);
        request.multipart(form).send().await.unwrap()
    };
    let crowd = futures_util::future::join_all((0..40).map(|number| read(&greedy, number)));
    let (mut crowd, honest) = tokio::join!(crowd, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        read(&honest, 1000).await
    });
    assert_eq!(honest.status(), 200);
    crowd.retain(|answer| answer.status() == 200);
    assert!(!crowd.is_empty() && crowd.len() <= 12, "{}", crowd.len());
}

async fn socket(
    server: &Server,
    key: &str,
) -> Result<
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
    tokio_tungstenite::tungstenite::Error,
> {
    let address = format!("ws://127.0.0.1:{}/api/ocr/ws", server.port());
    let mut request = address.into_client_request().unwrap();
    let bearer = format!("Bearer {key}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_does_not_take_all_sockets() {
    let stand = Stand::sqlite();
    let (greedy, _) = key(&stand, "greedy", "1000");
    let (honest, _) = key(&stand, "honest", "1000");
    let server = stand
        .server(&["--auth", "keys", "--max-websockets", "16"])
        .await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.extend(socket(&server, &greedy).await);
    }
    assert_eq!(open.len(), 4);
    assert!(socket(&server, &honest).await.is_ok());
    // One that ends makes room.
    drop(open.pop());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(socket(&server, &greedy).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_reads_nothing_more() {
    let stand = Stand::sqlite();
    let (key, id) = key(&stand, "one", "1000");
    let server = stand.server(&["--auth", "keys", "--workers", "1"]).await;
    let mut socket = socket(&server, &key).await.unwrap();
    let picture = || Message::Binary(sample("photo.png").into());
    socket.send(picture()).await.unwrap();
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        if event["event"] == "done" {
            break;
        }
    }
    let revoked = stand.command().args(["keys", "revoke", &id]).status();
    assert!(revoked.unwrap().success());
    let began = Instant::now();
    let mut last = Value::Null;
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        match message {
            Some(Ok(Message::Text(text))) => last = serde_json::from_str(&text).unwrap(),
            Some(Ok(_)) => {}
            _ => break,
        }
        assert!(began.elapsed() < Duration::from_secs(40));
    }
    assert_eq!(last["problem"]["code"], "key_invalid", "{last}");
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}

/// However many follow jobs, the database is asked no more often.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_listeners_cost_no_more_than_one() {
    let stand = Stand::postgres();
    let server = stand.server(&["--workers", "1", "--cache", "0"]).await;
    let first = job(&server, "", 15).await;
    let place = first.headers()["location"].to_str().unwrap().to_string();
    let mut listeners = Vec::new();
    for _ in 0..100 {
        let events = server.get(&format!("{place}/events")).send().await.unwrap();
        assert_eq!(events.status(), 200);
        let mut events = events.bytes_stream();
        events.next().await.unwrap().unwrap();
        listeners.push(events);
    }
    let before = stand.transactions();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let asked = stand.transactions() - before;
    assert!(asked < 400, "{asked} transactions in 4 s");
    // All hear the end.
    let ends = listeners.into_iter().map(async |mut events| {
        let mut heard = String::new();
        while let Some(Ok(chunk)) = events.next().await {
            heard.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        heard.contains("event: done")
    });
    let ends = futures_util::future::join_all(ends).await;
    assert!(ends.into_iter().all(|heard| heard));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_gone_everywhere() {
    let mut stand = Stand::postgres();
    let server = stand.server(&[]).await;
    let first = job(&server, "", 2).await;
    let place = first.headers()["location"].to_str().unwrap().to_string();
    crate::jobs::done(&server, &place).await;
    assert_eq!(server.recognize(numbered(7)).await.status(), 200);
    assert!(stand.holds("segmentation"));
    assert_eq!(
        server.delete("/api/history").send().await.unwrap().status(),
        200
    );
    let gone = server.get(&place).send().await.unwrap();
    assert_eq!(problem(gone).await.0, 404);
    let again = server.recognize(numbered(7)).await;
    assert_eq!(again.headers()["x-maoocr-cache"], "miss");
    assert_eq!(
        server.delete("/api/history").send().await.unwrap().status(),
        200
    );
    assert!(!stand.holds("segmentation"));
    assert!(!stand.redis_holds_answers());
    drop(server);
    stand.postgres.as_mut().unwrap().stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cache_redis_holds_no_answers() {
    let stand = Stand::postgres();
    let server = stand.server(&["--cache", "0"]).await;
    for _ in 0..2 {
        let answer = server.recognize(sample("photo.png")).await;
        assert_eq!(answer.headers()["x-maoocr-cache"], "miss");
    }
    assert!(!stand.redis_holds_answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_tells_nobody_what_others_have_read() {
    let stand = Stand::sqlite();
    let keys = [key(&stand, "a", "1000").0, key(&stand, "b", "1000").0];
    for (options, second) in [
        (&["--auth", "keys"][..], "miss"),
        (&["--auth", "keys", "--cache-shared"], "hit"),
    ] {
        let server = stand.server(options).await;
        let read = async |key: &str| {
            let form = Form::new().part("image", Part::bytes(sample("photo.png")).file_name("p"));
            let request = server.post("/api/ocr/recognize").bearer_auth(key);
            let answer = request.multipart(form).send().await.unwrap();
            answer.headers()["x-maoocr-cache"]
                .to_str()
                .unwrap()
                .to_string()
        };
        assert_eq!(read(&keys[0]).await, "miss");
        assert_eq!(read(&keys[1]).await, second);
        assert_eq!(read(&keys[0]).await, "hit");
    }
}
