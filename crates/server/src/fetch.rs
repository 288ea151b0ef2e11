//! `image_url`: fetches pictures from hosts that the operator allows, and from nowhere else.
//!
//! A caller must not make the server talk to its own network. So the host must be on the list, every address it
//! resolves to must be public, the connection goes to exactly those addresses, and each redirect is checked like the
//! first URL.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use maoocr_engine::imaging::ImagingError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::app::App;
use crate::body::Memory;
use crate::problem::Problem;

const REDIRECTS: usize = 3;
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(20);

/// Fetches pictures.
pub struct Fetcher {
    client: Client,
    hosts: Arc<[String]>,
}

impl Fetcher {
    /// A fetcher for these hosts; none if the list is empty.
    ///
    /// # Errors
    /// The HTTP client can't be created.
    pub fn new(hosts: &[String]) -> Result<Option<Self>, reqwest::Error> {
        if hosts.is_empty() {
            return Ok(None);
        }
        let hosts: Arc<[String]> = hosts.iter().map(|h| h.to_ascii_lowercase()).collect();
        let allowed = hosts.clone();
        let policy = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error("too many redirects");
            }
            match check(attempt.url(), &allowed) {
                Ok(()) => attempt.follow(),
                Err(reason) => attempt.error(reason),
            }
        });
        let client = Client::builder()
            .dns_resolver(PublicOnly)
            .redirect(policy)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .no_proxy()
            .referer(false)
            .user_agent(concat!("maoocr/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Some(Self { client, hosts }))
    }
}

/// Fetches the picture at this URL into a share of the memory for uploads.
///
/// # Errors
/// The URL is invalid or not allowed, the host fails, the file is too large, or there is no memory for it.
pub async fn picture(app: &App, address: &str, memory: &mut Memory) -> Result<Bytes, Problem> {
    let refuse = |detail: String| {
        Problem::new(StatusCode::FORBIDDEN, "url_not_allowed", detail).field("image_url")
    };
    let Some(fetcher) = &app.fetcher else {
        return Err(refuse(
            "this server does not fetch pictures: send the file itself".into(),
        ));
    };
    let url = Url::parse(address).map_err(|e| {
        let detail = format!("invalid URL: {e}");
        Problem::unprocessable("invalid_url", detail).field("image_url")
    })?;
    check(&url, &fetcher.hosts).map_err(refuse)?;
    let failed = |error: reqwest::Error| {
        let mut cause: &dyn Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        // The last cause is the one that tells; it reveals no address that the caller didn't name.
        Problem::unprocessable(
            "fetch_failed",
            format!("could not fetch the picture: {cause}"),
        )
        .field("image_url")
    };
    let response = fetcher.client.get(url).send().await.map_err(failed)?;
    if response.remote_addr().is_some_and(|a| !is_public(a.ip())) {
        return Err(refuse("the host is not on the public internet".into()));
    }
    if !response.status().is_success() {
        let detail = format!(
            "the host of the picture answered with status {}",
            response.status().as_u16()
        );
        return Err(Problem::unprocessable("fetch_failed", detail).field("image_url"));
    }
    let limit = app.config.file_bytes();
    let too_large = |bytes| Problem::from(ImagingError::TooLarge { bytes, limit });
    if let Some(length) = response.content_length()
        && length > limit as u64
    {
        return Err(too_large(length as usize));
    }
    let mut stream = response.bytes_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(failed)?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(bytes.len() + chunk.len()));
        }
        memory.hold(bytes.len() + chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Whether a URL may be fetched, as far as can be told before its host is resolved.
fn check(url: &Url, hosts: &[String]) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is neither http nor https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("URLs with a user name or password are not fetched".into());
    }
    let ip = match url.host() {
        Some(url::Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(url::Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(url::Host::Domain(_)) => None,
        None => return Err("the URL has no host".into()),
    };
    if ip.is_some_and(|ip| !is_public(ip)) {
        return Err("the host is not on the public internet".into());
    }
    let host = url
        .host_str()
        .unwrap_or("")
        .trim_end_matches('.')
        .to_ascii_lowercase();
    if !hosts.contains(&host) {
        return Err(format!("pictures are not fetched from `{host}`"));
    }
    Ok(())
}

/// Resolves names to public addresses only.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            // One address that isn't public disqualifies the host: whoever answers for the name can't be trusted.
            if addresses.iter().any(|a| !is_public(a.ip())) {
                return Err("the host is not on the public internet".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet: none of the special-purpose ranges of IANA's registries
/// (RFC 6890 and its updates).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared by carriers; some clouds keep their metadata there.
        || (a == 100 && (64..128).contains(&b))
        // Benchmarks.
        || (a == 198 && (b == 18 || b == 19))
        // Protocol assignments; 6to4 relays.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, ..] = address.segments();
    let low = address.to_bits() as u32;
    let inner = Ipv4Addr::from_bits(low);
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    // NAT64: the address behind it counts.
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        return is_public_v4(inner);
    }
    // 6to4 holds an IPv4 address in its next 32 bits.
    if a == 0x2002 {
        let [x, y] = [b.to_be_bytes(), c.to_be_bytes()];
        return is_public_v4(Ipv4Addr::new(x[0], x[1], y[0], y[1]));
    }
    // Global unicast is 2000::/3. Of it: Teredo and other protocol assignments, documentation.
    (a & 0xe000) == 0x2000
        && !(a == 0x2001 && b < 0x200)
        && !(a == 0x2001 && b == 0xdb8)
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_an_inner_network_is_public() {
        for inner in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for outer in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(outer.parse().unwrap()), "{outer}");
        }
    }

    #[test]
    fn only_listed_hosts_are_asked_however_they_are_spelled() {
        let hosts = ["pictures.example".to_string(), "127.0.0.1".to_string()];
        let ok = |address: &str| check(&Url::parse(address).unwrap(), &hosts).is_ok();
        assert!(ok("https://pictures.example/a.png"));
        assert!(ok("https://PICTURES.example./a.png"));
        assert!(ok("http://pictures.example:8080/a.png"));
        for bad in [
            "https://other.example/",
            "https://pictures.example.evil.example/",
            "https://evil.example#pictures.example",
            "https://pictures.example@evil.example/",
            "https://user@pictures.example/",
            "https://user:word@pictures.example/",
            "ftp://pictures.example/",
            "file:///etc/passwd",
            "gopher://pictures.example/",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(!ok(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_resolved() {
        let name: Name = "localhost".parse().unwrap();
        assert!(PublicOnly.resolve(name).await.is_err());
    }
}
