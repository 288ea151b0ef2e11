//! HTML: the document as a reader sees it, without the pages' furniture.

use std::fmt::Write;

use super::{Meta, Writer, goes_on, joint};
use crate::document::{ListItem, PageText, Picture, Region, RegionKind, Table};

use super::xml::escaped;

const STYLE: &str = "body{font-family:serif;line-height:1.5;max-width:48em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse}th,td{border:1px solid #999;padding:.2em .5em;text-align:left;vertical-align:top}\
img{max-width:100%}figure{margin:1em 0}.header,.footer,.page-number,.footnote{font-size:smaller;color:#555}";

pub(super) struct Html {
    meta: Meta,
    /// Last character of an open paragraph, which may go on.
    open: Option<String>,
}

impl Html {
    pub(super) fn new(meta: &Meta) -> Self {
        Self {
            meta: meta.clone(),
            open: None,
        }
    }

    fn close(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            out.push_str("</p>\n");
        }
    }

    fn region(&mut self, region: &Region, out: &mut String) {
        if region.kind == RegionKind::Paragraph {
            let text = broken(&region.text);
            match &self.open {
                Some(last) if goes_on(region) => out.push_str(joint(last, &region.text)),
                _ => {
                    self.close(out);
                    out.push_str("<p dir=\"auto\">");
                }
            }
            out.push_str(&text);
            self.open = Some(
                region
                    .text
                    .chars()
                    .next_back()
                    .map(String::from)
                    .unwrap_or_default(),
            );
            return;
        }
        self.close(out);
        let text = broken(&region.text);
        match region.kind {
            RegionKind::Title => {
                let _ = writeln!(out, "<h1 class=\"title\" dir=\"auto\">{text}</h1>");
            }
            RegionKind::Heading => {
                let level = region.level.unwrap_or(2).clamp(1, 6);
                let _ = writeln!(out, "<h{level} dir=\"auto\">{text}</h{level}>");
            }
            RegionKind::List if !region.items.is_empty() => list(&region.items, out),
            RegionKind::Table if region.table.is_some() => {
                if let Some(of) = &region.table {
                    out.push_str(&table(of));
                    out.push('\n');
                }
            }
            RegionKind::Figure | RegionKind::Formula if region.picture.is_some() => {
                out.push_str("<figure>");
                if let Some(of) = &region.picture {
                    picture(of, &region.text, out);
                }
                out.push_str("</figure>\n");
            }
            RegionKind::Code => {
                let code = escaped(region.text.trim_end());
                let _ = writeln!(out, "<pre><code>{code}</code></pre>");
            }
            RegionKind::Unread => out.push_str("<!-- text in a script that is not read -->\n"),
            kind => {
                let class = class(kind);
                let _ = writeln!(out, "<p class=\"{class}\" dir=\"auto\">{text}</p>");
            }
        }
    }
}

impl Writer for Html {
    fn begin(&mut self) -> String {
        let title = if self.meta.title.is_empty() {
            &self.meta.source
        } else {
            &self.meta.title
        };
        let language = self.meta.language.as_deref().unwrap_or("");
        let language = if language.is_empty() {
            String::new()
        } else {
            format!(" lang=\"{}\"", escaped(language))
        };
        format!(
            "<!doctype html>\n<html{language}>\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n",
            escaped(title)
        )
    }

    fn page(&mut self, page: &PageText) -> String {
        let mut out = String::new();
        // No sections a page: a paragraph may go on over its end.
        let mark = format!("<a id=\"page-{}\"></a>", page.index + 1);
        if self.open.is_none() || !page.regions.first().is_some_and(goes_on) {
            self.close(&mut out);
        }
        out.push_str(&mark);
        if page.regions.is_empty() {
            self.close(&mut out);
            for paragraph in page.text.split("\n\n").filter(|p| !p.trim().is_empty()) {
                let _ = writeln!(out, "<p dir=\"auto\">{}</p>", broken(paragraph));
            }
        }
        for region in &page.regions {
            self.region(region, &mut out);
        }
        out
    }

    fn end(&mut self) -> String {
        let mut out = String::new();
        self.close(&mut out);
        out.push_str("</body>\n</html>\n");
        out
    }
}

fn class(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Caption => "caption",
        RegionKind::Formula => "formula",
        RegionKind::Figure => "figure",
        RegionKind::Footnote => "footnote",
        RegionKind::Header => "header",
        RegionKind::Footer => "footer",
        RegionKind::PageNumber => "page-number",
        RegionKind::Table => "table",
        _ => "list",
    }
}

fn broken(text: &str) -> String {
    escaped(text.trim()).replace('\n', "<br>\n")
}

fn list(items: &[ListItem], out: &mut String) {
    /// Lists within lists that are told apart.
    const DEEPEST: usize = 8;
    let tag = |item: &ListItem| if item.number.is_some() { "ol" } else { "ul" };
    let mut open: Vec<&str> = Vec::new();
    for item in items {
        let level = usize::from(item.level).min(open.len()).min(DEEPEST);
        while open.len() > level + 1 {
            if let Some(tag) = open.pop() {
                let _ = write!(out, "</li>\n</{tag}>");
            }
        }
        if open.len() == level + 1 {
            out.push_str("</li>\n");
        } else {
            let tag = tag(item);
            let start = item.number.filter(|n| *n != 1);
            let start = start.map_or(String::new(), |n| format!(" start=\"{n}\""));
            let _ = writeln!(out, "<{tag}{start}>");
            open.push(tag);
        }
        let value = item
            .number
            .map_or(String::new(), |n| format!(" value=\"{n}\""));
        let _ = write!(out, "<li{value} dir=\"auto\">{}", broken(&item.text));
    }
    while let Some(tag) = open.pop() {
        let _ = write!(out, "</li>\n</{tag}>");
    }
    out.push('\n');
}

/// A table as an HTML element.
pub fn table(table: &Table) -> String {
    let mut out = String::from("<table>");
    let head = table.header_rows.min(table.rows);
    for row in 0..table.rows {
        if row == 0 && head > 0 {
            out.push_str("<thead>");
        }
        if row == head {
            out.push_str("<tbody>");
        }
        out.push_str("<tr>");
        let tag = if row < head { "th" } else { "td" };
        for cell in table.cells.iter().filter(|c| c.row == row) {
            let span = |name: &str, n: usize| {
                if n > 1 {
                    format!(" {name}=\"{n}\"")
                } else {
                    String::new()
                }
            };
            let text = escaped(cell.text.trim()).replace('\n', "<br>");
            let (rows, columns) = (
                span("rowspan", cell.row_span),
                span("colspan", cell.column_span),
            );
            let _ = write!(out, "<{tag}{rows}{columns}>{text}</{tag}>");
        }
        out.push_str("</tr>");
        if head > 0 && row + 1 == head {
            out.push_str("</thead>");
        }
    }
    if table.rows > head {
        out.push_str("</tbody>");
    }
    out.push_str("</table>");
    out
}

fn picture(picture: &Picture, text: &str, out: &mut String) {
    let _ = write!(
        out,
        "<img width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">",
        picture.width,
        picture.height,
        escaped(text.trim()).replace('\n', " "),
        base64(&picture.png)
    );
}

/// Base64 (RFC 4648) with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }
}
