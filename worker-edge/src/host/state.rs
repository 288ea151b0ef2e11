//! What an isolate keeps between requests. Plain data only: the runtime forbids to share streams and promises.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use worker::Env;

use super::js;
use crate::config::Config;
use crate::ledger::{Ledger, Token};
use crate::origins::{Origins, Seen};

/// How often the cron's findings are looked up, ms.
const LOOK: u64 = 30_000;
/// Bytes of bodies that are held at the same time, beside what reading a picture takes. Beyond it, requests are passed on
/// as they come.
const HELD: u64 = 12 << 20;

thread_local! {
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
    static ORIGINS: RefCell<Origins> = RefCell::default();
    static LOOKED: RefCell<u64> = const { RefCell::new(0) };
    static BODIES: RefCell<Ledger> = RefCell::default();
}

/// The settings, read once.
pub fn config(env: &Env) -> Result<Rc<Config>, String> {
    if let Some(config) = CONFIG.with_borrow(Clone::clone) {
        return Ok(config);
    }
    let text = |name: &str| {
        env.var(name)
            .ok()
            .map(|v| v.to_string())
            .filter(|v| !v.is_empty())
    };
    let config = Rc::new(Config::read(text)?);
    ORIGINS.set(Origins::new(config.origins.clone()));
    CONFIG.set(Some(config.clone()));
    Ok(config)
}

/// The servers.
pub fn origins<T>(work: impl FnOnce(&mut Origins) -> T) -> T {
    ORIGINS.with_borrow_mut(work)
}

/// Whether what the cron saw should be looked up now.
pub fn must_look() -> bool {
    let now = js::now();
    LOOKED.with_borrow_mut(|last| {
        let must = now >= *last + LOOK;
        if must {
            *last = now;
        }
        must
    })
}

/// Looks up what the cron saw.
pub async fn look(env: Env) {
    let Ok(store) = env.kv("STORE") else {
        return;
    };
    match store
        .get("seen")
        .cache_ttl(60)
        .json::<HashMap<String, Seen>>()
        .await
    {
        Ok(seen) => {
            let seen = seen.unwrap_or_default();
            origins(|origins| {
                for (origin, standing) in origins.all.iter().zip(&mut origins.standing) {
                    standing.seen = seen.get(&origin.name).copied();
                }
            });
        }
        Err(error) => worker::console_error!("seen: {error}"),
    }
}

/// Room for a body of so many bytes, where there is any; it counts as held until [`release`].
pub fn hold(bytes: u64) -> Option<Token> {
    let now = js::now();
    BODIES.with_borrow_mut(|bodies| {
        let fits = bodies.sum(now) + bytes <= HELD;
        fits.then(|| bodies.add(bytes, now))
    })
}

/// A body isn't held any more.
pub fn release(body: Token) {
    BODIES.with_borrow_mut(|bodies| bodies.remove(body));
}
