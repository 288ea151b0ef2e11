//! Requirements from a stranger's JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{RequirementError, Requirements};

/// Longest name or value, characters; the rest is cut off.
const WORD: usize = 64;
/// Most fields; of more, one is unknown or appears twice.
const FIELDS: usize = 16;

/// Requirements as a caller wrote them: an object of a few short values. Anything larger is kept only as far as an error
/// needs to name it.
#[derive(Clone, Debug)]
pub struct JsonRequirements(Value);

impl JsonRequirements {
    /// Checks names and values.
    ///
    /// # Errors
    /// The first field that is unknown or has an unknown value.
    pub fn check(&self) -> Result<Requirements, RequirementError> {
        Requirements::from_json(&self.0)
    }
}

impl<'a> Deserialize<'a> for JsonRequirements {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Shallow { inside: false }).map(Self)
    }
}

/// A value, or an object of values. Lists and deeper objects become empty ones.
struct Shallow {
    inside: bool,
}

struct Inside(Value);

impl<'a> Deserialize<'a> for Inside {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Shallow { inside: true }).map(Self)
    }
}

/// Stays in the body unless it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn word(text: &str) -> String {
    text.chars().take(WORD).collect()
}

impl<'a> Visitor<'a> for Shallow {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(word(value)))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut from: A) -> Result<Value, A::Error> {
        while from.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(Name(name)) = from.next_key::<Name<'a>>()? {
            if self.inside || fields.len() == FIELDS {
                from.next_value::<IgnoredAny>()?;
            } else {
                fields.insert(word(&name), from.next_value::<Inside>()?.0);
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_requirements_only_short_values_are_kept() {
        let kept = |text: &str| serde_json::from_str::<JsonRequirements>(text).unwrap().0;
        let usual = "{\"language\": \"english\", \"real_time\": true}";
        assert_eq!(
            kept(usual),
            json!({"language": "english", "real_time": true})
        );
        assert_eq!(
            kept("{\"a\": [[1]], \"b\": {\"c\": {}}}"),
            json!({"a": [], "b": {}})
        );
        assert_eq!(kept("[1, [2]]"), json!([]));
        let long = format!("{{\"{0}\": \"{0}\"}}", "n".repeat(1 << 20));
        assert_eq!(kept(&long), json!({"n".repeat(WORD): "n".repeat(WORD)}));
        let many: Vec<String> = (0..100_000).map(|n| format!("\"{n}\": {n}")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(kept(&many).as_object().unwrap().len(), FIELDS);
        // Depth is bounded: an error, not an overflow of the stack.
        let deep = format!("{{\"a\": {}", "[".repeat(1 << 20));
        assert!(serde_json::from_str::<JsonRequirements>(&deep).is_err());
    }
}
