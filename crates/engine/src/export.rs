//! A document's text in other forms.

/// Characters that may begin or be part of inline markup (CommonMark 0.31, ASCII punctuation in use there, and `|` and
/// `~` of GitHub's tables and strikethrough).
const INLINE: &str = "\\`*_[]<>|~&";

/// Text as Markdown that shows it as it is: nothing in it becomes markup by chance. Rows become line breaks, empty
/// lines paragraphs.
pub fn markdown(text: &str) -> String {
    let mut markdown = String::with_capacity(text.len() + text.len() / 16);
    let mut rows = text.lines().peekable();
    while let Some(row) = rows.next() {
        let row = row.trim();
        push_row(&mut markdown, row);
        if let Some(next) = rows.peek() {
            // Two spaces keep the break where a paragraph goes on.
            if !row.is_empty() && !next.trim().is_empty() {
                markdown.push_str("  ");
            }
            markdown.push('\n');
        }
    }
    markdown
}

fn push_row(markdown: &mut String, row: &str) {
    let digits = row.len() - row.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    for (at, character) in row.char_indices() {
        // A heading, a list, a rule, a table's or a heading's underline; after digits a numbered list.
        let block = (at == 0 && "#+-=".contains(character))
            || (digits > 0 && at == digits && ".)".contains(character));
        if block || INLINE.contains(character) {
            markdown.push('\\');
        }
        markdown.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_paragraphs_stay() {
        assert_eq!(markdown("a\nb\n\nc"), "a  \nb\n\nc");
        assert_eq!(markdown(""), "");
    }

    #[test]
    fn nothing_becomes_markup() {
        for (text, wanted) in [
            ("# 12", "\\# 12"),
            ("- 5 kg", "\\- 5 kg"),
            ("1. Milk", "1\\. Milk"),
            ("12) x", "12\\) x"),
            ("1.5 l", "1\\.5 l"),
            ("2*3*4", "2\\*3\\*4"),
            ("<b>|a_b|", "\\<b\\>\\|a\\_b\\|"),
            ("---", "\\---"),
            ("===", "\\==="),
            ("[x](y)", "\\[x\\](y)"),
            ("R&amp;D", "R\\&amp;D"),
            ("中文。", "中文。"),
        ] {
            assert_eq!(markdown(text), wanted);
        }
    }
}
