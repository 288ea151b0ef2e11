//! What a hostile caller tries.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::net::TcpListener;

use crate::stand::{Server, Stand, problem, sample};

/// Sends bytes as they are, and returns what comes until the end of the connection.
fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // It may be closed while it is being written to.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_leads_into_the_inner_network() {
    let stand = Stand::sqlite();
    // Somebody to be reached by mistake.
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let reached = Arc::new(AtomicUsize::new(0));
    let count = reached.clone();
    tokio::spawn(async move {
        while canary.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let hosts = "127.0.0.1,localhost,[::1],0.0.0.0,0,pictures.example,localhost.localdomain";
    let server = stand.server(&["--url-hosts", hosts]).await;
    for address in [
        "http://127.0.0.1:PORT/a.png",
        "http://localhost:PORT/a.png",
        "http://LOCALHOST.:PORT/a.png",
        "http://127.1:PORT/",
        "http://0:PORT/",
        "http://0.0.0.0:PORT/",
        "http://2130706433:PORT/",
        "http://0x7f.1:PORT/",
        "http://0177.0.0.1:PORT/",
        "http://[::1]:PORT/",
        "http://[::ffff:127.0.0.1]:PORT/",
        "http://[::]:PORT/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://user@127.0.0.1:PORT/",
        "http://pictures.example@127.0.0.1:PORT/",
        "http://other.example/",
        "file:///etc/passwd",
        "ftp://127.0.0.1:PORT/",
        "gopher://127.0.0.1:PORT/",
        "//127.0.0.1:PORT/",
        "http://",
        "",
    ] {
        let address = address.replace("PORT", &port.to_string());
        for (path, body) in [
            ("/api/ocr/recognize", json!({"image_url": address})),
            (
                "/v1/ocr",
                json!({"document": {"type": "image_url", "image_url": address}}),
            ),
        ] {
            let response = server.post(path).json(&body).send().await.unwrap();
            let (status, code, _) = problem(response).await;
            assert!([403, 422].contains(&status), "{address}: {status} {code}");
        }
    }
    assert_eq!(
        reached.load(Ordering::SeqCst),
        0,
        "the inner network was reached"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_folder() {
    let stand = Stand::sqlite();
    let root = stand.folder().join("root");
    std::fs::create_dir_all(root.join("inner")).unwrap();
    std::fs::write(root.join("inner/photo.png"), sample("photo.png")).unwrap();
    std::fs::write(stand.folder().join("secret.png"), sample("photo.png")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(stand.folder().join("secret.png"), root.join("link.png"))
            .unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
    }
    let server = stand
        .server(&["--file-root", &root.display().to_string()])
        .await;
    let get = async |path: &str| {
        server
            .post("/api/ocr/recognize")
            .json(&json!({"image_path": path}))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(get("inner/photo.png").await.status(), 200);
    for path in [
        "../secret.png",
        "inner/../../secret.png",
        "/etc/passwd",
        "link.png",
        "up/secret.png",
        "up/root/inner/photo.png",
        "./../secret.png",
        "..\\secret.png",
        "%2e%2e/secret.png",
        "inner",
        "",
        "/dev/zero",
        "/proc/self/environ",
        "inner/photo.png\0.txt",
    ] {
        let (status, code, _) = problem(get(path).await).await;
        assert!([403, 422].contains(&status), "{path}: {status} {code}");
    }
    // Nor do paths of the address.
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/docs/../../etc/passwd",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = raw(&server, request.as_bytes());
        assert!(!answer.contains("root:"), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_that_would_be_huge_are_refused_by_their_header() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let before = server.metric("process_resident_memory_bytes", "").await;
    let header = |width: u32, height: u32| {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend_from_slice(&width.to_be_bytes());
        chunk.extend_from_slice(&height.to_be_bytes());
        chunk.extend_from_slice(&[8, 6, 0, 0, 0]);
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\r".to_vec();
        png.extend_from_slice(&chunk);
        png.extend_from_slice(&crc(&chunk).to_be_bytes());
        png.extend_from_slice(&[0; 64]);
        png
    };
    for (width, height) in [
        (100_000, 100_000),
        (u32::MAX >> 1, 1),
        (1, u32::MAX >> 1),
        (20_000, 20_000),
    ] {
        let (status, code, _) = problem(server.recognize(header(width, height)).await).await;
        assert_eq!(status, 413, "{width}×{height}: {code}");
    }
    let bmp = {
        let mut bmp = b"BM".to_vec();
        bmp.extend_from_slice(&[0; 12]);
        bmp.extend_from_slice(&40u32.to_le_bytes());
        bmp.extend_from_slice(&60_000i32.to_le_bytes());
        bmp.extend_from_slice(&60_000i32.to_le_bytes());
        bmp.extend_from_slice(&[1, 0, 24, 0]);
        bmp.extend_from_slice(&[0; 24]);
        bmp
    };
    let (status, ..) = problem(server.recognize(bmp).await).await;
    assert!([413, 422].contains(&status), "{status}");
    let after = server.metric("process_resident_memory_bytes", "").await;
    assert!(after - before < 64e6, "{before} {after}");
}

/// CRC-32 as PNG has it (ISO 3309).
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_slowly_is_cut_off_and_keeps_nobody_waiting() {
    let stand = Stand::sqlite();
    let server = stand
        .server(&["--upload-timeout", "2", "--max-connections", "200"])
        .await;
    // Headers that never end, on many connections.
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
            stream
                .write_all(b"POST /api/ocr/recognize HTTP/1.1\r\nhost: localhost\r\nx-a: ")
                .unwrap();
            stream
        })
        .collect();
    // And a body that never comes.
    let body = tokio::task::spawn_blocking({
        let port = server.port();
        move || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream
                .write_all(
                    b"POST /api/ocr/recognize HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\n\
                      content-length: 1000\r\n\r\nabc",
                )
                .unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            let mut answer = [0; 2048];
            let length = stream.read(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        }
    });
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    let answer = body.await.unwrap();
    assert!(
        answer.contains("408") && answer.contains("upload_too_slow"),
        "{answer}"
    );
    let began = Instant::now();
    tokio::task::spawn_blocking(move || {
        for stream in &mut slow {
            stream
                .set_read_timeout(Some(Duration::from_secs(40)))
                .unwrap();
            let mut rest = Vec::new();
            // The end of the connection, in whatever way.
            let _ = stream.read_to_end(&mut rest);
        }
    })
    .await
    .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(35),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_hurt_nobody() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--max-file", "1"]).await;
    let head = "POST /api/ocr/recognize HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let form = "content-type: multipart/form-data; boundary=b\r\n";
    let body = |body: &str| format!("content-length: {}\r\n\r\n{body}", body.len());
    let part = "content-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n";
    let many_parts = format!("--b\r\n{part}x\r\n").repeat(5000) + "--b--\r\n";
    let long_name = format!(
        "--b\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\nx\r\n--b--\r\n",
        "n".repeat(100_000)
    );
    for (what, rest) in [
        (
            "no boundary",
            format!("content-type: multipart/form-data\r\n{}", body("--b\r\n")),
        ),
        (
            "an empty boundary",
            format!(
                "content-type: multipart/form-data; boundary=\r\n{}",
                body("--\r\n")
            ),
        ),
        (
            "an unfinished part",
            format!("{form}{}", body(&format!("--b\r\n{part}xyz"))),
        ),
        (
            "no disposition",
            format!("{form}{}", body("--b\r\n\r\nx\r\n--b--\r\n")),
        ),
        ("many parts", format!("{form}{}", body(&many_parts))),
        ("a long name", format!("{form}{}", body(&long_name))),
        (
            "two lengths",
            "content-length: 1\r\ncontent-length: 2\r\n\r\nab".into(),
        ),
        ("a negative length", "content-length: -1\r\n\r\n".into()),
        (
            "a huge length",
            "content-type: image/png\r\ncontent-length: 99999999999\r\n\r\n".into(),
        ),
        (
            "no chunk size",
            "content-type: image/png\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".into(),
        ),
        (
            "a chunk too large",
            format!(
                "content-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n200000\r\n{}\r\n0\r\n\r\n",
                "x".repeat(0x20_0000)
            ),
        ),
        (
            "length and chunks",
            "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        (
            "a header flood",
            format!("{}\r\n", "x-a: b\r\n".repeat(20_000)),
        ),
        (
            "a long header",
            format!("x-a: {}\r\n\r\n", "b".repeat(1 << 20)),
        ),
        ("a bare line feed", "x-a: b\n\n\n".into()),
        ("a NUL in a header", "x-a: \0\r\n\r\n".into()),
        (
            "an unknown encoding",
            format!(
                "content-encoding: gzip\r\ncontent-type: image/png\r\n{}",
                body("x")
            ),
        ),
    ] {
        let answer = raw(&server, format!("{head}{rest}").as_bytes());
        let status: u16 = answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
        // 0: it was cut off without a word.
        assert!(
            status == 0 || (400..500).contains(&status),
            "{what}: {answer}"
        );
    }
    for garbage in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage-garbage-garbage",
    ] {
        let answer = raw(&server, garbage);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    assert_eq!(
        server
            .metric("maoocr_problems_total", "server_failed")
            .await,
        0.0
    );
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_told_nothing_and_get_fewer_and_fewer_tries() {
    let stand = Stand::sqlite();
    let key = "a-key-for-tests-0123456789";
    let server = stand.server(&["--auth", "keys", "--api-keys", key]).await;
    let mut limited = 0;
    for number in 0..60 {
        let response = server
            .get("/api/models")
            .bearer_auth(format!("mao_{number}"))
            .send()
            .await
            .unwrap();
        let (status, code, _) = problem(response).await;
        match status {
            401 => assert_eq!(code, "key_invalid"),
            429 => limited += 1,
            other => panic!("{other}"),
        }
    }
    assert!(limited > 10, "{limited}");
    for wrong in [
        "",
        " ",
        &key[1..],
        &format!("{key}x"),
        &key.to_uppercase(),
        &"k".repeat(100_000),
    ] {
        let response = server
            .get("/api/models")
            .header("x-api-key", wrong)
            .send()
            .await;
        // Headers that are too long end the connection.
        if let Ok(response) = response {
            assert!(
                [401, 429, 431].contains(&response.status().as_u16()),
                "{}",
                response.status()
            );
        }
    }
    assert_eq!(
        server
            .get("/api/models")
            .bearer_auth(key)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    for path in ["/health", "/ready", "/openapi.json"] {
        assert_eq!(
            server.get(path).send().await.unwrap().status(),
            200,
            "{path}"
        );
    }
    assert!(!server.log().contains(key), "the key is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_cannot_use_a_private_server() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    // A name of the page's own that resolves to this machine.
    let request = "GET /api/history HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = raw(&server, request.as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("host_not_allowed"),
        "{answer}"
    );
    let foreign = server
        .get("/api/history")
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert!(
        !foreign
            .headers()
            .contains_key("access-control-allow-origin")
    );

    let allowing = stand.server(&["--cors", "https://app.example"]).await;
    let asked = async |origin: &str| {
        let request = allowing.get("/api/history").header("origin", origin);
        let response = request.send().await.unwrap();
        response
            .headers()
            .get("access-control-allow-origin")
            .cloned()
    };
    assert_eq!(
        asked("https://app.example").await.unwrap(),
        "https://app.example"
    );
    assert_eq!(asked("https://evil.example").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_never_an_expression() {
    for stand in Stand::both() {
        let server = stand.server(&[]).await;
        assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
        let began = Instant::now();
        for query in [
            "\"",
            "'",
            "%",
            "_",
            "*",
            "a*",
            "(a+)+$",
            "a AND",
            "OR",
            "NOT a",
            "NEAR(a b)",
            "a:b",
            "-a",
            "^a",
            "{a}",
            "'; DROP TABLE history; --",
            "\\",
            "a & | !",
            "\0",
            "%00",
            "\u{202e}",
            "𝔞",
            &"a ".repeat(250),
            &"(".repeat(500),
            &"月".repeat(500),
        ] {
            let request = server.get("/api/history").query(&[("q", query)]);
            let status = request.send().await.unwrap().status().as_u16();
            assert!(status == 200 || status == 422, "{query:?}: {status}");
        }
        let long = server.get("/api/history").query(&[("q", "a".repeat(501))]);
        assert_eq!(problem(long.send().await.unwrap()).await.0, 422);
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(server.recognize(sample("dark.png")).await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_beyond_this_machine_wants_keys() {
    let stand = Stand::sqlite();
    let mut command = stand.command();
    command
        .args([
            "serve",
            "--listen",
            "0.0.0.0:0",
            "--offline",
            "--device",
            "cpu",
        ])
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let mut port = None;
    for line in std::io::BufRead::lines(std::io::BufReader::new(stderr)) {
        let line = line.unwrap();
        if let Some(place) = line.split("http://0.0.0.0:").nth(1) {
            port = place.split(',').next().and_then(|p| p.parse::<u16>().ok());
            break;
        }
    }
    let client = Client::builder().no_proxy().build();
    let address = format!("http://127.0.0.1:{}/api/models", port.unwrap());
    let status = client.unwrap().get(address).send().await.unwrap().status();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status, 401);
}

/// Forms of other pages, which a browser sends without asking.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_page_cannot_use_a_server_without_keys() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--cors", "https://app.example"]).await;
    let send = async |headers: &[(&'static str, &str)]| {
        let part = reqwest::multipart::Part::bytes(sample("photo.png")).file_name("a");
        let form = reqwest::multipart::Form::new().part("image", part);
        let mut request = server.post("/api/ocr/recognize").multipart(form);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    for foreign in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(send(foreign).await, 403, "{foreign:?}");
    }
    for own in [
        &[][..],
        &[
            ("origin", server.base.as_str()),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("sec-fetch-site", "none")],
        &[
            ("origin", "https://app.example"),
            ("sec-fetch-site", "cross-site"),
        ],
        &[(
            "origin",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        )],
    ] {
        assert_eq!(send(own).await, 200, "{own:?}");
    }
    // Nor can it delete anything.
    let delete = server
        .delete("/api/history")
        .header("origin", "https://evil.example");
    assert_eq!(
        problem(delete.send().await.unwrap()).await.1,
        "origin_not_allowed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_may_call_may_send_its_key() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--cors", "*"]).await;
    let preflight = server
        .client
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/api/history", server.base),
        )
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization,x-api-key");
    let answer = preflight.send().await.unwrap();
    let allowed = answer.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("authorization"), "{allowed}");
}

/// Connections of a hostile client, from an address of its own.
fn connect_from(address: &str, server: &Server) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Little room for what isn't read.
    socket.set_recv_buffer_size(4096).unwrap();
    let from: std::net::SocketAddr = format!("{address}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    let to: std::net::SocketAddr = format!("127.0.0.1:{}", server.port()).parse().unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Whether the server answers somebody new within this time.
async fn answers(server: &Server, time: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < time {
        let client = Client::builder().no_proxy().build().unwrap();
        let asked = client.get(format!("{}/health", server.base)).send();
        if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(2), asked).await {
            return answer.status() == 200;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_do_not_hold_a_place() {
    let stand = Stand::sqlite();
    let options = ["--max-connections", "20", "--write-timeout", "2"];
    let server = stand.server(&options).await;
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200);
    let _deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect_from("127.0.0.1", &server);
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write(&ask);
            stream
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(answers(&server, Duration::from_secs(20)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_connections_without_requests_do_not_hold_a_place() {
    let stand = Stand::sqlite();
    let options = ["--max-connections", "20", "--idle-timeout", "2"];
    let server = stand.server(&options).await;
    // The preface and empty settings.
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let _idle: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect_from("127.0.0.1", &server);
            stream.write_all(hello).unwrap();
            stream
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(answers(&server, Duration::from_secs(15)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_all_places() {
    let stand = Stand::sqlite();
    let options = [
        "--max-connections",
        "20",
        "--max-connections-by-address",
        "5",
    ];
    let server = stand.server(&options).await;
    let _greedy: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect_from("127.0.0.2", &server);
            let _ = stream.write(b"GET /health HTTP/1.1\r\n");
            stream
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    assert!(answers(&server, Duration::from_secs(20)).await);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}
