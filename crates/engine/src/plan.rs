//! What the caller needs → which models and stages: [`Requirements`] → [`Plan`].

use std::fmt;

use maoocr_models::manifest::{ModelEntry, Task, Tier};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a caller asks for. Every field is optional; the defaults suit a picture nobody said anything about.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Requirements {
    /// What the picture shows.
    pub document_type: DocumentType,
    /// `auto`, an English name (`chinese`) or a BCP 47 tag (`zh-Hant`), in lower case.
    pub language: Language,
    /// How much an error costs.
    pub accuracy_requirement: Level,
    /// How much waiting costs.
    pub speed_requirement: Level,
    /// Whether a person waits for each picture, as with a live camera.
    pub real_time: bool,
    /// Whether this is one of many pictures and the total time counts.
    pub batch_processing: bool,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentType {
    /// Not said.
    #[default]
    Auto,
    /// Lines of text, upright.
    SimpleText,
    /// Columns, tables, forms, whichever way up.
    ComplexLayout,
}

/// Low, medium or high.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It hardly matters.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// It matters most.
    High,
}

/// A language, as far as it decides the model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Language {
    /// Not said.
    #[default]
    Auto,
    /// A language of the PP-OCRv6 recognisers, as a BCP 47 tag.
    General(&'static str),
    /// A language that needs a recogniser of its own script: BCP 47 tag, script family in the manifest.
    Script(&'static str, &'static str),
}

/// Names of a language, its tag, and the script family where PP-OCRv6 doesn't cover it.
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

    /// Whether the tiny recogniser lacks too many of its characters: it knows no kana and few traditional ideographs.
    pub fn needs_small(&self) -> bool {
        matches!(self, Self::General("ja" | "zh-Hant"))
    }

    /// `auto` or the BCP 47 tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::General(tag) | Self::Script(tag, _) => tag,
        }
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

/// A field of the requirements that can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}`: {problem}; allowed: {}", allowed.join(", "))]
pub struct RequirementError {
    /// The field's name, as it was given.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What may stand there instead.
    pub allowed: Vec<String>,
}

impl Requirements {
    /// The names of the fields.
    pub const FIELDS: [&str; 6] = [
        "document_type",
        "language",
        "accuracy_requirement",
        "speed_requirement",
        "real_time",
        "batch_processing",
    ];

    /// Reads a JSON object. An unknown field or value is an error that names it and what is allowed.
    pub fn from_json(json: &Value) -> Result<Self, RequirementError> {
        let Value::Object(fields) = json else {
            return Err(RequirementError {
                field: "requirements".into(),
                problem: "not a JSON object".into(),
                allowed: Self::FIELDS.map(String::from).to_vec(),
            });
        };
        let mut requirements = Self::default();
        for (field, value) in fields {
            match field.as_str() {
                "document_type" => {
                    requirements.document_type =
                        one_of(field, value, &["auto", "simple_text", "complex_layout"])?;
                }
                "language" => {
                    requirements.language =
                        value.as_str().and_then(Language::parse).ok_or_else(|| {
                            RequirementError {
                                field: field.clone(),
                                problem: format!("{value} is not a language that can be read"),
                                allowed: Language::names().into_iter().map(String::from).collect(),
                            }
                        })?;
                }
                "accuracy_requirement" => requirements.accuracy_requirement = level(field, value)?,
                "speed_requirement" => requirements.speed_requirement = level(field, value)?,
                "real_time" => requirements.real_time = boolean(field, value)?,
                "batch_processing" => requirements.batch_processing = boolean(field, value)?,
                _ => {
                    return Err(RequirementError {
                        field: field.clone(),
                        problem: "no such field".into(),
                        allowed: Self::FIELDS.map(String::from).to_vec(),
                    });
                }
            }
        }
        Ok(requirements)
    }
}

fn one_of<T: for<'a> Deserialize<'a>>(
    field: &str,
    value: &Value,
    allowed: &[&str],
) -> Result<T, RequirementError> {
    T::deserialize(value).map_err(|_| RequirementError {
        field: field.into(),
        problem: format!("{value} is not a value of it"),
        allowed: allowed.iter().map(ToString::to_string).collect(),
    })
}

fn level(field: &str, value: &Value) -> Result<Level, RequirementError> {
    one_of(field, value, &["low", "medium", "high"])
}

fn boolean(field: &str, value: &Value) -> Result<bool, RequirementError> {
    one_of(field, value, &["true", "false"])
}

/// Which models run, with which stages, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Name of the detector.
    pub detector: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// Name of the classifier that turns upside-down lines, where it is to be asked.
    pub line_orientation: Option<String>,
    /// Name of the classifier that turns whole pages, where it is to be asked.
    pub page_orientation: Option<String>,
    /// Longest side of the detector's input, px.
    pub max_side: u32,
    /// The language that was asked for.
    pub language: Language,
    /// Why, one sentence a choice.
    pub reasons: Vec<String>,
}

impl Plan {
    /// The models it runs, in the order of the stages.
    pub fn models(&self) -> Vec<&str> {
        [
            self.page_orientation.as_deref(),
            Some(self.detector.as_str()),
            self.line_orientation.as_deref(),
            Some(self.recogniser.as_str()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What executes the models, as far as it decides the plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeviceClass {
    /// A processor of a desktop or server.
    #[default]
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A browser or an edge isolate: little memory.
    Constrained,
}

/// Why there is no plan.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing that is installed will do.
    #[error("{need} is not installed; get it with `maoocr models pull {model}`")]
    NotInstalled {
        /// What is needed, in words.
        need: String,
        /// A model that would do.
        model: String,
    },
}

/// Longest side of the detector's input by default, px.
pub const MAX_SIDE: u32 = 1600;
/// The same when a person waits, px.
pub const MAX_SIDE_REAL_TIME: u32 = 960;

/// Chooses among `installed` models, which are in order of preference.
pub fn plan(
    requirements: &Requirements,
    installed: &[&ModelEntry],
    device: DeviceClass,
) -> Result<Plan, PlanError> {
    let mut reasons = Vec::new();
    let tier = wanted_tier(requirements, device, &mut reasons);

    let recogniser = match &requirements.language {
        Language::Script(tag, script) => {
            let family = installed.iter().find(|m| {
                m.task == Task::Recognition && m.languages.iter().any(|l| l == script || l == tag)
            });
            let model = family.ok_or_else(|| PlanError::NotInstalled {
                need: format!("a recogniser for {tag}"),
                model: format!("ppocrv5-{script}-rec"),
            })?;
            reasons.push(format!("{}: the recogniser for {tag}", model.name));
            model
        }
        language => {
            let least = if language.needs_small() {
                Tier::Small
            } else {
                Tier::Tiny
            };
            if tier < least {
                reasons.push(format!(
                    "{} needs the small recogniser: tiny lacks its characters",
                    language.tag()
                ));
            }
            nearest(installed, Task::Recognition, tier.max(least), &mut reasons)?
        }
    };
    let detector = nearest(installed, Task::Detection, tier, &mut reasons)?;

    let find = |task| {
        installed
            .iter()
            .find(|m| m.task == task)
            .map(|m| m.name.clone())
    };
    let hurried = requirements.real_time || requirements.document_type == DocumentType::SimpleText;
    let (line_orientation, page_orientation) = if hurried {
        reasons.push("taken as upright: no orientation models".into());
        (None, None)
    } else {
        let found = (find(Task::LineOrientation), find(Task::PageOrientation));
        if requirements.document_type == DocumentType::ComplexLayout {
            reasons.push(match found {
                (Some(_), Some(_)) => "complex layout: the page and its lines are turned upright first".into(),
                _ => "complex layout: taken as upright, since not all orientation models are installed".into(),
            });
        }
        found
    };
    let max_side = if requirements.real_time {
        reasons.push(format!(
            "real time: the detector sees at most {MAX_SIDE_REAL_TIME} px"
        ));
        MAX_SIDE_REAL_TIME
    } else {
        MAX_SIDE
    };
    Ok(Plan {
        detector: detector.name.clone(),
        recogniser: recogniser.name.clone(),
        line_orientation,
        page_orientation,
        max_side,
        language: requirements.language.clone(),
        reasons,
    })
}

fn wanted_tier(
    requirements: &Requirements,
    device: DeviceClass,
    reasons: &mut Vec<String>,
) -> Tier {
    let (tier, why) = if device == DeviceClass::Constrained {
        (Tier::Tiny, "little memory on this device")
    } else if requirements.real_time {
        (Tier::Tiny, "real time")
    } else if requirements.accuracy_requirement == Level::High {
        if requirements.speed_requirement == Level::High {
            (Tier::Small, "high accuracy and high speed")
        } else {
            (Tier::Medium, "high accuracy")
        }
    } else if requirements.speed_requirement == Level::High {
        (Tier::Tiny, "high speed")
    } else if requirements.accuracy_requirement == Level::Low {
        (Tier::Tiny, "low accuracy suffices")
    } else {
        (Tier::Small, "the default")
    };
    reasons.push(format!("{tier} models: {why}"));
    tier
}

/// The installed model of a tier, else the next lighter one, else the next heavier one.
fn nearest<'a>(
    installed: &[&'a ModelEntry],
    task: Task,
    tier: Tier,
    reasons: &mut Vec<String>,
) -> Result<&'a ModelEntry, PlanError> {
    let of_tier = |wanted| {
        installed
            .iter()
            .copied()
            .find(|m| m.task == task && m.tier == Some(wanted) && m.family.starts_with("PP-OCRv6"))
    };
    let order = match tier {
        Tier::Tiny => [Tier::Tiny, Tier::Small, Tier::Medium],
        Tier::Small => [Tier::Small, Tier::Medium, Tier::Tiny],
        Tier::Medium => [Tier::Medium, Tier::Small, Tier::Tiny],
    };
    let found = order.iter().find_map(|&t| of_tier(t)).ok_or_else(|| {
        let (need, short) = match task {
            Task::Detection => ("a detector", "det"),
            _ => ("a recogniser", "rec"),
        };
        PlanError::NotInstalled {
            need: need.into(),
            model: format!("ppocrv6-{tier}-{short}"),
        }
    })?;
    if found.tier != Some(tier) {
        reasons.push(format!("{}: no {tier} one is installed", found.name));
    }
    Ok(found)
}

impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::SimpleText => "simple_text",
            Self::ComplexLayout => "complex_layout",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maoocr_models::Manifest;
    use serde_json::json;

    fn chosen(
        requirements: Value,
        without: &[&str],
        device: DeviceClass,
    ) -> Result<Plan, PlanError> {
        let manifest = Manifest::built_in();
        let installed: Vec<_> = manifest
            .models
            .iter()
            .filter(|m| !without.iter().any(|w| m.name.contains(w)))
            .collect();
        plan(
            &Requirements::from_json(&requirements).unwrap(),
            &installed,
            device,
        )
    }

    #[test]
    fn table() {
        let no_medium: &[&str] = &["medium"];
        for (requirements, without, device, detector, recogniser) in [
            (
                json!({}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-small-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"real_time": true}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-tiny-rec",
            ),
            (
                json!({"real_time": true, "language": "japanese"}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"language": "zh-TW", "speed_requirement": "high"}),
                no_medium,
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"accuracy_requirement": "high"}),
                no_medium,
                DeviceClass::Gpu,
                "ppocrv6-small-det",
                "ppocrv6-small-rec",
            ),
            (
                json!({"accuracy_requirement": "high"}),
                &[],
                DeviceClass::Gpu,
                "ppocrv6-medium-det",
                "ppocrv6-medium-rec",
            ),
            (
                json!({}),
                no_medium,
                DeviceClass::Constrained,
                "ppocrv6-tiny-det",
                "ppocrv6-tiny-rec",
            ),
            (
                json!({}),
                &["medium", "small"],
                DeviceClass::Cpu,
                "ppocrv6-tiny-det",
                "ppocrv6-tiny-rec",
            ),
        ] {
            let plan = chosen(requirements.clone(), without, device).unwrap();
            assert_eq!(
                (plan.detector.as_str(), plan.recogniser.as_str()),
                (detector, recogniser),
                "{requirements}"
            );
            assert!(!plan.reasons.is_empty());
        }
    }

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

    #[test]
    fn what_is_missing_is_named() {
        let error = chosen(json!({}), &["-rec"], DeviceClass::Cpu).unwrap_err();
        assert!(
            error.to_string().contains("models pull ppocrv6-small-rec"),
            "{error}"
        );
        let error =
            chosen(json!({"language": "korean"}), &["korean"], DeviceClass::Cpu).unwrap_err();
        assert!(error.to_string().contains("ppocrv5-korean-rec"), "{error}");
    }

    #[test]
    fn unknown_fields_and_values_are_named() {
        for (json, field) in [
            (json!({"langauge": "en"}), "langauge"),
            (json!({"language": "klingon"}), "language"),
            (json!({"real_time": "yes"}), "real_time"),
            (json!({"speed_requirement": 3}), "speed_requirement"),
            (json!([]), "requirements"),
        ] {
            let error = Requirements::from_json(&json).unwrap_err();
            assert_eq!(error.field, field);
            assert!(!error.allowed.is_empty());
        }
    }
}
