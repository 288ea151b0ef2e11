//! The languages that can be asked for.

use serde::Serialize;

/// A language, as far as it decides the model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Language {
    /// Not said.
    #[default]
    Auto,
    /// A language of the general recognisers, as a BCP 47 tag.
    General(&'static str),
    /// A language that needs a recogniser of its own script: BCP 47 tag, script family in the manifest.
    Script(&'static str, &'static str),
}

/// Names of a language, its tag, and the script family where the general recognisers don't cover it.
const LANGUAGES: &[(&[&str], &str, Option<&str>)] = &[
    (
        &[
            "chinese",
            "zh",
            "zh-hans",
            "zh-cn",
            "zh-sg",
            "simplified chinese",
        ],
        "zh-Hans",
        None,
    ),
    (
        &["traditional chinese", "zh-hant", "zh-tw", "zh-hk", "zh-mo"],
        "zh-Hant",
        None,
    ),
    (&["english", "en"], "en", None),
    (&["japanese", "ja"], "ja", None),
    (&["afrikaans", "af"], "af", None),
    (&["azerbaijani", "az"], "az", None),
    (&["bosnian", "bs"], "bs", None),
    (&["catalan", "ca"], "ca", None),
    (&["czech", "cs"], "cs", None),
    (&["welsh", "cy"], "cy", None),
    (&["danish", "da"], "da", None),
    (&["german", "de"], "de", None),
    (&["spanish", "es"], "es", None),
    (&["estonian", "et"], "et", None),
    (&["basque", "eu"], "eu", None),
    (&["finnish", "fi"], "fi", None),
    (&["french", "fr"], "fr", None),
    (&["irish", "ga"], "ga", None),
    (&["galician", "gl"], "gl", None),
    (&["croatian", "hr"], "hr", None),
    (&["hungarian", "hu"], "hu", None),
    (&["indonesian", "id"], "id", None),
    (&["icelandic", "is"], "is", None),
    (&["italian", "it"], "it", None),
    (&["kurdish", "ku"], "ku", None),
    (&["la"], "la", None),
    (&["luxembourgish", "lb"], "lb", None),
    (&["lithuanian", "lt"], "lt", None),
    (&["latvian", "lv"], "lv", None),
    (&["maori", "mi"], "mi", None),
    (&["malay", "ms"], "ms", None),
    (&["maltese", "mt"], "mt", None),
    (&["dutch", "nl"], "nl", None),
    (&["norwegian", "no", "nb", "nn"], "no", None),
    (&["occitan", "oc"], "oc", None),
    (&["polish", "pl"], "pl", None),
    (&["portuguese", "pt"], "pt", None),
    (&["quechua", "qu"], "qu", None),
    (&["romansh", "rm"], "rm", None),
    (&["romanian", "ro"], "ro", None),
    (&["slovak", "sk"], "sk", None),
    (&["slovenian", "sl"], "sl", None),
    (&["albanian", "sq"], "sq", None),
    (&["swedish", "sv"], "sv", None),
    (&["swahili", "sw"], "sw", None),
    (&["tagalog", "tl", "filipino", "fil"], "tl", None),
    (&["turkish", "tr"], "tr", None),
    (&["uzbek", "uz"], "uz", None),
    (&["vietnamese", "vi"], "vi", None),
    (&["serbian latin", "sr-latn"], "sr-Latn", None),
    // Any of them.
    (&["latin"], "mul-Latn", None),
    (&["korean", "ko"], "ko", Some("korean")),
    (&["russian", "ru"], "ru", Some("eslav")),
    (&["ukrainian", "uk"], "uk", Some("eslav")),
    (&["belarusian", "be"], "be", Some("eslav")),
    (&["bulgarian", "bg"], "bg", Some("cyrillic")),
    (
        &["cyrillic", "sr-cyrl", "mk", "kk"],
        "mul-Cyrl",
        Some("cyrillic"),
    ),
    (&["thai", "th"], "th", Some("th")),
    (&["greek", "el"], "el", Some("el")),
    (&["arabic", "ar"], "ar", Some("arabic")),
    (&["persian", "fa"], "fa", Some("arabic")),
    (&["urdu", "ur"], "ur", Some("arabic")),
    (&["hindi", "hi"], "hi", Some("devanagari")),
    (&["marathi", "mr"], "mr", Some("devanagari")),
    (&["nepali", "ne"], "ne", Some("devanagari")),
    (&["tamil", "ta"], "ta", Some("ta")),
    (&["telugu", "te"], "te", Some("te")),
];

impl Language {
    /// Reads a name or tag, whatever its case; of a tag that isn't known, the part that is (`en-AU`: `en`; RFC 4647,
    /// lookup). `None` for one that no model covers.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase().replace('_', "-");
        if name == "auto" {
            return Some(Self::Auto);
        }
        let parts = std::iter::successors(Some(name.as_str()), |tag| {
            tag.rsplit_once('-').map(|(less, _)| less)
        });
        let found = parts
            .filter_map(|part| LANGUAGES.iter().find(|(names, ..)| names.contains(&part)))
            .next();
        found.map(|&(_, tag, script)| match script {
            Some(script) => Self::Script(tag, script),
            None => Self::General(tag),
        })
    }

    /// `auto` or the BCP 47 tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::General(tag) | Self::Script(tag, _) => tag,
        }
    }

    /// Whether a language or script family of the manifest needs a recogniser of its own.
    pub(super) fn is_script(name: &str) -> bool {
        let mut scripts = LANGUAGES.iter().filter_map(|&(_, _, script)| script);
        scripts.any(|script| script == name)
    }

    /// Every name that [`parse`](Self::parse) takes.
    pub fn names() -> Vec<&'static str> {
        std::iter::once("auto")
            .chain(
                LANGUAGES
                    .iter()
                    .flat_map(|(names, ..)| names.iter().copied()),
            )
            .collect()
    }
}

impl Serialize for Language {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maoocr_models::Manifest;

    #[test]
    fn tags_are_looked_up_part_by_part() {
        for (given, tag) in [
            ("en-AU", "en"),
            ("fr_CA", "fr"),
            ("zh-Hans-CN", "zh-Hans"),
            ("zh-Hant-HK", "zh-Hant"),
            ("Danish", "da"),
            ("sr-Latn-RS", "sr-Latn"),
            ("ko-KR", "ko"),
        ] {
            assert_eq!(Language::parse(given).unwrap().tag(), tag, "{given}");
        }
        assert_eq!(Language::parse("tlh-Latn"), None);
    }

    #[test]
    fn languages_of_the_recogniser_have_names() {
        let manifest = Manifest::built_in();
        let recogniser = manifest.get("ppocrv6-small-rec").unwrap();
        for tag in &recogniser.languages {
            assert_eq!(Language::parse(tag).unwrap().tag(), tag);
        }
    }
}
