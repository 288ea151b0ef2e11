//! What an edge function signs and a server verifies, so that nobody bypasses the edge.
//!
//! The header [`HEADER`] holds `t=TIME, n=NONCE, c=CALLER, r=RIGHTS, s=SIGNATURE`. The signature is HMAC-SHA256 (RFC
//! 2104), in hexadecimal, over [`VERSION`] and then method, origin, path with query, and the other four parts, each on a
//! line of its own. The origin is the server that the request is for, as [`origin`] writes it: another server with the
//! same secret refuses the signature. The body isn't signed, because it is passed on while it arrives. It is protected by
//! the header being good for one request and [`TOLERANCE`] seconds only; the verifier must remember nonces for that long,
//! before and after now.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header's name.
pub const HEADER: &str = "x-maoocr-edge";
/// Prefix of the signed text, so that no signature made for another purpose is valid here.
pub const VERSION: &str = "maoocr-edge-2";
/// Seconds by which the clocks may differ, transit included.
pub const TOLERANCE: u64 = 30;
/// Minimum length of a secret, bytes.
pub const SHORTEST_SECRET: usize = 32;

const LONGEST_NAME: usize = 128;

/// What the edge vouches for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim<'a> {
    /// Seconds since 1970.
    pub time: u64,
    /// Unique per request: 16 to 128 characters of `A-Z a-z 0-9 _ . : -`.
    pub nonce: &'a str,
    /// The caller, empty if unknown: at most 128 of the same characters.
    pub caller: &'a str,
    /// The caller's scopes, joined by `+`, of the same characters.
    pub rights: &'a str,
}

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The header is malformed.
    #[error("the header `{HEADER}` must have the form `t=…, n=…, c=…, r=…, s=…`")]
    Malformed,
    /// The signature was made with another secret or for another request.
    #[error("the signature in `{HEADER}` does not match this request")]
    Forged,
    /// The signature is too old or from the future.
    #[error(
        "the signature in `{HEADER}` is {0} s off this machine's clock; at most {TOLERANCE} s are allowed"
    )]
    Expired(u64),
}

/// A request, as far as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its method.
    pub method: &'a str,
    /// The server that it is for, as [`origin`] writes it.
    pub origin: &'a str,
    /// Its path, including its query, as it is sent.
    pub path: &'a str,
}

/// An origin as it is signed, `SCHEME://HOST[:PORT]`: lower case, without a scheme's usual port or anything that follows.
pub fn origin(url: &str) -> String {
    let url = url.trim().to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", &url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    let usual = if scheme == "http" { ":80" } else { ":443" };
    let host = host.strip_suffix(usual).unwrap_or(host);
    format!("{scheme}://{host}")
}

/// The header's value for a request. `None` if a part has characters it may not have.
pub fn sign(secret: &[u8], target: Target, claim: &Claim) -> Option<String> {
    let Claim {
        time,
        nonce,
        caller,
        rights,
    } = claim;
    let sound =
        is_nonce(nonce) && is_name(caller) && is_list(rights) && !target.path.contains('\n');
    sound.then(|| {
        let tag = mac(secret, target, claim).finalize().into_bytes();
        let tag: String = tag.iter().map(|b| format!("{b:02x}")).collect();
        format!("t={time}, n={nonce}, c={caller}, r={rights}, s={tag}")
    })
}

/// Verifies a header and returns its claim. The target's origin is any of `origins`.
///
/// # Errors
/// The header is malformed, wasn't signed with one of the secrets for this request, or is out of date.
pub fn verify<'a>(
    secrets: &[impl AsRef<[u8]>],
    (method, origins, path): (&str, &[impl AsRef<str>], &str),
    header: &'a str,
    now: u64,
) -> Result<Claim<'a>, Refusal> {
    let (claim, tag) = parse(header).ok_or(Refusal::Malformed)?;
    // The secret first: nobody else learns what this machine's clock says. Each comparison takes the same time.
    let mut known = false;
    for secret in secrets {
        for origin in origins {
            let target = Target {
                method,
                origin: origin.as_ref(),
                path,
            };
            known |= mac(secret.as_ref(), target, &claim)
                .verify_slice(&tag)
                .is_ok();
        }
    }
    if !known {
        return Err(Refusal::Forged);
    }
    match claim.time.abs_diff(now) {
        apart if apart > TOLERANCE => Err(Refusal::Expired(apart)),
        _ => Ok(claim),
    }
}

fn mac(secret: &[u8], target: Target, claim: &Claim) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    let time = claim.time.to_string();
    let lines = [
        VERSION,
        target.method,
        target.origin,
        target.path,
        &time,
        claim.nonce,
        claim.caller,
        claim.rights,
    ];
    for line in lines {
        mac.update(line.as_bytes());
        mac.update(b"\n");
    }
    mac
}

fn parse(header: &str) -> Option<(Claim<'_>, [u8; 32])> {
    let mut parts = header.split(", ");
    let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let claim = Claim {
        time: part("t")?.parse().ok()?,
        nonce: part("n").filter(|n| is_nonce(n))?,
        caller: part("c").filter(|c| is_name(c))?,
        rights: part("r").filter(|r| is_list(r))?,
    };
    let tag = bytes(part("s")?)?;
    parts.next().is_none().then_some((claim, tag))
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

fn is_nonce(text: &str) -> bool {
    text.len() >= 16 && is_name(text)
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(is_plain)
}

fn is_list(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(|b| is_plain(b) || b == b'+')
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";
    const NOW: u64 = 1_800_000_000;
    const CLAIM: Claim = Claim {
        time: NOW,
        nonce: "0123456789abcdef",
        caller: "shop-1",
        rights: "recognize+jobs",
    };

    const HERE: &[&str] = &["https://other.example", "https://ocr.example"];

    fn header() -> String {
        let target = Target {
            method: "POST",
            origin: HERE[1],
            path: "/api/ocr/recognize?x=1",
        };
        sign(SECRET, target, &CLAIM).unwrap()
    }

    fn check(method: &str, path: &str, header: &str, now: u64) -> Result<(), Refusal> {
        verify(
            &[b"an older secret".as_slice(), SECRET],
            (method, HERE, path),
            header,
            now,
        )
        .map(drop)
    }

    #[test]
    fn what_was_signed_is_believed() {
        let header = header();
        let request = ("POST", HERE, "/api/ocr/recognize?x=1");
        let claim = verify(&[SECRET], request, &header, NOW).unwrap();
        assert_eq!(claim, CLAIM);
        assert_eq!(
            check("POST", "/api/ocr/recognize?x=1", &header, NOW),
            Ok(())
        );
    }

    #[test]
    fn another_server_does_not_believe_it() {
        let header = header();
        for origins in [&["https://other.example"][..], &["http://ocr.example"], &[]] {
            let request = ("POST", origins, "/api/ocr/recognize?x=1");
            assert_eq!(
                verify(&[SECRET], request, &header, NOW),
                Err(Refusal::Forged)
            );
        }
    }

    #[test]
    fn an_origin_is_written_in_one_way() {
        for url in [
            "https://OCR.example",
            "https://ocr.example:443/",
            "ocr.example/x?y",
        ] {
            assert_eq!(origin(url), "https://ocr.example", "{url}");
        }
        assert_eq!(origin("http://ocr.example:80"), "http://ocr.example");
        assert_eq!(origin("http://[::1]:8787/"), "http://[::1]:8787");
        assert_eq!(origin("http://ocr.example:443"), "http://ocr.example:443");
    }

    /// HMAC-SHA256 of the same eight lines by another implementation (Python's `hmac`).
    #[test]
    fn the_signature_is_hmac_sha256() {
        let tag = header().rsplit_once("s=").unwrap().1.to_string();
        assert_eq!(
            tag,
            "2bfb616858f0d66cc057f952708f5e01f50f9c6dc2ff2ebc5307788e6ca17e37"
        );
    }

    #[test]
    fn another_request_is_not() {
        let header = header();
        for (method, path) in [
            ("GET", "/api/ocr/recognize?x=1"),
            ("POST", "/api/ocr/recognize"),
            ("POST", "/api/ocr/recognize?x=2"),
        ] {
            assert_eq!(check(method, path, &header, NOW), Err(Refusal::Forged));
        }
    }

    #[test]
    fn no_part_can_be_changed() {
        let header = header();
        for (from, to) in [
            ("t=1800000000", "t=1800000001"),
            ("n=0123456789abcdef", "n=0123456789abcdee"),
            ("c=shop-1", "c=shop-2"),
            ("c=shop-1", "c="),
            ("r=recognize+jobs", "r=recognize+jobs+admin"),
        ] {
            let changed = header.replace(from, to);
            assert_ne!(changed, header);
            let result = check("POST", "/api/ocr/recognize?x=1", &changed, NOW);
            assert_eq!(result, Err(Refusal::Forged), "{changed}");
        }
        let request = ("POST", HERE, "/api/ocr/recognize?x=1");
        assert_eq!(
            verify(&[b"another secret".as_slice()], request, &header, NOW),
            Err(Refusal::Forged)
        );
        let none: [&[u8]; 0] = [];
        assert_eq!(verify(&none, request, &header, NOW), Err(Refusal::Forged));
    }

    #[test]
    fn it_is_good_for_a_short_time() {
        let header = header();
        let at = |now| check("POST", "/api/ocr/recognize?x=1", &header, now);
        assert_eq!(at(NOW + TOLERANCE), Ok(()));
        assert_eq!(at(NOW - TOLERANCE), Ok(()));
        assert_eq!(at(NOW + TOLERANCE + 1), Err(Refusal::Expired(31)));
        assert_eq!(at(NOW - TOLERANCE - 1), Err(Refusal::Expired(31)));
    }

    #[test]
    fn anything_may_stand_in_the_header() {
        let good = header();
        for header in [
            "",
            "t=1",
            "t=, n=, c=, r=, s=",
            &good.replace("t=", "t=-"),
            &good.replace(", ", ","),
            &good.replace("0123456789abcdef", "short"),
            &good.replace("shop-1", "shop 1"),
            &good.replace("shop-1", "sh\u{f6}p"),
            &good[..good.len() - 1],
            &format!("{good}0"),
            &format!("{good}, x=1"),
            &good.replace("s=", "s=\u{e9}"),
        ] {
            assert_eq!(
                check("POST", "/api/ocr/recognize?x=1", header, NOW),
                Err(Refusal::Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn what_would_not_be_read_is_not_signed() {
        for claim in [
            Claim {
                nonce: "short",
                ..CLAIM
            },
            Claim {
                caller: "a, r=admin",
                ..CLAIM
            },
            Claim {
                rights: "a\nb",
                ..CLAIM
            },
        ] {
            let target = Target {
                method: "GET",
                origin: HERE[0],
                path: "/",
            };
            assert_eq!(sign(SECRET, target, &claim), None);
        }
    }
}
