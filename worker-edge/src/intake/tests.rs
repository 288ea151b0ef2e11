use maoocr_engine::imaging::Format;
use maoocr_engine::plan::Level;

use super::*;

const PNG: &[u8] = include_bytes!("../../../tests/samples/photo.png");

fn made(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend(
            format!(
                "--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a;b\"\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--B--\r\n");
    body
}

fn form_kind() -> Kind {
    Kind::of("multipart/form-data; boundary=B")
}

#[test]
fn bodies_are_told_apart() {
    assert_eq!(
        form_kind(),
        Kind::Form {
            boundary: "B".into()
        }
    );
    assert_eq!(
        Kind::of("Multipart/Form-Data;Boundary=\"a b\""),
        Kind::Form {
            boundary: "a b".into()
        }
    );
    assert_eq!(Kind::of("multipart/form-data"), Kind::Other);
    assert_eq!(media("Multipart/Form-Data ;x"), "multipart/form-data");
    assert_eq!(Kind::of("application/json; charset=utf-8"), Kind::Json);
    assert_eq!(Kind::of(""), Kind::Bare);
    assert_eq!(Kind::of("image/webp"), Kind::Bare);
    assert_eq!(Kind::of("text/html"), Kind::Other);
}

/// What two readers could take for two different forms is looked into by one of them alone.
#[test]
fn a_form_has_one_meaning_or_none_here() {
    for content_type in [
        "multipart/form-data; x=\"; boundary=A; y=\"; boundary=B",
        "multipart/form-data; boundary=A; boundary=B",
        "multipart/form-data; charset=utf-8; boundary=B",
        "multipart/form-data; boundary=\"B",
        "multipart/form-data; boundary=\"\\B\"",
        "multipart/form-data; boundary=\"A;B\"",
        "multipart/form-data; boundary=B, multipart/form-data; boundary=A",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary = B",
    ] {
        assert_eq!(Kind::of(content_type), Kind::Other, "{content_type}");
    }
    let good = String::from_utf8_lossy(&made(&[("image", b"x")])).into_owned();
    let understood = |body: &str| {
        look(&form_kind(), body.as_bytes(), &[], true)
            .unwrap()
            .understood
    };
    assert!(understood(&good));
    assert!(understood(&good.replace("; filename=\"a;b\"", "")));
    let header = "Content-Disposition: form-data; name=\"image\"; filename=\"a;b\"";
    for body in [
        // The server takes the first delimiter, wherever on a line it stands.
        format!("before --B\r\n{good}"),
        format!("\r\n{good}"),
        good.replace(
            "name=\"image\"",
            "filename=\"; name=image\"; name=\"image\"",
        ),
        good.replace("name=\"image\"", "name=\"image\"; name=\"requirements\""),
        good.replace("\"a;b\"", "\"a\\\"; name=x\""),
        good.replace("name=\"image\"", "name=image"),
        good.replace(header, &format!("{header}\r\n{header}")),
        good.replace(header, &format!("x:\r\n {header}")),
        good.replace(header, &format!("{header}\r\nodd line")),
    ] {
        assert_ne!(body, good);
        assert!(!understood(&body), "{body}");
    }
}

#[test]
fn a_form_is_looked_into() {
    let body = made(&[
        ("image", PNG),
        ("requirements", br#"{"speed_requirement": "high"}"#),
    ]);
    let found = look(&form_kind(), &body, &[], true).unwrap();
    assert!(found.understood);
    assert_eq!(found.file.as_deref(), Some(PNG));
    assert_eq!(found.requirements.unwrap().speed_requirement, Level::High);
    let Picture::Known(info) = picture(found.file.as_deref(), true, &Limits::default()) else {
        panic!("its size is known");
    };
    assert_eq!(info.format, Format::Png);
    assert!(info.width > 10);
}

/// Every beginning of a form is looked into without harm, and what is said of the picture is right.
#[test]
fn a_beginning_says_what_it_can() {
    let body = made(&[("requirements", b"{}"), ("image", PNG)]);
    let mut known = 0;
    for length in (0..body.len().min(4096)).chain([body.len()]) {
        let found = look(&form_kind(), &body[..length], &[], false).unwrap();
        assert!(!found.understood, "a beginning is never all");
        match picture(found.file.as_deref(), false, &Limits::default()) {
            Picture::Known(info) => {
                known += 1;
                assert_eq!(info.format, Format::Png);
            }
            other => assert_eq!(other, Picture::Unknown),
        }
    }
    assert!(known > 100, "{known}");
}

#[test]
fn what_the_edge_does_not_understand_is_the_servers() {
    let good = made(&[("image", PNG)]);
    for body in [
        &good[..good.len() - 6],
        &made(&[("image", PNG), ("image", PNG)]),
        &made(&[("picture", PNG)]),
        b"--B",
        b"--Bx\r\n\r\n",
        b"nothing of the kind",
        b"",
    ] {
        let found = look(&form_kind(), body, &[], true).unwrap();
        assert!(
            !found.understood,
            "{:?}",
            String::from_utf8_lossy(&body[..body.len().min(60)])
        );
    }
    let many: Vec<_> = (0..PARTS + 5).map(|_| ("image", &b"x"[..])).collect();
    assert!(
        !look(&form_kind(), &made(&many), &[], true)
            .unwrap()
            .understood
    );
}

#[test]
fn json_is_looked_into() {
    let text = STANDARD.encode(PNG);
    for text in [
        text.clone(),
        format!("data:image/png;base64,{text}"),
        text.trim_end_matches('=').into(),
    ] {
        let body = serde_json::json!({"image_base64": text, "requirements": {"language": "en"}})
            .to_string();
        let found = look(&Kind::Json, body.as_bytes(), &[], true).unwrap();
        assert_eq!(found.file.as_deref(), Some(PNG));
        assert!(found.understood);
    }
    for body in [
        r#"{"image_url": "https://a"}"#,
        r#"{"image_base64": "%"}"#,
        r#"{"image_base64": "", "image_url": ""}"#,
    ] {
        assert!(
            !look(&Kind::Json, body.as_bytes(), &[], true)
                .unwrap()
                .understood,
            "{body}"
        );
    }
}

#[test]
fn requirements_of_a_bare_file_are_its_query() {
    let query = [("real_time".to_string(), "true".to_string())];
    let found = look(&Kind::Bare, PNG, &query, true).unwrap();
    assert!(found.requirements.unwrap().real_time && found.understood);
    let wrong = [("speed".to_string(), "1".to_string())];
    assert_eq!(
        look(&Kind::Bare, PNG, &wrong, true).unwrap_err().code,
        "invalid_requirements"
    );
}

#[test]
fn a_pdf_and_a_text_are_known_for_what_they_are() {
    let limits = Limits::default();
    assert_eq!(picture(Some(b"%PDF-1.7 ..."), true, &limits), Picture::Pdf);
    assert!(matches!(
        picture(Some(b"hello world, hello world"), true, &limits),
        Picture::Wrong(_)
    ));
    assert_eq!(picture(None, true, &limits), Picture::Unknown);
    // What only servers can decode isn't refused.
    for mark in [&b"\0\0\0\x0cjP  \r\n\x87\n"[..], b"\xff\x0a\x00"] {
        assert_eq!(picture(Some(mark), true, &limits), Picture::Unknown);
    }
}

#[test]
fn a_json_bomb_is_refused_and_not_kept() {
    let wide = format!("{{\"requirements\": [{}[]]}}", "[],".repeat(1 << 20));
    let deep = format!("{{\"requirements\": {}", "[".repeat(1 << 20));
    let many = format!(
        "{{\"requirements\": {{{}\"z\":1}}}}",
        "\"a\":1,".repeat(1 << 20)
    );
    for (body, status, code) in [
        (&wide[..], 422, "invalid_requirements"),
        (&deep, 400, "invalid_json"),
        (&many, 422, "invalid_requirements"),
        ("{", 400, "invalid_json"),
        ("{\"images\": 1}", 422, "invalid_json"),
    ] {
        let problem = look(&Kind::Json, body.as_bytes(), &[], true).unwrap_err();
        assert_eq!((problem.status, problem.code), (status, code));
    }
    let requirements = made(&[
        ("requirements", "[]".repeat(20_000).as_bytes()),
        ("image", PNG),
    ]);
    let problem = look(&form_kind(), &requirements, &[], true).unwrap_err();
    assert_eq!((problem.status, problem.code), (413, "part_too_large"));
}

#[test]
fn what_is_said_beside_the_file_is_found() {
    let form = made(&[("image", PNG), ("pages", b"1-3"), ("format", b"md")]);
    let json = serde_json::json!({
        "image_base64": STANDARD.encode(PNG), "pages": "1-3", "format": "md", "name": "a;b",
    });
    let query = [("pages", "1-3"), ("format", "md")].map(|(n, v)| (n.into(), v.into()));
    for found in [
        look(&form_kind(), &form, &[], true).unwrap(),
        look(&Kind::Json, json.to_string().as_bytes(), &[], true).unwrap(),
        look(&Kind::of("application/pdf"), PNG, &query, true).unwrap(),
    ] {
        assert!(found.understood);
        assert_eq!(found.said.pages.as_deref(), Some("1-3"));
        assert_eq!(found.said.format.as_deref(), Some("md"));
        assert!(found.name.is_empty() || found.name == "a;b");
    }
    // What a query says beside a form or JSON, a server joins with it.
    let body = json.to_string();
    assert!(!look(&form_kind(), &form, &query, true).unwrap().understood);
    let json = look(&Kind::Json, body.as_bytes(), &query, true).unwrap();
    assert!(!json.understood && json.file.is_none());
    let twice = made(&[("image", PNG), ("pages", b"1"), ("pages", b"2")]);
    assert!(!look(&form_kind(), &twice, &[], true).unwrap().understood);
}
