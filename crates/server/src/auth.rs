//! Who calls: API keys, their rights and rates.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::app::App;
use crate::cache::RetryAfter;
use crate::callers::{Holding, Kind};
use crate::config::Config;
use crate::edge;
use crate::kept::{self, Link};
use crate::network::subscriber;
use crate::problem::Problem;
use crate::store::{Key, NewKey, Scope};

/// Every generated key begins with it, so that secret scanners find leaked keys.
pub const PREFIX: &str = "mao_";
/// A browser can't set a WebSocket's headers; it offers the key as a subprotocol with this prefix.
pub const SUBPROTOCOL: &str = "maoocr.key.";
/// How long a looked-up key is trusted.
const MEMORY: Duration = Duration::from_secs(10);
/// Owns what is done for callers that nobody knows: not the edge, and not a server that is open to more than its own
/// machine. They must not see each other's data: nothing read for them enters a history, and only someone who knows a
/// job's id can see the job.
pub const STRANGERS: &str = "edge:";
/// How often the key of a connection that stays open is checked again.
pub const CHECK: Duration = Duration::from_secs(5);
/// Listeners to jobs that one caller may have.
const FOLLOWERS: u32 = 64;
/// Wrong keys per minute and address.
const WRONG_KEYS: u32 = 30;

/// Who is calling. Every handler finds it in the request's extensions.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Owns what the call creates: the key's id, or empty if no keys are required.
    pub owner: String,
    /// What the key allows.
    pub scopes: Vec<Scope>,
    /// Under which name requests are counted.
    who: String,
    /// Requests per minute; none: no limit.
    rate: Option<u32>,
    /// Hash of the key, if it is one that can be revoked.
    key: Option<[u8; 32]>,
    /// Whether it is one caller, of whom so much may be open at a time, and not many of whom nobody knows.
    single: bool,
}

tokio::task_local! {
    /// Who is calling, for what a request finds out only later.
    static CALLER: Caller;
}

/// Counts the pages that were read for the current request beyond the one that counts as the request itself.
pub async fn count_pages(app: &App, pages: usize) {
    let Ok(caller) = CALLER.try_with(Clone::clone) else {
        return;
    };
    if let Some(rate) = caller.rate
        && pages > 1
    {
        charge(app, &caller.who, rate, pages - 1).await;
    }
}

/// The request's place among those that its caller may have open. It ends with the handler, unless an answer that takes
/// longer keeps what the request's extensions have of it.
#[derive(Clone)]
pub struct Held(#[allow(dead_code)] Arc<Holding>);

impl Caller {
    /// Does work on behalf of this caller.
    pub async fn on_behalf<T>(&self, work: impl Future<Output = T>) -> T {
        CALLER.scope(self.clone(), work).await
    }

    /// Whether the key still allows anything. Yes while the database doesn't respond.
    pub async fn is_valid(&self, app: &App) -> bool {
        match &self.key {
            Some(hash) => !matches!(app.keys.by_hash(app, hash).await, Ok(None)),
            None => true,
        }
    }

    /// One more of what a caller may have open only so often.
    ///
    /// # Errors
    /// 429 if that would be too many.
    pub fn hold(&self, app: &App, kind: Kind) -> Result<Option<Holding>, Problem> {
        // Where nobody counts requests, nobody counts what is open.
        if self.rate.is_none() || !self.single {
            return Ok(None);
        }
        let most = match kind {
            Kind::Requests => app.config.max_requests_by_caller.unwrap_or_else(|| {
                let workers = app.pool.workers();
                let places = workers + app.config.queue_length(workers);
                u32::try_from(places / 2).unwrap_or(u32::MAX).max(4)
            }),
            Kind::Sockets => {
                let quarter = (app.config.max_websockets / 4).max(1);
                app.config.max_websockets_by_caller.unwrap_or(quarter)
            }
            Kind::Followers => FOLLOWERS,
        };
        let what = match kind {
            Kind::Requests => "requests with pictures",
            Kind::Sockets => "WebSockets",
            Kind::Followers => "job event streams",
        };
        let holding = app.open.take(kind, &self.who, most).ok_or_else(|| {
            let detail = format!(
                "you have {most} {what} open, the maximum per caller: wait for one to finish"
            );
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once", detail).after(1)
        })?;
        Ok(Some(holding))
    }

    /// Checks that this caller may create a job: the pictures of earlier ones are counted.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub async fn may_create_job(&self, app: &App) -> Result<(), Problem> {
        let Some(rate) = app.config.job_rate(self.rate) else {
            return Ok(());
        };
        let who = self.jobs();
        let taken = app.limiter.take(&who, rate, (rate / 6).max(1), 1);
        taken.await.map(drop).map_err(|wait| {
            let seconds = seconds(wait);
            let detail =
                format!("your jobs had more than {rate} pictures per minute; wait {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).after(seconds)
        })
    }

    /// Counts the pictures of a job that was created.
    pub async fn count_job(&self, app: &App, pictures: u32) {
        if let Some(rate) = app.config.job_rate(self.rate)
            && pictures > 1
        {
            charge(app, &self.jobs(), rate, pictures as usize - 1).await;
        }
    }

    /// Under which name pictures of jobs are counted.
    fn jobs(&self) -> String {
        format!("jobs:{}", self.who)
    }

    /// The caller that the edge vouches for; an empty name is someone it doesn't know either. The edge counts requests;
    /// this server counts them too if it has a rate.
    pub fn of_edge(name: &str, scopes: Vec<Scope>, rate: Option<u32>) -> Self {
        let owner = format!("{STRANGERS}{name}");
        Self {
            who: format!("caller:{owner}"),
            owner,
            scopes,
            rate: rate.filter(|r| *r > 0),
            key: None,
            single: !name.is_empty(),
        }
    }

    /// The user of this machine, who started this program.
    #[cfg(feature = "mcp")]
    pub(crate) fn local() -> Self {
        Self {
            owner: String::new(),
            scopes: ALL_SCOPES.to_vec(),
            who: "local".into(),
            rate: None,
            key: None,
            single: true,
        }
    }

    /// Whether nobody knows who this is, so that others have the same owner.
    pub fn is_stranger(&self) -> bool {
        self.owner == STRANGERS
    }

    /// Counts one request.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub async fn count(&self, app: &App) -> Result<(), Problem> {
        match self.rate {
            Some(rate) => take(app, &self.who, rate, 1).await,
            None => Ok(()),
        }
    }

    /// Counts one message that asks for no reading, apart from the requests.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub async fn count_message(&self, app: &App) -> Result<(), Problem> {
        match self.rate {
            Some(rate) => take(app, &format!("message:{}", self.who), rate, 1).await,
            None => Ok(()),
        }
    }

    /// Whether a file may become a job of this caller of its own accord. Behind an edge it may not: the edge knows only the
    /// jobs that it made.
    pub fn may_have_jobs(&self) -> bool {
        self.scopes.contains(&Scope::Jobs) && !self.owner.starts_with(STRANGERS)
    }

    /// Checks that the caller has this scope.
    ///
    /// # Errors
    /// 403 if not.
    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "scope_missing",
            format!("this key lacks the scope `{}`", name(scope)),
        ))
    }
}

/// The scope's name in the API and on the command line.
pub fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::Recognize => "recognize",
        Scope::Jobs => "jobs",
        Scope::Metrics => "metrics",
        Scope::Admin => "admin",
    }
}

/// The scope of this name.
pub fn scope(named: &str) -> Option<Scope> {
    ALL_SCOPES.into_iter().find(|s| name(*s) == named)
}

/// Every scope.
pub const ALL_SCOPES: [Scope; 4] = [Scope::Recognize, Scope::Jobs, Scope::Metrics, Scope::Admin];

/// A new key in the clear, and its hash.
pub fn new_key() -> (String, [u8; 32]) {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes);
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&key);
    (key, hash)
}

/// SHA-256. Keys have 256 random bits, so a slow hash would protect nothing.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as i64)
}

/// Keys that are known without asking the database each time.
pub struct Keys {
    /// From the configuration.
    fixed: Vec<Key>,
    /// Looked up recently, unknown ones included.
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

    /// Whether the configuration has keys.
    pub fn any_fixed(&self) -> bool {
        !self.fixed.is_empty()
    }

    /// The key, if it is valid now.
    async fn find(&self, app: &App, key: &str) -> Result<Option<Arc<Key>>, Problem> {
        self.by_hash(app, &hash(key)).await
    }

    /// The key with this hash, if it is valid now.
    async fn by_hash(&self, app: &App, hash: &[u8; 32]) -> Result<Option<Arc<Key>>, Problem> {
        let mut found = None;
        // Compare with all of them, so that the time reveals nothing.
        for fixed in &self.fixed {
            if bool::from(fixed.key.hash.ct_eq(hash)) {
                found = Some(Arc::new(fixed.clone()));
            }
        }
        if found.is_some() {
            return Ok(found);
        }
        let key = match self.recent.get(hash).await {
            Some(known) => known,
            None => {
                let key = app.store.key(hash).await?.map(Arc::new);
                self.recent.insert(*hash, key.clone()).await;
                key
            }
        };
        Ok(key.filter(|k| {
            bool::from(k.key.hash.ct_eq(hash))
                && k.revoked_at.is_none()
                && k.key.expires_at.is_none_or(|at| at > now())
        }))
    }
}

/// Headers that hold a key alone: this server's own, and that of Azure's clients.
const KEY_HEADERS: [header::HeaderName; 2] = [
    header::HeaderName::from_static("x-api-key"),
    header::HeaderName::from_static("ocp-apim-subscription-key"),
];

/// The key a request brings: `Authorization: Bearer`, a header of its own, or a WebSocket's sub-protocol.
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
    if let Some(key) = KEY_HEADERS.into_iter().find_map(text) {
        return Some(key.trim());
    }
    let offered = text(header::SEC_WEBSOCKET_PROTOCOL)?;
    offered
        .split(',')
        .find_map(|p| p.trim().strip_prefix(SUBPROTOCOL))
}

/// Where a request comes from: the peer, or what trusted proxies say.
pub fn address(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut address = peer.to_canonical();
    let forwarded = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    let forwarded: Vec<&str> = forwarded.map(str::trim).collect();
    // From the nearest to the farthest, for as long as the one who says it is trusted.
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

/// An address as the limiter counts it.
fn counted(address: IpAddr) -> String {
    subscriber(address).to_string()
}

/// Lets callers through if they may call, as often as they may. Handlers find the [`Caller`] in the request's extensions.
pub async fn check(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match admit(&app, &mut request).await {
        Ok((caller, holding)) => {
            let response = caller.on_behalf(next.run(request)).await;
            drop(holding);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(app: &App, request: &mut Request) -> Result<(Caller, Option<Held>), Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let vouched = match app.config.edge_secrets.is_empty() {
        true => None,
        false => Some(edge::caller(app, method, uri, headers).await?),
    };
    let named = match &vouched {
        Some(caller) => !caller.is_stranger(),
        None => given(headers).is_some(),
    };
    let by_link = match named {
        true => None,
        false => linked(app, peer, method, uri, headers).await?,
    };
    let caller = match by_link.or(vouched) {
        Some(caller) => caller,
        None => direct(app, peer, headers).await?,
    };
    // Reading state is cheap; only work is limited. A WebSocket counts its pictures.
    let mut holding = None;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        caller.count(app).await?;
        holding = caller.hold(app, Kind::Requests)?.map(|h| Held(Arc::new(h)));
    }
    if let Some(held) = &holding {
        request.extensions_mut().insert(held.clone());
    }
    request.extensions_mut().insert(caller.clone());
    Ok((caller, holding))
}

/// The caller without a key who asks for a file by a link that is good for whoever has it: its owner, and for this alone.
///
/// # Errors
/// 401 if the link is no good.
async fn linked(
    app: &App,
    peer: IpAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Caller>, Problem> {
    if method != Method::GET {
        return Ok(None);
    }
    if !Link::is_meant(uri.path(), uri.query()) {
        return Ok(None);
    }
    let address = counted(address(&app.config, peer, headers));
    let owner = match Link::of(uri.path(), uri.query()) {
        Some(link) => link.owner(app).await?,
        None => None,
    };
    match owner {
        Some(owner) => Ok(Some(Caller {
            who: format!("address:{address}"),
            owner,
            scopes: vec![Scope::Recognize],
            rate: app.config.usual_rate(),
            key: None,
            single: true,
        })),
        None => {
            take(app, &format!("wrong:{address}"), WRONG_KEYS, 1).await?;
            Err(kept::bad_link(StatusCode::UNAUTHORIZED))
        }
    }
}

/// The caller of a request that didn't come through an edge: the holder of a key, or anyone if no keys are required.
async fn direct(app: &App, peer: IpAddr, headers: &HeaderMap) -> Result<Caller, Problem> {
    let address = counted(address(&app.config, peer, headers));
    if !app.config.needs_keys() {
        // Beyond this machine, callers are strangers to each other: they may read pictures, and see or change nothing
        // that belongs to all of them.
        let (owner, scopes) = if app.config.is_private() {
            (String::new(), ALL_SCOPES.to_vec())
        } else {
            (STRANGERS.to_string(), vec![Scope::Recognize])
        };
        return Ok(Caller {
            who: format!("address:{address}"),
            owner,
            scopes,
            rate: app.config.usual_rate(),
            key: None,
            single: true,
        });
    }
    let key = known(app, headers, &address).await?;
    let owner = key.key.id.to_string();
    Ok(Caller {
        who: format!("key:{owner}"),
        owner,
        scopes: key.key.scopes.clone(),
        rate: key.key.rate.or(app.config.usual_rate()),
        key: Some(key.key.hash),
        single: true,
    })
}

async fn known(app: &App, headers: &HeaderMap, address: &str) -> Result<Arc<Key>, Problem> {
    let Some(key) = given(headers) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "key_missing",
            "this server requires an API key: send it as `Authorization: Bearer KEY`",
        ));
    };
    // Guessing such keys is hopeless, but each attempt costs a database lookup.
    let found = if key.len() <= 256 {
        app.keys.find(app, key).await?
    } else {
        None
    };
    match found {
        Some(key) => Ok(key),
        None => {
            take(app, &format!("wrong:{address}"), WRONG_KEYS, 1).await?;
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "key_invalid",
                "this API key is unknown, expired or revoked",
            ))
        }
    }
}

async fn take(app: &App, who: &str, rate: u32, count: u32) -> Result<(), Problem> {
    // A sixth of a minute's requests may come at once.
    let burst = (rate / 6).max(1);
    app.limiter
        .take(who, rate, burst, count)
        .await
        .map(drop)
        .map_err(|wait| {
            let seconds = seconds(wait);
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                format!("more than {rate} requests per minute; wait {seconds} s"),
            )
            .after(seconds)
        })
}

/// Counts what can't be refused any more: what comes next waits the longer.
async fn charge(app: &App, who: &str, rate: u32, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    // With such a burst nothing is too early.
    let _ = app.limiter.take(who, rate, u32::MAX, count).await;
}

fn seconds(wait: RetryAfter) -> u64 {
    (wait.0.as_secs_f64().ceil() as u64).max(1)
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
        let azure = headers(&[("ocp-apim-subscription-key", "k")]);
        assert_eq!(given(&azure), Some("k"));
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
