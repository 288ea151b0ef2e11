//! Text as it flows: lines joined, words that a line end divides made whole.

use crate::recognise::is_unspaced;

fn unspaced(c: char) -> bool {
    is_unspaced(c.encode_utf8(&mut [0; 4]))
}

/// Joins what stands side by side in a row.
pub fn side_by_side(parts: &[&str]) -> String {
    let mut out = String::new();
    for part in parts.iter().filter(|p| !p.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
    }
    out
}

/// Joins the lines of a paragraph.
pub fn join(lines: &[String]) -> String {
    let mut out = String::new();
    for line in lines {
        append(&mut out, line.trim());
    }
    out
}

/// Appends a line to the text before it. Chinese and Japanese need no space between lines; a word that a hyphen
/// divides is made whole where the next line goes on in small letters.
pub fn append(text: &mut String, line: &str) {
    let (Some(last), Some(first)) = (text.chars().next_back(), line.chars().next()) else {
        text.push_str(line);
        return;
    };
    if matches!(last, '-' | '\u{2010}' | '\u{ad}') {
        let before = text[..text.len() - last.len_utf8()].chars().next_back();
        if before.is_some_and(char::is_alphabetic) && first.is_lowercase() {
            // A compound keeps its hyphen where it has one already (`state-of-the-` + `art`), or in an ellipsis of
            // German (`Haupt- und Nebensatz`), which goes on with a conjunction.
            let word = text.rsplit(char::is_whitespace).next().unwrap_or("");
            let next = line.split(char::is_whitespace).next().unwrap_or("");
            if matches!(next, "und" | "oder" | "bzw." | "and" | "or" | "to") {
                text.push(' ');
            } else if !word[..word.len() - last.len_utf8()].contains('-') {
                text.truncate(text.len() - last.len_utf8());
            }
        } else if !before.is_some_and(|c| c.is_alphanumeric()) {
            text.push(' ');
        }
        text.push_str(line);
        return;
    }
    if !(unspaced(last) && unspaced(first)) {
        text.push(' ');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[&str]) -> String {
        join(&lines.iter().map(|l| l.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_made_whole() {
        for (lines, wanted) in [
            (["the cele-", "brated frog"], "the celebrated frog"),
            (["state-of-the-", "art"], "state-of-the-art"),
            (["Haupt-", "und Nebensatz"], "Haupt- und Nebensatz"),
            (["Jean-", "Paul"], "Jean-Paul"),
            (["pages 12-", "14"], "pages 12-14"),
            (["one -", "two"], "one - two"),
            (["水务局昨日", "公布"], "水务局昨日公布"),
            (["使用 GitHub", "部署"], "使用 GitHub 部署"),
            (["two", "words"], "two words"),
        ] {
            assert_eq!(joined(&lines), wanted);
        }
    }
}
