//! The world outside: which hosts this server talks to because a caller named them.
//!
//! A caller must not make the server talk to its own network. So the host must be on the operator's list, every address
//! it resolves to must be public, and the connection goes to exactly those addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url};

use crate::network::Network;

/// The hosts that the operator allows.
#[derive(Clone, Debug)]
pub struct Outside {
    hosts: Arc<[String]>,
    /// Where they may be, besides the public internet.
    networks: Arc<[Network]>,
}

impl Outside {
    /// These hosts, on the public internet or in these networks.
    pub fn new(hosts: &[String], networks: &[Network]) -> Self {
        Self {
            hosts: hosts.iter().map(|h| h.to_ascii_lowercase()).collect(),
            networks: networks.into(),
        }
    }

    /// Whether a URL may be asked, as far as can be told before its host is resolved; else why not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{}` is neither http nor https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name or password is not allowed".into());
        }
        let ip = match url.host() {
            Some(url::Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(url::Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(url::Host::Domain(_)) => None,
            None => return Err("the URL has no host".into()),
        };
        if ip.is_some_and(|ip| !self.has(ip)) {
            return Err(NOT_PUBLIC.into());
        }
        let host = url
            .host_str()
            .unwrap_or("")
            .trim_end_matches('.')
            .to_ascii_lowercase();
        if !self.hosts.contains(&host) {
            return Err(format!("this server does not connect to `{host}`"));
        }
        Ok(())
    }

    /// Whether an address is one where the hosts may be.
    pub fn has(&self, address: IpAddr) -> bool {
        is_public(address) || self.networks.iter().any(|n| n.contains(address))
    }

    /// The start of a client that reaches nothing else.
    pub fn client(&self) -> ClientBuilder {
        Client::builder()
            .dns_resolver(self.clone())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("maoocr/", env!("CARGO_PKG_VERSION")))
    }
}

/// Why a host is refused for its address.
pub const NOT_PUBLIC: &str = "the host is not on the public internet";

impl Resolve for Outside {
    fn resolve(&self, name: Name) -> Resolving {
        let outside = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            // One address that isn't allowed disqualifies the host: whoever answers for the name can't be trusted.
            if addresses.iter().any(|a| !outside.has(a.ip())) {
                return Err(NOT_PUBLIC.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet: none of the special-purpose ranges of IANA's registries
/// (RFC 6890 and its updates).
fn is_public(address: IpAddr) -> bool {
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
        let outside = Outside::new(&hosts, &[]);
        let ok = |address: &str| outside.check(&Url::parse(address).unwrap()).is_ok();
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
        let name = || -> Name { "localhost".parse().unwrap() };
        assert!(Outside::new(&[], &[]).resolve(name()).await.is_err());
        let networks = ["127.0.0.0/8", "::1/128"].map(|n| n.parse().unwrap());
        assert!(Outside::new(&[], &networks).resolve(name()).await.is_ok());
    }

    #[test]
    fn a_network_is_open_to_listed_hosts_only() {
        let hosts = ["hooks.internal".to_string(), "10.0.0.7".to_string()];
        let outside = Outside::new(&hosts, &["10.0.0.0/8".parse().unwrap()]);
        let ok = |address: &str| outside.check(&Url::parse(address).unwrap()).is_ok();
        assert!(ok("http://10.0.0.7/hook") && ok("https://hooks.internal/"));
        assert!(!ok("http://10.0.0.8/") && !ok("http://192.168.0.1/"));
    }
}
