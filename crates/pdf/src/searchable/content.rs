//! Content streams without their unseen text.
//!
//! Only what is left out is touched; every other byte stays, comments and mistakes too.

/// A piece of a content stream.
#[derive(Debug, PartialEq)]
enum Token<'a> {
    /// A number, string, name, array or dictionary.
    Operand(&'a [u8]),
    Operator(&'a [u8]),
}

/// Leaves out what is shown in text rendering mode 3, or, with `all`, all text. None where nothing changes.
pub fn without_unseen(content: &[u8], all: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(content.len());
    let mut kept = 0;
    let mut at = 0;
    // Where the operands of the next operator begin.
    let mut operands = None;
    let mut last_operand: &[u8] = b"";
    let mut mode = 0i64;
    let mut saved = Vec::new();
    let mut changed = false;
    while let Some((start, end, token)) = next(content, at) {
        at = end;
        match token {
            Token::Operand(text) => {
                operands.get_or_insert(start);
                last_operand = text;
            }
            Token::Operator(operator) => {
                let from = operands.take().unwrap_or(start);
                match operator {
                    b"q" => saved.push(mode),
                    b"Q" => mode = saved.pop().unwrap_or(mode),
                    b"Tr" => mode = number(last_operand).unwrap_or(mode),
                    b"Tj" | b"TJ" | b"'" | b"\"" if all || mode == 3 => {
                        out.extend_from_slice(&content[kept..from]);
                        // The quotes go to the next line first.
                        if operator == b"'" || operator == b"\"" {
                            out.extend_from_slice(b" T* ");
                        }
                        kept = end;
                        changed = true;
                    }
                    b"BI" => at = after_inline_image(content, at),
                    _ => {}
                }
                last_operand = b"";
            }
        }
    }
    out.extend_from_slice(&content[kept..]);
    changed.then_some(out)
}

/// Takes from marked content what it says its text is (`/ActualText`), which goes before any font's map. The key is
/// renamed, so that the rest stays, such as its place in the structure. None where nothing changes.
pub fn without_actual_text(content: &[u8]) -> Option<Vec<u8>> {
    let mut out = content.to_vec();
    let mut at = 0;
    let mut operands = None;
    let mut changed = false;
    while let Some((start, end, token)) = next(content, at) {
        at = end;
        match token {
            Token::Operand(_) => {
                operands.get_or_insert(start);
            }
            Token::Operator(operator) => {
                let from = operands.take().unwrap_or(start);
                match operator {
                    b"BDC" | b"DP" => {
                        let key = b"/ActualText";
                        for place in from..start {
                            if content[place..].starts_with(key) {
                                out[place + 1] = b'X';
                                changed = true;
                            }
                        }
                    }
                    b"BI" => at = after_inline_image(content, at),
                    _ => {}
                }
            }
        }
    }
    changed.then_some(out)
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text)
        .ok()?
        .trim()
        .parse::<f64>()
        .ok()
        .map(|n| n as i64)
}

fn is_space(b: u8) -> bool {
    matches!(b, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(b: u8) -> bool {
    matches!(
        b,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

/// The next token: where it starts and ends, and what it is.
fn next(content: &[u8], from: usize) -> Option<(usize, usize, Token<'_>)> {
    let mut at = from;
    loop {
        match *content.get(at)? {
            b if is_space(b) => at += 1,
            b'%' => {
                while content.get(at).is_some_and(|b| !matches!(b, b'\r' | b'\n')) {
                    at += 1;
                }
            }
            _ => break,
        }
    }
    let start = at;
    let operand = |end: usize| Some((start, end, Token::Operand(&content[start..end])));
    match content[at] {
        b'(' => operand(after_string(content, at)),
        b'<' if content.get(at + 1) != Some(&b'<') => operand(after(content, at, b'>')),
        b'<' | b'[' => operand(after_group(content, at)),
        b'>' | b']' | b'}' | b'{' | b')' => operand(at + 1),
        b'/' => operand(after_regular(content, at + 1)),
        first => {
            let end = after_regular(content, at).max(at + 1);
            let text = &content[start..end];
            let is_number = first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.');
            if is_number || matches!(text, b"true" | b"false" | b"null") {
                operand(end)
            } else {
                Some((start, end, Token::Operator(text)))
            }
        }
    }
}

fn after_regular(content: &[u8], from: usize) -> usize {
    let rest = content.get(from..).unwrap_or_default();
    let length = rest
        .iter()
        .take_while(|b| !is_space(**b) && !is_delimiter(**b));
    from + length.count()
}

fn after(content: &[u8], from: usize, end: u8) -> usize {
    let rest = &content[from..];
    rest.iter()
        .position(|b| *b == end)
        .map_or(content.len(), |n| from + n + 1)
}

fn after_string(content: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0usize, from);
    while let Some(b) = content.get(at) {
        at += 1;
        match b {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    at.min(content.len())
}

/// After an array or a dictionary, with what they hold.
fn after_group(content: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0usize, from);
    while let Some(&b) = content.get(at) {
        let double = content.get(at + 1) == Some(&b);
        match b {
            b'(' => {
                at = after_string(content, at);
                continue;
            }
            b'<' if !double => {
                at = after(content, at, b'>');
                continue;
            }
            b'<' | b'>' if double => {
                at += 1;
                if b == b'<' {
                    depth += 1;
                } else {
                    depth = depth.saturating_sub(1);
                }
            }
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at.min(content.len())
}

/// After `EI`, which ends an inline image's data.
fn after_inline_image(content: &[u8], from: usize) -> usize {
    let rest = &content[from..];
    let data = rest
        .windows(3)
        .position(|w| is_space(w[0]) && w[1] == b'I' && w[2] == b'D');
    let Some(data) = data.map(|n| from + n + 3) else {
        return content.len();
    };
    let mut at = data;
    while at + 2 < content.len() {
        let here = &content[at..];
        let ends = here.get(3).is_none_or(|b| is_space(*b) || is_delimiter(*b));
        if is_space(here[0]) && here[1] == b'E' && here[2] == b'I' && ends {
            return at + 3;
        }
        at += 1;
    }
    content.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(content: &str, all: bool) -> Option<String> {
        without_unseen(content.as_bytes(), all).map(|c| String::from_utf8(c).unwrap())
    }

    #[test]
    fn unseen_text_goes_and_all_else_stays() {
        let content = "q 1 0 0 1 0 0 cm /Im0 Do Q % scan (3 Tr)\n\
            BT 3 Tr /F1 12 Tf 10 20 Td (a \\) (b) c) Tj [(x) -20 <41>] TJ 0 Tr (seen) Tj ET";
        assert_eq!(
            stripped(content, false).unwrap(),
            "q 1 0 0 1 0 0 cm /Im0 Do Q % scan (3 Tr)\n\
             BT 3 Tr /F1 12 Tf 10 20 Td   0 Tr (seen) Tj ET"
        );
        assert!(!stripped(content, true).unwrap().contains("seen"));
        assert_eq!(stripped("BT (seen) Tj ET", false), None);
    }

    #[test]
    fn the_mode_ends_with_its_graphics_state() {
        let content = "q BT 3 Tr (a) Tj ET Q BT (b) ' ET";
        assert_eq!(
            stripped(content, false).unwrap(),
            "q BT 3 Tr  ET Q BT (b) ' ET"
        );
        assert_eq!(stripped("3 Tr 1 2 (b) \" x", false).unwrap(), "3 Tr  T*  x");
    }

    #[test]
    fn marked_content_says_nothing_any_more() {
        let content = "/Span <</ActualText <FEFF4E00> /MCID 3>> BDC (/ActualText) Tj EMC";
        let wanted = "/Span <</XctualText <FEFF4E00> /MCID 3>> BDC (/ActualText) Tj EMC";
        let changed = without_actual_text(content.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(changed).unwrap(), wanted);
        assert_eq!(without_actual_text(b"/P <</MCID 3>> BDC EMC"), None);
    }

    #[test]
    fn images_in_line_are_skipped() {
        let content = "3 Tr BI /W 1 /H 1 ID \u{1}(Tj EIx\u{2} EI (a) Tj";
        assert_eq!(
            stripped(content, false).unwrap(),
            "3 Tr BI /W 1 /H 1 ID \u{1}(Tj EIx\u{2} EI "
        );
    }

    #[test]
    fn broken_streams_end() {
        for content in [
            "(", "<", "<<", "[", "[(", "/", "BI", "BI ID", "3 Tr (a", ")", "\\", "[<<",
        ] {
            without_unseen(content.as_bytes(), true);
            without_unseen(content.as_bytes(), false);
        }
    }
}
