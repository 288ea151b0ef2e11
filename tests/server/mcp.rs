//! The Model Context Protocol, as its official SDKs for Python and JavaScript speak it.

use std::path::Path;

use maoocr_tests::{Limits, binary, run};

use crate::api::tiff;
use crate::contract::{script, text_of};
use crate::documents::pdf;
use crate::stand::{Stand, problem, sample};

/// A folder with what the script wants, and beside it what it must not get.
fn folder(stand: &Stand) -> String {
    let folder = stand.folder().join("root");
    std::fs::create_dir(&folder).unwrap();
    pdf(&folder);
    std::fs::write(folder.join("long.tif"), tiff(&["photo.png"; 20])).unwrap();
    std::fs::write(folder.join("receipt.jpg"), sample("receipt.jpg")).unwrap();
    let secret = stand.folder().join("secret.png");
    std::fs::write(&secret, sample("photo.png")).unwrap();
    std::os::unix::fs::symlink(&secret, folder.join("link.png")).unwrap();
    folder.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_calls_every_tool_over_standard_input() {
    let stand = Stand::sqlite();
    let folder = folder(&stand);
    let maoocr = binary().unwrap().display().to_string();
    let said = script("mcp_client.py", &["stdio", &maoocr, &folder]).await;
    assert!(
        said.contains("stdio auto: ok") && said.contains("stdio legacy: ok"),
        "{said}"
    );
    let said = script("clients/mcp.mjs", &["stdio", &maoocr, &folder]).await;
    assert!(said.contains("stdio: ok"), "{said}");
    for made in ["made.pdf", "new.pdf"] {
        let text = text_of(&Path::new(&folder).join(made));
        assert!(text.contains("CORNER BAKERY"), "{made}: {text}");
    }
    assert!(!stand.folder().join("out.pdf").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_calls_every_tool_over_http_with_a_key() {
    let stand = Stand::postgres();
    let folder = folder(&stand);
    let mut keys = ["ann", "bob"].into_iter().map(|name| {
        let mut command = stand.command();
        let output = command
            .args(["keys", "create", "--name", name])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    });
    let (ann, bob) = (keys.next().unwrap(), keys.next().unwrap());
    let options = [
        "--auth",
        "keys",
        "--rate",
        "0",
        "--workers",
        "1",
        "--deadline",
        "120",
    ];
    let server = stand.server(&options).await;
    let url = format!("{}/mcp", server.base);
    let said = script("mcp_client.py", &["http", &url, &ann, &folder]).await;
    assert!(
        said.contains("http auto: ok") && said.contains("http legacy: ok"),
        "{said}"
    );
    let said = script("clients/mcp.mjs", &["http", &url, &ann, &folder]).await;
    assert!(said.contains("http: ok"), "{said}");
    let text = text_of(&Path::new(&folder).join("made.pdf"));
    assert!(text.contains("CORNER BAKERY"), "{text}");

    let list = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "resources/list"});
    let ask = |key: &str| {
        let request = server.post("/mcp").json(&list).bearer_auth(key);
        request
            .header("accept", "application/json, text/event-stream")
            .send()
    };
    let resources = async |key: &str| {
        let answer: serde_json::Value = ask(key).await.unwrap().json().await.unwrap();
        answer["result"]["resources"].as_array().unwrap().len()
    };
    assert!(resources(&ann).await > 0);
    assert_eq!(resources(&bob).await, 0);
    for (body, status, code) in [
        ("{", 400, -32700),
        (r#"{"jsonrpc": "2.0", "id": []}"#, 400, -32600),
        (
            r#"{"jsonrpc": "2.0", "id": 1, "method": "nothing"}"#,
            200,
            -32601,
        ),
        (
            r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc": "2.0", "id": 1, "method": "resources/read"}"#,
            200,
            -32602,
        ),
    ] {
        let request = server.post("/mcp").body(body).bearer_auth(&ann);
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    let unknown = ask("mao_none").await.unwrap();
    assert_eq!(problem(unknown).await.1, "key_invalid");
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let arguments = ["mcp", "--offline", "--root", "/no/such/folder"];
    let ended = run(&arguments, &Limits::default()).unwrap();
    assert!(!ended.status.success());
    assert!(
        ended.stderr.contains("--root /no/such/folder"),
        "{}",
        ended.stderr
    );
}
