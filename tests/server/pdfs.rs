//! PDFs made for tests, with text of their own: quick to read, and exact.

use std::fmt::Write;

/// A page.
pub enum Page {
    /// Some lines of text.
    Text(Vec<String>),
    /// Too large to be drawn.
    Vast,
}

/// A page that says its number in several lines.
pub fn numbered(number: usize) -> Page {
    let lines = (1..=6).map(|line| {
        format!(
            "Line {line} of sheet {number} says that the quick brown fox jumps over the lazy dog."
        )
    });
    Page::Text(lines.collect())
}

/// A PDF of these pages.
pub fn pdf(pages: &[Page]) -> Vec<u8> {
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_string(),
        String::new(),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_string(),
    ];
    let mut kids = String::new();
    for page in pages {
        let number = objects.len() + 1;
        let (side, content) = match page {
            Page::Vast => (100_000, String::new()),
            Page::Text(lines) => {
                let mut content = "BT /F 12 Tf 18 TL 72 720 Td\n".to_string();
                for line in lines {
                    writeln!(content, "({line}) Tj T*").unwrap();
                }
                (792, content + "ET")
            }
        };
        write!(kids, "{number} 0 R ").unwrap();
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 {side} {side}]/Resources<</Font<</F 3 0 R>>>>/Contents {} 0 R>>",
            number + 1
        ));
        objects.push(format!(
            "<</Length {}>>stream\n{content}\nendstream",
            content.len()
        ));
    }
    objects[1] = format!("<</Type/Pages/Kids[{kids}]/Count {}>>", pages.len());
    let mut file = "%PDF-1.7\n".to_string();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (object, number) in objects.iter().zip(1..) {
        writeln!(table, "{:010} 00000 n ", file.len()).unwrap();
        write!(file, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    let start = file.len();
    let size = objects.len() + 1;
    write!(
        file,
        "{table}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"
    )
    .unwrap();
    file.into_bytes()
}
