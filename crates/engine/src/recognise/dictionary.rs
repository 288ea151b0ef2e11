//! What a recogniser's classes stand for.

/// A recogniser's classes: 0 is CTC's blank, then the dictionary's lines, then the space.
#[derive(Clone, Debug)]
pub struct Dictionary {
    characters: Vec<String>,
}

/// A dictionary that can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DictionaryError {
    /// There is nothing in it.
    #[error("it holds no characters")]
    Empty,
    /// A line is far too long to be a character.
    #[error("line {line} is no character: it has {bytes} bytes")]
    NotACharacter {
        /// Counted from 1.
        line: usize,
        /// Its length.
        bytes: usize,
    },
}

impl Dictionary {
    /// Reads one character a line.
    pub fn parse(text: &str) -> Result<Self, DictionaryError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let characters: Vec<String> = lines
            .map(|l| l.strip_suffix('\r').unwrap_or(l).to_string())
            .collect();
        if characters.len() < 2 {
            return Err(DictionaryError::Empty);
        }
        if let Some(line) = characters.iter().position(|c| c.len() > 64) {
            return Err(DictionaryError::NotACharacter {
                line: line + 1,
                bytes: characters[line].len(),
            });
        }
        Ok(Self { characters })
    }

    /// Classes of the network that fits: the characters, the blank and the space.
    pub fn classes(&self) -> usize {
        self.characters.len() + 2
    }

    /// What a class stands for; `None` for the blank.
    pub(super) fn get(&self, class: u32) -> Option<&str> {
        match (class as usize).checked_sub(1)? {
            i if i < self.characters.len() => Some(&self.characters[i]),
            _ => Some(" "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_checked() {
        let dictionary = Dictionary::parse("a\r\nb\r\n").unwrap();
        assert_eq!(dictionary.classes(), 4);
        assert_eq!(
            (dictionary.get(0), dictionary.get(2), dictionary.get(3)),
            (None, Some("b"), Some(" "))
        );
        assert_eq!(Dictionary::parse("").unwrap_err(), DictionaryError::Empty);
        assert!(Dictionary::parse(&format!("a\n{}", "x".repeat(100))).is_err());
    }
}
