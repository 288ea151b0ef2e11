//! Keys that an administrator creates over HTTP.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stand::{Stand, problem, sample};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_creates_lists_and_revokes_keys() {
    for stand in Stand::both() {
        let output = stand
            .command()
            .args(["keys", "create", "--name", "root", "--scopes", "admin"])
            .output()
            .unwrap();
        let root = String::from_utf8(output.stdout).unwrap().trim().to_string();
        let server = stand.server(&["--auth", "keys"]).await;
        let create = async |key: &str, body: Value| {
            let request = server.post("/api/keys").bearer_auth(key).json(&body);
            request.send().await.unwrap()
        };
        let body = json!({"name": "shop", "scopes": ["recognize"], "rate": 600, "days": 30});
        let made = create(&root, body).await;
        assert_eq!(made.status(), 201);
        assert_eq!(made.headers()["cache-control"], "no-store");
        let made: Value = made.json().await.unwrap();
        let key = made["key"].as_str().unwrap().to_string();
        assert!(key.starts_with("mao_"));

        // It is shown once, and does what it may.
        let list = server.get("/api/keys").bearer_auth(&root);
        let list = list.send().await.unwrap().text().await.unwrap();
        assert!(!list.contains(&key), "{list}");
        let list: Value = serde_json::from_str(&list).unwrap();
        let mut shown = made.clone();
        shown.as_object_mut().unwrap().remove("key");
        let listed = &list["keys"][1];
        for field in ["id", "name", "scopes", "rate", "expires_at", "state"] {
            assert_eq!(listed[field], shown[field], "{field}");
        }
        assert_eq!(listed["state"], "valid");
        let read = async || {
            let request = server.post("/api/ocr/recognize").bearer_auth(&key);
            request
                .body(sample("photo.png"))
                .send()
                .await
                .unwrap()
                .status()
        };
        assert_eq!(read().await, StatusCode::OK);
        for request in [
            server.get("/api/keys"),
            server
                .post("/api/keys")
                .json(&json!({"name": "mine", "scopes": ["admin"]})),
            server.delete(&format!("/api/keys/{}", made["id"].as_str().unwrap())),
        ] {
            let refused = problem(request.bearer_auth(&key).send().await.unwrap()).await;
            assert_eq!((refused.0, &*refused.1), (403, "scope_missing"));
        }

        for (body, field) in [
            (json!({"name": " "}), "name"),
            (json!({"name": "a\u{0}"}), "name"),
            (json!({"name": "a", "rate": 0}), "rate"),
            (json!({"name": "a", "days": 0}), "days"),
            (json!({"name": "a", "scopes": []}), "scopes"),
        ] {
            let refused = problem(create(&root, body).await).await;
            assert_eq!((refused.0, &refused.2["field"]), (422, &json!(field)));
        }
        let unknown = problem(create(&root, json!({"name": "a", "scope": "admin"})).await).await;
        assert_eq!(unknown.1, "invalid_json");

        let gone = format!("/api/keys/{}", made["id"].as_str().unwrap());
        let delete = async || {
            server
                .delete(&gone)
                .bearer_auth(&root)
                .send()
                .await
                .unwrap()
        };
        assert_eq!(delete().await.status(), 204);
        assert_eq!(problem(delete().await).await.0, 404);
        // A server trusts what it has looked up for ten seconds.
        tokio::time::sleep(std::time::Duration::from_secs(11)).await;
        assert_eq!(read().await, StatusCode::UNAUTHORIZED);
    }
}
