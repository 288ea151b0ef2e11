//! JSON from callers, parsed into types. Nothing is kept of what no type names, so that a body takes no more memory
//! parsed than it does as text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use maoocr_engine::page::PageRanges;
pub use maoocr_engine::plan::JsonRequirements;
use maoocr_engine::plan::Requirements;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use crate::problem::Problem;

/// Longest value that an error quotes, characters.
const WORD: usize = 64;
/// Most elements of a list.
const ELEMENTS: usize = 10_000;

/// Parses a JSON object.
///
/// # Errors
/// A problem that says where parsing failed.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    value::<Object<T>>(body).map(|object| object.0)
}

fn value<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        // A message quotes what it doesn't expect, however long that is.
        let why: String = error.to_string().chars().take(500).collect();
        if error.is_data() {
            Problem::unprocessable("invalid_json", format!("invalid JSON body: {why}"))
        } else {
            Problem::bad_request("invalid_json", format!("the body is not JSON: {why}"))
        }
    })
}

/// A JSON object. Types alone would take a list, too, for the values of their fields in order.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'a, T: Deserialize<'a>> Deserialize<'a> for Object<T> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'a, T: Deserialize<'a>> Visitor<'a> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// Text that stays in the body unless it has escapes.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A URL: `"…"` or `{"url": "…"}`, as clients of other services write it. `STRICT`: what else the object has, but for
/// `detail`, is refused by name.
#[derive(Debug)]
pub struct Address<'a, const STRICT: bool>(pub Text<'a>);

impl<'de: 'a, 'a, const STRICT: bool> Deserialize<'de> for Address<'a, STRICT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<const STRICT: bool>;
        impl<'de, const STRICT: bool> Visitor<'de> for Either<STRICT> {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL, as text or as {\"url\": \"…\"}")
            }

            fn visit_borrowed_str<E>(self, url: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(url.into()))
            }

            fn visit_str<E>(self, url: &str) -> Result<Text<'de>, E> {
                Ok(Text(url.to_string().into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text<'de>, A::Error> {
                #[derive(serde::Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Strict<'a> {
                    #[serde(borrow)]
                    url: Text<'a>,
                    #[serde(rename = "detail")]
                    _detail: Option<IgnoredAny>,
                }
                #[derive(serde::Deserialize)]
                struct Loose<'a> {
                    #[serde(borrow)]
                    url: Text<'a>,
                }
                let map = MapAccessDeserializer::new(map);
                match STRICT {
                    true => Strict::deserialize(map).map(|object| object.url),
                    false => Loose::deserialize(map).map(|object| object.url),
                }
            }
        }
        from.deserialize_any(Either::<STRICT>).map(Self)
    }
}

/// A list of at most 10,000 elements.
#[derive(Debug)]
pub struct List<T>(pub Vec<T>);

impl<'a, T: Deserialize<'a>> Deserialize<'a> for List<T> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'a, T: Deserialize<'a>> Visitor<'a> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {ELEMENTS} elements")
            }

            fn visit_seq<A: SeqAccess<'a>>(self, mut from: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = from.next_element()? {
                    if list.len() == ELEMENTS {
                        return Err(A::Error::invalid_length(ELEMENTS + 1, &self));
                    }
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        from.deserialize_seq(Elements(PhantomData))
    }
}

/// Positions of pages from 0: a list, or text such as `0,2-4`.
#[derive(Debug)]
pub struct Positions(pub PageRanges);

impl<'a> Deserialize<'a> for Positions {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'a> Visitor<'a> for Either {
            type Value = Positions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("positions of pages, counted from 0: a list, or text such as \"0,2-4\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Positions, E> {
                let wrong = || E::invalid_value(Unexpected::Str(&word(text)), &self);
                let number = |n: &str| n.trim().parse::<u32>().map_err(|_| wrong());
                let mut ranges = Vec::new();
                for part in text.split(',') {
                    let (from, to) = part.split_once('-').unwrap_or((part, part));
                    let (from, to) = (number(from)?, number(to)?);
                    if from > to || ranges.len() == ELEMENTS {
                        return Err(wrong());
                    }
                    ranges.push(from as usize..=to as usize);
                }
                Ok(Positions(PageRanges::of_ranges(ranges)))
            }

            fn visit_seq<A: SeqAccess<'a>>(self, from: A) -> Result<Positions, A::Error> {
                let list = List::<u32>::deserialize(SeqAccessDeserializer::new(from))?;
                Ok(Positions(PageRanges::of(
                    list.0.into_iter().map(|i| i as usize),
                )))
            }
        }
        from.deserialize_any(Either)
    }
}

/// The requirements, or the default where there are none.
///
/// # Errors
/// As for [`JsonRequirements::check`].
pub fn requirements(json: Option<&JsonRequirements>) -> Result<Requirements, Problem> {
    let checked = json.map(JsonRequirements::check).transpose();
    Ok(checked.map_err(Problem::from)?.unwrap_or_default())
}

/// Requirements in the JSON of a part.
///
/// # Errors
/// It is not JSON, or a field or value is unknown.
pub fn requirements_of(text: &[u8]) -> Result<Requirements, Problem> {
    let value: JsonRequirements = serde_json::from_slice(text).map_err(|e| {
        let detail = format!("the requirements are not JSON: {e}");
        Problem::unprocessable("invalid_requirements", detail).field("requirements")
    })?;
    Ok(value.check()?)
}

fn word(text: &str) -> String {
    text.chars().take(WORD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_named() {
        let field = |text: &str| requirements_of(text.as_bytes()).unwrap_err().field.unwrap();
        assert_eq!(field("{\"langauge\": [{}]}"), "langauge");
        assert_eq!(field("{\"language\": [\"english\"]}"), "language");
        assert_eq!(field("{\"real_time\": \"yes\"}"), "real_time");
        assert_eq!(field("[]"), "requirements");
        assert_eq!(field("{"), "requirements");
        assert!(requirements_of(b"{}").is_ok());
    }

    #[test]
    fn text_stays_in_the_body() {
        let text: Text = value(b"\"abc\"").unwrap();
        assert!(matches!(text.0, Cow::Borrowed("abc")));
        let text: Text = value(b"\"a\\u0062\"").unwrap();
        assert_eq!(text.0, "ab");
    }

    #[test]
    fn positions_are_a_list_or_ranges() {
        let chosen = |text: &str| value::<Positions>(text.as_bytes()).map(|p| p.0.chosen(6));
        assert_eq!(chosen("[0, 2]").unwrap(), [0, 2]);
        assert_eq!(chosen("\"0,2-4\"").unwrap(), [0, 2, 3, 4]);
        assert_eq!(chosen("[]").unwrap(), [0; 0]);
        for wrong in ["\"\"", "\"a\"", "\"3-1\"", "\"1-\"", "[-1]", "3", "null"] {
            assert_eq!(chosen(wrong).unwrap_err().code, "invalid_json", "{wrong}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            a: u8,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            inner: Object<Inner>,
        }
        let outer: Outer = parse(b"{\"inner\": {\"a\": 1}}").unwrap();
        assert_eq!(outer.inner.0.a, 1);
        for wrong in [&b"[{\"a\": 1}]"[..], b"{\"inner\": [1]}", b"{\"inner\": 1}"] {
            let problem = parse::<Outer>(wrong).unwrap_err();
            assert_eq!(
                (problem.status.as_u16(), problem.code),
                (422, "invalid_json")
            );
            assert!(problem.detail.contains("expected an object"), "{problem:?}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let list = |count: usize| {
            value::<List<u8>>(format!("[{}0]", "0,".repeat(count - 1)).as_bytes())
                .map(|l| l.0.len())
        };
        assert_eq!(list(ELEMENTS).unwrap(), ELEMENTS);
        assert_eq!(list(ELEMENTS + 1).unwrap_err().code, "invalid_json");
    }
}
