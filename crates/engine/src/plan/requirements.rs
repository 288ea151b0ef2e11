//! What a caller asks for.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Language;

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

    /// Whether a large vision model is worth its time: the layout is complex, accuracy matters most, and speed doesn't.
    pub fn wants_vision(&self) -> bool {
        self.accuracy_requirement == Level::High
            && self.document_type == DocumentType::ComplexLayout
            && self.speed_requirement != Level::High
            && !self.real_time
    }

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
                                problem: format!("{value} is not a supported language"),
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
        problem: format!("{value} is not a valid value"),
        allowed: allowed.iter().map(ToString::to_string).collect(),
    })
}

fn level(field: &str, value: &Value) -> Result<Level, RequirementError> {
    one_of(field, value, &["low", "medium", "high"])
}

fn boolean(field: &str, value: &Value) -> Result<bool, RequirementError> {
    one_of(field, value, &["true", "false"])
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
    use serde_json::json;

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
