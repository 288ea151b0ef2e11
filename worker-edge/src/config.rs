//! The Worker's settings: variables, secrets and bindings.

use crate::origins::{self, Origin};
use crate::route::{Bounds, Light};

/// All settings that are plain values.
#[derive(Clone, Debug)]
pub struct Config {
    /// Servers.
    pub origins: Vec<Origin>,
    /// What requests to them are signed with.
    pub secret: Option<Vec<u8>>,
    /// Whether callers need a key.
    pub keys: bool,
    /// Requests a minute for whoever has no rate of their own; 0: no limit.
    pub rate: u32,
    /// Origins of web pages that may call; `*` for any.
    pub cors: Vec<String>,
    /// Which pictures are read here.
    pub light: Light,
    /// How light they must be.
    pub bounds: Bounds,
    /// Largest file that is passed on, bytes.
    pub max_file: u64,
    /// Largest request of a job, bytes.
    pub max_batch: u64,
    /// How long a server may take to begin its answer, ms.
    pub timeout: u64,
    /// How long an answer is kept, s; 0: not at all.
    pub cache_time: u32,
}

impl Config {
    /// From variables by name; what is wrong with one says which.
    pub fn read(text: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let number = |name: &str, usual: u64, most: u64| match text(name) {
            None => Ok(usual),
            Some(value) => match value.parse() {
                Ok(number) if number <= most => Ok(number),
                _ => Err(format!(
                    "{name}: `{value}` is not a number from 0 to {most}"
                )),
            },
        };
        let origins: Vec<Origin> = match text("ORIGINS") {
            None => Vec::new(),
            Some(json) => serde_json::from_str(&json).map_err(|e| format!("ORIGINS: {e}"))?,
        };
        origins::check(&origins).map_err(|e| format!("ORIGINS: {e}"))?;
        let secret = text("EDGE_SECRET").map(String::into_bytes);
        let shortest = maoocr_signature::SHORTEST_SECRET;
        if secret.as_ref().is_some_and(|s| s.len() < shortest) {
            return Err(format!(
                "EDGE_SECRET: a secret must have at least {shortest} characters"
            ));
        }
        if secret.is_none() && !origins.is_empty() {
            return Err("EDGE_SECRET is missing: servers accept only signed requests".into());
        }
        let one_of = |name: &str, usual: &'static str, allowed: &[&'static str]| match text(name) {
            None => Ok(usual),
            Some(value) => allowed
                .iter()
                .copied()
                .find(|a| *a == value)
                .ok_or_else(|| format!("{name}: `{value}` is not one of {}", allowed.join(", "))),
        };
        let cors = text("CORS").unwrap_or_default();
        Ok(Self {
            origins,
            secret,
            keys: one_of("AUTH", "keys", &["keys", "open"])? == "keys",
            rate: number("RATE", 120, 1_000_000)? as u32,
            cors: cors
                .split(',')
                .map(str::trim)
                .filter(|o| !o.is_empty())
                .map(String::from)
                .collect(),
            light: match one_of("LIGHT", "asked", &["asked", "any", "never"])? {
                "any" => Light::Any,
                "never" => Light::Never,
                _ => Light::Asked,
            },
            bounds: Bounds {
                bytes: number("LIGHT_BYTES", 4 << 20, 8 << 20)?,
                pixels: number("LIGHT_PIXELS", 2_500_000, 4_000_000)?,
                pages: number("LIGHT_PAGES", 3, 10)?,
            },
            max_file: number("MAX_FILE", 64, 500)? << 20,
            max_batch: number("MAX_BATCH", 100, 5_000)? << 20,
            timeout: number("TIMEOUT", 60, 600)?.max(1) * 1000,
            cache_time: number("CACHE_TIME", 3600, 2_592_000)? as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(|name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.to_string())
        })
    }

    #[test]
    fn nothing_set_is_safe() {
        let config = read(&[]).unwrap();
        assert!(config.keys && config.rate > 0 && config.cors.is_empty());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let secret = ("EDGE_SECRET", "a secret that is of 32 characters");
        let origins = ("ORIGINS", r#"[{"name": "a", "url": "https://a.example"}]"#);
        assert_eq!(read(&[secret, origins]).unwrap().origins[0].weight, 1);
        for (pairs, word) in [
            (&[origins][..], "EDGE_SECRET"),
            (&[("EDGE_SECRET", "short")], "32"),
            (&[("ORIGINS", "[{}]")], "name"),
            (&[("AUTH", "maybe")], "open"),
            (&[("RATE", "-1")], "RATE"),
            (&[("LIGHT_PIXELS", "4000001")], "4000000"),
            (&[("LIGHT", "x")], "asked"),
        ] {
            let error = read(pairs).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
