//! Small files whose pages would take for ever, or all memory, to draw: they are refused before anything is drawn, since
//! nothing stops what draws.

mod common;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use maoocr_engine::imaging::ImagingError;
use maoocr_pdf::{Options, Pdf};

/// A file of one page, from its entries and the objects that come with it, of which the first is 10.
fn file(page: &str, objects: &[&[u8]]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n".to_vec();
    file.extend(b"2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n");
    writeln!(file, "3 0 obj<</Type/Page/Parent 2 0 R{page}>>endobj").unwrap();
    for (at, object) in objects.iter().enumerate() {
        write!(file, "{} 0 obj", 10 + at).unwrap();
        file.extend_from_slice(object);
        file.extend(b"endobj\n");
    }
    file.extend(b"trailer<</Root 1 0 R>>\n%%EOF\n");
    file
}

fn stream(entries: &str, data: &[u8]) -> Vec<u8> {
    let length = data.len();
    let mut stream = format!("<<{entries}/Length {length}>>stream\n").into_bytes();
    stream.extend_from_slice(data);
    stream.extend(b"\nendstream ");
    stream
}

/// What reading the page ends in; with little time it would be a thread that goes on by itself.
fn read(file: Vec<u8>) -> Result<(), ImagingError> {
    let options = Options {
        seconds: Some(600.0),
        steps: 100_000,
        ..Options::default()
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let pdf = Pdf::open(Arc::new(file), options);
        let read = pdf.and_then(|pdf| pdf.page(0).map(drop).map_err(|e| e.error));
        sender.send(read).unwrap();
    });
    receiver
        .recv_timeout(Duration::from_secs(120))
        .expect("the page is drawn to no end")
}

fn drawn(content: &str) -> Result<(), ImagingError> {
    let content = stream("", content.as_bytes());
    read(file(
        "/MediaBox[0 0 2000 2000]/Contents 10 0 R",
        &[&content],
    ))
}

fn code(read: Result<(), ImagingError>) -> &'static str {
    read.map_or_else(|error| error.code(), |()| "read")
}

#[test]
fn dashes_count_as_what_is_drawn() {
    let dashed = |dash: &str| format!("[{dash}]0 d 1 w 0 0 m 2000 2000 l S");
    assert_eq!(code(drawn(&dashed("0.0000001 0.0000001"))), "too_complex");
    assert_eq!(code(drawn(&dashed("3 2"))), "read");
    // Of characters too.
    let text = "[0.000001]0 d 1 Tr BT /F 100 Tf (WWWW) Tj ET".repeat(100);
    let font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";
    let page = "/MediaBox[0 0 200 200]/Contents 11 0 R/Resources<</Font<</F 10 0 R>>>>";
    let text = stream("", text.as_bytes());
    assert_eq!(code(read(file(page, &[font, &text]))), "too_complex");
}

#[test]
fn shapes_are_bounded_by_their_edges_and_areas() {
    let shape = "0 0 m 2000 2000 l 0 2000 l 2000 0 l B*\n";
    assert_eq!(code(drawn(&shape.repeat(20_000))), "too_complex");
    assert_eq!(code(drawn(&shape.repeat(50))), "read");
    assert_eq!(
        code(drawn(&"0 0 2000 2000 re f\n".repeat(20_000))),
        "too_complex"
    );
    // What lies outside the page costs nothing.
    let outside = "3000 3000 m 9000 9000 l 3000 9000 l 9000 3000 l B*\n";
    assert_eq!(code(drawn(&outside.repeat(20_000))), "read");
}

#[test]
fn what_is_drawn_by_itself_counts_each_time() {
    let page = |side: u32, resources: &str| {
        format!("/MediaBox[0 0 {side} {side}]/Contents 10 0 R/Resources<<{resources}>>")
    };
    // A cell of a pattern that overlaps a thousand million others.
    let cell = |bounds: &str, step: &str, content: &str| {
        let entries = format!(
            "/PatternType 1/PaintType 1/TilingType 1/BBox[{bounds}]/XStep {step}/YStep {step}/Resources<<>>"
        );
        stream(&entries, content.as_bytes())
    };
    let pattern = |cell: &[u8], times: usize| {
        let shapes = "/Pattern cs /P scn 0 0 2000 2000 re f\n".repeat(times);
        let shapes = stream("", shapes.as_bytes());
        let side = if times > 10 { 2000 } else { 100 };
        let page = page(side, "/Pattern<</P 11 0 R>>");
        code(read(file(&page, &[&shapes, cell])))
    };
    let overlapping = cell("0 0 100000 100000", "3", "0 0 1 1 re f");
    assert_eq!(pattern(&overlapping, 1), "too_complex");
    // It is put together anew for each shape.
    let busy = cell("0 0 9 9", "10", &"0 0 9 9 re f\n".repeat(10_000));
    assert_eq!(pattern(&busy, 100), "too_complex");
    let large = cell("0 0 1999 1999", "2000", "0 0 4 4 re f");
    assert_eq!(pattern(&large, 3000), "out_of_memory");
    assert_eq!(pattern(&cell("0 0 9 9", "10", "0 0 4 4 re f"), 10), "read");
    // A character that is a drawing.
    let font = b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/FirstChar 65/LastChar 65\
        /Widths[9]/Encoding<</Differences[65/A]>>/CharProcs<</A 12 0 R>>/Resources<<>>>>";
    let shown = |times: usize| format!("BT /F 1 Tf ({}) Tj ET", "A".repeat(times));
    let text = |times: usize| {
        let content = stream("", shown(times).as_bytes());
        let drawing = format!("9 0 d0 {}", "0 0 1 1 re f\n".repeat(1000));
        let drawing = stream("", drawing.as_bytes());
        read(file(
            &page(100, "/Font<</F 11 0 R>>"),
            &[&content, font, &drawing],
        ))
    };
    assert_eq!(code(text(1000)), "too_complex");
    assert_eq!(code(text(1)), "read");
}

fn packed(layers: usize, megabytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..megabytes {
        encoder.write_all(&spaces).unwrap();
    }
    let mut data = encoder.finish().unwrap();
    for _ in 1..layers {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&data).unwrap();
        data = encoder.finish().unwrap();
    }
    let filters = "/FlateDecode".repeat(layers);
    stream(&format!("/Filter[{filters}]"), &data)
}

#[test]
fn streams_that_are_packed_many_times_are_bounded_however_small() {
    let page = "/MediaBox[0 0 200 200]/Contents 10 0 R";
    for layers in [2, 3, 4] {
        let file = file(page, &[&packed(layers, 300)]);
        assert!(layers < 3 || file.len() < 4 << 10, "{}", file.len());
        assert_eq!(code(read(file)), "out_of_memory", "{layers}");
    }
    assert_eq!(code(read(file(page, &[&packed(3, 8)]))), "read");
}

#[test]
fn contents_of_many_streams_are_bounded_together() {
    let contents = |times: usize| {
        let page = format!(
            "/MediaBox[0 0 200 200]/Contents[{}]",
            "10 0 R ".repeat(times)
        );
        read(file(&page, &[&packed(2, 16)]))
    };
    assert_eq!(code(contents(2)), "read");
    assert_eq!(code(contents(100)), "out_of_memory");
}
