//! Servers behind the edge: which of them to ask, in which order, judged by what is known of each.
//!
//! Two sources tell: the cron's look at `/ready`, the same for all isolates, and what this isolate's own requests met.
//! Times are milliseconds of one clock.

use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, Token};

/// Failures in a row that open a breaker.
const FAILURES: u32 = 3;
/// How long an open breaker stays so at first, ms; it doubles with each failed trial.
const OPEN: u64 = 5_000;
/// The longest, ms.
const LONGEST: u64 = 60_000;
/// A trial nobody heard the end of counts as over after this, ms.
const TRIAL: u64 = 30_000;

/// A server, as configured.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// For people and for jobs: which server has them.
    pub name: String,
    /// Where it is: scheme, host and port.
    pub url: String,
    /// A continent as Cloudflare names it (`EU`, `NA`, `AS`, …); empty: none.
    #[serde(default)]
    pub region: String,
    /// Its share among equals; 0: only where nothing else is left.
    #[serde(default = "one")]
    pub weight: u32,
    /// What it has beyond the usual: `gpu`, `medium`.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

fn one() -> u32 {
    1
}

/// What is wrong with a list of origins, if anything is.
pub fn check(origins: &[Origin]) -> Result<(), String> {
    for (i, origin) in origins.iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if origin.name.is_empty() || origin.name.len() > 40 || !origin.name.chars().all(plain) {
            return Err(format!(
                "`{}`: a name is 1 to 40 of A-Z a-z 0-9 - _",
                origin.name
            ));
        }
        if origins[..i].iter().any(|o| o.name == origin.name) {
            return Err(format!("`{}` appears twice", origin.name));
        }
        let host = origin
            .url
            .strip_prefix("https://")
            .or_else(|| origin.url.strip_prefix("http://"));
        if !host.is_some_and(|h| !h.is_empty() && !h.contains(['/', '?', '#', '@', ' '])) {
            return Err(format!(
                "{}: `{}` is not of the form http(s)://HOST[:PORT]",
                origin.name, origin.url
            ));
        }
    }
    Ok(())
}

/// What a request is about, as far as it decides who is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wish<'a> {
    /// Where the caller is.
    pub region: &'a str,
    /// A capability that makes the answer better; servers without it are asked after those with it.
    pub capability: Option<&'a str>,
}

/// Lets no requests through while a server fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Breaker {
    /// Requests go through; so many failed in a row.
    Closed {
        /// In a row.
        failures: u32,
    },
    /// None goes through until then.
    Open {
        /// ms
        until: u64,
        /// How long it was opened for, ms.
        length: u64,
    },
    /// One request shows whether the server is back.
    Trial {
        /// When it went, ms.
        since: u64,
        /// How long the breaker was open before, ms.
        length: u64,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a request may go through now.
    pub fn admits(&self, now: u64) -> bool {
        match *self {
            Self::Closed { .. } => true,
            Self::Open { until, .. } => now >= until,
            Self::Trial { since, .. } => now >= since + TRIAL,
        }
    }

    /// A request that may goes through.
    pub fn began(&mut self, now: u64) {
        match *self {
            Self::Closed { .. } => {}
            // Its time isn't over: no trial, whoever asks all the same.
            Self::Open { until, .. } if now < until => {}
            Self::Open { length, .. } | Self::Trial { length, .. } => {
                *self = Self::Trial { since: now, length }
            }
        }
    }

    /// Nobody knows how the request ended. A trial is to be made again.
    pub fn unsettled(&mut self, now: u64) {
        if let Self::Trial { length, .. } = *self {
            *self = Self::Open { until: now, length };
        }
    }

    /// The server answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It didn't.
    pub fn failed(&mut self, now: u64) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES => Self::Closed {
                failures: failures + 1,
            },
            Self::Closed { .. } => Self::Open {
                until: now + OPEN,
                length: OPEN,
            },
            // A request from before it was opened.
            Self::Open { until, length } => Self::Open { until, length },
            Self::Trial { length, .. } => {
                let length = (2 * length).min(LONGEST);
                Self::Open {
                    until: now + length,
                    length,
                }
            }
        };
    }

    /// When a request may go through again, ms; none: now.
    pub fn opens_at(&self, now: u64) -> Option<u64> {
        match *self {
            Self::Open { until, .. } if now < until => Some(until),
            Self::Trial { since, .. } if now < since + TRIAL => Some(since + TRIAL),
            _ => None,
        }
    }
}

/// What the cron saw of a server.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Seen {
    /// When, ms since 1970.
    pub at: u64,
    /// Whether it was ready.
    pub ready: bool,
}

/// How a server stands, as this isolate knows.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Whether it is asked at all.
    pub breaker: Breaker,
    /// It said that it has too much to do, until then, ms.
    pub busy_until: u64,
    /// What the cron saw last.
    pub seen: Option<Seen>,
    /// Requests of this isolate that it hasn't answered.
    pub waiting: Ledger,
}

/// What the cron saw counts for so long, ms: it may have stopped running.
const FRESH: u64 = 180_000;

impl Standing {
    fn is_ready(&self, now: u64) -> bool {
        self.seen
            .is_none_or(|seen| seen.ready || now.saturating_sub(seen.at) > FRESH)
    }
}

/// All servers.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// As configured.
    pub all: Vec<Origin>,
    /// How each stands.
    pub standing: Vec<Standing>,
}

impl Origins {
    /// Servers nothing is known of yet.
    pub fn new(all: Vec<Origin>) -> Self {
        let standing = vec![Standing::default(); all.len()];
        Self { all, standing }
    }

    /// Whom to ask, the first choice first. Those whose breaker is open aren't in it.
    ///
    /// Better comes first: ready, not busy, with the capability, in the region. Among equals chance decides by weight,
    /// and requests that wait make a weight smaller. `draw` gives numbers from 0 to 1, 1 excluded.
    pub fn order(&self, wish: Wish, now: u64, mut draw: impl FnMut() -> f64) -> Vec<usize> {
        let mut ranked: Vec<(u32, f64, usize)> = Vec::new();
        for (i, (origin, standing)) in self.all.iter().zip(&self.standing).enumerate() {
            if !standing.breaker.admits(now) {
                continue;
            }
            let lacks = wish
                .capability
                .is_some_and(|c| !origin.capabilities.iter().any(|o| o == c));
            let far = !wish.region.is_empty() && !origin.region.eq_ignore_ascii_case(wish.region);
            let rank = 16 * u32::from(!standing.is_ready(now))
                + 8 * u32::from(standing.busy_until > now)
                + 4 * u32::from(origin.weight == 0)
                + 2 * u32::from(lacks)
                + u32::from(far);
            // The least of such numbers is of each with a chance that is proportional to its weight.
            let weight = f64::from(origin.weight.max(1)) / (1 + standing.waiting.sum(now)) as f64;
            let chance = -(1.0 - draw()).max(f64::MIN_POSITIVE).ln() / weight;
            ranked.push((rank, chance, i));
        }
        ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        ranked.into_iter().map(|(_, _, i)| i).collect()
    }

    /// Seconds until the first of them may be asked again.
    pub fn retry_after(&self, now: u64) -> u64 {
        let times = self.standing.iter().filter_map(|s| s.breaker.opens_at(now));
        times.min().map_or(5, |at| (at - now).div_ceil(1000).max(1))
    }

    /// By name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|o| o.name == name)
    }

    /// A request goes to it.
    pub fn began(&mut self, index: usize, now: u64) -> Token {
        let standing = &mut self.standing[index];
        standing.breaker.began(now);
        standing.waiting.add(1, now)
    }

    /// How that request ended.
    pub fn ended(&mut self, index: usize, request: Token, now: u64, ending: Ending) {
        let standing = &mut self.standing[index];
        standing.waiting.remove(request);
        match ending {
            Ending::Answered => {
                standing.breaker.succeeded();
                standing.busy_until = 0;
            }
            Ending::Busy { seconds } => {
                standing.breaker.succeeded();
                standing.busy_until = now + 1000 * seconds.clamp(1, 60);
            }
            Ending::Failed => standing.breaker.failed(now),
            Ending::Unknown => standing.breaker.unsettled(now),
        }
    }
}

/// How a request to a server ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// With an answer, be it a refusal.
    Answered,
    /// It has too much to do, or doesn't believe the edge: others are asked before it.
    Busy {
        /// It may be asked again after this, s.
        seconds: u64,
    },
    /// No connection, no answer in time, or none that makes sense.
    Failed,
    /// By its caller's doing, who sent too slowly or waited too briefly.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(name: &str, region: &str, weight: u32, capabilities: &[&str]) -> Origin {
        Origin {
            name: name.into(),
            url: "http://a".into(),
            region: region.into(),
            weight,
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
        }
    }

    fn three() -> Origins {
        Origins::new(vec![
            origin("eu", "EU", 1, &[]),
            origin("us", "NA", 3, &["gpu"]),
            origin("spare", "NA", 0, &[]),
        ])
    }

    /// A fixed sequence of independent numbers (xorshift64).
    fn draws() -> impl FnMut() -> f64 {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn names(origins: &Origins, wish: Wish, now: u64) -> Vec<String> {
        let order = origins.order(wish, now, draws());
        order
            .into_iter()
            .map(|i| origins.all[i].name.clone())
            .collect()
    }

    #[test]
    fn what_is_better_comes_first() {
        let wish = |region, capability| Wish { region, capability };
        let mut origins = three();
        assert_eq!(names(&origins, wish("EU", None), 0), ["eu", "us", "spare"]);
        assert_eq!(names(&origins, wish("NA", None), 0), ["us", "eu", "spare"]);
        assert_eq!(
            names(&origins, wish("EU", Some("gpu")), 0),
            ["us", "eu", "spare"]
        );
        origins.standing[1].busy_until = 10;
        assert_eq!(names(&origins, wish("NA", None), 5), ["eu", "spare", "us"]);
        assert_eq!(names(&origins, wish("NA", None), 10), ["us", "eu", "spare"]);
        origins.standing[0].seen = Some(Seen {
            at: 0,
            ready: false,
        });
        assert_eq!(names(&origins, wish("EU", None), 20), ["us", "spare", "eu"]);
        // What was seen long ago says nothing.
        assert_eq!(
            names(&origins, wish("EU", None), FRESH + 20),
            ["eu", "us", "spare"]
        );
    }

    #[test]
    fn weights_are_shares() {
        let mut origins = Origins::new(vec![origin("a", "", 1, &[]), origin("b", "", 3, &[])]);
        let mut draw = draws();
        let mut share = |origins: &Origins| {
            let firsts = (0..4000).filter(|_| origins.order(Wish::default(), 0, &mut draw)[0] == 1);
            firsts.count() as f64 / 4000.0
        };
        let b = share(&origins);
        assert!((0.70..0.80).contains(&b), "{b}");
        // Two that wait at b make its weight 1.
        origins.standing[1].waiting.add(1, 0);
        origins.standing[1].waiting.add(1, 0);
        let b = share(&origins);
        assert!((0.43..0.57).contains(&b), "{b}");
    }

    #[test]
    fn a_breaker_opens_tries_and_closes() {
        let mut breaker = Breaker::default();
        breaker.failed(0);
        breaker.failed(0);
        breaker.succeeded();
        breaker.failed(0);
        breaker.failed(0);
        assert!(breaker.admits(0));
        breaker.failed(100);
        assert!(
            !breaker.admits(100) && !breaker.admits(100 + OPEN - 1) && breaker.admits(100 + OPEN)
        );
        assert_eq!(breaker.opens_at(100), Some(100 + OPEN));
        // One trial at a time.
        let now = 100 + OPEN;
        breaker.began(now);
        assert!(!breaker.admits(now + 1) && breaker.admits(now + TRIAL));
        breaker.failed(now + 1);
        assert!(!breaker.admits(now + 2 * OPEN) && breaker.admits(now + 1 + 2 * OPEN));
        let mut now = now;
        for _ in 0..10 {
            now = breaker.opens_at(now).unwrap_or(now);
            breaker.began(now);
            breaker.failed(now);
        }
        assert_eq!(breaker.opens_at(now), Some(now + LONGEST));
        breaker.began(now + LONGEST);
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn callers_do_not_move_a_breaker() {
        let mut breaker = Breaker::default();
        breaker.failed(0);
        breaker.failed(0);
        // A caller who gave up is neither a third failure nor a success.
        breaker.unsettled(0);
        assert_eq!(breaker, Breaker::Closed { failures: 2 });
        breaker.failed(0);
        let open = breaker;
        // Who asks before its time makes no trial.
        breaker.began(OPEN - 1);
        assert_eq!(breaker, open);
        breaker.began(OPEN);
        breaker.unsettled(OPEN + 3);
        assert!(breaker.admits(OPEN + 3));
        breaker.began(OPEN + 3);
        breaker.failed(OPEN + 3);
        assert_eq!(breaker.opens_at(OPEN + 3), Some(3 * OPEN + 3));
    }

    #[test]
    fn a_server_that_fails_is_left_alone() {
        let mut origins = three();
        let failed = |origins: &mut Origins, index, now| {
            let request = origins.began(index, now);
            origins.ended(index, request, now, Ending::Failed);
        };
        for _ in 0..FAILURES {
            failed(&mut origins, 0, 0);
        }
        assert_eq!(origins.standing[0].waiting.sum(0), 0);
        let wish = Wish {
            region: "EU",
            capability: None,
        };
        assert_eq!(names(&origins, wish, 1), ["us", "spare"]);
        for i in [1, 2] {
            for _ in 0..FAILURES {
                failed(&mut origins, i, 500);
            }
        }
        assert!(names(&origins, wish, 1000).is_empty());
        assert_eq!(origins.retry_after(1000), 4);
    }

    #[test]
    fn busy_is_not_broken() {
        let mut origins = three();
        for _ in 0..5 {
            let request = origins.began(0, 0);
            origins.ended(0, request, 0, Ending::Busy { seconds: 2 });
        }
        let wish = Wish {
            region: "EU",
            capability: None,
        };
        assert_eq!(names(&origins, wish, 1), ["us", "spare", "eu"]);
        let request = origins.began(0, 1);
        origins.ended(0, request, 1, Ending::Answered);
        assert_eq!(names(&origins, wish, 1)[0], "eu");
    }

    #[test]
    fn a_configuration_is_checked() {
        let with = |name: &str, url: &str| Origin {
            url: url.into(),
            ..origin(name, "", 1, &[])
        };
        assert_eq!(
            check(&[
                with("a", "https://a.example"),
                with("b", "http://127.0.0.1:1")
            ]),
            Ok(())
        );
        for wrong in [
            vec![with("", "https://a")],
            vec![with("a b", "https://a")],
            vec![with("a", "ftp://a")],
            vec![with("a", "https://a/path")],
            vec![with("a", "https://user@a")],
            vec![with("a", "https://a"), with("a", "https://b")],
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
    }
}
