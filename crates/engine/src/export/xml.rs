//! What XML and HTML have in common.

use std::fmt::Write;

use crate::geometry::Quad;

/// Text as XML shows it. Characters that XML 1.0 can't hold are left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// A quad's bounds in whole pixels of a page: x, y, width, height.
pub(super) fn bounds(quad: &Quad, page: (u32, u32)) -> [u32; 4] {
    let [x0, y0, x1, y1] = quad.bounds();
    let within = |v: f32, most: u32| v.round().clamp(0.0, most as f32) as u32;
    let (x0, y0) = (within(x0, page.0), within(y0, page.1));
    let (x1, y1) = (within(x1, page.0), within(y1, page.1));
    [x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0)]
}

/// A quad's corners within a page, as in `1,2 3,4 5,6 7,8`.
pub(super) fn points(quad: &Quad, page: (u32, u32)) -> String {
    let mut out = String::new();
    for (i, p) in quad.0.iter().enumerate() {
        let within = |v: f32, most: u32| v.round().clamp(0.0, most as f32) as u32;
        let space = if i > 0 { " " } else { "" };
        let _ = write!(
            out,
            "{space}{},{}",
            within(p.x, page.0),
            within(p.y, page.1)
        );
    }
    out
}
