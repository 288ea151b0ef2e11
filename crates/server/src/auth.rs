//! Who calls: API keys, their rights and rates.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::app::App;
use crate::config::Config;
use crate::edge;
use crate::problem::Problem;
use crate::store::{Key, NewKey, Scope};

/// Every key of the database begins with it, so that scanners find keys that leaked.
pub const PREFIX: &str = "mao_";
/// A browser can't set a WebSocket's headers; it offers the key as a sub-protocol with this prefix.
pub const SUBPROTOCOL: &str = "maoocr.key.";
/// How long a key that was looked up is believed.
const MEMORY: Duration = Duration::from_secs(30);
/// Owns the jobs of callers whom even the edge doesn't know. They are strangers to each other: what was read for one is
/// in no history, and a job is seen by whoever knows its id.
pub const STRANGERS: &str = "edge:";
/// Failed tries a minute from one address.
const WRONG_KEYS: u32 = 30;

/// Who calls, known to every handler.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Owns what the call makes: the key's id, or empty where no keys are needed.
    pub owner: String,
    /// What the key may do.
    pub scopes: Vec<Scope>,
    /// Whose requests are counted together.
    who: String,
    /// Requests a minute; none: no limit.
    rate: Option<u32>,
}

impl Caller {
    /// Whom the edge vouches for; empty: somebody it doesn't know either. The edge counts its callers' requests; this
    /// server does too where it was given a rate.
    pub fn of_edge(name: &str, scopes: Vec<Scope>, rate: Option<u32>) -> Self {
        let owner = format!("{STRANGERS}{name}");
        Self {
            who: format!("caller:{owner}"),
            owner,
            scopes,
            rate: rate.filter(|r| *r > 0),
        }
    }

    /// Counts one request; a problem where there were too many.
    pub async fn count(&self, app: &App) -> Result<(), Problem> {
        match self.rate {
            Some(rate) => take(app, &self.who, rate).await,
            None => Ok(()),
        }
    }

    /// A problem where the right is missing.
    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "scope_missing",
            format!("this key lacks the right `{}`", name(scope)),
        ))
    }
}

/// Its name.
pub fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::Recognize => "recognize",
        Scope::Jobs => "jobs",
        Scope::Metrics => "metrics",
        Scope::Admin => "admin",
    }
}

/// The right of this name.
pub fn scope(named: &str) -> Option<Scope> {
    ALL_SCOPES.into_iter().find(|s| name(*s) == named)
}

/// Every right there is.
pub const ALL_SCOPES: [Scope; 4] = [Scope::Recognize, Scope::Jobs, Scope::Metrics, Scope::Admin];

/// A new key, in the clear, and its hash.
pub fn new_key() -> (String, [u8; 32]) {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes);
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&key);
    (key, hash)
}

/// SHA-256. Keys are 256 random bits, so that a slow hash would protect nothing.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as i64)
}

/// Keys that are known without asking the database every time.
pub struct Keys {
    /// From the configuration.
    fixed: Vec<Key>,
    /// Looked up lately, unknown ones too.
    recent: moka::future::Cache<[u8; 32], Option<Arc<Key>>>,
}

impl Keys {
    /// With the keys of the configuration.
    pub fn new(config: &Config) -> Self {
        let fixed = config.api_keys.iter().map(|key| {
            let hash = hash(key);
            let mut id = [0; 16];
            id.copy_from_slice(&hash[..16]);
            Key {
                key: NewKey {
                    id: Uuid::from_bytes(id),
                    name: "configuration".into(),
                    hash,
                    scopes: ALL_SCOPES.to_vec(),
                    rate: None,
                    expires_at: None,
                },
                created_at: 0,
                revoked_at: None,
            }
        });
        Self {
            fixed: fixed.collect(),
            recent: moka::future::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(MEMORY)
                .build(),
        }
    }

    /// Whether the configuration has any.
    pub fn any_fixed(&self) -> bool {
        !self.fixed.is_empty()
    }

    /// The key, where it is valid now.
    async fn find(&self, app: &App, key: &str) -> Result<Option<Arc<Key>>, Problem> {
        let hash = hash(key);
        let mut found = None;
        // All of them, whichever is right: the time tells nothing.
        for fixed in &self.fixed {
            if bool::from(fixed.key.hash.ct_eq(&hash)) {
                found = Some(Arc::new(fixed.clone()));
            }
        }
        if found.is_some() {
            return Ok(found);
        }
        let key = match self.recent.get(&hash).await {
            Some(known) => known,
            None => {
                let key = app.store.key(&hash).await?.map(Arc::new);
                self.recent.insert(hash, key.clone()).await;
                key
            }
        };
        Ok(key.filter(|k| {
            bool::from(k.key.hash.ct_eq(&hash))
                && k.revoked_at.is_none()
                && k.key.expires_at.is_none_or(|at| at > now())
        }))
    }
}

/// The key a request brings: `Authorization: Bearer`, `x-api-key`, or a WebSocket's sub-protocol.
fn given(headers: &HeaderMap) -> Option<&str> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &header::HeaderValue| v.to_str().ok())
    };
    if let Some(value) = text(header::AUTHORIZATION) {
        let (scheme, key) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim());
    }
    if let Some(key) = text(header::HeaderName::from_static("x-api-key")) {
        return Some(key.trim());
    }
    let offered = text(header::SEC_WEBSOCKET_PROTOCOL)?;
    offered
        .split(',')
        .find_map(|p| p.trim().strip_prefix(SUBPROTOCOL))
}

/// Where a request comes from: the peer, or what trusted proxies say of it.
pub fn address(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut address = peer.to_canonical();
    let forwarded = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    let forwarded: Vec<&str> = forwarded.map(str::trim).collect();
    // From the nearest to the farthest, as long as the one who says it is trusted.
    for said in forwarded.into_iter().rev() {
        if !config.trusts(address) {
            break;
        }
        match said.parse::<IpAddr>() {
            Ok(next) => address = next.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

/// An address as the limiter counts it: IPv6 by its /64, which one subscriber has whole.
fn counted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Lets through who may call, as often as they may. Handlers find the [`Caller`] in the request's extensions.
pub async fn check(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match admit(&app, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(app: &App, request: &mut Request) -> Result<(), Problem> {
    let caller = if app.config.edge_secrets.is_empty() {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
        direct(app, peer, request.headers()).await?
    } else {
        edge::caller(app, request.method(), request.uri(), request.headers()).await?
    };
    // Looking is cheap; what is limited is work. A WebSocket counts its pictures.
    if request.method() != Method::GET && request.method() != Method::HEAD {
        caller.count(app).await?;
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// Who calls this server itself: the holder of a key, or anyone where no keys are needed.
async fn direct(app: &App, peer: IpAddr, headers: &HeaderMap) -> Result<Caller, Problem> {
    let address = counted(address(&app.config, peer, headers));
    if !app.config.needs_keys() {
        return Ok(Caller {
            who: format!("address:{address}"),
            owner: String::new(),
            scopes: ALL_SCOPES.to_vec(),
            rate: app.config.usual_rate(),
        });
    }
    let key = known(app, headers, &address).await?;
    let owner = key.key.id.to_string();
    Ok(Caller {
        who: format!("key:{owner}"),
        owner,
        scopes: key.key.scopes.clone(),
        rate: key.key.rate.or(app.config.usual_rate()),
    })
}

async fn known(app: &App, headers: &HeaderMap, address: &str) -> Result<Arc<Key>, Problem> {
    let Some(key) = given(headers) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "key_missing",
            "this server wants an API key: send it as `Authorization: Bearer KEY`",
        ));
    };
    // Guessing is hopeless with such keys, but it costs the database a look each time.
    let found = if key.len() <= 256 {
        app.keys.find(app, key).await?
    } else {
        None
    };
    match found {
        Some(key) => Ok(key),
        None => {
            take(app, &format!("wrong:{address}"), WRONG_KEYS).await?;
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "key_invalid",
                "this API key is unknown, expired or was taken back",
            ))
        }
    }
}

async fn take(app: &App, who: &str, rate: u32) -> Result<(), Problem> {
    // A sixth of a minute's requests may come at once.
    let burst = (rate / 6).max(1);
    app.limiter
        .take(who, rate, burst)
        .await
        .map(drop)
        .map_err(|wait| {
            let seconds = (wait.0.as_secs_f64().ceil() as u64).max(1);
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                format!("more than {rate} requests a minute; wait {seconds} s"),
            )
            .after(seconds)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn keys_are_found_wherever_a_client_can_put_them() {
        assert_eq!(given(&headers(&[("authorization", "Bearer k")])), Some("k"));
        assert_eq!(
            given(&headers(&[("authorization", "bearer  k ")])),
            Some("k")
        );
        assert_eq!(given(&headers(&[("authorization", "Basic k")])), None);
        assert_eq!(given(&headers(&[("x-api-key", "k")])), Some("k"));
        let socket = headers(&[("sec-websocket-protocol", "maoocr, maoocr.key.k")]);
        assert_eq!(given(&socket), Some("k"));
        assert_eq!(given(&HeaderMap::new()), None);
    }

    #[test]
    fn keys_are_long_and_never_twice_the_same() {
        let (a, hash_a) = new_key();
        let (b, _) = new_key();
        assert_ne!(a, b);
        assert_eq!(a.len(), PREFIX.len() + 43);
        assert_eq!(hash(&a), hash_a);
    }

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_comes_from() {
        use clap::Parser;
        #[derive(Parser)]
        struct Command {
            #[command(flatten)]
            config: Config,
        }
        let config = |proxies: &str| {
            Command::try_parse_from(["serve", "--trusted-proxies", proxies])
                .unwrap()
                .config
        };
        let said = headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2")]);
        let from =
            |config: &Config, peer: &str| address(config, peer.parse().unwrap(), &said).to_string();
        assert_eq!(from(&config("10.0.0.0/8"), "9.9.9.9"), "9.9.9.9");
        assert_eq!(from(&config("10.0.0.0/8"), "10.0.0.1"), "2.2.2.2");
        let both = config("10.0.0.0/8,2.2.2.2");
        assert_eq!(from(&both, "10.0.0.1"), "1.1.1.1");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_caller() {
        let a = counted("2001:db8:1:2::1".parse().unwrap());
        let b = counted("2001:db8:1:2:ffff::9".parse().unwrap());
        assert_eq!(a, b);
        assert_ne!(a, counted("2001:db8:1:3::1".parse().unwrap()));
    }
}
