//! The whole way of a page with networks that see what is drawn for them: what isn't black is text, and its shade names
//! the character.

use std::collections::BTreeMap;
use std::sync::Arc;

use maoocr_models::Manifest;
use maoocr_models::manifest::Task;
use maoocr_runtime::{BestPath, RunFuture, Session, Tensor};

use super::*;
use crate::answer::DropReason;
use crate::plan::{DeviceClass, Requirements};
use crate::recognise::Reading;

/// A network for each task; a recogniser may be sure of everything.
struct Drawn(Task, bool);

/// Shade of the character of a class.
const SHADE: u8 = 40;

impl Session for Drawn {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move {
            let &[_, _, h, w] = input.shape() else {
                unreachable!("the input is a picture")
            };
            if self.0 != Task::Detection {
                // Everything is upright.
                return Tensor::new([1, 4], vec![1.0, 0.0, 0.0, 0.0]);
            }
            let seen = |pixel: &[f32]| if pixel[0] > -1.9 { 0.9 } else { 0.0 };
            let map = input.data().chunks_exact(3).map(seen).collect();
            Tensor::new([1, 1, h, w], map)
        })
    }

    /// Usually surely, but for what begins with a `d`.
    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        let &[_, _, height, width] = input.shape() else {
            unreachable!("the input is a picture")
        };
        let input = input.into_row_major();
        let row = &input.data()[height / 2 * width..(height / 2 + 1) * width];
        let class = |c: &[f32]| {
            let mean = c.iter().sum::<f32>() / c.len() as f32;
            let shade = (mean + 1.0) * 127.5 / f32::from(SHADE);
            // The padding is grey.
            let classes = [1, 2, 4];
            classes
                .into_iter()
                .find(|&c| (shade - c as f32).abs() < 0.1)
                .unwrap_or(0)
        };
        let classes: Vec<u32> = row.chunks_exact(8).map(class).collect();
        let sure = self.1 || classes.iter().find(|c| **c > 0) != Some(&4);
        let count = classes.len();
        Box::pin(async move {
            Ok(BestPath {
                batch: 1,
                steps: count,
                classes,
                probabilities: vec![if sure { 0.95 } else { 0.3 }; count],
                last_class: vec![0.0; count],
            })
        })
    }

    fn executor(&self) -> String {
        "drawn".into()
    }
}

fn engine() -> (Engine, Plan) {
    let manifest = Manifest::built_in();
    let engine = Engine::new(DeviceClass::Cpu);
    let installed: Vec<_> = manifest.models.iter().collect();
    let plan = engine.plan(&Requirements::default(), &installed).unwrap();
    for name in plan.models() {
        let entry = manifest.get(name).unwrap().clone();
        let dictionary = entry.recognition.is_some().then_some("a\nb\nc\nd\n");
        let session = Arc::new(Drawn(entry.task, false));
        engine.install(entry, session, dictionary).unwrap();
    }
    (engine, plan)
}

/// Where the bars of the page are, and the classes of the characters in each: equally wide, no space between them.
const BARS: [([usize; 4], &[u8]); 4] = [
    ([100, 80, 400, 120], &[1, 2, 1]),
    ([500, 80, 740, 120], &[2, 1]),
    // Upside down: it reads badly from this side.
    ([100, 200, 460, 240], &[4, 2, 1]),
    // Noise: it reads badly from both.
    ([100, 320, 400, 360], &[4, 1, 4]),
];

fn page() -> Image {
    let (width, height) = (960usize, 640usize);
    let mut rgb = vec![0; width * height * 3];
    for ([x0, y0, x1, y1], classes) in BARS {
        for y in y0..y1 {
            for x in x0..x1 {
                let class = classes[(x - x0) * classes.len() / (x1 - x0)];
                rgb[(y * width + x) * 3..][..3].fill(class * SHADE);
            }
        }
    }
    Image {
        width: width as u32,
        height: height as u32,
        rgb,
    }
}

/// Follows what is told.
#[derive(Default)]
struct Follower {
    found: usize,
    told: BTreeMap<usize, (String, Quad)>,
    told_in_all: usize,
}

impl Observer for Follower {
    fn detected(&mut self, quads: &[Quad]) {
        self.found = quads.len();
    }

    fn line(&mut self, index: usize, quad: &Quad, reading: &Reading) {
        self.told_in_all += 1;
        self.told.insert(index, (reading.text(), *quad));
    }

    fn withdrawn(&mut self, index: usize) {
        self.told.remove(&index);
    }
}

fn read(image: Image) -> (Answer, Follower) {
    let (engine, plan) = engine();
    let mut follower = Follower::default();
    let answer = engine.read_page(image.into(), &plan, &mut follower);
    (pollster::block_on(answer).unwrap(), follower)
}

fn texts(answer: &Answer) -> Vec<&str> {
    let mut texts: Vec<&str> = answer.lines.iter().map(|l| l.text.as_str()).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn what_is_told_comes_to_the_answer() {
    let (answer, follower) = read(page());
    assert_eq!(texts(&answer), ["aba", "abd", "ba"]);
    assert_eq!(follower.found, 4);
    // One of them twice.
    assert!(follower.told_in_all > 4);
    let mut told: Vec<_> = follower.told.values().cloned().collect();
    let mut lines: Vec<_> = answer
        .lines
        .iter()
        .map(|l| (l.text.clone(), l.quad))
        .collect();
    let by_text = |a: &(String, Quad), b: &(String, Quad)| a.0.cmp(&b.0);
    told.sort_by(by_text);
    lines.sort_by(by_text);
    assert_eq!(told, lines);
    // Nothing is lost in silence.
    let dropped: Vec<_> = answer
        .dropped
        .iter()
        .map(|d| (d.text.as_str(), d.reason))
        .collect();
    assert_eq!(dropped, [("dad", DropReason::Unread)]);
}

#[test]
fn words_stand_where_they_were_drawn() {
    let (answer, _) = read(page());
    for line in &answer.lines {
        let [x0, y0, x1, y1] = line.quad.bounds();
        let middle = (x0 + x1) / 2.0;
        let near = |bar: &[usize; 4]| {
            (bar[0] as f32..bar[2] as f32).contains(&middle)
                && y0 < bar[1] as f32
                && y1 > bar[3] as f32
        };
        let (bar, _) = BARS.iter().find(|(bar, _)| near(bar)).unwrap();
        assert_eq!(line.words.len(), 1);
        let word = line.words[0].quad.bounds();
        assert!(
            word[0] >= x0 - 0.1 && word[2] <= x1 + 0.1,
            "{word:?} in {:?}",
            line.quad
        );
        // The characters' middles are a step apart at most, their ends half a character.
        let (left, right) = (word[0] - bar[0] as f32, word[2] - bar[2] as f32);
        assert!(
            left.abs() < 30.0 && right.abs() < 30.0,
            "{word:?}, drawn at {bar:?}"
        );
        assert!((left + right).abs() < 12.0, "{word:?}, drawn at {bar:?}");
    }
}

#[test]
fn a_turned_page_says_the_same_and_its_boxes_are_turned() {
    let image = page();
    let height = image.height as f32;
    let (upright, _) = read(image.clone());
    let (turned, follower) = read(orient::rotate(image, Turn::Right));
    assert_eq!(texts(&turned), texts(&upright));
    assert_eq!(follower.told.len(), turned.lines.len());
    for line in &upright.lines {
        let [x0, y0, x1, y1] = line.quad.bounds();
        let wanted = [height - y1, x0, height - y0, x1];
        let found = turned.lines.iter().any(|other| {
            let pairs = other.quad.bounds().into_iter().zip(wanted);
            other.text == line.text && pairs.into_iter().all(|(a, b)| (a - b).abs() < 3.0)
        });
        assert!(found, "{wanted:?} among {:?}", turned.lines);
    }
}

#[test]
fn stages_can_be_called_alone() {
    let (engine, plan) = engine();
    let image = page();
    let found = pollster::block_on(engine.detect_lines(&image, &plan)).unwrap();
    assert_eq!(found.len(), 4);
    let quads: Vec<Quad> = found.iter().map(|d| d.quad).collect();
    let lines = pollster::block_on(engine.read_lines(&image, &quads, &plan)).unwrap();
    let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(texts, ["aba", "ba", "abd", "dad"]);
    for (line, quad) in lines.iter().zip(quads) {
        assert_eq!(line.quad.bounds(), quad.bounds());
    }
}

#[test]
fn lines_in_other_scripts_are_read_by_their_recogniser() {
    let (engine, plan) = engine();
    let read = |engine: &Engine| {
        let mut follower = Follower::default();
        let answer = engine.read_page(page().into(), &plan, &mut follower);
        (pollster::block_on(answer).unwrap(), follower)
    };
    let eslav = || {
        Manifest::built_in()
            .get("ppocrv5-eslav-rec")
            .unwrap()
            .clone()
    };
    let install = |sure, dictionary| {
        let session = Arc::new(Drawn(Task::Recognition, sure));
        engine.install(eslav(), session, Some(dictionary)).unwrap();
    };
    install(true, "\u{430}\n\u{431}\n\u{432}\n\u{433}\n");
    let (answer, follower) = read(&engine);
    assert_eq!(
        texts(&answer),
        ["aba", "abd", "ba", "\u{433}\u{430}\u{433}"]
    );
    assert!(answer.dropped.is_empty());
    assert_eq!(follower.told.len(), 4);
    assert_eq!(answer.selected_models.last().unwrap(), "ppocrv5-eslav-rec");
    // Not where it isn't sure, nor where it reads what the general one could have read.
    for (sure, dictionary) in [
        (false, "\u{430}\n\u{431}\n\u{432}\n\u{433}\n"),
        (true, "a\nb\nc\nd\n"),
    ] {
        install(sure, dictionary);
        let (answer, _) = read(&engine);
        assert_eq!(texts(&answer), ["aba", "abd", "ba"]);
        assert_eq!(
            answer.selected_models,
            plan.usual_models().collect::<Vec<_>>()
        );
    }
}
