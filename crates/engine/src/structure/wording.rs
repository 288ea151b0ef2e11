//! What a text says about its place in a document: numbers of headings, captions, notes, formulas, pages.

use crate::recognise::is_unspaced;

const CAPTIONS: [&str; 22] = [
    "table",
    "tab.",
    "figure",
    "fig.",
    "fig",
    "diagram",
    "chart",
    "listing",
    "abbildung",
    "abb.",
    "tabelle",
    "tableau",
    "tabela",
    "figura",
    "tabla",
    "图",
    "表",
    "圖",
    "図",
    "附图",
    "附表",
    "scheme",
];
/// Words that head a section by convention.
pub const SECTIONS: [&str; 30] = [
    "abstract",
    "introduction",
    "references",
    "conclusion",
    "conclusions",
    "acknowledgements",
    "acknowledgments",
    "appendix",
    "summary",
    "contents",
    "keywords",
    "bibliography",
    "discussion",
    "results",
    "methods",
    "zusammenfassung",
    "literatur",
    "inhalt",
    "résumé",
    "références",
    "resumo",
    "referências",
    "resumen",
    "参考文献",
    "摘要",
    "目录",
    "结论",
    "引言",
    "附录",
    "致谢",
];

/// Whether a text in small letters begins as captions do: `table 3`, `图1`.
pub fn is_caption(lower: &str) -> bool {
    CAPTIONS.iter().any(|c| {
        lower.strip_prefix(c).is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.chars()
                .next()
                .is_some_and(|c| c.is_ascii_digit() || "一二三四五六七八九十ivx".contains(c))
                && rest.chars().take(8).any(|c| {
                    ".:：。 -、".contains(c)
                        || c.is_alphabetic()
                        || is_unspaced(c.encode_utf8(&mut [0; 4]))
                        || c.is_ascii_digit()
                })
        })
    })
}

/// How deep the number before a heading goes.
pub fn numbering(text: &str) -> u8 {
    let word = text.split_whitespace().next().unwrap_or("");
    let rest = text[word.len()..].trim();
    let digits = |w: &str| {
        let w = w.trim_end_matches(['.', ')', '、']);
        !w.is_empty()
            && w.split('.').count() <= 4
            && w.split('.')
                .all(|p| !p.is_empty() && p.len() <= 2 && p.chars().all(|c| c.is_ascii_digit()))
    };
    if digits(word) && rest.chars().next().is_some_and(|c| c.is_alphabetic()) {
        return word.trim_end_matches(['.', ')', '、']).split('.').count() as u8;
    }
    // Without a space: 1引言, 2.1方法.
    let end = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '、')
            .len();
    if end > 0
        && digits(&text[..end])
        && text[end..]
            .chars()
            .next()
            .is_some_and(|c| is_unspaced(c.encode_utf8(&mut [0; 4])))
    {
        return text[..end].trim_end_matches(['.', '、']).split('.').count() as u8;
    }
    let chinese = |c: char| "一二三四五六七八九十百零".contains(c);
    if let Some(rest) = text.strip_prefix('第') {
        let unit = rest.trim_start_matches(|c: char| chinese(c) || c.is_ascii_digit() || c == ' ');
        if unit.len() < rest.len() && unit.starts_with(['章', '条', '节', '部', '篇', '编']) {
            return 1;
        }
    }
    let unit = text.trim_start_matches(chinese);
    if unit.len() < text.len() && unit.starts_with('、') {
        return 1;
    }
    let lower = text.to_lowercase();
    let named = [
        "chapter ",
        "kapitel ",
        "section ",
        "appendix ",
        "part ",
        "capítulo ",
        "chapitre ",
        "附件",
        "附录",
    ];
    if named.iter().any(|n| lower.starts_with(n)) {
        return 1;
    }
    if !word.is_empty()
        && word.ends_with('.')
        && word.len() >= 2
        && word[..word.len() - 1].chars().all(|c| "IVX".contains(c))
        && !rest.is_empty()
    {
        return 1;
    }
    0
}

/// Share of characters that formulas are made of. Digits without a sign are numbers of things, such as contracts.
pub fn mathematical(text: &str) -> f32 {
    let all = text.chars().filter(|c| !c.is_whitespace()).count();
    let sign = |c: &char| {
        "=+−×÷±∑∏∫√∞≤≥≠≈∈∂∇·^_|/<>()[]{}²³".contains(*c)
            || ('\u{370}'..='\u{3ff}').contains(c)
            || ('\u{2200}'..='\u{22ff}').contains(c)
    };
    let signs = text.chars().filter(sign).count();
    if signs == 0 {
        return 0.0;
    }
    let digits = text.chars().filter(char::is_ascii_digit).count();
    (signs + digits) as f32 / all.max(1) as f32
}

/// Share of characters in words of at least three letters, or ideographs.
pub fn wordy(text: &str) -> f32 {
    let all = text.chars().filter(|c| !c.is_whitespace()).count();
    let ideographs = text
        .chars()
        .filter(|c| is_unspaced(c.encode_utf8(&mut [0; 4])))
        .count();
    let words: usize = text
        .split(|c: char| !c.is_alphabetic() || is_unspaced(c.encode_utf8(&mut [0; 4])))
        .map(|w| w.chars().count())
        .filter(|n| *n >= 3)
        .sum();
    (words + ideographs) as f32 / all.max(1) as f32
}

/// Whether a text begins with a list mark.
pub fn has_marker(text: &str) -> bool {
    super::lists::marker(text).is_some()
}

/// Whether a text begins with a number as clauses of Chinese and Japanese documents do: `（三）`.
pub fn clause(text: &str) -> bool {
    let Some(rest) = text.trim_start().strip_prefix(['（', '(']) else {
        return false;
    };
    let number = |c: char| "一二三四五六七八九十".contains(c);
    let digits: usize = rest
        .chars()
        .take_while(|c| number(*c))
        .map(char::len_utf8)
        .sum();
    let after = rest[digits..].chars().next();
    (3..=9).contains(&digits) && matches!(after, Some('）' | ')'))
}

/// Whether two rows meet between ideographs, where a row may end at any place.
pub fn breaks_anywhere(first: &str, second: &str) -> bool {
    let unspaced = |c: Option<char>| c.is_some_and(|c| is_unspaced(c.encode_utf8(&mut [0; 4])));
    unspaced(first.trim_end().chars().next_back()) && unspaced(second.trim_start().chars().next())
}

/// Length of a text in half ideographs.
pub fn length(text: &str) -> usize {
    text.chars()
        .map(|c| 1 + usize::from(is_unspaced(c.encode_utf8(&mut [0; 4]))))
        .sum()
}

/// Whether a text begins as footnotes do: with a raised number, read as a digit without a point, or a mark.
pub fn note_mark(text: &str) -> bool {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = text[digits..].trim_start();
    let raised = (1..=2).contains(&digits)
        && rest.chars().next().is_some_and(char::is_alphabetic)
        && length(rest) > 12;
    raised || text.starts_with(['*', '†', '‡', '¹', '²', '³', '⁴', '⁵', '⁶', '※'])
}

/// Whether a text is the number of a page: `12`, `– 3 –`, `iv`, `Page 3 of 8`, `第3页 共8页`, `4-7`, `B-2`.
pub fn page_number(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    if text.is_empty() || text.chars().count() > 24 {
        return false;
    }
    let words = [
        "page",
        "seite",
        "página",
        "pagina",
        "of",
        "von",
        "de",
        "第",
        "页",
        "共",
        "頁",
        "ページ",
        "sur",
    ];
    let mut rest = text;
    for word in words {
        rest = rest.replace(word, " ");
    }
    let letters = rest.chars().filter(|c| c.is_alphabetic()).count();
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let roman = letters > 0
        && digits == 0
        && rest
            .trim_matches(|c: char| !c.is_alphabetic())
            .chars()
            .all(|c| "ivxlc".contains(c));
    (digits > 0 && digits <= 6 && letters <= 1) || (roman && letters <= 5)
}

/// Whether a text ends as sentences do.
pub fn sentence_ends(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '’', ')', '）', '」', '』'])
        .ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '；', ';', '…'])
}
