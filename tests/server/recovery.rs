//! Jobs among sick servers: what is a server's fault costs no picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::jobs::{create, done};
use crate::stand::{PATIENCE, Server, Stand, numbered, problem, sample};

fn pictures(count: u32) -> Form {
    (0..count).fold(Form::new(), |form, number| {
        form.part("image", Part::bytes(numbered(number)).file_name("p"))
    })
}

/// A folder of its own with the models.
fn models(stand: &Stand, name: &str) -> PathBuf {
    let folder = stand.folder().join(name);
    fs::create_dir(&folder).unwrap();
    mend(&folder);
    folder
}

/// Puts sound models into a folder.
fn mend(folder: &Path) {
    for file in fs::read_dir(maoocr_tests::models().unwrap()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
}

/// Damages those among them whose name has this in it. They keep their size.
fn damage(folder: &Path, named: &str, damage: impl Fn(&mut Vec<u8>)) {
    let mut damaged = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().contains(named) {
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
}

/// Waits until the server says that it is not fit.
async fn unfit(server: &Server) {
    let began = Instant::now();
    loop {
        let answer = server.get("/ready").send().await.unwrap();
        if answer.status() != 200 && problem(answer).await.1 == "unfit" {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Every picture was read, and says what it says.
fn all_read(job: &Value, count: u64) {
    assert_eq!(
        (&job["state"], &job["done"], &job["failed"]),
        (&json!("done"), &json!(count), &json!(0)),
        "{job}"
    );
    for result in job["results"].as_array().unwrap() {
        let text = result["document"]["text"].as_str().unwrap();
        assert!(text.contains("segmentation"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_load_a_model_loses_no_picture() {
    let stand = Stand::postgres();
    let folder = models(&stand, "models");
    let path = folder.display().to_string();
    let options = ["--lease", "1", "--cache", "0", "--models", &path];
    let sick = stand.server(&options).await;
    damage(&folder, "tiny-rec", |bytes| bytes[..1000].fill(0xff));
    let form = Form::new().text(
        "requirements",
        "{\"accuracy_requirement\": \"low\", \"speed_requirement\": \"high\"}",
    );
    let form = (0..20).fold(form, |form, number| {
        form.part("image", Part::bytes(numbered(number)).file_name("p"))
    });
    let place = create(&sick, form).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sound = stand.server(&["--lease", "1", "--cache", "0"]).await;
    all_read(&done(&sound, &place).await, 20);
    // What it can read, it still does.
    assert_eq!(sick.get("/ready").send().await.unwrap().status(), 200);
    assert_eq!(sick.recognize(sample("photo.png")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_reads_nonsense_takes_no_work_until_it_is_mended() {
    let stand = Stand::sqlite();
    let folder = models(&stand, "models");
    let path = folder.display().to_string();
    let server = stand.server(&["--cache", "0", "--models", &path]).await;
    // The alphabets back to front.
    damage(&folder, ".txt", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let end = if text.ends_with('\n') { "\n" } else { "" };
        let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').rev().collect();
        *bytes = (lines.join("\n") + end).into_bytes();
    });
    server.signal("HUP");
    unfit(&server).await;
    let place = create(&server, pictures(3)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let job = server.json(&place).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("queued"), &json!(0)));
    mend(&folder);
    server.ready().await.unwrap();
    all_read(&done(&server, &place).await, 3);
}

/// A page that takes a second or more.
fn slow() -> Vec<u8> {
    let tile = image::load_from_memory(&sample("photo.png"))
        .unwrap()
        .to_rgb8();
    let (width, height) = (tile.width(), tile.height());
    let mut page = image::RgbImage::new(width * 5, height * 5);
    for (x, y, pixel) in page.enumerate_pixels_mut() {
        *pixel = *tile.get_pixel(x % width, y % height);
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    page.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture that kills its server each time it is read: here the test is what kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_kills_its_server_takes_no_other_with_it() {
    let stand = Stand::postgres();
    let options = ["--workers", "3", "--lease", "1", "--cache", "0"];
    let mut server = stand.server(&options).await;
    let form = Form::new().part("image", Part::bytes(slow()).file_name("deadly"));
    let form = (0..9).fold(form, |form, number| {
        form.part("image", Part::bytes(numbered(number)).file_name("p"))
    });
    let place = create(&server, form).await;
    let first =
        "SELECT CASE WHEN state = 'running' AND begun_at IS NULL THEN 'waiting' ELSE state END
                 FROM items WHERE idx = 0";
    for _ in 0..20 {
        let began = Instant::now();
        let state = loop {
            let state = stand.query(first);
            if !["queued", "waiting"].contains(&state.as_str()) {
                break state;
            }
            assert!(began.elapsed() < PATIENCE);
        };
        if state != "running" {
            break;
        }
        server.signal("KILL");
        server.wait();
        // Until the lease is over.
        tokio::time::sleep(Duration::from_secs(1)).await;
        server = stand.server(&options).await;
    }
    let job = done(&server, &place).await;
    let results = job["results"].as_array().unwrap();
    assert_eq!(results[0]["error"]["code"], "gave_up", "{}", results[0]);
    let lost: Vec<&Value> = results[1..]
        .iter()
        .filter(|result| result["state"] != "done")
        .collect();
    assert!(lost.is_empty(), "{} of 9: {lost:?}", lost.len());
}

/// The time a picture may take begins when it is read, not when it is claimed.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_busy_server_costs_a_job_nothing() {
    let stand = Stand::sqlite();
    let usual = ["--workers", "1", "--cache", "0"];
    let server = stand.server(&usual).await;
    let began = Instant::now();
    for number in 0..3 {
        server.recognize(numbered(number)).await;
    }
    // Less than it takes to be served after four others.
    let time = format!("{:.1}", began.elapsed().as_secs_f64() / 3.0 * 4.0);
    drop(server);
    let options = [&usual[..], &["--job-deadline", &time]].concat();
    let server = stand.server(&options).await;
    let people = async |offset: u32| {
        for number in 0..12 {
            let answer = server.recognize(numbered(1000 * offset + number)).await;
            assert_eq!(answer.status(), 200);
        }
    };
    let job = async {
        let place = create(&server, pictures(6)).await;
        done(&server, &place).await
    };
    let (.., job) = tokio::join!(people(1), people(2), people(3), people(4), job);
    all_read(&job, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_read_again_when_its_owner_says_so() {
    for stand in Stand::both() {
        // Pages of this size are too large, until the operator allows them.
        let strict = ["--max-megapixels", "1", "--cache", "0"];
        let server = stand.server(&strict).await;
        let form = Form::new()
            .part("image", Part::bytes(slow()).file_name("large"))
            .part("image", Part::bytes(numbered(1)).file_name("small"));
        let place = create(&server, form).await;
        let job = done(&server, &place).await;
        assert_eq!((&job["done"], &job["failed"]), (&json!(1), &json!(1)));
        drop(server);
        let server = stand.server(&["--cache", "0"]).await;
        let retried = server.post(&format!("{place}/retry")).send().await.unwrap();
        assert_eq!(retried.status(), 200);
        let job = done(&server, &place).await;
        assert_eq!((&job["done"], &job["failed"]), (&json!(2), &json!(0)));
        let none = server.post("/api/jobs/00000000-0000-0000-0000-000000000000/retry");
        assert_eq!(problem(none.send().await.unwrap()).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_page_by_page() {
    for stand in Stand::both() {
        let server = stand.server(&[]).await;
        let mut places = Vec::new();
        for number in 0..5 {
            let part = Part::bytes(numbered(number)).file_name("p");
            places.push(create(&server, Form::new().part("image", part)).await);
        }
        places.reverse();
        let mut listed = Vec::new();
        let mut path = "/api/jobs?limit=2".to_string();
        loop {
            let page = server.json(&path).await;
            for job in page["jobs"].as_array().unwrap() {
                listed.push(format!("/api/jobs/{}", job["id"].as_str().unwrap()));
            }
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("/api/jobs?limit=2&before={next}");
        }
        assert_eq!(listed, places);
        let (status, ..) = problem(server.get("/api/jobs?limit=0").send().await.unwrap()).await;
        assert_eq!(status, 422);
        // Deleted once it is over.
        done(&server, &places[0]).await;
        assert_eq!(
            server.delete(&places[0]).send().await.unwrap().status(),
            200
        );
        let gone = server.get(&places[0]).send().await.unwrap();
        assert_eq!(problem(gone).await.0, 404);
    }
}
