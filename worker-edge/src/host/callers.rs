//! Who calls: keys from KV, counts from Durable Objects.

use std::cell::RefCell;
use std::collections::HashMap;

use web_sys::Headers;
use worker::Env;

use super::js::{self, header};
use crate::caller::{Caller, Key, counted, given, key_invalid, key_missing};
use crate::config::Config;
use crate::problem::Problem;
use crate::quota;

/// How long a key that was looked up is believed, ms.
const MEMORY: u64 = 30_000;
/// Keys an isolate remembers.
const MOST: usize = 1000;
/// Failed tries a minute from one address.
const WRONG_KEYS: u32 = 30;

thread_local! {
    /// Keys looked up lately by hash, unknown ones too, and when.
    static RECENT: RefCell<HashMap<String, (Option<Key>, u64)>> = RefCell::default();
}

/// The caller of a request; `linked`: by a link to a file, which needs no key.
///
/// # Errors
/// No key, or one that isn't valid, where keys are needed.
pub async fn known(
    config: &Config,
    env: &Env,
    headers: &Headers,
    linked: bool,
) -> Result<Caller, Problem> {
    // Cloudflare sets it, whatever the caller sent.
    let address = counted(&header(headers, "cf-connecting-ip").unwrap_or_default());
    if !config.keys {
        return Ok(Caller::anyone(config, &address));
    }
    let text = |name| header(headers, name);
    let given = given(
        text("authorization"),
        text("x-api-key").or_else(|| text("ocp-apim-subscription-key")),
        text("sec-websocket-protocol"),
    );
    let given = match given {
        Some(given) => given,
        None if linked => return Ok(Caller::with_link(config, &address)),
        None => return Err(key_missing()),
    };
    let key = match given.len() {
        1..=256 => find(env, &given).await?,
        _ => None,
    };
    match key.and_then(|key| Caller::of(&key, config, js::now())) {
        Some(caller) => Ok(caller),
        None => {
            count(env, &format!("wrong:{address}"), WRONG_KEYS).await?;
            Err(key_invalid())
        }
    }
}

async fn find(env: &Env, key: &str) -> Result<Option<Key>, Problem> {
    let hash = js::sha256(key.as_bytes()).await;
    let hash = js::hex(&hash.map_err(|e| Problem::internal("keys_failed", js::words(&e)))?);
    let now = js::now();
    let recent = RECENT.with_borrow(|recent| {
        recent
            .get(&hash)
            .filter(|(_, at)| now < at + MEMORY)
            .cloned()
    });
    if let Some((key, _)) = recent {
        return Ok(key);
    }
    let unavailable = |error: &dyn std::fmt::Display| {
        let detail = "keys can't be looked up right now; try again shortly";
        Problem::new(503, "keys_unavailable", detail)
            .after(5)
            .because(error)
    };
    let store = env.kv("STORE").map_err(|e| unavailable(&e))?;
    let text = store
        .get(&format!("key:{hash}"))
        .cache_ttl(60)
        .text()
        .await
        .map_err(|e| unavailable(&e))?;
    let key = text.and_then(|text| {
        let key = Key::parse(&text);
        if key.is_none() {
            worker::console_error!("keys: the entry key:{hash} is not a valid key");
        }
        key
    });
    RECENT.with_borrow_mut(|recent| {
        if recent.len() >= MOST {
            recent.clear();
        }
        recent.insert(hash, (key.clone(), now));
    });
    Ok(key)
}

/// Counts one request of somebody; a problem where there were too many.
pub async fn count(env: &Env, who: &str, rate: u32) -> Result<(), Problem> {
    if rate == 0 {
        return Ok(());
    }
    let wait = match ask(env, who, rate).await {
        Ok(wait) => wait,
        // Nobody is turned away because counting fails.
        Err(error) => {
            worker::console_error!("quota: {error}");
            0
        }
    };
    quota::refusal(rate, wait).map_or(Ok(()), Err)
}

async fn ask(env: &Env, who: &str, rate: u32) -> worker::Result<u64> {
    let stub = env.durable_object("QUOTA")?.get_by_name(who)?;
    let mut response = stub
        .fetch_with_str(&format!("https://quota/?rate={rate}"))
        .await?;
    response
        .text()
        .await?
        .parse()
        .map_err(|_| worker::Error::from("the bucket's answer is no number"))
}
