//! List marks and the items behind them.

use super::blocks::Block;
use super::flow;
use crate::document::ListItem;

/// What stands before an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// As it is written.
    pub mark: String,
    /// Its number, where it has one.
    pub number: Option<u32>,
    /// Length of it and the space behind it, bytes.
    pub length: usize,
}

/// Marks without a number.
const BULLETS: &str = "•·●○◦▪■□▫►▶➢➤‣∙・*–—-◆◇✓✔»";

/// The list mark at the beginning of a text that has something behind it.
pub fn marker(text: &str) -> Option<Marker> {
    let text_start = text.len() - text.trim_start().len();
    let trimmed = &text[text_start..];
    let first = trimmed.chars().next()?;
    let made = |mark: &str, number: Option<u32>| {
        let rest = &trimmed[mark.len()..];
        let space = rest.len() - rest.trim_start().len();
        (!rest.trim().is_empty()).then(|| Marker {
            mark: mark.to_string(),
            number,
            length: text_start + mark.len() + space,
        })
    };
    if BULLETS.contains(first) {
        let rest = &trimmed[first.len_utf8()..];
        // A minus before a number, a hyphen of a word, emphasis.
        let next = rest.chars().next()?;
        let dash = matches!(first, '*' | '–' | '—' | '-' | '·' | '»');
        if dash
            && !next.is_whitespace()
            && (next.is_alphanumeric() || BULLETS.contains(next))
            && first != '·'
        {
            return None;
        }
        return made(&trimmed[..first.len_utf8()], None);
    }
    if let n @ 0x2460..=0x2473 = u32::from(first) {
        return made(&trimmed[..first.len_utf8()], Some(n - 0x245F));
    }
    // (3), (b), 3., 3), b), iv.
    let open = trimmed.starts_with('(');
    let body = &trimmed[usize::from(open)..];
    let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (length, number) = if (1..=2).contains(&digits) {
        (digits, body[..digits].parse().ok())
    } else if first_letter(body) {
        (
            1,
            Some(u32::from(body.as_bytes()[0].to_ascii_lowercase() - b'a') + 1),
        )
    } else {
        return None;
    };
    let close = body[length..].chars().next()?;
    let closed = if open {
        close == ')'
    } else {
        matches!(close, '.' | ')' | '、') && (digits > 0 || close == ')')
    };
    if !closed {
        return None;
    }
    let end = usize::from(open) + length + close.len_utf8();
    // 3.1 and 12.50 are numbers, no marks.
    let next = trimmed[end..].chars().next()?;
    if close == '.' && next.is_ascii_digit() {
        return None;
    }
    made(&trimmed[..end], number)
}

fn first_letter(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.next().is_some_and(|c| !c.is_alphanumeric())
}

/// The items of a list: `texts` are its rows, `places` their lines on the page.
pub fn items(texts: &[String], block: &Block, places: &[Vec<usize>]) -> Vec<ListItem> {
    let mut items: Vec<(f32, ListItem)> = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        let begins = block.starts.contains(&row) || items.is_empty();
        if begins {
            let found = marker(text);
            let length = found.as_ref().map_or(0, |m| m.length);
            items.push((
                block.edges.get(row).copied().unwrap_or(0.0),
                ListItem {
                    level: 0,
                    marker: found
                        .as_ref()
                        .map_or_else(|| "•".to_string(), |m| m.mark.clone()),
                    number: found.and_then(|m| m.number),
                    text: text[length..].trim().to_string(),
                    lines: places[row].clone(),
                },
            ));
        } else if let Some((_, item)) = items.last_mut() {
            flow::append(&mut item.text, text.trim());
            item.lines.extend(&places[row]);
        }
    }
    // Depth by the left edges.
    let mut edges: Vec<f32> = items.iter().map(|i| i.0).collect();
    edges.sort_by(f32::total_cmp);
    let step = block.height.max(1.0);
    edges.dedup_by(|a, b| *a - *b < step);
    items
        .into_iter()
        .map(|(edge, mut item)| {
            let level = edges.iter().filter(|e| **e <= edge + 0.01).count();
            item.level = level.saturating_sub(1).min(8) as u8;
            item
        })
        .collect()
}

/// Program text: each row on a line, its indentation by the width of a character.
pub fn indented(texts: &[String], block: &Block) -> String {
    let left = block.edges.iter().copied().fold(f32::MAX, f32::min);
    let rows: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(row, text)| {
            let edge = block.edges.get(row).copied().unwrap_or(left);
            let indent = if block.pitch > 1.0 {
                ((edge - left) / block.pitch).round().clamp(0.0, 80.0) as usize
            } else {
                0
            };
            // Odd columns come from the detector's margins.
            let indent = if indent < 2 { 0 } else { indent };
            format!("{}{text}", " ".repeat(indent))
        })
        .collect();
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_no_marks() {
        for (text, mark, number) in [
            ("• milk", "•", None),
            ("3. milk", "3.", Some(3)),
            ("12) milk", "12)", Some(12)),
            ("(b) milk", "(b)", Some(2)),
            ("a) milk", "a)", Some(1)),
            ("②打开", "②", Some(2)),
            ("– milk", "–", None),
            ("1.請市民", "1.", Some(1)),
        ] {
            let found = marker(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (found.mark.as_str(), found.number),
                (mark, number),
                "{text}"
            );
        }
        for text in [
            "3.1 Method",
            "12.50",
            "-5 °C",
            "a milk",
            "2024. Then",
            "e.g. milk",
            "*",
            "1.",
        ] {
            assert_eq!(marker(text), None, "{text}");
        }
    }
}
