//! Full-text search that finds the same in every database.
//!
//! Text is tokenised here rather than in the database, whose tokenisers differ by version and locale. A word is one
//! token, folded: `Café` becomes `cafe`. In scripts without spaces between words, every character is a token, and a word
//! is found as a phrase. SQLite finds phrases by position. PostgreSQL stores at most 256 positions per lexeme, too few
//! for 的 on a long page; so there pairs of characters are lexemes of their own, without positions, and longer phrases
//! are compared with the tokens themselves.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word that count. PostgreSQL has a limit (2046 bytes), and nobody types more.
const WORD: usize = 64;
/// Tokens of a query that count.
const QUERY: usize = 64;
/// Bytes of distinct lexemes per entry; text beyond them isn't searchable. A `tsvector` holds 2^20, which is more than a
/// hundred dense pages.
const LEXEMES: usize = 1_000_000;
/// Separates the name from the text, so that no phrase spans both. It can't occur in a query, since it isn't
/// alphanumeric. For SQLite it is a token like any other.
const BARRIER: &str = "\u{e000}";

/// A searchable piece of text.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Token {
    text: String,
    /// Whether its script has no spaces between words.
    character: bool,
}

/// Text as stored in an entry's index.
pub struct Index {
    /// Every token between two spaces, in order.
    pub words: String,
    /// Every distinct token and pair of neighbouring characters.
    #[cfg(feature = "postgres")]
    pub lexemes: Vec<String>,
}

impl Index {
    /// Of an entry.
    pub fn new(name: &str, text: &str) -> Self {
        let mut index = Builder::default();
        index.add(name);
        index.words.push_str(BARRIER);
        index.words.push(' ');
        index.add(text);
        Self {
            words: index.words,
            #[cfg(feature = "postgres")]
            lexemes: index.lexemes.into_iter().collect(),
        }
    }
}

#[derive(Default)]
struct Builder {
    words: String,
    lexemes: HashSet<String>,
    bytes: usize,
}

impl Builder {
    fn add(&mut self, text: &str) {
        let mut before: Option<Token> = None;
        if self.words.is_empty() {
            self.words.push(' ');
        }
        Tokens::new(text).all(|token| {
            let pair = before.take().and_then(|b| pair(&b, &token));
            let fits = self.lexeme(token.text.clone()) && pair.is_none_or(|p| self.lexeme(p));
            if fits {
                self.words.push_str(&token.text);
                self.words.push(' ');
            }
            before = Some(token);
            fits
        });
    }

    fn lexeme(&mut self, lexeme: String) -> bool {
        if self.lexemes.contains(&lexeme) {
            return true;
        }
        self.bytes += lexeme.len();
        self.bytes <= LEXEMES && self.lexemes.insert(lexeme)
    }
}

fn pair(first: &Token, second: &Token) -> Option<String> {
    (first.character && second.character).then(|| [&*first.text, &*second.text].concat())
}

/// A query: all of its terms must match.
#[derive(Debug)]
pub struct Query(Vec<Term>);

/// Consecutive tokens; the last may be the beginning of a word.
#[derive(Debug)]
struct Term {
    tokens: Vec<Token>,
    begins: bool,
}

impl Query {
    /// Terms are separated by white space, and the last may be incomplete. None if the query can't match anything.
    pub fn new(text: &str) -> Option<Self> {
        let mut left = QUERY;
        let mut terms: Vec<Term> = text
            .split_whitespace()
            .map_while(|word| {
                let tokens: Vec<Token> = Tokens::new(word).take(left).collect();
                left -= tokens.len();
                (left > 0 || !tokens.is_empty()).then_some(tokens)
            })
            .filter(|tokens| !tokens.is_empty())
            .map(|tokens| Term {
                tokens,
                begins: false,
            })
            .collect();
        let last = terms.last_mut()?;
        last.begins = last.tokens.last().is_some_and(|t| !t.character);
        Some(Self(terms))
    }

    /// For SQLite's FTS5.
    #[cfg(feature = "sqlite")]
    pub fn fts5(&self) -> String {
        let terms = self.0.iter().map(|term| {
            let star = if term.begins { "*" } else { "" };
            format!("\"{}\"{star}", term.words())
        });
        terms.collect::<Vec<_>>().join(" AND ")
    }

    /// For PostgreSQL: the lexemes that must be there.
    #[cfg(feature = "postgres")]
    pub fn tsquery(&self) -> String {
        let lexemes = self.0.iter().flat_map(Term::lexemes);
        lexemes.collect::<Vec<_>>().join(" & ")
    }

    /// For PostgreSQL: `LIKE` patterns for what lexemes alone can't tell.
    #[cfg(feature = "postgres")]
    pub fn patterns(&self) -> Vec<String> {
        let unsure = self.0.iter().filter(|term| match &term.tokens[..] {
            [_] => false,
            [first, second] => !(first.character && second.character),
            _ => true,
        });
        let pattern = |term: &Term| {
            let end = if term.begins { "%" } else { " %" };
            format!("% {}{end}", term.words())
        };
        unsure.map(pattern).collect()
    }
}

impl Term {
    fn words(&self) -> String {
        let words: Vec<&str> = self.tokens.iter().map(|t| &*t.text).collect();
        words.join(" ")
    }

    /// Quoted; tokens contain no quotes.
    #[cfg(feature = "postgres")]
    fn lexemes(&self) -> Vec<String> {
        let tokens = &self.tokens;
        let in_pair = |i: usize, j: usize| {
            let both = tokens.get(i).zip(tokens.get(j));
            both.is_some_and(|(a, b)| a.character && b.character)
        };
        let mut lexemes = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            if let Some(pair) = tokens.get(i + 1).and_then(|next| pair(token, next)) {
                lexemes.push(format!("'{pair}'"));
            } else if !(i > 0 && in_pair(i - 1, i)) {
                let begins = self.begins && i + 1 == tokens.len();
                let star = if begins { ":*" } else { "" };
                lexemes.push(format!("'{}'{star}", token.text));
            }
        }
        lexemes
    }
}

/// Cuts text into tokens.
struct Tokens<I: Iterator<Item = char>> {
    characters: std::iter::Peekable<I>,
}

impl<'a> Tokens<unicode_normalization::Recompositions<std::str::Chars<'a>>> {
    fn new(text: &'a str) -> Self {
        Self {
            characters: text.nfkc().peekable(),
        }
    }
}

impl<I: Iterator<Item = char>> Iterator for Tokens<I> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let mut word = String::new();
        let mut length = 0;
        while let Some(&c) = self.characters.peek() {
            if is_character(c) {
                if word.is_empty() {
                    self.characters.next();
                    return Some(Token {
                        text: c.into(),
                        character: true,
                    });
                }
                break;
            }
            self.characters.next();
            if is_unseen(c) {
                continue;
            }
            if !(c.is_alphanumeric() || is_combining_mark(c)) {
                if word.is_empty() {
                    continue;
                }
                break;
            }
            for folded in fold(c) {
                if length < WORD {
                    word.push(folded);
                    length += 1;
                }
            }
        }
        (!word.is_empty()).then_some(Token {
            text: word,
            character: false,
        })
    }
}

/// Strips accents and case. Upper case first, because `ß` and `ſ` have no capital of their own.
fn fold(c: char) -> impl Iterator<Item = char> {
    let letters = std::iter::once(c).nfd();
    letters
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(|&c| c.is_alphanumeric() || is_combining_mark(c))
}

/// Whether a character's script has no spaces between words or, like Korean, has them around more than a word.
fn is_character(c: char) -> bool {
    let script = matches!(c,
        '\u{e00}'..='\u{eff}'          // Thai, Lao
        | '\u{1000}'..='\u{109f}'      // Myanmar
        | '\u{1780}'..='\u{17ff}'      // Khmer
        | '\u{3005}'..='\u{3007}'      // 々 〆 〇
        | '\u{3040}'..='\u{312f}'      // kana, bopomofo
        | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{a4cf}' // Han, Yi
        | '\u{ac00}'..='\u{d7af}'      // Hangul
        | '\u{f900}'..='\u{faff}'
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}'
    );
    script && (c.is_alphanumeric() || is_combining_mark(c))
}

/// Soft hyphens, zero-width characters and variation selectors.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Tokens::new(text).map(|t| t.text).collect()
    }

    #[test]
    fn words_are_folded_and_characters_stand_alone() {
        assert_eq!(words("Café—STRASSE straße"), ["cafe", "strasse", "strasse"]);
        assert_eq!(words("ＡＢＣ１２ ﬁn"), ["abc12", "fin"]);
        assert_eq!(words("İstanbul ΣΑΣ"), ["istanbul", "σασ"]);
        assert_eq!(
            words("第3章abc中国。"),
            ["第", "3", "章", "abc", "中", "国"]
        );
        assert_eq!(words("ｶﾞｷ・か\u{3099}"), ["ガ", "キ", "が"]);
        assert_eq!(words("\u{29e3d}葛\u{e0100}城"), ["\u{29e3d}", "葛", "城"]);
        assert_eq!(words("soft\u{ad}ware e\u{301}"), ["software", "e"]);
        assert_eq!(words("!?\0…'\"\\%_😀"), [""; 0]);
    }

    #[test]
    fn a_name_and_its_text_are_no_phrase() {
        let index = Index::new("中", "国");
        assert_eq!(index.words, " 中 \u{e000} 国 ");
        assert!(!index.lexemes.iter().any(|l| l == "中国"));
    }

    #[test]
    fn an_index_is_bounded() {
        let mut state = 1u32;
        let mut han = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from_u32(0x4e00 + (state >> 16) % 20_000).unwrap()
        };
        let long: String = (0..400_000).map(|_| han()).collect();
        let index = Index::new("", &long);
        let bytes: usize = index.lexemes.iter().map(String::len).sum();
        assert!(bytes <= LEXEMES && bytes > LEXEMES / 2, "{bytes}");
        let one = Index::new("", &"x".repeat(1 << 20));
        assert_eq!(one.lexemes, ["x".repeat(WORD)]);
    }

    #[test]
    fn a_query_is_terms_of_which_the_last_goes_on() {
        let query = Query::new("Foo-bar 中国人 3章 wor").unwrap();
        #[cfg(feature = "sqlite")]
        assert_eq!(
            query.fts5(),
            r#""foo bar" AND "中 国 人" AND "3 章" AND "wor"*"#
        );
        #[cfg(feature = "postgres")]
        {
            assert_eq!(
                query.tsquery(),
                "'foo' & 'bar' & '中国' & '国人' & '3' & '章' & 'wor':*"
            );
            assert_eq!(
                query.patterns(),
                ["% foo bar %", "% 中 国 人 %", "% 3 章 %"]
            );
            let query = Query::new("中国 a-b").unwrap();
            assert_eq!(query.tsquery(), "'中国' & 'a' & 'b':*");
            assert_eq!(query.patterns(), ["% a b%"]);
        }
        assert!(Query::new("?! \0 …").is_none());
        assert!(Query::new("").is_none());
    }

    #[test]
    fn a_query_is_bounded() {
        for text in ["a ".repeat(10_000), "中".repeat(10_000)] {
            let tokens: usize = Query::new(&text)
                .unwrap()
                .0
                .iter()
                .map(|t| t.tokens.len())
                .sum();
            assert_eq!(tokens, QUERY);
        }
    }
}
