//! Events over a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::pdfs::{self, Page};
use crate::stand::{PATIENCE, Server, Stand, numbered, sample};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn address(server: &Server) -> String {
    format!("{}/api/ocr/ws", server.base.replace("http", "ws"))
}

async fn connect(server: &Server) -> Socket {
    connect_async(address(server)).await.unwrap().0
}

async fn send(socket: &mut Socket, picture: Vec<u8>) {
    socket.send(Message::Binary(picture.into())).await.unwrap();
}

async fn tell(socket: &mut Socket, control: Value) {
    socket
        .send(Message::Text(control.to_string().into()))
        .await
        .unwrap();
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await;
        match message.expect("an event").expect("a connection").unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// All events of a picture, up to its last.
async fn hear_all(socket: &mut Socket) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = hear(socket).await;
        let last = event["event"] == "done" || event["event"] == "error";
        events.push(event);
        if last {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_before_the_document() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let mut socket = connect(&server).await;
    send(&mut socket, sample("receipt.jpg")).await;
    let detected = hear(&mut socket).await;
    assert_eq!(
        (&detected["event"], &detected["picture"]),
        (&json!("detected"), &json!(0))
    );
    let boxes = detected["boxes"].as_array().unwrap().len();
    assert!(boxes > 10, "{boxes}");
    let mut lines = 0;
    let document = loop {
        let event = hear(&mut socket).await;
        match event["event"].as_str().unwrap() {
            "line" => {
                assert!(!event["text"].as_str().unwrap().is_empty());
                assert_eq!(event["box"].as_array().unwrap().len(), 4);
                assert!((event["index"].as_u64().unwrap() as usize) < boxes);
                lines += 1;
            }
            "done" => break event["document"].clone(),
            other => panic!("{other}"),
        }
    };
    assert!(lines >= document["lines"].as_array().unwrap().len());
    assert!(document["text"].as_str().unwrap().contains("CORNER BAKERY"));

    // The connection outlives what can't be used.
    send(&mut socket, b"no picture".to_vec()).await;
    let error = hear(&mut socket).await;
    assert_eq!(
        (&error["event"], &error["picture"]),
        (&json!("error"), &json!(1))
    );
    assert_eq!(error["problem"]["code"], "unknown_format");
    for wrong in [
        "{",
        "[]",
        "{\"what\": 1}",
        "{\"requirements\": {\"language\": \"klingon\"}}",
    ] {
        socket.send(Message::Text(wrong.into())).await.unwrap();
        let error = hear(&mut socket).await;
        assert_eq!(
            (&error["event"], &error["picture"]),
            (&json!("error"), &Value::Null),
            "{wrong}"
        );
    }
    tell(
        &mut socket,
        json!({"requirements": {"speed_requirement": "high"}}),
    )
    .await;
    send(&mut socket, sample("photo.png")).await;
    let last = loop {
        let event = hear(&mut socket).await;
        if event["event"] == "done" {
            break event;
        }
    };
    assert_eq!(last["document"]["plan"]["recogniser"], "ppocrv6-tiny-rec");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_comes_page_by_page_and_a_bad_page_takes_no_other_with_it() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let mut socket = connect(&server).await;
    let pages = |events: &[Value]| -> Vec<(u64, bool)> {
        let pages = events.iter().filter(|event| event["event"] == "page");
        pages
            .map(|page| (page["index"].as_u64().unwrap(), page.get("error").is_some()))
            .collect()
    };
    let file = pdfs::pdf(&[pdfs::numbered(1), Page::Vast, pdfs::numbered(3)]);
    send(&mut socket, file.clone()).await;
    let events = hear_all(&mut socket).await;
    assert_eq!(pages(&events), [(0, false), (1, true), (2, false)]);
    let document = &events.last().unwrap()["document"];
    assert_eq!(document["pages"][1]["error"]["code"], "too_many_pixels");
    assert!(document["text"].as_str().unwrap().contains("sheet 3 says"));

    // A choice holds until there is another, and a wrong one changes nothing.
    tell(&mut socket, json!({"pages": "3", "text_layer": "never"})).await;
    send(&mut socket, file.clone()).await;
    let events = hear_all(&mut socket).await;
    let document = events.last().unwrap()["document"].clone();
    assert_eq!(
        (document["index"].as_u64(), pages(&events).len()),
        (Some(2), 0)
    );
    assert_eq!(document["text_layer"]["state"], "ignored");
    let lines: Vec<&Value> = events.iter().filter(|e| e["event"] == "line").collect();
    assert!(!lines.is_empty());
    for wrong in ["pages", "text_layer"] {
        tell(&mut socket, json!({wrong: "x"})).await;
        let refused = hear(&mut socket).await;
        assert_eq!(refused["problem"]["field"], wrong);
        // Read before: the lines come all the same.
        send(&mut socket, file.clone()).await;
        let again = hear_all(&mut socket).await;
        let kept = &again.last().unwrap()["document"];
        assert_eq!(kept["text"], document["text"]);
        assert!(kept["timings"].get("cache").is_some(), "{kept}");
        assert!(again.iter().any(|event| event["event"] == "line"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_live_frames_the_newest_wins() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--workers", "1", "--cache", "0"]).await;
    let mut socket = connect(&server).await;
    tell(&mut socket, json!({"requirements": {"real_time": true}})).await;
    for number in 0..20 {
        send(&mut socket, numbered(number)).await;
    }
    let (mut done, mut skipped) = (Vec::new(), Vec::new());
    while done.len() + skipped.len() < 20 {
        let event = hear(&mut socket).await;
        let picture = event["picture"].as_u64().unwrap();
        match event["event"].as_str().unwrap() {
            "done" => done.push(picture),
            "skipped" => skipped.push(picture),
            "detected" | "line" | "withdrawn" => {}
            other => panic!("{other}"),
        }
    }
    assert!(!skipped.is_empty());
    assert_eq!(done.last(), Some(&19), "{done:?}");
    let history = server.json("/api/history").await;
    assert_eq!(history["entries"], json!([]), "frames are not remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_real_time_every_picture_is_read_in_turn() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--workers", "1"]).await;
    let mut socket = connect(&server).await;
    for number in 0..5 {
        send(&mut socket, numbered(number)).await;
    }
    let mut done = Vec::new();
    while done.len() < 5 {
        let event = hear(&mut socket).await;
        match event["event"].as_str().unwrap() {
            "done" => done.push(event["picture"].as_u64().unwrap()),
            "detected" | "line" | "withdrawn" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(done, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_picture_stops_and_so_does_one_whose_client_left() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--workers", "1", "--cache", "0"]).await;
    let mut socket = connect(&server).await;
    send(&mut socket, sample("columns.png")).await;
    tell(&mut socket, json!({"cancel": true})).await;
    loop {
        let event = hear(&mut socket).await;
        match event["event"].as_str().unwrap() {
            "cancelled" => break,
            "detected" | "line" | "withdrawn" => {}
            other => panic!("{other}"),
        }
    }
    // It goes on with the next one.
    send(&mut socket, sample("photo.png")).await;
    while hear(&mut socket).await["event"] != "done" {}

    let stopped = async || {
        let busy = server.metric("maoocr_workers_busy", "").await;
        busy == 0.0
    };
    send(&mut socket, sample("columns.png")).await;
    while hear(&mut socket).await["event"] != "detected" {}
    drop(socket);
    let began = std::time::Instant::now();
    while !stopped().await {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = server.metric("maoocr_pictures_total", "read").await;
    assert_eq!(read, 1.0, "only the one nobody stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_elsewhere_may_not_open_one() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--cors", "https://app.example"]).await;
    let open = async |origin: &str| {
        let mut request = address(&server).into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        connect_async(request).await.is_ok()
    };
    assert!(open("https://app.example").await);
    assert!(open(&server.base).await);
    assert!(!open("https://evil.example").await);
    assert!(!open("null").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_brings_its_key_as_a_sub_protocol() {
    let stand = Stand::sqlite();
    let key = "a-key-for-tests-0123456789";
    let server = stand.server(&["--auth", "keys", "--api-keys", key]).await;
    let open = async |protocols: &str| {
        let mut request = address(&server).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
        connect_async(request).await.is_ok()
    };
    assert!(open(&format!("maoocr, maoocr.key.{key}")).await);
    assert!(!open("maoocr").await);
    assert!(!open("maoocr, maoocr.key.wrong").await);
}
