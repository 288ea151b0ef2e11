//! The whole way of a page with networks that answer what the fuzzer likes: boxes of the detector, CTC with words and
//! spaces, both directions of writing, and reading order.

#![no_main]

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use maoocr_engine::imaging::{Image, Limits};
use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, DocumentType, Requirements};
use maoocr_models::Manifest;
use maoocr_runtime::{BestPath, RunFuture, Session, Tensor};

const SIDE: u32 = 128;
/// Letters of scripts that join, that run both ways, that stand alone, and marks.
const CHARACTERS: &str = "a\nb\nW\n1\n2\n.\n,\n-\n(\n)\n\u{628}\n\u{627}\n\u{5d0}\n\u{661}\n\u{4e2d}\n\u{3042}\n\u{3002}\n\u{301}\nﬁ\n'\n";
const CLASSES: u32 = 22;

/// Bytes that are handed out one after another, and zeros behind them.
struct Tape(Mutex<std::vec::IntoIter<u8>>);

impl Tape {
    fn next(&self) -> u8 {
        self.0.lock().unwrap().next().unwrap_or(0)
    }
}

struct Fake {
    tape: Arc<Tape>,
}

impl Session for Fake {
    /// A detector's map, in blocks of 8 × 8 px.
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        let [n, _, height, width] = input.shape()[..] else {
            unreachable!("pictures have four dimensions");
        };
        let across = width.div_ceil(8);
        let blocks: Vec<u8> = (0..across * height.div_ceil(8))
            .map(|_| self.tape.next())
            .collect();
        let map = (0..n * height * width)
            .map(|i| {
                let (x, y) = (i % width, i / width % height);
                f32::from(blocks[y / 8 * across + x / 8]) / 255.0
            })
            .collect();
        Box::pin(async move { Tensor::new([n, 1, height, width], map) })
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        let (batch, steps) = (input.shape()[0], input.shape()[3].div_ceil(8));
        let mut classes = Vec::new();
        let mut probabilities = Vec::new();
        let mut last_class = Vec::new();
        for _ in 0..batch * steps {
            let byte = self.tape.next();
            classes.push(u32::from(byte) % CLASSES);
            probabilities.push(1.0 - f32::from(byte / 32) / 16.0);
            last_class.push(f32::from(byte) / 1024.0);
        }
        Box::pin(async move {
            Ok(BestPath {
                batch,
                steps,
                classes,
                probabilities,
                last_class,
            })
        })
    }

    fn executor(&self) -> String {
        "fuzzer".into()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [flags, rest @ ..] = bytes else { return };
    let tape = Arc::new(Tape(Mutex::new(rest.to_vec().into_iter())));
    let manifest = Manifest::built_in();
    let engine = Engine::new(DeviceClass::Cpu);
    let mut installed = Vec::new();
    for name in ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"] {
        let mut entry = manifest.get(name).expect("it is built in").clone();
        if let Some(recognition) = &mut entry.recognition {
            recognition.right_to_left = flags & 1 == 1;
        }
        let dictionary = entry.recognition.is_some().then_some(CHARACTERS);
        let session = Arc::new(Fake { tape: tape.clone() });
        engine
            .install(entry.clone(), session, dictionary)
            .expect("the dictionary is sound");
        installed.push(entry);
    }
    let requirements = Requirements {
        document_type: if flags & 2 == 2 {
            DocumentType::SimpleText
        } else {
            DocumentType::Auto
        },
        ..Requirements::default()
    };
    let installed: Vec<_> = installed.iter().collect();
    let plan = engine
        .plan(&requirements, &installed)
        .expect("both are here");
    let (width, height) = (SIDE, SIDE / (1 + u32::from(flags >> 2 & 1)));
    let rgba = (0..width * height * 4)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80)
        .collect();
    let image = Image::from_rgba(width, height, rgba, &Limits::default()).expect("it is a frame");
    let page = pollster::block_on(engine.read_page(image.into(), &plan, &mut ())).expect("nothing failed");
    assert!((0.0..=1.0).contains(&page.confidence));
    let mut in_blocks = 0;
    for line in &page.lines {
        assert!((0.0..=1.0).contains(&line.confidence));
        assert!(!line.text.trim().is_empty());
        for word in &line.words {
            assert!(
                word.quad
                    .0
                    .iter()
                    .all(|p| p.x.is_finite() && p.y.is_finite())
            );
        }
    }
    for block in &page.blocks {
        assert!(block.lines.iter().all(|i| *i < page.lines.len()));
        in_blocks += block.lines.len();
    }
    assert_eq!(in_blocks, page.lines.len(), "each line is in one block");
});
