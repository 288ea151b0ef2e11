//! Minus signs that were read as hyphens. The alphabet has both, they look alike, and most of what a recogniser learns from
//! was typed with hyphens.

use super::Glyph;

/// Puts a minus sign for a hyphen before a raised digit (10⁻³), and where a formula has it as a sign (`e^{−x²}`). A hyphen
/// between two characters stays: it may be a range or a word's.
pub(super) fn restore(glyphs: &mut [Glyph]) {
    let texts: Vec<char> = glyphs
        .iter()
        .map(|glyph| glyph.text.chars().next().unwrap_or(' '))
        .collect();
    let formula = texts.iter().any(|c| is_operator(*c));
    for (at, glyph) in glyphs.iter_mut().enumerate() {
        if glyph.text != "-" {
            continue;
        }
        let before = at.checked_sub(1).map(|at| texts[at]);
        let after = (texts.get(at + 1), texts.get(at + 2));
        let sign = match after {
            (Some(next), _) if is_raised(*next) => {
                before.is_some_and(char::is_alphanumeric).then_some("⁻")
            }
            (Some(next), more) if formula && is_operand(*next, more.copied()) => {
                before.is_none_or(begins_operand).then_some("−")
            }
            _ => None,
        };
        if let Some(sign) = sign {
            glyph.text = sign.into();
        }
    }
}

/// What only formulas have.
fn is_operator(c: char) -> bool {
    "∫√∑∏∂∇∀∃∈∉∪∩≤≥≠≈±×÷∞⇒⇔".contains(c)
}

fn is_raised(c: char) -> bool {
    matches!(c, '⁰' | '¹' | '²' | '³' | '⁴'..='⁹')
}

/// A number, or a variable: a letter that begins no word.
fn is_operand(c: char, next: Option<char>) -> bool {
    c.is_numeric() || (c.is_alphabetic() && !next.is_some_and(char::is_alphabetic))
}

fn begins_operand(before: char) -> bool {
    before.is_whitespace() || is_operator(before) || "([{=<>^|,".contains(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(text: &str) -> String {
        let mut glyphs: Vec<Glyph> = text
            .chars()
            .map(|c| Glyph {
                text: c.into(),
                start: 0.0,
                end: 1.0,
                confidence: 1.0,
            })
            .collect();
        restore(&mut glyphs);
        glyphs.into_iter().map(|glyph| glyph.text).collect()
    }

    #[test]
    fn signs_of_formulas_are_minus_signs() {
        for (read, expected) in [
            ("3,5 m³, 10-³ mol/L", "3,5 m³, 10⁻³ mol/L"),
            ("∫₀^∞ e^{-x²} dx = √π / 2", "∫₀^∞ e^{−x²} dx = √π / 2"),
            ("-5 ≤ x ≤ 5", "−5 ≤ x ≤ 5"),
            ("3 × -4 ≠ (-12)", "3 × −4 ≠ (−12)"),
        ] {
            assert_eq!(restored(read), expected);
        }
    }

    #[test]
    fn other_hyphens_stay() {
        for text in [
            "well-known, 1990-1995, e-mail",
            "-v -x: options",
            "≥ 5 cm hoch, -breit und 10-20 × 3",
            "• organisation: ≈ Re-",
            "-² alone",
        ] {
            assert_eq!(restored(text), text);
        }
    }
}
