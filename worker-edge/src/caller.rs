//! Who calls: API keys in KV under the hash that the server stores too, rights, and quotas.

use std::net::IpAddr;

use serde::Deserialize;

use crate::config::Config;
use crate::problem::Problem;
use crate::route::Right;

/// A browser can't set a WebSocket's headers; it offers the key as a sub-protocol with this prefix.
pub const SUBPROTOCOL: &str = "maoocr.key.";

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caller {
    /// The key's id, or empty where no keys are needed.
    pub owner: String,
    /// What the key may do.
    pub rights: Vec<Right>,
    /// Whose requests are counted together.
    pub who: String,
    /// Requests a minute; 0: no limit.
    pub rate: u32,
}

impl Caller {
    /// Somebody without a key, where none is needed.
    pub fn anyone(config: &Config, address: &str) -> Self {
        Self {
            owner: String::new(),
            rights: vec![Right::Recognize, Right::Jobs],
            who: format!("address:{address}"),
            rate: config.rate,
        }
    }

    /// Somebody without a key who has a link to a file: the server looks whether it is good for it.
    pub fn with_link(config: &Config, address: &str) -> Self {
        Self {
            rights: Vec::new(),
            ..Self::anyone(config, address)
        }
    }

    /// The holder of a key, where it is valid now.
    pub fn of(key: &Key, config: &Config, now: u64) -> Option<Self> {
        key.expires_at.is_none_or(|at| at > now).then(|| Self {
            who: format!("key:{}", key.id),
            owner: key.id.clone(),
            rights: key.scopes.iter().filter_map(|s| Right::parse(s)).collect(),
            rate: key.rate.unwrap_or(config.rate),
        })
    }

    /// The rights as a signature names them.
    pub fn rights(&self) -> String {
        let names: Vec<&str> = self.rights.iter().map(|r| r.name()).collect();
        names.join("+")
    }
}

/// A key as it lies in KV: JSON under `key:` and the SHA-256 of the key in hexadecimal.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Names the caller at the servers.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Rights by name.
    pub scopes: Vec<String>,
    /// Requests a minute.
    #[serde(default)]
    pub rate: Option<u32>,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub expires_at: Option<u64>,
}

impl Key {
    /// From what is stored; none where that is no key.
    pub fn parse(json: &str) -> Option<Self> {
        let key: Self = serde_json::from_str(json).ok()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
        (!key.id.is_empty() && key.id.len() <= 128 && key.id.bytes().all(plain)).then_some(key)
    }
}

/// The problem of a request without a key.
pub fn key_missing() -> Problem {
    let detail = "this service requires an API key: send it as `Authorization: Bearer KEY`";
    Problem::new(401, "key_missing", detail)
}

/// The problem of a key that isn't valid.
pub fn key_invalid() -> Problem {
    Problem::new(
        401,
        "key_invalid",
        "this API key is unknown, expired or revoked",
    )
}

/// An address as it is counted: IPv6 by its /64, which one subscriber has whole.
pub fn counted(said: &str) -> String {
    match said.parse::<IpAddr>().map(|a| a.to_canonical()) {
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => "unknown".into(),
    }
}

/// The key a request brings: `Authorization: Bearer`, a header of its own, or a WebSocket's sub-protocol.
pub fn given(
    authorization: Option<String>,
    api_key: Option<String>,
    protocols: Option<String>,
) -> Option<String> {
    if let Some(value) = authorization {
        let (scheme, key) = value.split_once(' ')?;
        return scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| key.trim().to_string());
    }
    if let Some(key) = api_key {
        return Some(key.trim().to_string());
    }
    let protocols = protocols?;
    let mut offered = protocols.split(',');
    offered
        .find_map(|p| p.trim().strip_prefix(SUBPROTOCOL))
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_wherever_a_client_can_put_them() {
        let some = |text: &str| Some(text.to_string());
        assert_eq!(given(some("Bearer k"), None, None), some("k"));
        assert_eq!(given(some("bearer  k "), None, None), some("k"));
        assert_eq!(given(some("Basic k"), some("x"), None), None);
        assert_eq!(given(None, some(" k"), None), some("k"));
        assert_eq!(given(None, None, some("maoocr, maoocr.key.k")), some("k"));
        assert_eq!(given(None, None, some("maoocr")), None);
    }

    #[test]
    fn a_subscriber_is_one_caller() {
        assert_eq!(counted("2001:db8:1:2::1"), counted("2001:db8:1:2:ffff::9"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
        assert_eq!(counted("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(counted("garbage"), "unknown");
    }

    #[test]
    fn a_stored_key_is_checked() {
        let is_key = |json: &str| Key::parse(json).is_some();
        assert!(is_key(
            r#"{"id": "0198-a", "name": "shop", "scopes": ["recognize"], "rate": 60}"#
        ));
        assert!(!is_key(r#"{"id": "a, r=admin", "scopes": []}"#));
        assert!(!is_key(r#"{"id": "", "scopes": []}"#));
        assert!(!is_key(r#"{"scopes": []}"#));
    }

    #[test]
    fn a_key_gives_what_it_says_until_it_ends() {
        let config = Config::read(|_| None).unwrap();
        let key =
            r#"{"id": "shop", "scopes": ["recognize", "flying", "jobs"], "expires_at": 1000}"#;
        let key = Key::parse(key).unwrap();
        let caller = Caller::of(&key, &config, 999).unwrap();
        assert_eq!(caller.rights(), "recognize+jobs");
        assert_eq!((caller.owner.as_str(), caller.rate), ("shop", 120));
        assert_eq!(Caller::of(&key, &config, 1000), None);
        assert_eq!(Caller::anyone(&config, "1.2.3.4").who, "address:1.2.3.4");
    }
}
